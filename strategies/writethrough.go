package strategies

import (
	"context"

	"github.com/tarncache/tarn"
)

// WriteThroughCache is a cache whose writes go to the source first and then to the cache. Make one with
// [WriteThrough].
type WriteThroughCache[K comparable, V any] struct {
	inner tarn.Guarded[K, V]
	many  manyReader[K, V]
	write *sourceWriter[K, V]
}

// WriteThrough returns a Cache that reads as inner does and writes to the source first, then to the cache. When Set
// or Delete returns nil both have it. Choose it when what is written is soon read.
//
// Writes of one key queue, so that source and cache see them in one order; each waits with its own context. If the
// source fails, nothing is cached: the key is forgotten, since a write that failed may have happened all the same.
// A batch is one call to a writer that is a [tarn.BatchWriter], and otherwise one write after the other.
//
// The cache keeps what Set was given. If the source changes what it is given (a trigger, a default, a version), choose
// [WriteAround]. A writer that panics does so in its caller, with the key forgotten. A value that the store refuses is
// not cached, which is no error.
//
// It panics if inner or writer is nil. A writer that writes a key through the cache that is writing it gets
// [tarn.ErrRecursive]; writers that write further keys through it, in different orders, wait for each other until
// their contexts end. Close closes inner, if that can be closed.
func WriteThrough[K comparable, V any](
	inner tarn.Guarded[K, V], writer tarn.Writer[K, V], opts ...WriteOption,
) *WriteThroughCache[K, V] {
	w := newSourceWriter("WriteThrough", inner, writer, opts)
	if w.config.leaveCopy {
		panic("strategies: WriteThrough: WithCopyLeft is for WriteAround")
	}
	w.turns, w.keep = newKeyLocks[K](), true
	return &WriteThroughCache[K, V]{inner: inner, many: manyOf(inner), write: w}
}

// Get returns the value of key as the inner cache does.
func (c *WriteThroughCache[K, V]) Get(ctx context.Context, key K) (V, error) {
	return c.inner.Get(ctx, key)
}

// Set saves the value at the source and then in the cache. If it returns [tarn.ErrMaybeStale], the source has the
// value.
func (c *WriteThroughCache[K, V]) Set(ctx context.Context, key K, value V) error {
	return c.write.write(ctx, tarn.Op[K, V]{Key: key, Value: value})
}

// Delete removes key from the source and then from the cache, which remembers the absence if its policy says so.
func (c *WriteThroughCache[K, V]) Delete(ctx context.Context, key K) error {
	return c.write.write(ctx, tarn.Op[K, V]{Key: key, Delete: true})
}

// GetMany is Get for many keys; see [tarn.BatchCache]. Applications call [tarn.GetMany], which returns a map.
func (c *WriteThroughCache[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Result[V]) error {
	return c.many(ctx, keys, into)
}

// SetMany is Set for many keys; see [tarn.BatchCache]. Applications call [tarn.SetMany].
func (c *WriteThroughCache[K, V]) SetMany(ctx context.Context, keys []K, values []V) error {
	if err := sameLength(len(keys), len(values)); err != nil {
		return err
	}
	return c.write.writeMany(ctx, keys, func(i int) tarn.Op[K, V] { return tarn.Op[K, V]{Key: keys[i], Value: values[i]} })
}

// DeleteMany is Delete for many keys; see [tarn.BatchCache]. Applications call [tarn.DeleteMany].
func (c *WriteThroughCache[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	return c.write.writeMany(ctx, keys, func(i int) tarn.Op[K, V] { return tarn.Op[K, V]{Key: keys[i], Delete: true} })
}

// Close refuses writes from now on and closes the inner cache.
func (c *WriteThroughCache[K, V]) Close(ctx context.Context) error {
	c.write.closed.Store(true)
	return closeInner(ctx, c.inner)
}
