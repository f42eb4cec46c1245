package strategies

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/tarncache/tarn"
)

// dispatch begins batches as they become due, until the queue is stopped.
func (c *WriteBackCache[K, V]) dispatch() {
	defer close(c.dispatched)
	c.table.queue.dispatch(c.table.now, c.flush)
}

// flush writes one batch and puts back what failed.
func (c *WriteBackCache[K, V]) flush(due []*pendingKey[K, V]) {
	defer c.table.queue.end()
	batch := make([]*pendingKey[K, V], 0, len(due))
	ops := make([]tarn.Op[K, V], 0, len(due))
	for _, p := range due {
		if op, ok := c.table.begin(p); ok {
			batch, ops = append(batch, p), append(ops, op)
		}
	}
	if len(batch) == 0 {
		return
	}
	if batch, ops = c.withhold(c.writing, batch, ops); len(batch) == 0 {
		return
	}
	a := c.attempt(c.writing, ops)
	c.table.queue.judge(batch, a.together > 0)
	c.conclude(batch, a)
}

// attempt is one attempt to write some operations.
type attempt[K comparable, V any] struct {
	ops      []tarn.Op[K, V]
	errs     []error       // one for each operation
	together int           // how many failed as one: all, or 0
	took     time.Duration // by the source
	hold     tarn.Hold[V]  // nil: the cache could not hold the keys
	stale    error         // the source was written, but the cache could not be told
}

// errUntried is the error of an operation that the source has not seen.
var errUntried = errors.New("strategies: write-back: not tried")

// attempt holds the keys of the operations, writes the source, and settles. It returns when the cache knows.
func (c *WriteBackCache[K, V]) attempt(ctx context.Context, ops []tarn.Op[K, V]) *attempt[K, V] {
	a := &attempt[K, V]{ops: ops}
	if err := c.hold(ctx, a); err != nil {
		a.errs, a.together = slices.Repeat([]error{err}, len(ops)), len(ops)
		return a
	}
	c.apply(ctx, a)
	c.settle(ctx, a)
	return a
}

// hold holds the keys. If that fails, the write goes on without: a cache that is away must not keep writes from the
// source, unless the application said so: then its error is returned.
func (c *WriteBackCache[K, V]) hold(ctx context.Context, a *attempt[K, V]) error {
	holding, cancel := context.WithTimeout(ctx, c.settleTimeout)
	defer cancel()
	keys := make([]K, len(a.ops))
	for i, op := range a.ops {
		keys[i] = op.Key
	}
	var err error
	if panicked := contained(func() { a.hold, err = c.inner.Hold(holding, keys) }); panicked != nil {
		err = panicked
	}
	if err == nil {
		return nil
	}
	a.hold = nil
	if ctx.Err() == nil {
		c.tellContained(ctx, tarn.Event{Kind: tarn.EventStoreFailed, N: len(keys), Err: err})
	}
	if unheld(err) {
		return err
	}
	return nil
}

// apply writes the source.
func (c *WriteBackCache[K, V]) apply(ctx context.Context, a *attempt[K, V]) {
	a.errs = slices.Repeat([]error{errUntried}, len(a.ops))
	if ctx.Err() != nil {
		return
	}
	began := time.Now()
	if c.batch != nil {
		c.applyBatch(ctx, a)
	} else {
		c.applyEach(ctx, a)
	}
	a.took = time.Since(began)
}

// applyBatch writes all operations in one call.
func (c *WriteBackCache[K, V]) applyBatch(ctx context.Context, a *attempt[K, V]) {
	ctx, cancel := context.WithTimeout(ctx, c.config.WriteTimeout)
	defer cancel()
	n := len(a.ops)
	var err error
	if panicked := contained(func() { err = applyMany(ctx, c.batch, a.ops) }); panicked != nil {
		c.panicked(ctx, panicked)
		err = panicked
	}
	for i := range a.errs {
		a.errs[i] = tarn.ErrAt(err, i, n)
	}
	var each tarn.IndexError
	if err != nil && (!errors.As(err, &each) || len(each) != n) {
		a.together = n
	}
}

