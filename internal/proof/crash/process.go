package crash

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SpecEnv holds the Spec in the environment of a child.
const SpecEnv = "TARN_CRASH_SPEC"

// Process is a child.
type Process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	err   lines
	heard chan struct{} // closed when it has said its last
	ready chan struct{} // closed when it is, or will never be

	hearing error // set before heard is closed
}

// Start starts a child, and calls hear for each thing that it tells, until it has ended.
func Start(spec *Spec, hear func(m Message)) (*Process, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("crash: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("crash: %w", err)
	}
	p := &Process{cmd: exec.Command(program), heard: make(chan struct{}), ready: make(chan struct{})}
	// The race detector would have a program wait for a second at its end.
	p.cmd.Env = append(os.Environ(), SpecEnv+"="+string(text), "GOMAXPROCS=4", "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.err
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("crash: %w", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("crash: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("crash: %w", err)
	}
	go p.listen(out, hear)
	return p, nil
}

func (p *Process) listen(out io.Reader, hear func(m Message)) {
	defer close(p.heard)
	var once sync.Once
	ready := func() { once.Do(func() { close(p.ready) }) }
	defer ready()
	p.hearing = listen(out, func(m Message) {
		hear(m)
		if m.Kind == Ready {
			ready()
		}
	})
}

// Ask has the child do something: "close 1s" or "drain 1s", after which it ends.
func (p *Process) Ask(what string) error {
	if _, err := io.WriteString(p.in, what+"\n"); err != nil {
		return fmt.Errorf("crash: %w", err)
	}
	return nil
}

// Wait waits for the child's end. Its error says what went wrong in the child.
func (p *Process) Wait() error {
	<-p.heard
	err := p.cmd.Wait()
	p.in.Close()
	if err != nil {
		err = fmt.Errorf("crash: a child: %w: %s", err, p.err.String())
	}
	return errors.Join(err, p.hearing)
}

// over reports whether the child has said its last.
func (p *Process) over() bool {
	select {
	case <-p.heard:
		return true
	default:
		return false
	}
}

// Kill ends the child with SIGKILL, and waits. Its error says what the child complained of before.
func (p *Process) Kill() error {
	_ = p.cmd.Process.Kill()
	<-p.heard
	_ = p.cmd.Wait()
	p.in.Close()
	if said := p.err.String(); said != "" {
		return fmt.Errorf("crash: a child that was killed said: %s", said)
	}
	return p.hearing
}

// Signal sends the child a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// LimitFiles lets no file of the child grow beyond a size; 0: lets them grow again.
func (p *Process) LimitFiles(size uint64) error {
	limit := unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}
	if size == 0 {
		limit.Cur = unix.RLIM_INFINITY
	}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		return fmt.Errorf("crash: limit: %w", err)
	}
	return nil
}

// lines keeps what a child writes to its standard error.
type lines struct {
	mu   sync.Mutex // protects text
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() < 1<<20 {
		l.text.Write(b)
	}
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Serve is what a child does: what its spec says, until it is asked on in to end.
func Serve(spec *Spec, in io.Reader, out io.Writer) error {
	signal.Ignore(syscall.SIGXFSZ) // a file that may not grow is an error of the write
	if spec.Count.Callers > 0 {
		return count(spec, in, out)
	}
	n, err := openNode(spec, out)
	if err != nil {
		return err
	}
	orders := bufio.NewScanner(in)
	if !orders.Scan() {
		os.Exit(3) // whoever started this is gone
	}
	what, much, _ := strings.Cut(orders.Text(), " ")
	within, err := time.ParseDuration(much)
	switch {
	case err != nil:
		return fmt.Errorf("crash: %w", err)
	case what == "close":
		return n.close(within)
	case what == "drain":
		return n.drain(within)
	}
	return fmt.Errorf("crash: nobody knows how to %q", what)
}
