package memory

import (
	"context"
	"runtime/debug"

	"github.com/tarncache/tarn"
)

// after tells what an operation did. The caller has let go of every lock.
func (s *Store[K, V]) after(ctx context.Context, c *change[K, V]) {
	if c.deadline != 0 {
		s.wake(c.deadline)
	}
	if len(c.removed) > 0 {
		defer s.tell(c.removed) // also if the observer panics
	}
	if o := s.options.Observer; o != nil {
		if c.evicted > 0 {
			o.Observe(ctx, tarn.Event{Kind: tarn.EventEvicted, N: c.evicted})
		}
		if c.expired > 0 {
			o.Observe(ctx, tarn.Event{Kind: tarn.EventExpired, N: c.expired})
		}
	}
}

// tell tells the listener of every removal. If it panics at one, the others are told before the panic goes on.
func (s *Store[K, V]) tell(removed []Removal[K, V]) {
	i := 0
	defer func() {
		for i++; i < len(removed); i++ {
			s.tellContained(removed[i])
		}
	}()
	for ; i < len(removed); i++ {
		s.options.OnRemove(removed[i])
	}
}

// tellContained tells the listener of one removal, and the observer if that panics.
func (s *Store[K, V]) tellContained(r Removal[K, V]) {
	defer s.contain()
	s.options.OnRemove(r)
}

// contain, deferred, ends a panic of the listener or the observer that no caller could see, and tells the observer of
// it, who may panic again.
func (s *Store[K, V]) contain() {
	p := recover()
	if p == nil || s.options.Observer == nil {
		return
	}
	err := &tarn.PanicError{Value: p, Stack: debug.Stack()}
	defer func() { _ = recover() }()
	s.options.Observer.Observe(context.Background(), tarn.Event{Kind: tarn.EventPanicked, N: 1, Err: err})
}
