package goredisclient

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tarncache/tarn/store/redisstore"
)

// Client is a [redisstore.Client], [redisstore.Subscriber] and [redisstore.KeyScanner] on a go-redis client. [Wrap] makes
// one.
type Client struct {
	client  redis.UniversalClient
	sharded bool
	silence time.Duration
}

var _ interface {
	redisstore.Client
	redisstore.Subscriber
	redisstore.KeyScanner
} = (*Client)(nil)

// Wrap returns a Client that speaks through client, which is a *redis.Client (of one server, or of the master that
// Sentinel names) or a *redis.ClusterClient; both are what redis.NewUniversalClient gives. Several Stores may share
// a Client. It has nothing to close; the client stays the application's, which closes it when no Store is in use.
//
// What go-redis makes of a context and of a server that is away is as the client's options say. With their defaults a
// deadline that ends while a command waits is not obeyed but ReadTimeout, and a command to a server that refuses
// connections fails after a second or two, because it is repeated: for a cache, whose source waits to be asked, set
// ContextTimeoutEnabled, DialerRetries to 1, and MaxRetries to 1 or (for none) -1. That a context is cancelled is noticed
// before a command is sent, not while it waits.
//
// A server that hangs, connected but silent, costs a read two timeouts before its source is asked, and a write three:
// ReadTimeout is 5 seconds by default, and counts again with each retry. Set it well below what your callers have time
// for; a context that ends while Redis is waited for is the caller's error, and the source is not asked. Package
// store/breaker spares reads the wait after the first few.
//
// A *redis.ClusterClient that has lost a master asks for the new one only when another node sends it there, or after
// ClusterStateReloadInterval, a minute by default: until then the source answers for a part of the keys. Set it to
// some hundred milliseconds.
//
// Wrap panics if client is a redis.Ring, which moves keys to other servers when one is away, and if it reads from
// replicas (ReadOnly, RouteByLatency, RouteRandomly), which would bring back what has been overwritten. What it cannot
// see must not be either: a failover client with ReplicaOnly, or an address that leads to a replica.
func Wrap(client redis.UniversalClient) *Client {
	switch c := client.(type) {
	case *redis.Client:
		if c != nil {
			return &Client{client: c, silence: silence}
		}
	case *redis.ClusterClient:
		if c != nil {
			return &Client{client: c, sharded: mastersOnly(c), silence: silence}
		}
	case *redis.Ring:
		panic("goredisclient: Wrap: a redis.Ring moves keys to other servers when one is away, where old values stay behind")
	case nil:
	default:
		panic(fmt.Sprintf("goredisclient: Wrap: a %T is neither a *redis.Client nor a *redis.ClusterClient", client))
	}
	panic("goredisclient: Wrap: client is nil")
}

// mastersOnly panics if the client reads from replicas, and returns true.
func mastersOnly(client *redis.ClusterClient) bool {
	if o := client.Options(); o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
		panic("goredisclient: Wrap: a client with ReadOnly, RouteByLatency or RouteRandomly reads from replicas, " +
			"which answer with what has been overwritten")
	}
	return true
}

// Sharded implements [redisstore.Client].
func (c *Client) Sharded() bool { return c.sharded }

// Do implements [redisstore.Client].
func (c *Client) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	if err := ctx.Err(); err != nil {
		for i := range replies {
			replies[i] = redisstore.Reply{Kind: redisstore.Failed, Err: err}
		}
		return
	}
	switch len(commands) {
	case 0:
	case 1:
		cmd := newCmd(ctx, &commands[0], nil)
		_ = c.client.Process(ctx, cmd) // the command has the error too
		replies[0] = answer(cmd)
	default:
		c.pipeline(ctx, commands, replies)
	}
}

func (c *Client) pipeline(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	words := 0
	for i := range commands {
		words += length(&commands[i])
	}
	args := make([]any, words) // of all commands
	cmds := make([]redis.Cmder, len(commands))
	for i := range commands {
		n := length(&commands[i])
		cmds[i] = newCmd(ctx, &commands[i], args[:0:n])
		args = args[n:]
	}
	p := c.client.Pipeline()
	_ = p.BatchProcess(ctx, cmds...) // only queues them
	_, _ = p.Exec(ctx)               // its error is that of the first command that failed
	for i := range cmds {
		replies[i] = answer(cmds[i])
	}
}
