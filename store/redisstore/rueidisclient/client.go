package rueidisclient

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/tarncache/tarn/store/redisstore"
)

// Client is a [redisstore.Client], [redisstore.Subscriber] and [redisstore.KeyScanner] on a rueidis client. [Wrap] makes
// one.
type Client struct {
	client  rueidis.Client
	sharded bool
}

var _ interface {
	redisstore.Client
	redisstore.Subscriber
	redisstore.KeyScanner
} = (*Client)(nil)

// Wrap returns a Client that speaks through client, which may be of one server, of the master that Sentinel names, or
// of a cluster. Several Stores may share a Client. It has nothing to close; the client stays the application's, which
// closes it when no Store is in use.
//
// rueidis repeats what it knows to be a read for as long as the context lasts. A Store's commands do not ask for that:
// while Redis is away they fail at once, so that the source can answer. Redirections of a cluster are followed.
//
// A server that hangs, connected but silent, costs a read two timeouts before its source is asked, and a write three:
// ConnWriteTimeout bounds replies too, and is 10 seconds by default. Set it well below what your callers have time for;
// a context that ends while Redis is waited for is the caller's error, and the source is not asked. Package store/breaker
// spares reads the wait after the first few. And rueidis.NewClient fails where Redis is away: an application that has to start
// without one tries again, and goes without the cache until then.
//
// Each Store that is watched keeps one of the client's BlockingPoolSize connections for as long; with none left, copies in
// front of it are never trusted.
//
// A Store's reads have to be answered by the master, which Wrap cannot see to: a client with ReplicaOnly must not be
// used, nor one whose SendToReplicas says more than cmd.IsReadOnly(). To that a Store's reads are none, and so they
// stay away from replicas.
//
// Wrap panics if client is nil.
func Wrap(client rueidis.Client) *Client {
	if client == nil {
		panic("rueidisclient: Wrap: client is nil")
	}
	return &Client{client: client, sharded: client.Mode() == rueidis.ClientModeCluster}
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
		replies[0] = answer(c.client.Do(ctx, c.completed(&commands[0])))
	default:
		multi := make([]rueidis.Completed, len(commands))
		for i := range commands {
			multi[i] = c.completed(&commands[i])
		}
		for i, r := range c.client.DoMulti(ctx, multi...) {
			replies[i] = answer(r)
		}
	}
}

// completed returns the command in rueidis's form; never as a read, which might be sent to a replica.
func (c *Client) completed(command *redisstore.Command) rueidis.Completed {
	b := c.client.B()
	return b.Arbitrary(command.Words...).Keys(command.Keys...).Args(command.Args...).Build()
}
