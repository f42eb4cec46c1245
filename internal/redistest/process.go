package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// need returns the path of redis-server. Without it the test is skipped, or fails where nothing may be left out.
func need(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatal("redis-server is not on this machine; make deps installs it")
	default:
		t.Skip("redis-server is not on this machine; make deps installs it")
	}
	return ""
}

// process is a program that runs until it is ended, or until this program ends, whatever ends it.
type process struct {
	pid  int
	done chan struct{} // closed when it has ended and is waited for
	err  error         // how it ended; valid after done
}

// start runs a program that writes what it says to the file log. Its goroutine keeps a thread for itself as long as
// the program runs: the system ends a child with the thread that made it.
func start(log string, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = dieWithParent()
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		out.Close()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// ended reports whether the program is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal sends a signal to the program, and to nothing else: while done is open its id belongs to it.
func (p *process) signal(s syscall.Signal) error {
	if p.ended() {
		return os.ErrProcessDone
	}
	if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("redistest: signal %v: %w", s, err)
	}
	return nil
}

// kill ends the program with SIGKILL, and waits until it is gone.
func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL)
	<-p.done
}

// tail is the end of what a program said.
func tail(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
