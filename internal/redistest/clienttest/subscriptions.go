package clienttest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
)

// listening is a subscription in a goroutine of its own.
type listening struct {
	ready    chan struct{} // one for each call of ready
	messages chan string
	ended    chan error
	cancel   context.CancelFunc
}

func listen(t testing.TB, c Client, channel string) *listening {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &listening{
		ready: make(chan struct{}, 10), messages: make(chan string, 1000), ended: make(chan error, 1), cancel: cancel,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.ended <- c.Subscribe(ctx, channel, func() { l.ready <- struct{}{} }, func(m string) { l.messages <- m })
	}()
	t.Cleanup(func() {
		cancel()
		within(t, "the end of a subscription", done)
	})
	return l
}

// stands waits until the subscription stands.
func (l *listening) stands(t testing.TB) {
	t.Helper()
	select {
	case <-l.ready:
	case err := <-l.ended:
		t.Fatalf("a subscription ended: %v", err)
	case <-time.After(patience):
		t.Fatalf("a subscription does not stand within %v", patience)
	}
}

func subscriptions(t *testing.T, s *redistest.Server, c Client) {
	t.Run("messages", func(t *testing.T) { messages(t, s, c) })
	t.Run("commands meanwhile", func(t *testing.T) { commandsMeanwhile(t, s, c) })
	t.Run("a context that is over", func(t *testing.T) {
		over, cancel := context.WithCancel(t.Context())
		cancel()
		err := c.Subscribe(over, "ch", func() { t.Error("it stands") }, func(string) {})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	lost := []struct {
		how string
		do  func()
	}{
		{"killed", func() { s.Call("CLIENT", "KILL", "TYPE", "pubsub") }},
		{"server gone", s.Kill},
	}
	for _, tt := range lost {
		t.Run(tt.how, func(t *testing.T) {
			l := listen(t, c, "ch")
			l.stands(t)
			tt.do()
			err := within(t, "a lost connection ends the subscription", l.ended)
			if err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("a lost connection: %v", err)
			}
			if tt.how == "server gone" {
				s.Restart()
			}
			eventually(t, "nobody subscribes again by itself", func() error { return subscribers(s, 0) })
			select {
			case <-l.ready:
				t.Error("ready is called twice")
			default:
			}
		})
	}
}

func messages(t *testing.T, s *redistest.Server, c Client) {
	l := listen(t, c, "ch")
	l.stands(t)
	const n = 200
	s.Call("PUBLISH", "other", "no")
	for i := range n {
		s.Call("PUBLISH", "ch", fmt.Sprintf("\x00%d\r\n\xff", i))
	}
	for i := range n {
		if m := within(t, "a message", l.messages); m != fmt.Sprintf("\x00%d\r\n\xff", i) {
			t.Fatalf("message %d is %q", i, m)
		}
	}
	if took := fastest(time.Second, func() time.Duration {
		began := time.Now()
		l.cancel()
		if err := within(t, "a context ends the subscription", l.ended); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that ended: %v", err)
		}
		took := time.Since(began)
		l = listen(t, c, "ch")
		l.stands(t)
		return took
	}); took > time.Second {
		t.Errorf("it took a subscription %v to end", took)
	}
	l.cancel()
	eventually(t, "the server has no subscriber", func() error { return subscribers(s, 0) })
}

// commandsMeanwhile checks that ready and receive may send commands.
func commandsMeanwhile(t *testing.T, s *redistest.Server, c Client) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []string
	err := c.Subscribe(ctx, "ch", func() {
		call(ctx, c, "SET", "said", "ready")
		go s.Client().Call(ctx, "PUBLISH", "ch", "m")
	}, func(m string) {
		got = append(got, call(ctx, c, "GET", "said").Text+m)
		cancel()
	})
	if !errors.Is(err, context.Canceled) || len(got) != 1 || got[0] != "readym" {
		t.Errorf("%v %v", got, err)
	}
}

// subscribers returns an error if the channel has not n subscribers.
func subscribers(s *redistest.Server, n int64) error {
	reply := s.Call("PUBSUB", "NUMSUB", "ch")
	if len(reply.Items) != 2 || reply.Items[1].Int != n {
		return fmt.Errorf("%v", reply)
	}
	return nil
}
