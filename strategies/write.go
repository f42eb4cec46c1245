package strategies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
)

// sourceWriter is what write-through and write-around share: the source is written while the cache holds the keys.
//
//	hold      readers go to the source, and keep nothing of what they find there
//	write     the source commits, or does not
//	settle    the cache is told what became of it, also if the caller has gone meanwhile
//
// Without the hold, a process that dies between its commit and its invalidation would leave the old value behind.
type sourceWriter[K comparable, V any] struct {
	inner  tarn.Guarded[K, V]
	writer tarn.Writer[K, V]
	batch  tarn.BatchWriter[K, V] // nil: one by one
	config writeConfig
	turns  *keyLocks[K] // writes of one key, in the order of their commits; nil: in any
	keep   bool         // the cache keeps what was written; false: it forgets the key
	closed atomic.Bool
}

func newSourceWriter[K comparable, V any](
	name string, inner tarn.Guarded[K, V], writer tarn.Writer[K, V], opts []WriteOption,
) *sourceWriter[K, V] {
	if isNil(inner) {
		panic(fmt.Sprintf("strategies: %s: inner is nil", name))
	}
	if isNil(writer) {
		panic(fmt.Sprintf("strategies: %s: writer is nil", name))
	}
	w := &sourceWriter[K, V]{inner: inner, writer: writer, config: newWriteConfig(opts)}
	w.batch, _ = tarn.As[tarn.BatchWriter[K, V]](writer)
	return w
}

// write writes one key.
func (w *sourceWriter[K, V]) write(ctx context.Context, op tarn.Op[K, V]) error {
	if err := w.refuses(ctx); err != nil {
		return err
	}
	if writing(ctx, w, op.Key) {
		return tarn.ErrRecursive
	}
	if w.turns != nil {
		h := w.turns.hash(op.Key)
		if err := w.turns.lock(ctx, h); err != nil {
			return err
		}
		defer w.turns.unlock(h)
	}
	keys := []K{op.Key}
	return w.guarded(ctx, keys, w.keep && !op.Delete, func(ctx context.Context, outcomes []tarn.Outcome[V]) error {
		err := applyOne(ctx, w.writer, op)
		if err == nil {
			outcomes[0] = w.outcome(op)
		}
		return err
	})
}

// refuses returns the reason for which nothing is written, if there is one.
func (w *sourceWriter[K, V]) refuses(ctx context.Context) error {
	if w.closed.Load() {
		return tarn.ErrClosed
	}
	return ctx.Err()
}

// writeMany writes many keys, in one call if the writer can. The last of several operations on one key counts.
func (w *sourceWriter[K, V]) writeMany(ctx context.Context, keys []K, op func(i int) tarn.Op[K, V]) error {
	if len(keys) == 0 {
		return nil
	}
	if w.batch == nil {
		return w.writeEach(ctx, keys, op)
	}
	if err := w.refuses(ctx); err != nil {
		return err
	}
	which := last(keys)
	ops := make([]tarn.Op[K, V], len(which))
	distinct := make([]K, len(which))
	for i, at := range which {
		ops[i] = op(at)
		distinct[i] = keys[at]
		if writing(ctx, w, keys[at]) {
			return tarn.ErrRecursive
		}
	}
	if w.turns != nil {
		unlock, err := w.turns.lockAll(ctx, distinct)
		if err != nil {
			return err
		}
		defer unlock()
	}
	stores := w.keep && slices.ContainsFunc(ops, func(op tarn.Op[K, V]) bool { return !op.Delete })
	err := w.guarded(ctx, distinct, stores, func(ctx context.Context, outcomes []tarn.Outcome[V]) error {
		err := applyMany(ctx, w.batch, ops)
		for i := range ops {
			if tarn.ErrAt(err, i, len(ops)) == nil {
				outcomes[i] = w.outcome(ops[i])
			}
		}
		return err
	})
	return spread(err, keys, which)
}

// writeEach writes the keys one after the other, the last operation of each: no key waits for another one's write.
func (w *sourceWriter[K, V]) writeEach(ctx context.Context, keys []K, op func(i int) tarn.Op[K, V]) error {
	which := last(keys)
	err := eachOf(len(which), func(i int) error { return w.write(ctx, op(which[i])) })
	return spread(err, keys, which)
}

