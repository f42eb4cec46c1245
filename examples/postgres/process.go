package main

import (
	"bytes"
	"os/exec"
	"runtime"
	"sync"
)

// process is a program that runs, and ends with the example whatever ends that.
type process struct {
	cmd   *exec.Cmd
	quits bool
	said  lastWords
	ended chan struct{} // closed when it is gone
}

// startProcess starts a server's program. The goroutine that waits for its end keeps a thread for itself, since Linux ends a
// child with the thread that made it.
func startProcess(s *server) (*process, error) {
	p := &process{cmd: exec.Command(s.program, s.args...), quits: s.quits, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.SysProcAttr = attributes(s.owner)
	endWithParent(p.cmd.SysProcAttr, s.quits)
	if s.owner != nil {
		p.cmd.Dir = "/"
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended says nothing: it is killed
			close(p.ended)
		}
	}()
	return p, <-started
}

// kill ends the program and waits until it is gone.
func (p *process) kill() {
	endNow(p.cmd.Process, p.quits)
	<-p.ended
}

// lastWords keep the end of what a program says.
type lastWords struct {
	mu   sync.Mutex // protects text
	text []byte
}

func (l *lastWords) Write(text []byte) (int, error) {
	const most = 2000
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, text...)
	l.text = bytes.Clone(l.text[max(0, len(l.text)-most):])
	return len(text), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
