package faultproxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn/internal/faultproxy"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// echo is a server that sends back what it gets, line by line, and knows what it has got.
type echo struct {
	mu    sync.Mutex // protects lines
	lines []string
}

func startEcho(t *testing.T) (*echo, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := &echo{}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { e.serve(c) })
		}
	})
	t.Cleanup(conns.Wait)
	t.Cleanup(func() { l.Close() })
	return e, l.Addr().String()
}

func (e *echo) serve(c net.Conn) {
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		e.mu.Lock()
		e.lines = append(e.lines, line)
		e.mu.Unlock()
		if err != nil {
			return
		}
		_, _ = c.Write([]byte(line))
	}
}

func (e *echo) got(line string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lines {
		if l == line {
			return true
		}
	}
	return false
}

// client is a connection through a proxy.
type client struct {
	t *testing.T
	net.Conn
	*bufio.Reader
}

func connect(t *testing.T, p *faultproxy.Proxy) *client {
	c, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

// connectAndRead returns the error of whichever of the two has one.
func connectAndRead(p *faultproxy.Proxy) error {
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Read(make([]byte, 1))
	return err
}

func (c *client) send(line string) {
	_, err := c.Conn.Write([]byte(line))
	require.NoError(c.t, err)
}

// hears requires what comes within the time, until the end of a line or of the connection.
func (c *client) hears(want string, within time.Duration, as error) {
	c.t.Helper()
	require.NoError(c.t, c.SetReadDeadline(time.Now().Add(within)))
	got, err := c.ReadString('\n')
	require.Equal(c.t, want, got)
	if as == nil {
		require.NoError(c.t, err)
		return
	}
	require.True(c.t, errors.Is(err, as) || as == io.EOF && errors.Is(err, syscall.ECONNRESET), "%v, want %v", err, as)
}

// arrives waits until the server has got a line.
func (c *client) arrives(e *echo, line string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return e.got(line) }, long, time.Millisecond, "the server gets %q", line)
}

const (
	long  = 30 * time.Second
	short = 30 * time.Millisecond
)

var nothing = os.ErrDeadlineExceeded // nothing came

func TestFaults(t *testing.T) {
	type faults = faultproxy.Fault
	type way = faultproxy.Way
	tests := []struct {
		rule  string
		fault faults
		run   func(c *client, e *echo, p *faultproxy.Proxy)
	}{
		{"nothing", faults{}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.hears("b\n", long, nil)
			require.Zero(c.t, p.Struck())
		}},
		{"refuse", faults{Refuse: true}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.hears("", long, syscall.ECONNRESET)
			_, err := net.Dial("tcp", p.Addr())
			require.ErrorIs(c.t, err, syscall.ECONNREFUSED)
			p.Pass()
			c = connect(c.t, p)
			c.send("b\n")
			c.hears("b\n", long, nil)
		}},
		{"reset", faults{Reset: true}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.hears("", long, syscall.ECONNRESET)
			require.ErrorIs(c.t, connectAndRead(p), syscall.ECONNRESET)
			require.Equal(c.t, 2, p.Struck())
			p.Pass()
			c = connect(c.t, p)
			c.send("b\n")
			c.hears("b\n", long, nil)
		}},
		{"stall requests", faults{Requests: way{Stall: true}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.hears("", short, nothing)
			require.False(c.t, e.got("b\n"))
			p.Pass()
			c.hears("b\n", long, nil)
		}},
		{"stall replies", faults{Replies: way{Stall: true}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.arrives(e, "b\n")
			c.hears("", short, nothing)
			p.Pass()
			c.hears("b\n", long, nil)
		}},
		{"delay", faults{Replies: way{Delay: short}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			began := time.Now()
			c.send("b\n")
			c.hears("b\n", long, nil)
			require.GreaterOrEqual(c.t, time.Since(began), short)
		}},
		{"cut requests", faults{Requests: way{Cut: true, After: 3}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("bcdef\n")
			c.hears("", long, io.EOF)
			c.arrives(e, "bcd")
		}},
		{"cut replies", faults{Replies: way{Cut: true, After: 3}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.hears("b\n", long, nil)
			c.send("cdef\n")
			c.hears("c", long, io.EOF)
			require.True(c.t, e.got("cdef\n"))
		}},
		{"cut at once", faults{Replies: way{Cut: true}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.hears("", long, io.EOF)
			require.True(c.t, e.got("b\n"))
		}},
		{"drop replies", faults{Replies: way{Drop: true}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.arrives(e, "b\n")
			c.hears("", 10*short, nothing) // its answer is lost by then
			p.Pass()
			c.send("c\n") // what is lost stays lost, and nothing comes in its place
			c.arrives(e, "c\n")
			c.hears("", short, nothing)
			other := connect(c.t, p)
			other.send("d\n")
			other.hears("d\n", long, nil)
		}},
		{"drop requests", faults{Requests: way{Drop: true}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.hears("", short, nothing)
			require.False(c.t, e.got("b\n"))
		}},
		{"late", faults{Requests: way{Late: true}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.send("c\n")
			c.hears("", short, nothing)
			require.False(c.t, e.got("b\n"))
			c.Close()
			require.Eventually(c.t, func() bool { return e.got("b\n") && e.got("c\n") }, long, time.Millisecond)
		}},
		{"later still", faults{Requests: way{Late: true, Delay: short}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			began := time.Now()
			c.Close()
			c.arrives(e, "b\n")
			require.GreaterOrEqual(c.t, time.Since(began), short)
		}},
		{"late, and then not", faults{Requests: way{Late: true}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.hears("", short, nothing)
			p.Pass()
			c.hears("b\n", long, nil)
			c.send("c\n")
			c.hears("c\n", long, nil)
		}},
		{"match", faults{Match: "x", Replies: way{Drop: true}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			c.hears("b\n", long, nil)
			other := connect(c.t, p)
			c.send("x\n")
			c.arrives(e, "x\n")
			c.hears("", short, nothing)
			other.send("c\n")
			other.hears("c\n", long, nil)
			require.Equal(c.t, 1, p.Struck())
		}},
		{"times", faults{Times: 1, Requests: way{Drop: true}}, func(c *client, e *echo, p *faultproxy.Proxy) {
			c.send("b\n")
			require.Eventually(c.t, func() bool { return p.Struck() == 1 }, long, time.Millisecond)
			other := connect(c.t, p)
			other.send("c\n")
			other.hears("c\n", long, nil)
			c.hears("", short, nothing)
			require.Equal(c.t, 1, p.Struck())
			require.Equal(c.t, 2, p.Standing())
		}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			e, addr := startEcho(t)
			p := faultproxy.Start(t, addr)
			c := connect(t, p)
			c.send("a\n")
			c.hears("a\n", long, nil)
			p.Set(tt.fault)
			tt.run(c, e, p)
		})
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	require.ErrorIs(t, connectAndRead(faultproxy.Start(t, "127.0.0.1:1")), syscall.ECONNRESET)
}

