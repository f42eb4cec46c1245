package goredisclient

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// A subscription that hears nothing for this long asks whether the server is still there, and ends if nothing is
// heard for as long again: a connection whose other end is gone need not fail by itself.
const silence = 3 * time.Second

var (
	errResubscribed = errors.New("go-redis has connected anew, and messages may be lost")
	errUnsubscribed = errors.New("the server has ended the subscription")
	errSilent       = errors.New("the server does not answer")
)

// Subscribe implements [redisstore.Subscriber].
func (c *Client) Subscribe(ctx context.Context, channel string, ready func(), receive func(message string)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := subscription{pubsub: c.client.Subscribe(ctx), silence: c.silence} // to nothing yet
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(watching)
	}()
	defer func() {
		stop()
		<-watched
	}()

	err := s.run(ctx, channel, ready, receive)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.silent.Load():
		err = errSilent
	}
	return fmt.Errorf("goredisclient: subscription: %w", err)
}

type subscription struct {
	pubsub  *redis.PubSub
	silence time.Duration
	waits   atomic.Int64 // odd while run waits for the server, and never the same twice
	silent  atomic.Bool  // watch has ended it for that
}

// run subscribes, and receives until something fails.
func (s *subscription) run(ctx context.Context, channel string, ready func(), receive func(message string)) error {
	// If this fails, go-redis may have connected again without subscribing, and wait for ever.
	if err := s.pubsub.Subscribe(ctx, channel); err != nil {
		return err
	}
	for subscribed := false; ; {
		s.waits.Add(1)
		m, err := s.pubsub.Receive(ctx)
		s.waits.Add(1)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *redis.Message:
			receive(m.Payload)
		case *redis.Subscription:
			switch {
			case m.Kind != "subscribe":
				return errUnsubscribed
			case subscribed:
				return errResubscribed
			}
			subscribed = true
			ready()
		}
	}
}

// watch closes the subscription when ctx ends or the server is silent; nothing else interrupts a Receive.
func (s *subscription) watch(ctx context.Context) {
	defer s.pubsub.Close()
	tick := time.NewTicker(s.silence)
	defer tick.Stop()
	asked, wait := false, int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch w := s.waits.Load(); {
		case w != wait || w%2 == 0:
			asked, wait = false, w
		case asked:
			s.silent.Store(true)
			return
		default:
			asked = s.pubsub.Ping(ctx) == nil
		}
	}
}
