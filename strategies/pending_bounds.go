package strategies

import (
	"container/list"
	"context"
	"sync"

	"github.com/tarncache/tarn"
)

// bounds keeps the number of pending keys and their bytes below their limits. Who waits is served in the order of
// arrival, and nobody overtakes: otherwise a large value could wait for ever while small ones slip by.
type bounds struct {
	maxKeys  int64
	maxBytes int64 // 0: none

	mu      sync.Mutex // protects keys, bytes, waiters
	keys    int64
	bytes   int64
	waiters list.List // of *boundWaiter
}

type boundWaiter struct {
	bytes int64
	ready chan struct{} // closed once one key and the bytes are taken on its behalf
}

// take takes keys and bytes, which may be negative, and reports whether there was room. What needs no more than it
// has already never fails.
func (b *bounds) take(keys, bytes int64) bool {
	if keys == 0 && bytes == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if keys > 0 || bytes > 0 {
		if b.waiters.Len() > 0 || !b.fits(keys, bytes) {
			return false
		}
	}
	b.add(keys, bytes)
	return true
}

// give gives keys and bytes back.
func (b *bounds) give(keys, bytes int64) {
	if keys == 0 && bytes == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(-keys, -bytes)
}

// wait takes one key and the bytes as soon as there is room. It returns ctx.Err(), or ErrClosed once closing is
// closed. waits is called if it has to wait, after it took its place in the line.
func (b *bounds) wait(ctx context.Context, bytes int64, closing <-chan struct{}, waits func()) error {
	b.mu.Lock()
	if b.waiters.Len() == 0 && b.fits(1, bytes) {
		b.add(1, bytes)
		b.mu.Unlock()
		return nil
	}
	w := &boundWaiter{bytes: bytes, ready: make(chan struct{})}
	place := b.waiters.PushBack(w)
	b.mu.Unlock()

	waits()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-closing:
		err = tarn.ErrClosed
	}
	b.leave(place)
	return err
}

// leave takes a waiter out of the line, or gives back what it was given in the same moment.
func (b *bounds) leave(place *list.Element) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := place.Value.(*boundWaiter)
	select {
	case <-w.ready:
		b.add(-1, -w.bytes)
	default:
		b.waiters.Remove(place)
		b.add(0, 0) // it may have been in the way of those behind it
	}
}

// waiting reports whether somebody waits for room.
func (b *bounds) waiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiters.Len() > 0
}

// taken returns what is taken.
func (b *bounds) taken() (keys, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keys, b.bytes
}

// fits reports whether there is room. The caller holds mu.
func (b *bounds) fits(keys, bytes int64) bool {
	return b.keys+keys <= b.maxKeys && (b.maxBytes == 0 || bytes <= 0 || bytes <= b.maxBytes-b.bytes)
}

// add counts, and serves those at the head of the line for whom there is room now. The caller holds mu.
func (b *bounds) add(keys, bytes int64) {
	b.keys += keys
	b.bytes += bytes
	for {
		head := b.waiters.Front()
		if head == nil || !b.fits(1, head.Value.(*boundWaiter).bytes) {
			return
		}
		w := b.waiters.Remove(head).(*boundWaiter)
		b.keys++
		b.bytes += w.bytes
		close(w.ready)
	}
}
