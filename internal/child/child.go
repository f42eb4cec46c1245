// Package child runs programs that end with this one, whatever ends it. Servers are started with it for tests.
package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Program is what Start starts.
type Program struct {
	Path string
	Args []string
	Dir  string // where it runs; empty: where this program does
	Log  string // the file that what it says is appended to
	// Owner is who it runs as; nil: as this program.
	Owner *syscall.Credential
	// End is the signal that makes it end; zero: SIGKILL.
	End syscall.Signal
}

// Process is a Program that runs.
type Process struct {
	PID int

	program Program
	done    chan struct{} // closed when it has ended and is waited for
	err     error         // how it ended; valid after done
}

// Start starts the program. The goroutine that waits for its end keeps a thread for itself as long as the program
// runs, since Linux ends a child with the thread that made it. On other systems the program outlives this one if this
// one is killed.
func (p Program) Start() (*Process, error) {
	if p.End == 0 {
		p.End = syscall.SIGKILL
	}
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, out, out
	cmd.SysProcAttr = dyingWithParent(p.End)
	cmd.SysProcAttr.Credential = p.Owner
	process, started := &Process{program: p, done: make(chan struct{})}, make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			process.PID = cmd.Process.Pid
		}
		out.Close()
		started <- err
		if err == nil {
			process.err = cmd.Wait()
			close(process.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	return process, nil
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Signal sends a signal to the program. One that has ended gets none.
func (p *Process) Signal(s syscall.Signal) error {
	if p.Ended() {
		return fmt.Errorf("child: signal %v: %w", s, os.ErrProcessDone)
	}
	if err := syscall.Kill(p.PID, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("child: signal %v: %w", s, err)
	}
	return nil
}

// patience is how long End waits before it kills.
var patience = 5 * time.Second

// End ends the program and waits until it is gone. If it does not end within five seconds, it is killed.
func (p *Process) End() {
	_ = p.Signal(p.program.End)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.Signal(syscall.SIGKILL)
		<-p.done
	}
}

// Last tells how the program ended, if it has, and the last lines of its log.
func (p *Process) Last() string {
	how := "it runs"
	if p.Ended() {
		how = fmt.Sprintf("it ended: %v", p.err)
	}
	text, err := os.ReadFile(p.program.Log)
	if err != nil {
		return how + "\n" + err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return how + "\n" + strings.Join(lines[max(0, len(lines)-20):], "\n")
}