// spread turns the errors of the keys at the indexes in which into errors of all keys: where a key came again later,
// it has the error of that place.
func spread[K comparable](err error, keys []K, which []int) error {
	var ie tarn.IndexError
	if !errors.As(err, &ie) || len(ie) != len(which) || len(keys) == len(which) {
		return err
	}
	all := make(tarn.IndexError, len(keys))
	of := make(map[K]error, len(which))
	for i, at := range which {
		of[keys[at]] = ie[i]
	}
	for i, key := range keys {
		all[i] = of[key]
	}
	for i, at := range which { // also those that no map finds again
		all[at] = ie[i]
	}
	return all
}

// applyOne writes one operation to the source.
func applyOne[K comparable, V any](ctx context.Context, writer tarn.Writer[K, V], op tarn.Op[K, V]) error {
	if op.Delete {
		return failures(writer.Delete(ctx, op.Key), 1)
	}
	return failures(writer.Save(ctx, op.Key, op.Value), 1)
}

// applyMany writes operations to the source in one call.
func applyMany[K comparable, V any](ctx context.Context, writer tarn.BatchWriter[K, V], ops []tarn.Op[K, V]) error {
	return failures(writer.Apply(ctx, slices.Clone(ops)), len(ops)) // it may sort its own
}

// failures returns the error of a write of n operations, and nil for an IndexError in which none of them failed.
func failures(err error, n int) error {
	if none, ok := err.(tarn.IndexError); err == nil || ok && len(none) == 0 {
		return nil
	}
	for i := range n {
		if tarn.ErrAt(err, i, n) != nil {
			return err
		}
	}
	return nil
}

// outcome is what the cache is told of an operation that the source has.
func (w *sourceWriter[K, V]) outcome(op tarn.Op[K, V]) tarn.Outcome[V] {
	if !w.keep {
		return tarn.Outcome[V]{}
	}
	return outcome(op)
}

// outcome returns what the source has after an operation.
func outcome[K comparable, V any](op tarn.Op[K, V]) tarn.Outcome[V] {
	if op.Delete {
		return tarn.Outcome[V]{Kind: tarn.Removed}
	}
	return tarn.Outcome[V]{Kind: tarn.Stored, Value: op.Value}
}

// guarded runs a write of the source under a hold of its keys. stores says whether the cache may keep something of it.
func (w *sourceWriter[K, V]) guarded(
	ctx context.Context, keys []K, stores bool, write func(ctx context.Context, outcomes []tarn.Outcome[V]) error,
) error {
	save := func(outcomes []tarn.Outcome[V]) error {
		here := &written{parent: writingOf(ctx), writer: w, keys: keys}
		defer here.ended.Store(true)
		began := time.Now()
		err := write(context.WithValue(ctx, writingKey{}, here), outcomes)
		w.report(ctx, keys, err, time.Since(began))
		if err != nil {
			return named("write", err)
		}
		return nil
	}
	if w.config.leaveCopy {
		return save(make([]tarn.Outcome[V], len(keys)))
	}
	hold := ctx
	if !stores {
		hold = storingNothing(ctx)
	}
	return underHold(hold, &w.config.common, w.config.settleTimeout, w.inner, keys, save)
}

// report tells the observer what was written and what was not, and how long the source took.
func (w *sourceWriter[K, V]) report(ctx context.Context, keys []K, err error, took time.Duration) {
	if w.config.observer == nil {
		return
	}
	var written, failed []K
	for i, key := range keys {
		if tarn.ErrAt(err, i, len(keys)) == nil {
			written = append(written, key)
		} else {
			failed = append(failed, key)
		}
	}
	observeKeys(ctx, &w.config.common, tarn.Event{Kind: tarn.EventWritten, Duration: took}, written...)
	observeKeys(ctx, &w.config.common, tarn.Event{Kind: tarn.EventWriteFailed, Duration: took, Err: err}, failed...)
}

