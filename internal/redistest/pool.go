package redistest

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"

	"github.com/tarncache/tarn/store/redisstore"
)

var errClosed = errors.New("redistest: the client is closed")

// pool has the connections to one address.
type pool struct {
	addr   string
	config Config
	places chan struct{} // one element for each connection in use

	mu     sync.Mutex // protects idle and closed
	idle   []*conn    // last used last
	closed bool
}

func newPool(addr string, cfg Config) *pool {
	return &pool{addr: addr, config: cfg, places: make(chan struct{}, cfg.connections())}
}

// do sends the commands over one connection. The error is that of the transport; replies tell it too.
func (p *pool) do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) error {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		fail(replies, ctx.Err())
		return ctx.Err()
	}
	c, err := p.take(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		fail(replies, err)
		return err
	}
	if err := c.do(ctx, commands, replies); err != nil {
		c.net.Close()
		return err
	}
	p.give(c)
	return nil
}

// take returns an idle connection that still stands, or a new one.
func (p *pool) take(ctx context.Context) (*conn, error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, errClosed
		}
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return dial(ctx, p.addr, p.config)
		}
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if c.stands() {
			return c, nil
		}
		c.net.Close()
	}
}

func (p *pool) give(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.net.Close()
		return
	}
	p.idle = append(p.idle, c)
}

// close closes what is idle now, and the rest as it comes back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.net.Close()
	}
	p.idle = nil
}

// stands reports whether the other side has not closed the connection, as a server that was killed has. Under TLS
// bytes may be waiting that are no answer.
func (c *conn) stands() bool {
	n := c.net
	if secure, ok := n.(interface{ NetConn() net.Conn }); ok {
		n = secure.NetConn()
	}
	raw, ok := n.(syscall.Conn)
	if !ok {
		return true
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	stands := false
	err = control.Read(func(fd uintptr) bool {
		var b [1]byte
		got, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		stands = got > 0 || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
		return true
	})
	return err == nil && stands
}
