package redistest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarncache/tarn/store/redisstore"
)

// Client speaks to one server. It implements [redisstore.Client] and [redisstore.Subscriber], repeats nothing by
// itself, and may be used by any number of goroutines.
type Client struct {
	pool *pool
}

var (
	_ redisstore.Client     = (*Client)(nil)
	_ redisstore.Subscriber = (*Client)(nil)
)

// Dial returns a Client of the server at addr. It connects when it is used first.
func Dial(addr string, cfg Config) *Client { return &Client{newPool(addr, cfg)} }

// Close closes the connections.
func (c *Client) Close() { c.pool.close() }

// Sharded reports false.
func (c *Client) Sharded() bool { return false }

// Do is as [redisstore.Client] says.
func (c *Client) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	if err := ctx.Err(); err != nil {
		fail(replies, err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.pool.config.timeout())
	defer cancel()
	_ = c.pool.do(ctx, commands, replies)
}

// Call sends one command. The error is that of the reply.
func (c *Client) Call(ctx context.Context, command ...string) (redisstore.Reply, error) {
	return call(ctx, c, words(command...))
}

func call(ctx context.Context, c redisstore.Client, command redisstore.Command) (redisstore.Reply, error) {
	var replies [1]redisstore.Reply
	c.Do(ctx, []redisstore.Command{command}, replies[:])
	return replies[0], replies[0].Err
}

// Subscribe is as [redisstore.Subscriber] says. Each call has a connection of its own.
func (c *Client) Subscribe(ctx context.Context, channel string, ready func(), receive func(message string)) error {
	return subscribe(ctx, c.pool.addr, c.pool.config, channel, ready, receive)
}

func subscribe(
	ctx context.Context, addr string, cfg Config, channel string, ready func(), receive func(message string),
) error {
	cfg.RESP3 = false // in which messages and replies are told apart by nothing but their type
	connecting, cancel := context.WithTimeout(ctx, cfg.timeout())
	defer cancel()
	c, err := dial(connecting, addr, cfg)
	if err != nil {
		return errOf(ctx, err)
	}
	defer c.net.Close()
	var confirmed [1]redisstore.Reply
	if err := c.do(connecting, []redisstore.Command{words("SUBSCRIBE", channel)}, confirmed[:]); err != nil {
		return errOf(ctx, err)
	}
	if confirmed[0].Err != nil {
		return confirmed[0].Err
	}
	stop := context.AfterFunc(ctx, func() { c.net.Close() })
	defer stop()
	ready()
	for {
		reply, err := readReply(c.r)
		if err != nil {
			return errOf(ctx, fmt.Errorf("redistest: subscription: %w", err))
		}
		if len(reply.Items) != 3 || reply.Items[0].Text != "message" {
			return errors.New("redistest: subscription: something that is no message")
		}
		receive(reply.Items[2].Text)
	}
}

// errOf is the context's error, if it has one.
func errOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
