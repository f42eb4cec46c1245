package strategies

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tarncache/tarn"
)

// Flush writes what was added without waiting for its age or its backoff, and returns when each delta that was
// accepted before the call is at the source, was taken by the dead-letter handler, or was in a batch that failed once
// more. If some are not written, also because ctx ended, it returns an [*UnwrittenError]; they stay.
func (a *Accumulator[K, V, D]) Flush(ctx context.Context) error {
	if a.closed.Load() {
		return tarn.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return a.unwritten(err)
	}
	round := a.table.flush()
	var ended error
	select {
	case <-round.done:
	case <-ctx.Done():
		ended = ctx.Err()
	case <-a.closeDone:
		ended = tarn.ErrClosed
	}
	if ended != nil {
		a.table.abandon(round, ended)
	}
	round.mu.Lock()
	defer round.mu.Unlock()
	if len(round.failed) == 0 {
		return nil
	}
	return &UnwrittenError[K]{Keys: round.failed, Err: whyUnwritten(ended, round.err)}
}

// unwritten returns an UnwrittenError of all that is not confirmed, or nil.
func (a *Accumulator[K, V, D]) unwritten(ended error) error {
	var keys []K
	var failure error
	a.table.each(func(k *deltaKey[K, V, D]) {
		keys = append(keys, k.turn.key)
		if k.turn.err != nil {
			failure = k.turn.err
		}
	})
	if len(keys) == 0 {
		return nil
	}
	return &UnwrittenError[K]{Keys: keys, Err: whyUnwritten(ended, failure)}
}

// Close refuses deltas from now on, waking those that wait for room, and writes what is there, trying again with backoff
// what fails, until all is written or ctx ends; a ctx without a deadline is given 30 seconds. Reads are answered until
// then. It ends the goroutines and waits for them. The journal belongs to whoever opened it; it keeps what is unwritten.
//
// If something is left, Close returns an [*UnwrittenError] with its keys, and Pending still has the deltas. To know what
// became of the batches in flight, it cancels their contexts a little before the deadline: in the last tenth of its time,
// at most a second. A write that does not heed that, or a ctx that is cancelled, is not waited for; what is in flight
// then counts as unwritten, and is removed from Pending should it succeed later.
//
// Another Close waits for the first one and returns the same, unless its own ctx ends before.
func (a *Accumulator[K, V, D]) Close(ctx context.Context) error {
	if !a.closeCalled.CompareAndSwap(false, true) {
		select {
		case <-a.closeDone:
			return a.closeErr
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultCloseTimeout)
		defer cancel()
	}
	close(a.closing)
	a.table.close()
	a.table.queue.close()
	ended := a.drain(ctx)
	a.stop(ctx)
	a.closeErr = a.unwritten(ended)
	if err := a.closeLog(ctx); err != nil {
		a.closeErr = errors.Join(a.closeErr, fmt.Errorf("strategies: accumulate: %w", bare(err)))
	}
	a.closed.Store(true)
	close(a.closeDone)
	return a.closeErr
}

// drain waits until nothing is left, or it is time to recall what is in flight. It returns why it did not wait on.
func (a *Accumulator[K, V, D]) drain(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	recall := time.NewTimer(left - min(left/10, time.Second))
	defer recall.Stop()
	select {
	case <-a.table.drained:
		return nil
	default:
	}
	select {
	case <-a.table.drained:
		return nil
	case <-recall.C:
		return context.DeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the goroutines, and waits for them as long as ctx lets it.
func (a *Accumulator[K, V, D]) stop(ctx context.Context) {
	a.table.queue.stop()
	a.table.shut.Store(true)
	a.table.pass()
	a.recall()
	<-a.dispatched
	select {
	case <-a.table.queue.landed:
	case <-ctx.Done():
	}
	loaded := make(chan struct{})
	go func() {
		a.loads.Wait()
		close(loaded)
	}()
	select {
	case <-loaded:
	case <-ctx.Done():
	}
}

// Pending iterates over the deltas that the source is not known to have, in no order among keys: of a key first the one
// in a batch that is not confirmed, if there is one, and then what was added since. It also does so after Close, to let
// the application keep what Close could not write.
func (a *Accumulator[K, V, D]) Pending() iter.Seq[Delta[K, D]] {
	return func(yield func(Delta[K, D]) bool) {
		for i := range a.table.shards {
			for _, d := range a.table.shards[i].deltas() {
				if !yield(d) {
					return
				}
			}
		}
	}
}

// deltas returns what is not confirmed.
func (s *deltaShard[K, V, D]) deltas() []Delta[K, D] {
	s.mu.Lock()
	defer s.mu.Unlock()
	var deltas []Delta[K, D]
	for key, k := range s.keys {
		if k.sent != nil {
			deltas = append(deltas, Delta[K, D]{key, k.sentDelta})
		}
		if k.hasNext {
			deltas = append(deltas, Delta[K, D]{key, k.next})
		}
	}
	return deltas
}

// flush begins a round that makes everything unconfirmed urgent.
func (t *deltaTable[K, V, D]) flush() *flushRound[K] {
	r := &flushRound[K]{done: make(chan struct{}), left: 1} // 1: until all are counted
	t.each(func(k *deltaKey[K, V, D]) {
		r.mu.Lock()
		r.left++
		r.mu.Unlock()
		k.turn.waits = append(k.turn.waits, flushWait[K]{round: r, seq: k.accepted})
	})
	var due []*pendingKey[K, D]
	t.each(func(k *deltaKey[K, V, D]) {
		if k.resting || k.sent == nil && !k.owed {
			due = append(due, &k.turn)
		}
	})
	t.queue.hurry(due...)
	var none K
	r.resolve(none, nil)
	return r
}

// abandon ends a round that is not waited for any longer: what it has not heard of has failed with err.
func (t *deltaTable[K, V, D]) abandon(r *flushRound[K], err error) {
	t.each(func(k *deltaKey[K, V, D]) {
		rest := k.turn.waits[:0]
		for _, w := range k.turn.waits {
			if w.round == r {
				r.resolve(k.turn.key, err)
			} else {
				rest = append(rest, w)
			}
		}
		clear(k.turn.waits[len(rest):])
		k.turn.waits = rest
	})
}