// underHold holds keys, runs write, and settles with the outcomes that write has set: a key of which it set none is
// forgotten, as are all if it panics or ends its goroutine.
//
// Where the hold cannot be taken because the store fails, the write goes on, and the keys are deleted afterwards: an
// outage of the cache is none of the source.
func underHold[K comparable, V any](
	ctx context.Context, config *common, timeout time.Duration, inner tarn.Guarded[K, V], keys []K,
	write func(outcomes []tarn.Outcome[V]) error,
) (err error) {
	h, err := inner.Hold(ctx, keys)
	if err != nil {
		if refusesWrite(ctx, err) {
			return err
		}
		h = nil // a decorator may have returned both
	}
	outcomes := make([]tarn.Outcome[V], len(keys))
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		var settled error
		if h != nil {
			settled = h.Settle(ctx, outcomes)
		} else {
			settled = forget(ctx, config, inner, keys)
		}
		err = unsettled(err, settled, len(keys))
	}()
	return write(outcomes)
}

// unsettled is the error of a write of n keys whose settle returned settled: the keys that were written have that, the
// others their own.
func unsettled(err, settled error, n int) error {
	if settled == nil {
		return err
	}
	if err == nil {
		return settled
	}
	var ie tarn.IndexError
	if !errors.As(err, &ie) || len(ie) != n {
		return err
	}
	all := make(tarn.IndexError, n)
	for i := range all {
		all[i] = cmp.Or(ie[i], tarn.ErrAt(settled, i, n))
	}
	return all
}

// refusesWrite reports whether an error of Hold means that there is to be no write: it is not the store that failed.
func refusesWrite(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, tarn.ErrClosed) || errors.Is(err, tarn.ErrTooManyHolds) || unheld(err)
}

// unheld reports whether an error of Hold says that the application wants no write without a hold.
func unheld(err error) bool {
	var u *unheldError
	return errors.As(err, &u)
}

// unheldError is what a cache WithHoldsRequired says of a hold that the store has failed to take.
type unheldError struct{ err error }

func (e *unheldError) Error() string {
	return "tarn: write: the store cannot hold the key: " + bare(e.err).Error()
}
func (e *unheldError) Unwrap() error { return e.err }

// forget deletes keys of the cache that were written without a hold.
func forget[K comparable, V any](ctx context.Context, config *common, inner tarn.Guarded[K, V], keys []K) error {
	var err error
	if many, ok := tarn.As[tarn.BatchCache[K, V]](inner); ok && len(keys) > 1 {
		err = many.DeleteMany(ctx, keys)
	} else {
		err = eachOf(len(keys), func(i int) error { return inner.Delete(ctx, keys[i]) })
	}
	untold := untoldOf(err, keys)
	if len(untold) == 0 {
		return nil
	}
	observeKeys(ctx, config, tarn.Event{Kind: tarn.EventMaybeStale, Err: err}, untold...)
	return maybeStale(err)
}

// maybeStale says of an error, or of each in a batch's, that the source was written and the cache could not be told.
func maybeStale(err error) error {
	var ie tarn.IndexError
	if !errors.As(err, &ie) {
		return fmt.Errorf("%w: %w", tarn.ErrMaybeStale, bare(err))
	}
	all := make(tarn.IndexError, len(ie))
	for i, err := range ie {
		if err != nil {
			all[i] = fmt.Errorf("%w: %w", tarn.ErrMaybeStale, bare(err))
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// written are the keys that a writer is writing, by the context that it was given.
type written struct {
	parent *written
	writer any         // *sourceWriter[K, V]
	keys   any         // []K
	ended  atomic.Bool // the writer has returned: whoever is still on its context holds nothing up
}

type writingKey struct{}

func writingOf(ctx context.Context) *written {
	w, _ := ctx.Value(writingKey{}).(*written)
	return w
}

// writing reports whether ctx comes from a write of key by w, which another write of key would wait for.
func writing[K comparable, V any](ctx context.Context, w *sourceWriter[K, V], key K) bool {
	for p := writingOf(ctx); p != nil; p = p.parent {
		if p.ended.Load() || p.writer != any(w) {
			continue
		}
		for _, k := range p.keys.([]K) {
			if k == key {
				return true
			}
		}
	}
	return false
}
