package redistest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/tarncache/tarn/store/redisstore"
)

// Config says how a Client connects. The zero Config is a connection without TLS or a password.
type Config struct {
	Username, Password string        // what AUTH is sent; nothing is sent without a password
	TLS                *tls.Config   // nil: no TLS
	RESP3              bool          // speak the newer version of the protocol
	Timeout            time.Duration // for each Do, connecting included, whatever its context says; zero: 5 s
	Connections        int           // at most so many at once for each node; zero: 32
}

func (c Config) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return 5 * time.Second
}

func (c Config) connections() int {
	if c.Connections > 0 {
		return c.Connections
	}
	return 32
}

// conn is one connection, for one caller at a time.
type conn struct {
	net net.Conn
	r   *bufio.Reader
	out []byte
}

func dial(ctx context.Context, addr string, cfg Config) (*conn, error) {
	var d net.Dialer
	n, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("redistest: dial: %w", err)
	}
	if cfg.TLS != nil {
		secure := tls.Client(n, secureFor(addr, cfg.TLS))
		if err := secure.HandshakeContext(ctx); err != nil {
			n.Close()
			return nil, fmt.Errorf("redistest: dial: %w", err)
		}
		n = secure
	}
	c := &conn{net: n, r: bufio.NewReader(n)}
	if err := c.greet(ctx, cfg); err != nil {
		n.Close()
		return nil, err
	}
	return c, nil
}

// secureFor completes a configuration that does not say which host it wants to talk to, as tls.Dial does.
func secureFor(addr string, cfg *tls.Config) *tls.Config {
	if cfg.ServerName != "" || cfg.InsecureSkipVerify {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.ServerName, _, _ = net.SplitHostPort(addr)
	return cfg
}

func (c *conn) greet(ctx context.Context, cfg Config) error {
	var commands []redisstore.Command
	if cfg.Password != "" {
		user := cfg.Username
		if user == "" {
			user = "default"
		}
		commands = append(commands, words("AUTH", user, cfg.Password))
	}
	if cfg.RESP3 {
		commands = append(commands, words("HELLO", "3"))
	}
	if len(commands) == 0 {
		return nil
	}
	replies := make([]redisstore.Reply, len(commands))
	if err := c.do(ctx, commands, replies); err != nil {
		return err
	}
	for _, r := range replies {
		if r.Kind == redisstore.Failed {
			return r.Err
		}
	}
	return nil
}

// do sends the commands in one go and reads their replies. When it returns an error the connection is of no use any
// more, and the replies that did not come are that error.
func (c *conn) do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) error {
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
	done, err := c.exchange(commands, replies)
	if !stop() && err == nil {
		err = context.Cause(ctx) // the deadline may yet be set: the connection is spoiled, but the replies are here
		return err
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	fail(replies[done:], err)
	return err
}

// exchange returns how many replies have come.
func (c *conn) exchange(commands []redisstore.Command, replies []redisstore.Reply) (done int, err error) {
	c.out = c.out[:0]
	for _, command := range commands {
		c.out = appendCommand(c.out, command)
	}
	if _, err := c.net.Write(c.out); err != nil {
		return 0, fmt.Errorf("redistest: write: %w", err)
	}
	for i := range replies {
		if replies[i], err = readReply(c.r); err != nil {
			return i, fmt.Errorf("redistest: read: %w", err)
		}
	}
	return len(replies), nil
}

func fail(replies []redisstore.Reply, err error) {
	for i := range replies {
		replies[i] = failed(err)
	}
}

func words(w ...string) redisstore.Command { return redisstore.Command{Words: w} }