// TestRedis sees that a command runs although its reply is lost, and after the client has given up.
func TestRedis(t *testing.T) {
	s := redistest.Start(t)
	p := faultproxy.Start(t, s.Addr())
	c := redistest.Dial(p.Addr(), redistest.Config{Timeout: long})
	t.Cleanup(c.Close)
	call := func(command ...string) error {
		_, err := c.Call(t.Context(), command...)
		return err
	}
	value := func(key string) string { return s.Call("GET", key).Text }
	becomes := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool { return value("k") == want }, long, time.Millisecond, "the value becomes %q", want)
	}
	// gives up a command once the fault has struck it, and awaits has returned.
	givesUp := func(awaits func(), command ...string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			_, err := c.Call(ctx, command...)
			ended <- err
		}()
		require.Eventually(t, func() bool { return p.Struck() == 1 }, long, time.Millisecond, "the fault strikes")
		awaits()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
	nothingMore := func() {}

	require.NoError(t, call("SET", "k", "plain"))
	require.Equal(t, "plain", value("k"))

	p.Set(faultproxy.Fault{Match: "SET", Times: 1, Replies: faultproxy.Way{Drop: true}})
	givesUp(func() { becomes("reply lost") }, "SET", "k", "reply lost")
	require.NoError(t, call("SET", "k", "again"))

	p.Set(faultproxy.Fault{Match: "SET", Times: 1, Replies: faultproxy.Way{Cut: true}})
	require.Error(t, call("SET", "k", "hung up"))
	require.Equal(t, "hung up", value("k"))

	p.Set(faultproxy.Fault{Match: "soon", Times: 1, Requests: faultproxy.Way{Late: true}})
	givesUp(nothingMore, "SET", "k", "soon after")
	becomes("soon after")

	p.Set(faultproxy.Fault{Match: "late", Times: 1, Requests: faultproxy.Way{Stall: true}})
	givesUp(nothingMore, "SET", "k", "late")
	require.NoError(t, call("SET", "k", "in between"))
	require.Equal(t, "in between", value("k"))
	p.Pass()
	becomes("late")

	p.Set(faultproxy.Fault{Requests: faultproxy.Way{Cut: true, After: 20}})
	require.Error(t, call("SET", "k", "never whole"))
	require.Equal(t, "late", value("k"))

	p.Set(faultproxy.Fault{Refuse: true})
	require.ErrorIs(t, call("PING"), syscall.ECONNREFUSED)
	p.Pass()
	require.NoError(t, call("PING"))

	// A subscription that stalls does not end; one that is reset does.
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	messages := make(chan string, 10)
	go func() {
		ended <- redisstore.Subscriber(c).Subscribe(ctx, "news", func() { close(ready) }, func(m string) { messages <- m })
	}()
	<-ready
	p.Set(faultproxy.Fault{Replies: faultproxy.Way{Stall: true}})
	s.Call("PUBLISH", "news", "held")
	select {
	case m := <-messages:
		t.Fatalf("%q came through", m)
	case <-time.After(short):
	}
	p.Pass()
	require.Equal(t, "held", <-messages)
	p.Set(faultproxy.Fault{Reset: true})
	require.ErrorIs(t, <-ended, syscall.ECONNRESET)
}
