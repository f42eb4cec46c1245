package farstore

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// View is the store as one process sees it. It has every capability, and is a [tarn.Watcher].
type View[K comparable, V any] struct {
	far *Far[K, V]

	mu   sync.Mutex // protects the below
	cut  bool
	fate func() Fate
	conn *connection[K] // nil: nobody watches, or there is no connection
}

// changed is an operation that changes keys, of which others are told if it is done.
func (v *View[K, V]) changed(ctx context.Context, op func() (done bool, err error), keys ...K) error {
	return v.far.do(ctx, func() error {
		done, err := op()
		if done {
			v.far.tell(v, slices.Clone(keys), false)
		}
		return err
	})
}

// always is the result of an operation that changes something if it returns no error.
func always(err error) (bool, error) { return err == nil, err }

func (v *View[K, V]) Get(ctx context.Context, key K) (e tarn.Entry[V], found bool, err error) {
	err = v.far.do(ctx, func() (err error) { e, found, err = v.far.Get(ctx, key); return err })
	if err != nil {
		return tarn.Entry[V]{}, false, err
	}
	return e, found, nil
}

func (v *View[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	return v.changed(ctx, func() (bool, error) { return always(v.far.Set(ctx, key, e)) }, key)
}

func (v *View[K, V]) Delete(ctx context.Context, key K) error {
	return v.changed(ctx, func() (bool, error) { return always(v.far.Delete(ctx, key)) }, key)
}

func (v *View[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Lookup[V]) error {
	return v.far.do(ctx, func() error { return v.far.batch.GetMany(ctx, keys, into) })
}

func (v *View[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	return v.changed(ctx, func() (bool, error) { return true, v.far.batch.SetMany(ctx, keys, entries) }, keys...)
}

func (v *View[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	return v.changed(ctx, func() (bool, error) { return always(v.far.batch.DeleteMany(ctx, keys)) }, keys...)
}

func (v *View[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	err = v.changed(ctx, func() (_ bool, err error) {
		added, err = v.far.adder.Add(ctx, key, e)
		return added, err
	}, key)
	return added && err == nil, err
}

func (v *View[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	err = v.changed(ctx, func() (_ bool, err error) {
		touched, err = v.far.toucher.Touch(ctx, key, expires)
		return touched, err
	}, key)
	return touched && err == nil, err
}

// Compute calls f with the store in its hands no more than a real one would be: another operation may come between.
func (v *View[K, V]) Compute(
	ctx context.Context, key K, f func(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp),
) (e tarn.Entry[V], found bool, err error) {
	op := tarn.ComputeKeep
	err = v.far.do(ctx, func() error { return nil })
	if err != nil {
		return e, false, err
	}
	e, found, err = v.far.computer.Compute(ctx, key, func(old tarn.Entry[V], found bool) (e tarn.Entry[V], _ tarn.ComputeOp) {
		e, op = f(old, found)
		return e, op
	})
	if err == nil && op != tarn.ComputeKeep {
		v.far.mu.Lock()
		v.far.tell(v, []K{key}, false)
		v.far.mu.Unlock()
	}
	return e, found, err
}

func (v *View[K, V]) Clear(ctx context.Context) error {
	return v.far.do(ctx, func() error {
		err := v.far.clearer.Clear(ctx)
		if err == nil {
			v.far.tell(v, nil, true)
		}
		return err
	})
}

func (v *View[K, V]) Count(ctx context.Context) (n int, err error) {
	err = v.far.do(ctx, func() (err error) { n, err = v.far.scanner.Count(ctx); return err })
	return n, err
}

func (v *View[K, V]) Scan(ctx context.Context) (iter.Seq2[K, tarn.Entry[V]], func() error) {
	if err := v.far.do(ctx, func() error { return nil }); err != nil {
		return func(func(K, tarn.Entry[V]) bool) {}, func() error { return err }
	}
	return v.far.scanner.Scan(ctx)
}

func (v *View[K, V]) Clock() ttl.Clock { return v.far.clocker.Clock() }

func (v *View[K, V]) Lease(ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V]) error {
	return v.far.do(ctx, func() error { return v.far.leaser.Lease(ctx, keys, terms, into) })
}

// Fill tells of the entries that it has replaced; of what was not there, nobody can have a copy.
func (v *View[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	return v.far.do(ctx, func() error {
		there := make([]bool, len(fills))
		for i := range fills {
			_, there[i], _ = v.far.Get(ctx, fills[i].Key)
		}
		err := v.far.leaser.Fill(ctx, fills)
		for i, f := range fills {
			if f.Stored && there[i] {
				v.far.tell(v, []K{f.Key}, false)
			}
		}
		return err
	})
}

func (v *View[K, V]) Stands(ctx context.Context, keys []K, tokens []tarn.Token, into []bool) error {
	return v.far.do(ctx, func() error { return v.far.leaser.Stands(ctx, keys, tokens, into) })
}

func (v *View[K, V]) Hold(ctx context.Context, keys []K, life time.Duration, tokens []tarn.Token) error {
	f := v.far
	return f.do(ctx, func() error {
		if err := f.holder.Hold(ctx, keys, life, tokens); err != nil {
			return err
		}
		until := v.Clock().Now().Add(life)
		for i, key := range keys {
			if f.holds[key] == nil {
				f.holds[key] = make(map[tarn.Token]ttl.Time)
			}
			f.holds[key][tokens[i]] = until
		}
		if f.mute&Holds == 0 {
			f.tell(v, slices.Clone(keys), false)
		}
		return nil
	})
}

// Settle tells of what it has stored, and of holds that it has found gone: others may have copied since what was there
// before.
func (v *View[K, V]) Settle(ctx context.Context, settlements []tarn.Settlement[K, V]) error {
	f := v.far
	return f.do(ctx, func() error {
		if err := f.holder.Settle(ctx, settlements); err != nil {
			return err
		}
		for _, s := range settlements {
			until, known := f.holds[s.Key][s.Token]
			gone := !known || until.Passed(v.Clock().Now())
			if delete(f.holds[s.Key], s.Token); len(f.holds[s.Key]) == 0 {
				delete(f.holds, s.Key)
			}
			if (gone || s.Stored) && f.mute&Settles == 0 {
				f.tell(v, []K{s.Key}, false)
			}
		}
		return nil
	})
}

// InvalidateTags tells of the tags, as soon as they are invalidated.
func (v *View[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	f := v.far
	return f.do(ctx, func() error {
		if err := f.tagger.InvalidateTags(ctx, tags...); err != nil {
			return err
		}
		if f.mute&Tags == 0 {
			f.send(v, message[K]{tags: slices.Clone(tags)})
		}
		return nil
	})
}

func (v *View[K, V]) Stamp(ctx context.Context) (stamp tarn.Stamp, err error) {
	err = v.far.do(ctx, func() (err error) { stamp, err = v.far.tagger.Stamp(ctx); return err })
	if err != nil {
		return 0, err
	}
	return stamp, nil
}