// applyEach writes one operation after the other, until one panics, or they have taken as long as one may.
func (c *WriteBackCache[K, V]) applyEach(ctx context.Context, a *attempt[K, V]) {
	at := 0
	panicked := contained(func() {
		began := time.Now()
		for at < len(a.ops) && ctx.Err() == nil && (at == 0 || time.Since(began) < c.config.WriteTimeout) {
			a.errs[at] = c.applyOne(ctx, a.ops[at])
			at++
		}
	})
	if panicked != nil {
		c.panicked(ctx, panicked)
		a.errs[at] = panicked
	}
}

func (c *WriteBackCache[K, V]) applyOne(ctx context.Context, op tarn.Op[K, V]) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.WriteTimeout)
	defer cancel()
	return applyOne(ctx, c.writer, op)
}

// settle tells the cache what became of the keys. It does so even if ctx has ended meanwhile.
func (c *WriteBackCache[K, V]) settle(ctx context.Context, a *attempt[K, V]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.settleTimeout)
	defer cancel()
	outcomes := make([]tarn.Outcome[V], len(a.ops))
	touched := make([]K, 0, len(a.ops))
	written := 0
	for i, op := range a.ops {
		if a.errs[i] != errUntried {
			touched = append(touched, op.Key)
		}
		if a.errs[i] == nil {
			outcomes[i] = outcome(op)
			written++
		}
	}
	var err error
	panicked := contained(func() {
		if a.hold != nil {
			err = a.hold.Settle(ctx, outcomes)
		} else {
			err = c.invalidate(ctx, touched)
		}
	})
	if panicked != nil {
		err = panicked
	}
	switch {
	case err == nil:
	case written == 0:
		c.tellContained(ctx, tarn.Event{Kind: tarn.EventStoreFailed, N: len(a.ops), Err: err})
	default:
		if !errors.Is(err, tarn.ErrMaybeStale) {
			err = fmt.Errorf("%w: %w", tarn.ErrMaybeStale, bare(err))
		}
		a.stale = err
		c.tellContained(ctx, tarn.Event{Kind: tarn.EventMaybeStale, N: written, Err: err})
	}
}

// invalidate deletes from the cache what was written without a hold.
func (c *WriteBackCache[K, V]) invalidate(ctx context.Context, keys []K) error {
	if len(keys) == 0 {
		return nil
	}
	if c.many != nil {
		return c.many.DeleteMany(ctx, keys)
	}
	return eachOf(len(keys), func(i int) error { return c.inner.Delete(ctx, keys[i]) })
}

// panicked tells the observer of a function that panicked or ended its goroutine.
func (c *WriteBackCache[K, V]) panicked(ctx context.Context, err error) {
	c.tellContained(ctx, tarn.Event{Kind: tarn.EventPanicked, N: 1, Err: err})
}

// tellContained is observe where a panic would end the process, or an attempt before the cache and those who wait
// know of it. The observer is told of its own panic, if it lets itself.
func (c *WriteBackCache[K, V]) tellContained(ctx context.Context, e tarn.Event) {
	if c.observer == nil {
		return
	}
	panicked := contained(func() { c.observer.Observe(ctx, e) })
	if panicked != nil && e.Kind != tarn.EventPanicked {
		c.panicked(ctx, panicked)
	}
}

// contained calls f on a goroutine of its own and waits for it, so that neither a panic nor runtime.Goexit reaches
// the caller. It returns a [*tarn.PanicError] if f did not return.
func contained(f func()) error {
	done := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			if returned {
				done <- nil
				return
			}
			done <- &tarn.PanicError{Value: recover(), Stack: debug.Stack()}
		}()
		f()
		returned = true
	}()
	return <-done
}

// containedEach calls f with each number below n, in order, and tells failed of those whose call panicked or ended its
// goroutine.
func containedEach(n int, f func(i int), failed func(i int, panicked error)) {
	for i := 0; i < n; {
		at := i
		panicked := contained(func() {
			for ; at < n; at++ {
				f(at)
			}
		})
		if panicked != nil {
			failed(at, panicked)
		}
		i = at + 1
	}
}
