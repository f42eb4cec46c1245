// Package faultproxy stands between a client and a server and does what networks do: it refuses and resets
// connections, stalls, cuts them within a message, runs a command and loses its reply, or delivers it after the client
// has given up. What it does is switched while it runs.
package faultproxy

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/child"
)

// Proxy passes the connections of its address on to a server. All methods may be called by any number of goroutines.
type Proxy struct {
	t      testing.TB
	target string
	addr   string
	loops  sync.WaitGroup

	mu       sync.Mutex // protects all below, and what links say it protects
	listener net.Listener
	links    map[*link]struct{}
	fault    Fault
	epoch    int           // counts the faults
	changed  chan struct{} // closed with the next one
	struck   int           // connections that the fault has struck
	closed   bool
}

// Start returns a Proxy in front of the server at target, which passes everything on until it is told otherwise. It ends
// with the test, and so do its connections.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, target: target, links: make(map[*link]struct{}), changed: make(chan struct{})}
	t.Cleanup(p.close)
	var err error
	for range 5 { // another program may be quicker to the port
		var port int
		if port, err = child.FreePort(); err != nil { // which is free again after Refuse
			break
		}
		p.addr = child.Address(port)
		var l net.Listener
		if l, err = net.Listen("tcp", p.addr); err == nil {
			p.listen(l)
			return p
		}
	}
	t.Fatal(err)
	return nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.addr }

// Set replaces the fault, for connections that stand and for new ones. Fault{} passes everything on, also what was
// stalled or held until then.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.fault = f
	p.epoch++
	p.struck = 0
	close(p.changed)
	p.changed = make(chan struct{})
	for l := range p.links {
		if f.Refuse || f.Reset {
			l.reset()
			p.struck++
		} else {
			l.wake()
		}
	}
	switch {
	case f.Refuse && p.listener != nil:
		p.listener.Close()
		p.listener = nil
	case !f.Refuse && p.listener == nil:
		p.listenAgain()
	}
}

// Pass ends every fault.
func (p *Proxy) Pass() { p.Set(Fault{}) }

// Struck is how many connections the fault has struck since it was set.
func (p *Proxy) Struck() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.struck
}

// Standing is how many connections there are.
func (p *Proxy) Standing() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// listen accepts connections until the listener is closed. The caller holds mu, or nobody else knows p.
func (p *Proxy) listen(l net.Listener) {
	p.listener = l
	p.loops.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.loops.Go(func() { p.serve(client.(*net.TCPConn)) })
		}
	})
}

// listenAgain is for who holds mu.
func (p *Proxy) listenAgain() {
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", p.addr); err == nil {
			p.listen(l)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Errorf("faultproxy: %v", err)
}

func (p *Proxy) serve(client *net.TCPConn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.SetLinger(0)
		client.Close()
		return
	}
	l := &link{proxy: p, client: client, server: server.(*net.TCPConn), done: make(chan struct{})}
	if !p.add(l) {
		l.reset()
		return
	}
	defer p.remove(l)
	var replies sync.WaitGroup
	replies.Go(l.carryReplies)
	l.carryRequests()
	replies.Wait()
}

// add reports whether the connection may stand.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.epoch = p.epoch
	if p.closed || p.fault.Refuse {
		return false
	}
	if p.fault.Reset {
		p.struck++
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	l.reset()
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	if p.listener != nil {
		p.listener.Close()
	}
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	p.loops.Wait()
}

var errCut = errors.New("faultproxy: the connection was cut")
