package strategies

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// writable returns the error that keeps an operation from changing the cache, if there is one. able says whether
// the store offers it.
func (r *reader[K, V]) writable(ctx context.Context, op string, able bool) error {
	switch {
	case r.closed.Load():
		return tarn.ErrClosed
	case !able:
		return fmt.Errorf("tarn: %s: the store cannot: %w", op, errors.ErrUnsupported)
	}
	return ctx.Err()
}

// during names the operation in an error of the store, or in each of a batch's, as Get does. What the cache itself
// says of an operation, and the end of its context, need no name.
func during(op string, err error) error {
	if err == nil {
		return nil
	}
	var ie tarn.IndexError
	if errors.As(err, &ie) {
		all := make(tarn.IndexError, len(ie))
		for i, err := range ie {
			all[i] = during(op, err)
		}
		return all
	}
	for _, plain := range []error{tarn.ErrHeld, tarn.ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, plain) {
			return err
		}
	}
	return named(op, err)
}

// set stores a value that the application brought.
func (r *reader[K, V]) set(ctx context.Context, key K, value V, policy ttl.Policy, tags []string) error {
	if err := r.writable(ctx, "set", true); err != nil {
		return err
	}
	e, err := r.own(key, r.positive(value, policy), tags...)
	if err != nil {
		return during("set", err)
	}
	return during("set", r.store.Set(ctx, key, e))
}

// delete invalidates key.
func (r *reader[K, V]) delete(ctx context.Context, key K) error {
	if err := r.writable(ctx, "delete", true); err != nil {
		return err
	}
	n := r.broken(key)
	err := r.store.Delete(ctx, key)
	if err != nil {
		r.broke(err, untoldOf(err, []K{key})...)
		return during("delete", err)
	}
	r.repaired(key, n)
	return nil
}

func (r *reader[K, V]) setMany(ctx context.Context, keys []K, values []V) error {
	if err := sameLength(len(keys), len(values)); err != nil {
		return err
	}
	if err := r.writable(ctx, "set", true); err != nil {
		return err
	}
	setEach := func() error {
		return eachOf(len(keys), func(i int) error { return r.set(ctx, keys[i], values[i], r.config.policy, nil) })
	}
	if r.batch == nil {
		return setEach()
	}
	entries := make([]tarn.Entry[V], len(values))
	for i, v := range values {
		e, err := r.own(keys[i], r.positive(v, r.config.policy))
		if entries[i] = e; err != nil {
			return setEach() // the others, and an error for each whose tags are bad
		}
	}
	return during("set", r.batch.SetMany(ctx, keys, entries))
}

func (r *reader[K, V]) deleteMany(ctx context.Context, keys []K) error {
	if err := r.writable(ctx, "delete", true); err != nil {
		return err
	}
	if r.batch == nil {
		return eachOf(len(keys), func(i int) error { return r.delete(ctx, keys[i]) })
	}
	var broken []uint64
	around := r.around(keys)
	for _, i := range around {
		broken = append(broken, r.broken(keys[i]))
	}
	err := r.batch.DeleteMany(ctx, keys)
	if err != nil {
		r.broke(err, untoldOf(err, keys)...)
	}
	for n, i := range around {
		if tarn.ErrAt(err, i, len(keys)) == nil {
			r.repaired(keys[i], broken[n])
		}
	}
	return during("delete", err)
}

// manyReader answers many keys; see tarn.BatchCache.
type manyReader[K comparable, V any] func(ctx context.Context, keys []K, into []tarn.Result[V]) error

// manyOf returns how to read many keys of c: in one call if c can, and otherwise one after the other.
func manyOf[K comparable, V any](c tarn.Cache[K, V]) manyReader[K, V] {
	if many, ok := tarn.As[tarn.BatchCache[K, V]](c); ok {
		return many.GetMany
	}
	return func(ctx context.Context, keys []K, into []tarn.Result[V]) error {
		if err := sameLength(len(keys), len(into)); err != nil {
			return err
		}
		for i, key := range keys {
			into[i].Value, into[i].Err = c.Get(ctx, key)
		}
		return nil
	}
}
