package strategies

import (
	"context"

	"github.com/tarncache/tarn"
)

// WriteAroundCache is a cache whose writes go to the source alone. Make one with [WriteAround].
type WriteAroundCache[K comparable, V any] struct {
	inner tarn.Guarded[K, V]
	many  manyReader[K, V]
	write *sourceWriter[K, V]
}

// WriteAround returns a Cache that reads as inner does and writes to the source alone: the cached copy is dropped,
// never updated. Choose it when what is written is seldom read soon, so that writes do not push out what is.
//
// Writes of one key do not queue: the source decides which is the last. More than a store keeps apart at a time (1024 in
// memory) are refused with [tarn.ErrTooManyHolds].
//
// With [WithCopyLeft] the cached copy stays.
//
// It panics if inner or writer is nil. A writer that writes a key through the cache that is writing it gets
// [tarn.ErrRecursive]. Close closes inner, if that can be closed.
func WriteAround[K comparable, V any](
	inner tarn.Guarded[K, V], writer tarn.Writer[K, V], opts ...WriteOption,
) *WriteAroundCache[K, V] {
	w := newSourceWriter("WriteAround", inner, writer, opts)
	return &WriteAroundCache[K, V]{inner: inner, many: manyOf(inner), write: w}
}

// Get returns the value of key as the inner cache does.
func (c *WriteAroundCache[K, V]) Get(ctx context.Context, key K) (V, error) {
	return c.inner.Get(ctx, key)
}

// Set saves the value at the source and drops the cached copy. If it returns [tarn.ErrMaybeStale], the source has
// the value.
func (c *WriteAroundCache[K, V]) Set(ctx context.Context, key K, value V) error {
	return c.write.write(ctx, tarn.Op[K, V]{Key: key, Value: value})
}

// Delete removes key from the source and drops the cached copy.
func (c *WriteAroundCache[K, V]) Delete(ctx context.Context, key K) error {
	return c.write.write(ctx, tarn.Op[K, V]{Key: key, Delete: true})
}

// GetMany is Get for many keys; see [tarn.BatchCache]. Applications call [tarn.GetMany], which returns a map.
func (c *WriteAroundCache[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Result[V]) error {
	return c.many(ctx, keys, into)
}

// SetMany is Set for many keys; see [tarn.BatchCache]. Applications call [tarn.SetMany].
func (c *WriteAroundCache[K, V]) SetMany(ctx context.Context, keys []K, values []V) error {
	if err := sameLength(len(keys), len(values)); err != nil {
		return err
	}
	return c.write.writeMany(ctx, keys, func(i int) tarn.Op[K, V] { return tarn.Op[K, V]{Key: keys[i], Value: values[i]} })
}

// DeleteMany is Delete for many keys; see [tarn.BatchCache]. Applications call [tarn.DeleteMany].
func (c *WriteAroundCache[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	return c.write.writeMany(ctx, keys, func(i int) tarn.Op[K, V] { return tarn.Op[K, V]{Key: keys[i], Delete: true} })
}

// Close refuses writes from now on and closes the inner cache.
func (c *WriteAroundCache[K, V]) Close(ctx context.Context) error {
	c.write.closed.Store(true)
	return closeInner(ctx, c.inner)
}
