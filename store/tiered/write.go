package tiered

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Every write goes to the far store, and its keys have no copies until it has returned, nor right after: see change.

// errUnsupported says that the far store lacks what an operation needs.
func errUnsupported(op string) error {
	return fmt.Errorf("tiered: %s: the far store does not offer it: %w", op, errors.ErrUnsupported)
}

// errLengths says that two slices of a batch do not go together.
func errLengths(op string, keys, others int) error {
	return fmt.Errorf("tiered: %s: %d keys, but %d places for the results", op, keys, others)
}

// mayUse says why an operation that needs more than the far store may have is not done.
func (s *Store[K, V]) mayUse(op string, offered bool) error {
	switch {
	case s.closed.Load():
		return tarn.ErrClosed
	case !offered:
		return errUnsupported(op)
	}
	return nil
}

// Set gives key an entry in the far store.
func (s *Store[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	return s.change(ctx, []K{key}, func() error { return s.far.Set(ctx, key, e) })
}

// Delete removes key.
func (s *Store[K, V]) Delete(ctx context.Context, key K) error {
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	return s.change(ctx, []K{key}, func() error { return s.far.Delete(ctx, key) })
}

// SetMany sets keys[i] to entries[i] in the far store.
func (s *Store[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	if err := s.mayUse("set many", s.far.batch != nil); err != nil {
		return err
	}
	return s.change(ctx, keys, func() error { return s.far.batch.SetMany(ctx, keys, entries) })
}

// DeleteMany deletes the keys.
func (s *Store[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	if err := s.mayUse("delete many", s.far.batch != nil); err != nil {
		return err
	}
	return s.change(ctx, keys, func() error { return s.far.batch.DeleteMany(ctx, keys) })
}

// Add stores e if key has no entry in the far store and is not held there.
func (s *Store[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	if err := s.mayUse("add", s.far.adder != nil); err != nil {
		return false, err
	}
	err = s.change(ctx, []K{key}, func() (err error) { added, err = s.far.adder.Add(ctx, key, e); return err })
	return added, err
}

// Touch gives the far store's entry of key a new Expires. It drops the copy, so it is not for every hit.
func (s *Store[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	if err := s.mayUse("touch", s.far.toucher != nil); err != nil {
		return false, err
	}
	err = s.change(ctx, []K{key}, func() (err error) { touched, err = s.far.toucher.Touch(ctx, key, expires); return err })
	return touched, err
}

// Compute calls f with the far store's entry of key.
func (s *Store[K, V]) Compute(
	ctx context.Context, key K, f func(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp),
) (e tarn.Entry[V], found bool, err error) {
	if err := s.mayUse("compute", s.far.computer != nil); err != nil {
		return e, false, err
	}
	err = s.change(ctx, []K{key}, func() (err error) { e, found, err = s.far.computer.Compute(ctx, key, f); return err })
	return e, found, err
}

// Clear removes every entry of the far store, and every copy. While the far store is at it, copies are neither answered
// nor made.
func (s *Store[K, V]) Clear(ctx context.Context) error {
	if err := s.mayUse("clear", s.far.clearer != nil); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	defer s.trust.resume()
	s.trust.pause()
	return s.far.clearer.Clear(ctx)
}

// Count returns how many entries the far store has.
func (s *Store[K, V]) Count(ctx context.Context) (int, error) {
	if err := s.mayUse("count", s.far.scanner != nil); err != nil {
		return 0, err
	}
	return s.far.scanner.Count(ctx)
}

// Scan iterates over the entries of the far store.
func (s *Store[K, V]) Scan(ctx context.Context) (iter.Seq2[K, tarn.Entry[V]], func() error) {
	if err := s.mayUse("scan", s.far.scanner != nil); err != nil {
		return func(func(K, tarn.Entry[V]) bool) {}, func() error { return err }
	}
	return s.far.scanner.Scan(ctx)
}
