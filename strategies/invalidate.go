package strategies

import (
	"context"

	"github.com/tarncache/tarn"
)

// Invalidate forgets the cached copies of keys, and writes nothing: the next Get of each loads it. Call it after the source
// was written by others. No load that runs meanwhile brings an old value back, and what is being written meanwhile is not
// cached. No keys are no error. Where some failed, the error is a [tarn.BatchError].
//
// If ctx is done nothing is invalidated, so after a commit pass [context.WithoutCancel] of it.
func (c *WriteThroughCache[K, V]) Invalidate(ctx context.Context, keys ...K) error {
	return c.write.invalidate(ctx, keys)
}

// Invalidate forgets the cached copies of keys, and writes nothing: see [WriteThroughCache.Invalidate].
func (c *WriteAroundCache[K, V]) Invalidate(ctx context.Context, keys ...K) error {
	return c.write.invalidate(ctx, keys)
}

// Invalidate forgets the cached copies of keys, and writes nothing: see [WriteThroughCache.Invalidate]. What is pending
// stays, and is read as before: it is what the source will have.
func (c *WriteBackCache[K, V]) Invalidate(ctx context.Context, keys ...K) error {
	if c.closed.Load() {
		return tarn.ErrClosed
	}
	return tarn.DeleteMany(ctx, c.inner, keys)
}

func (w *sourceWriter[K, V]) invalidate(ctx context.Context, keys []K) error {
	if w.closed.Load() {
		return tarn.ErrClosed
	}
	return tarn.DeleteMany(ctx, w.inner, keys) // of a cache that reads, which has no source to delete from
}
