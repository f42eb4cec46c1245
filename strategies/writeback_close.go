package strategies

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
)

// UnwrittenError says which keys have an operation, or a delta, that was accepted and is not known to be at the source. Those
// in flight are included; those that the dead-letter handler took are not.
type UnwrittenError[K comparable] struct {
	Keys []K   // never empty; in no order
	Err  error // why: the context's error, the Writer's, or both
}

// Error counts the keys and names none.
func (e *UnwrittenError[K]) Error() string {
	return fmt.Sprintf("tarn: keys not written: %d: %v", len(e.Keys), bare(e.Err))
}

// Unwrap returns the reason.
func (e *UnwrittenError[K]) Unwrap() error { return e.Err }

// Flush writes what is pending without waiting for its age or its backoff, and returns when each operation that was
// accepted before the call is at the source, was replaced by a later one of its key that got there, was given up, which
// the dead-letter handler or the journal then has, or has failed once more. If some are not written, also because ctx
// ended, it returns an [*UnwrittenError]; they stay pending.
func (c *WriteBackCache[K, V]) Flush(ctx context.Context) error {
	if c.closed.Load() {
		return tarn.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return c.unwritten(err)
	}
	if c.table.queue.paused() {
		return c.unwritten(ErrPaused)
	}
	round := c.table.flush()
	var ended error
	select {
	case <-round.done:
	case <-ctx.Done():
		ended = ctx.Err()
	case <-c.closeDone:
		ended = tarn.ErrClosed
	}
	if ended != nil {
		c.table.abandon(round, ended)
	}
	round.mu.Lock()
	defer round.mu.Unlock()
	if len(round.failed) == 0 {
		return nil
	}
	return &UnwrittenError[K]{Keys: round.failed, Err: whyUnwritten(ended, round.err)}
}

// whyUnwritten joins what ended the waiting, if something did, with a failure of the source, if there was one.
func whyUnwritten(ended, failure error) error {
	switch {
	case ended == nil:
		return failure
	case failure == nil || errors.Is(failure, ended):
		return ended
	default:
		return fmt.Errorf("%w; the source: %w", ended, bare(failure))
	}
}

// unwritten returns an UnwrittenError of all that is pending, or nil.
func (c *WriteBackCache[K, V]) unwritten(ended error) error {
	var keys []K
	var failure error
	c.table.each(func(p *pendingKey[K, V]) {
		keys = append(keys, p.key)
		if p.err != nil {
			failure = p.err
		}
	})
	if len(keys) == 0 {
		return nil
	}
	return &UnwrittenError[K]{Keys: keys, Err: whyUnwritten(ended, failure)}
}

// Close refuses writes from now on, waking those that wait for room, and writes what is pending, trying again with
// backoff what fails, until all is written or ctx ends; a ctx without a deadline is given 30 seconds. Reads are
// answered until then. It ends the goroutines and waits for them, and closes the inner cache if that has a Close; not
// the store, which belongs to whoever made it.
//
// If something is left, Close returns an [*UnwrittenError] with its keys, and Pending still has the operations. To
// know what became of the writes in flight, it cancels their contexts a little before the deadline: in the last tenth
// of its time, at most a second. A Writer that does not heed that, or a ctx that is cancelled, is not waited for; what
// is in flight then counts as unwritten, and is removed from Pending should it succeed later.
//
// At last a Journal is told what it does not know yet, which may take the time of [WithSettleTimeout] longer than ctx lasts.
// It keeps what is unwritten for the next process, and stays open. If it cannot be told, Close returns why: then it may
// lack some of what SyncEvery let be acknowledged, and have what is at the source already.
//
// Another Close waits for the first one and returns the same, unless its own ctx ends before.
func (c *WriteBackCache[K, V]) Close(ctx context.Context) error {
	if !c.closeCalled.CompareAndSwap(false, true) {
		select {
		case <-c.closeDone:
			return c.closeErr
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultCloseTimeout)
		defer cancel()
	}
	close(c.closing)
	c.table.close()
	c.table.queue.close()
	ended := c.drain(ctx)
	c.stop(ctx)
	journalErr := c.closeJournal(ctx)
	c.closeErr = errors.Join(c.unwritten(ended), journalErr)
	c.closed.Store(true)
	if err := closeInner(ctx, c.inner); err != nil {
		c.closeErr = errors.Join(c.closeErr, fmt.Errorf("strategies: write-back: the inner cache: %w", bare(err)))
	}
	close(c.closeDone)
	return c.closeErr
}

// drain waits until nothing is pending, or it is time to recall what is in flight. It returns why it did not wait on.
func (c *WriteBackCache[K, V]) drain(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	recall := time.NewTimer(left - min(left/10, time.Second))
	defer recall.Stop()
	select {
	case <-c.table.drained:
		return nil
	default:
	}
	select {
	case <-c.table.drained:
		return nil
	case <-recall.C:
		return context.DeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the goroutines, and waits for them as long as ctx lets it.
func (c *WriteBackCache[K, V]) stop(ctx context.Context) {
	c.table.queue.stop()
	c.recall()
	<-c.dispatched
	select {
	case <-c.table.queue.landed:
	case <-ctx.Done():
	}
}
