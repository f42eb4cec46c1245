package strategies

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKeyLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newKeyLocks[string]()
		h := l.hash("a")
		require.Equal(t, h, l.hash("a"))
		require.NoError(t, l.lock(t.Context(), h))
		var mu sync.Mutex
		var order []int
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				ctx := t.Context()
				if i%3 == 1 {
					c, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					ctx = c
				}
				if err := l.lock(ctx, h); err != nil {
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Minute)
				l.unlock(h)
			})
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		require.NoError(t, l.lock(t.Context(), l.hash("b")), "another key is free")
		l.unlock(l.hash("b"))
		l.unlock(h)
		all.Wait()
		require.Equal(t, []int{0, 2, 3, 5, 6, 8, 9}, order, "in the order of their arrival, without those who left")
		require.Empty(t, l.queues, "nothing is left of a lock that nobody has")
	})
}

// leaving is a context that ends when a waiter begins to wait, and gives it its turn at the same moment.
type leaving struct {
	context.Context
	turn func()
}

func (l leaving) Done() <-chan struct{} {
	l.turn()
	done := make(chan struct{})
	close(done)
	return done
}

func (l leaving) Err() error { return context.Canceled }

// A turn that comes at the moment at which its waiter leaves goes to the next.
func TestKeyLockTurnComesWhileLeaving(t *testing.T) {
	got := 0
	for range 100 {
		l := newKeyLocks[string]()
		h := l.hash("a")
		require.NoError(t, l.lock(t.Context(), h))
		if l.lock(leaving{t.Context(), func() { l.unlock(h) }}, h) == nil {
			got++
			l.unlock(h)
		}
		require.Empty(t, l.queues, "it is lost to nobody")
	}
	require.NotZero(t, got)
	require.NotEqual(t, 100, got, "select chose either")
}

func TestLockAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newKeyLocks[string]()
		unlock, err := l.lockAll(t.Context(), []string{"a", "b", "c", "a"})
		require.NoError(t, err, "a key that comes twice is locked once")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = l.lockAll(ctx, []string{"x", "b", "y", "z"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for _, k := range []string{"x", "y", "z"} {
			require.NotContains(t, l.queues, l.hash(k), "what it had it has given back")
		}
		unlock()
		require.Empty(t, l.queues)
	})
}
