package proof

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A Process is a child of this one that runs nodes: the same program, which calls Serve when it finds ProcessEnv in
// its environment. It ends when this one does, since its input ends then.
type Process struct {
	cmd   *exec.Cmd
	in    io.Closer
	ended chan struct{} // closed when the output has ended

	mu      sync.Mutex // protects all below
	send    *gob.Encoder
	last    int64
	waiting map[int64]chan response
	over    bool
}

// ProcessEnv is set to something in the environment of a child.
const ProcessEnv = "TARN_PROOF_PROCESS"

type request struct {
	ID    int64
	Do    string // "open", "trusted", "run", "stop", "clear", "call" or "close"
	Node  int64  // the ID of its "open"; of "stop", that of the "run"
	Setup Setup
	Work  Work
}

type response struct {
	ID     int64
	Record Record
	Err    string
}

var errProcessEnded = errors.New("proof: the process has ended")

// StartProcess starts a child.
func StartProcess() (*Process, error) {
	p := &Process{ended: make(chan struct{}), waiting: make(map[int64]chan response)}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	p.cmd = exec.Command(program)
	p.cmd.Env = append(os.Environ(), ProcessEnv+"=yes")
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	p.in, p.send = in, gob.NewEncoder(in)
	go p.receive(out)
	return p, nil
}

func (p *Process) receive(out io.Reader) {
	defer close(p.ended)
	for answers := gob.NewDecoder(out); ; {
		var r response
		err := answers.Decode(&r)
		p.mu.Lock()
		if err != nil {
			p.over = true
			for _, c := range p.waiting {
				close(c)
			}
			p.mu.Unlock()
			return
		}
		c := p.waiting[r.ID]
		delete(p.waiting, r.ID)
		p.mu.Unlock()
		c <- r
	}
}

// ask sends a request and waits for its answer.
func (p *Process) ask(r *request) (Record, error) {
	answer := make(chan response, 1)
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return Record{}, errProcessEnded
	}
	if r.ID == 0 {
		p.last++
		r.ID = p.last
	}
	p.waiting[r.ID] = answer
	err := p.send.Encode(r)
	p.mu.Unlock()
	if err != nil {
		return Record{}, fmt.Errorf("proof: %w", err)
	}
	got, ok := <-answer
	if !ok {
		return Record{}, errProcessEnded
	}
	if got.Err != "" {
		return Record{}, errors.New(got.Err)
	}
	return got.Record, nil
}

// Close lets the process end, and returns an error if it found a fault with itself, such as a race or a goroutine that
// nothing has ended. One that hangs is asked after a minute what its goroutines do, and ends with that.
func (p *Process) Close() error {
	p.in.Close()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		<-p.ended
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("proof: a process: %w", err)
	}
	return nil
}

// Kill ends the process with SIGKILL.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.cmd.Wait()
}

// Remote is a node in another process.
type Remote struct {
	process *Process
	id      int64
}

// Open opens a node in the process.
func (p *Process) Open(s Setup) (*Remote, error) {
	r := request{Do: "open", Setup: s}
	if _, err := p.ask(&r); err != nil {
		return nil, err
	}
	return &Remote{p, r.ID}, nil
}

func (r *Remote) ask(do string) error {
	_, err := r.process.ask(&request{Do: do, Node: r.id})
	return err
}

// Trusted waits until the node's near copies are answered.
func (r *Remote) Trusted() error { return r.ask("trusted") }

// Clear empties the node's store.
func (r *Remote) Clear() error { return r.ask("clear") }

// Call makes a call of the script of the node's store.
func (r *Remote) Call() error { return r.ask("call") }

// Close closes the node.
func (r *Remote) Close() error { return r.ask("close") }

// Run lets the node work until its time is over or ctx ends.
func (r *Remote) Run(ctx context.Context, w Work) (Record, error) {
	p := r.process
	p.mu.Lock()
	p.last++
	run := p.last
	p.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _, _ = p.ask(&request{Do: "stop", Node: run}) })()
	return p.ask(&request{ID: run, Do: "run", Node: r.id, Work: w})
}

// Serve is what a child does: it runs nodes as it is asked to on in, answers on out, and returns when in has ended.
func Serve(in io.Reader, out io.Writer) error {
	s := &server{answers: gob.NewEncoder(out), nodes: make(map[int64]*Node), runs: make(map[int64]context.CancelFunc)}
	defer s.all.Wait()
	for requests := gob.NewDecoder(in); ; {
		var r request
		switch err := requests.Decode(&r); {
		case err == io.EOF:
			return s.close()
		case err != nil:
			return errors.Join(fmt.Errorf("proof: %w", err), s.close())
		}
		ctx, cancel := context.WithCancel(context.Background())
		if r.Do == "run" { // before anybody can ask to stop it
			s.mu.Lock()
			s.runs[r.ID] = cancel
			s.mu.Unlock()
		}
		s.all.Go(func() {
			defer cancel()
			record, err := s.do(ctx, &r)
			a := response{ID: r.ID, Record: record}
			if err != nil {
				a.Err = err.Error()
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			_ = s.answers.Encode(a) // if nobody reads it, the input ends too
		})
	}
}

type server struct {
	all sync.WaitGroup

	mu      sync.Mutex // protects all below
	answers *gob.Encoder
	nodes   map[int64]*Node              // by the ID of their "open"
	runs    map[int64]context.CancelFunc // by that of their "run"; those that are over too
}

func (s *server) do(ctx context.Context, r *request) (Record, error) {
	brief, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if r.Do == "open" {
		n, err := OpenNode(brief, r.Setup)
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.nodes[r.ID] = n
		}
		return Record{}, err
	}
	s.mu.Lock()
	n, stop := s.nodes[r.Node], s.runs[r.Node]
	if r.Do == "close" {
		delete(s.nodes, r.Node)
	}
	s.mu.Unlock()
	switch r.Do {
	case "trusted":
		return Record{}, n.Trusted(brief)
	case "run":
		return n.Run(ctx, r.Work), nil
	case "stop":
		stop()
		return Record{}, nil
	case "clear":
		return Record{}, n.Clear(brief)
	case "call":
		return Record{}, n.Call(brief)
	case "close":
		return Record{}, n.Close()
	}
	return Record{}, fmt.Errorf("proof: nobody knows how to %q", r.Do)
}

// close closes the nodes that are left open.
func (s *server) close() error {
	s.mu.Lock()
	nodes := s.nodes
	s.nodes = make(map[int64]*Node)
	for _, stop := range s.runs {
		stop()
	}
	s.mu.Unlock()
	var errs []error
	for _, n := range nodes {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}
