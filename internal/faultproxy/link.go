package faultproxy

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// link is a connection of a client, and the one to the server that belongs to it.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn
	done           chan struct{} // closed when it is reset
	once           sync.Once     // closes done
	held           []byte        // what is delivered late; only carryRequests uses it

	// These are protected by proxy.mu.
	epoch             int  // of the fault that the rest is about
	hit               bool // the fault strikes this connection
	requests, replies way
}

// way is the state of one direction.
type way struct {
	passed  int  // bytes since the fault was set
	dropped bool // something was lost: so is the rest
}

const (
	toServer = false
	toClient = true
)

// reset ends both connections without a word.
func (l *link) reset() {
	l.once.Do(func() {
		close(l.done)
		for _, c := range []*net.TCPConn{l.client, l.server} {
			_ = c.SetLinger(0)
			c.Close()
		}
	})
}

// cut ends both connections, after what was sent already.
func (l *link) cut() {
	l.once.Do(func() {
		close(l.done)
		l.client.Close()
		l.server.Close()
	})
}

// wake makes carryRequests look at the fault.
func (l *link) wake() { _ = l.client.SetReadDeadline(time.Unix(1, 0)) }

// carryRequests ends when the client closes the connection, or it is reset.
func (l *link) carryRequests() {
	piece := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(piece)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = l.client.SetReadDeadline(time.Time{})
			err = nil
		}
		if l.carry(toServer, piece[:n], err != nil) != nil {
			l.cut()
			return
		}
		if err != nil {
			_ = l.server.CloseWrite() // what was sent before is run and answered, even if nobody listens
			return
		}
	}
}

// carryReplies ends when the server closes the connection, or it is reset.
func (l *link) carryReplies() {
	piece := make([]byte, 64<<10)
	gone := false
	for {
		n, err := l.server.Read(piece)
		switch failed := l.carry(toClient, piece[:n], false); {
		case errors.Is(failed, errCut):
			l.cut()
			return
		case failed != nil:
			gone = true // the client; what it has sent is run all the same
		}
		if err != nil {
			if !gone {
				_ = l.client.CloseWrite()
			}
			_ = l.client.CloseRead()
			return
		}
	}
}

// carry does with a piece what the fault says. last says that nothing comes after it.
func (l *link) carry(back bool, piece []byte, last bool) error {
	to := l.server
	if back {
		to = l.client
	}
	for {
		what, first, cut, changed := l.judge(back, piece)
		switch {
		case what.Late && !back && !last:
			l.held = append(l.held, piece...)
			return nil
		case len(piece) == 0 && len(l.held) == 0:
			return nil
		case what.Drop:
			return nil
		case what.Stall:
			select {
			case <-changed:
				continue
			case <-l.done:
				return errCut
			}
		case what.Delay > 0 && !l.wait(what.Delay):
			return errCut
		}
		if !back && len(l.held) > 0 {
			held := l.held
			l.held = nil
			if _, err := to.Write(held); err != nil {
				return err
			}
		}
		if _, err := to.Write(piece[:first]); err != nil {
			return err
		}
		if cut {
			return errCut
		}
		return nil
	}
}

// judge says what happens to a piece, how many of its bytes pass, whether the connection is cut then, and what is
// closed when there is another fault.
func (l *link) judge(back bool, piece []byte) (what Way, first int, cut bool, changed <-chan struct{}) {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	f, w := &p.fault, &l.requests
	if l.epoch != p.epoch {
		l.epoch, l.hit = p.epoch, false
		l.requests.passed, l.replies.passed = 0, 0
	}
	if back {
		w = &l.replies
		what = f.Replies
	} else {
		what = f.Requests
	}
	if !l.hit && len(piece) > 0 && l.strikes(back, piece) {
		l.hit = true
		p.struck++
	}
	if !l.hit {
		what = Way{}
	}
	if len(piece) > 0 && what.Drop {
		w.dropped = true
	}
	what.Drop = w.dropped
	first = len(piece)
	if what.Cut {
		first = max(0, min(first, what.After-w.passed))
	}
	w.passed += first
	return what, first, what.Cut && w.passed >= what.After, p.changed
}

// strikes is for who holds proxy.mu.
func (l *link) strikes(back bool, piece []byte) bool {
	f := &l.proxy.fault
	switch {
	case f.Requests == Way{} && f.Replies == Way{}:
		return false
	case f.Times > 0 && l.proxy.struck >= f.Times:
		return false
	case back:
		return f.Match == "" && f.Times == 0
	default:
		return f.matches(piece)
	}
}

// wait reports whether the connection stands after so long.
func (l *link) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-l.done:
		return false
	}
}
