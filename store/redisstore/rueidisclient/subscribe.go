package rueidisclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"
)

var (
	errResubscribed = errors.New("rueidis has connected anew, and messages may be lost")
	errEnded        = errors.New("the server has ended the subscription")
)

// Subscribe implements [redisstore.Subscriber]. The subscription has a connection of its own, of those that rueidis
// keeps for blocking commands; where they are all in use it waits for one. rueidis asks it by itself whether the server
// is still there.
func (c *Client) Subscribe(ctx context.Context, channel string, ready func(), receive func(message string)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dedicated, err := c.dedicate(ctx)
	if err != nil {
		return err
	}
	s := subscription{confirmed: make(chan struct{}), messages: make(chan string), ended: make(chan error, 1)}
	inner, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(inner, end, dedicated, channel)
	}()
	err = s.deliver(ctx, ready, receive)
	end(nil)
	<-done
	dedicated.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("rueidisclient: subscription: %w", err)
}

// dedicate returns a connection, for which rueidis would wait also when ctx has ended. What waits is then left alone: it
// gives back what it gets, and gets it when a connection is free or the client is closed.
func (c *Client) dedicate(ctx context.Context) (rueidis.DedicatedClient, error) {
	got := make(chan rueidis.DedicatedClient, 1)
	go func() {
		dedicated, _ := c.client.Dedicate()
		got <- dedicated
	}()
	select {
	case dedicated := <-got:
		return dedicated, nil
	case <-ctx.Done():
		go func() { (<-got).Close() }()
		return nil, ctx.Err()
	}
}

// subscription carries what comes from the goroutine that listens to the one that called Subscribe.
type subscription struct {
	confirmed chan struct{} // closed
	messages  chan string
	ended     chan error // takes one without waiting
}

// run subscribes once and listens, where rueidis would subscribe again: it ends inner when the first attempt does.
func (s *subscription) run(inner context.Context, end context.CancelCauseFunc, dedicated rueidis.DedicatedClient, channel string) {
	subscribed := false
	listening := rueidis.WithOnSubscriptionHook(inner, func(rueidis.PubSubSubscription) {
		if subscribed {
			end(errResubscribed) // or unsubscribed
			return
		}
		subscribed = true
		close(s.confirmed)
	})
	listening = rueidis.WithOnReceiveReturnHook(listening, func(err error, _ rueidis.CommandClient) error {
		end(err)
		return err
	})
	err := dedicated.Receive(listening, dedicated.B().Subscribe().Channel(channel).Build(), func(m rueidis.PubSubMessage) {
		select {
		case s.messages <- m.Message:
		case <-inner.Done():
		}
	})
	switch cause := context.Cause(inner); {
	case cause != nil && !errors.Is(cause, context.Canceled):
		err = cause
	case err == nil:
		err = errEnded
	}
	s.ended <- err
}

// deliver calls ready and receive until the subscription ends.
func (s *subscription) deliver(ctx context.Context, ready func(), receive func(message string)) error {
	select {
	case <-s.confirmed:
	case err := <-s.ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	ready()
	for {
		select {
		case m := <-s.messages:
			receive(m)
		case err := <-s.ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
