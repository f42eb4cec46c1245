package tiered

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Every write goes to the far store, and drops the copy afterwards: whatever the far store says has become of it, and
// also if it panics.

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
	defer s.drop(ctx, key)
	return s.far.Set(ctx, key, e)
}

// Delete removes key.
func (s *Store[K, V]) Delete(ctx context.Context, key K) error {
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	defer s.drop(ctx, key)
	return s.far.Delete(ctx, key)
}

// SetMany sets keys[i] to entries[i] in the far store.
func (s *Store[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	if err := s.mayUse("set many", s.far.batch != nil); err != nil {
		return err
	}
	defer s.drop(ctx, keys...)
	return s.far.batch.SetMany(ctx, keys, entries)
}

// DeleteMany deletes the keys.
func (s *Store[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	if err := s.mayUse("delete many", s.far.batch != nil); err != nil {
		return err
	}
	defer s.drop(ctx, keys...)
	return s.far.batch.DeleteMany(ctx, keys)
}

// Add stores e if key has no entry in the far store and is not held there.
func (s *Store[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	if err := s.mayUse("add", s.far.adder != nil); err != nil {
		return false, err
	}
	defer s.drop(ctx, key)
	return s.far.adder.Add(ctx, key, e)
}

// Touch gives the far store's entry of key a new Expires. It drops the copy, so it is not for every hit.
func (s *Store[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	if err := s.mayUse("touch", s.far.toucher != nil); err != nil {
		return false, err
	}
	defer s.drop(ctx, key)
	return s.far.toucher.Touch(ctx, key, expires)
}

// Compute calls f with the far store's entry of key.
func (s *Store[K, V]) Compute(
	ctx context.Context, key K, f func(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp),
) (tarn.Entry[V], bool, error) {
	if err := s.mayUse("compute", s.far.computer != nil); err != nil {
		return tarn.Entry[V]{}, false, err
	}
	defer s.drop(ctx, key)
	return s.far.computer.Compute(ctx, key, f)
}

// Clear removes every entry of the far store, and every copy.
func (s *Store[K, V]) Clear(ctx context.Context) error {
	if err := s.mayUse("clear", s.far.clearer != nil); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	defer func() {
		if s.near.clearer.Clear(context.WithoutCancel(ctx)) != nil {
			s.trust.lose()
		}
	}()
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
