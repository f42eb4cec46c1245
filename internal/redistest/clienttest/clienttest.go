// Package clienttest is what every client has to pass through which a Redis store speaks: answers, errors, contexts,
// pipelines and subscriptions, on one server, with sentinels, on a cluster, by TLS, and as a user with few rights. It
// runs on real servers.
package clienttest

import (
	"context"
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// Client is what an adapter makes of the client of an application.
type Client interface {
	redisstore.Client
	redisstore.Subscriber
}

// Dial makes an application's client and wraps it, or returns why it cannot; a client may also find out when it is
// first used. What it makes is closed by t.Cleanup.
type Dial func(t testing.TB, to To) (Client, error)

// To is where a client connects to, and how.
type To struct {
	Addrs              []string
	MasterName         string // not empty: Addrs are of sentinels
	Cluster            bool
	Username, Password string
	TLS                *tls.Config
}

// Run runs all of it, what speaks to one kind of servers beside what speaks to another. Rule is what the adapter's
// documentation says that an ACL user needs in the namespace "users".
func Run(t *testing.T, dial Dial, rule string) {
	for name, part := range map[string]func(*testing.T){
		"Single":   func(t *testing.T) { Single(t, dial) },
		"Store":    func(t *testing.T) { Store(t, dial) },
		"Sentinel": func(t *testing.T) { Sentinel(t, dial) },
		"Cluster":  func(t *testing.T) { Cluster(t, dial) },
		"TLS":      func(t *testing.T) { TLS(t, dial) },
		"ACL":      func(t *testing.T) { ACL(t, dial, rule) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t)
		})
	}
}

// must returns a client, or ends the test.
func must(t testing.TB, dial Dial, to To) Client {
	t.Helper()
	c, err := dial(t, to)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func to(s *redistest.Server) To { return To{Addrs: []string{s.Addr()}} }

// command puts a command together whose only key is its second word, if it has one.
func command(words ...string) redisstore.Command {
	if len(words) == 1 {
		return redisstore.Command{Words: words}
	}
	return redisstore.Command{Words: words[:1], Keys: words[1:2], Args: words[2:]}
}

// do sends the commands as one batch.
func do(ctx context.Context, c redisstore.Client, commands ...redisstore.Command) []redisstore.Reply {
	replies := make([]redisstore.Reply, len(commands))
	c.Do(ctx, commands, replies)
	return replies
}

// call sends one command.
func call(ctx context.Context, c redisstore.Client, words ...string) redisstore.Reply {
	return do(ctx, c, command(words...))[0]
}

func text(s string) redisstore.Reply { return redisstore.Reply{Kind: redisstore.Text, Text: s} }

func number(n int64) redisstore.Reply { return redisstore.Reply{Kind: redisstore.Int, Int: n} }

func array(items ...redisstore.Reply) redisstore.Reply {
	return redisstore.Reply{Kind: redisstore.Array, Items: items}
}

// patience is for what happens in the end, on a machine that has much else to do.
const patience = 40 * time.Second

// eventually calls try until it returns nil, and fails the test with what it returned last if that takes too long.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	err := errors.New("not tried")
	for end := time.Now().Add(patience); err != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s: %v", patience, what, err)
		}
		err = try()
	}
}

// within fails the test if ch gives nothing in time, and returns what it gives.
func within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
		panic("unreachable")
	}
}
