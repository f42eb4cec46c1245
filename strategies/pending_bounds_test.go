package strategies

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/tarncache/tarn"
)

// waiter waits for room for the bytes, and tells how that ended.
func waiter(ctx context.Context, b *bounds, bytes int64, closing chan struct{}) chan error {
	done := make(chan error, 1)
	go func() { done <- b.wait(ctx, bytes, closing, func() {}) }()
	synctest.Wait()
	return done
}

// Nobody overtakes who waits: a large value is not kept waiting by small ones for which there would be room.
func TestBoundsServeInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bounds{maxKeys: 10, maxBytes: 10}
		if !b.take(1, 6) {
			t.Fatal("there is room")
		}
		large := waiter(t.Context(), b, 8, nil)
		small := waiter(t.Context(), b, 1, nil)
		if b.take(1, 1) || b.take(0, 1) {
			t.Error("overtook those who wait")
		}
		if !b.take(0, 0) || !b.take(0, -1) {
			t.Error("what needs nothing more never waits")
		}
		synctest.Wait()
		if len(large) > 0 || len(small) > 0 {
			t.Error("there is no room for the first")
		}
		b.give(1, 5)
		if err := errors.Join(<-large, <-small); err != nil {
			t.Error(err)
		}
		if keys, bytes := b.taken(); keys != 2 || bytes != 9 {
			t.Errorf("%d keys, %d bytes", keys, bytes)
		}
	})
}

// Who leaves takes nothing along, and is no longer in the way of those behind.
func TestBoundsLeave(t *testing.T) {
	for _, row := range []struct {
		rule  string
		leave func(cancel context.CancelFunc, closing chan struct{}, b *bounds)
		want  error
	}{
		{"its context ends", func(cancel context.CancelFunc, _ chan struct{}, _ *bounds) { cancel() }, context.Canceled},
		{"the cache closes", func(_ context.CancelFunc, closing chan struct{}, _ *bounds) { close(closing) }, tarn.ErrClosed},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bounds{maxKeys: 10, maxBytes: 10}
				b.take(1, 6)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				closing := make(chan struct{})
				large := waiter(ctx, b, 8, closing)
				small := waiter(t.Context(), b, 1, nil)
				row.leave(cancel, closing, b)
				if err := <-large; !errors.Is(err, row.want) {
					t.Error(err)
				}
				if err := <-small; err != nil {
					t.Error(err)
				}
				if keys, bytes := b.taken(); keys != 2 || bytes != 7 || b.waiting() {
					t.Errorf("%d keys, %d bytes, waiting %v", keys, bytes, b.waiting())
				}
			})
		})
	}
}

// What was taken on behalf of a waiter in the moment in which it left is given back.
func TestBoundsLeaveWhileServed(t *testing.T) {
	b := &bounds{maxKeys: 1}
	b.take(1, 0)
	place := b.waiters.PushBack(&boundWaiter{bytes: 5, ready: make(chan struct{})})
	b.give(1, 0)
	if keys, bytes := b.taken(); keys != 1 || bytes != 5 {
		t.Errorf("the waiter was not served: %d keys, %d bytes", keys, bytes)
	}
	b.leave(place)
	if keys, bytes := b.taken(); keys != 0 || bytes != 0 {
		t.Errorf("%d keys and %d bytes are taken by nobody", keys, bytes)
	}
}
