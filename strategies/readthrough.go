package strategies

import (
	"context"

	"github.com/tarncache/tarn"
)

// ReadThroughCache is a cache that fills itself from a source. Make one with [ReadThrough].
type ReadThroughCache[K comparable, V any] struct {
	reader *reader[K, V]
	loader tarn.Loader[K, V]
}

// ReadThrough returns a Cache that loads what it does not have: Get asks the store, and on a miss the loader, and
// keeps what the loader found. Choose it when all reads of a key go to one source; put a write strategy around it
// when the application also writes.
//
// Callers that miss a key at the same time share one load, unless a write came between them, so that the later one
// would be given too old a value: then it waits for the next load. A load runs on a goroutine of its own, and on a
// context that keeps the values of its first caller's but neither deadline nor cancellation; see [WithLoadTimeout]
// and [WithLoadContext]. Each caller leaves when its own context ends, and the last to leave cancels the load. A
// loader that panics or calls runtime.Goexit gives its callers a [*tarn.PanicError]; one that asks for its own key
// through this cache gets [tarn.ErrRecursive]; one that returns a value together with an error has failed.
//
// A loader that is a [tarn.BatchLoader] loads the misses of a batch with one call; one that is a
// [tarn.EntryLoader] chooses Fresh, Negative and Jitter of each value's policy.
//
// What was loaded is stored only if no write came between. Unless the store is both a [tarn.Leaser] and a [tarn.Holder],
// a table in this cache stands in: then the promise reaches as far as everybody goes through this one cache.
//
// If the store fails, the source answers; a store that is closed has not failed, and every call returns
// [tarn.ErrClosed]. ReadThrough panics if store or loader is nil, or if the policy is Sliding and the store no
// [tarn.Toucher], or if [WithRefreshGather] could have no effect. Close ends the loads; whoever made the store closes it, afterwards.
func ReadThrough[K comparable, V any](
	store tarn.Store[K, V], loader tarn.Loader[K, V], opts ...ReadOption,
) *ReadThroughCache[K, V] {
	if isNil(loader) {
		panic("strategies: ReadThrough: loader is nil")
	}
	r := newReader("ReadThrough", store, opts)
	if r.gathers = r.config.gather > 0; r.gathers {
		checkGather(&r.config, loader)
	}
	r.expects(loader)
	return &ReadThroughCache[K, V]{r, loader}
}

// Get returns the value of key from the store, or else from the source. It returns [tarn.ErrNotFound] if the source
// has no such key.
func (c *ReadThroughCache[K, V]) Get(ctx context.Context, key K) (V, error) {
	return c.reader.get(ctx, key, c.loader)
}

// Set stores a value in the cache alone; the source is not written. The value is as old as the caller made it. While
// another strategy writes the key's source, Set returns [tarn.ErrHeld].
func (c *ReadThroughCache[K, V]) Set(ctx context.Context, key K, value V) error {
	return c.reader.set(ctx, key, value, c.reader.config.policy, nil)
}

// Delete removes key from the cache alone: the next Get loads it. Call it after the source was written by other
// means. No load that runs meanwhile brings the old value back. If ctx is done nothing is deleted, so after a commit
// pass [context.WithoutCancel] of it.
func (c *ReadThroughCache[K, V]) Delete(ctx context.Context, key K) error {
	return c.reader.delete(ctx, key)
}

// GetMany is Get for many keys; see [tarn.BatchCache]. Applications call [tarn.GetMany], which returns a map. Keys
// that are being loaded already are waited for, not loaded again.
func (c *ReadThroughCache[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Result[V]) error {
	return c.reader.getMany(ctx, keys, into, c.loader)
}

// SetMany is Set for many keys; see [tarn.BatchCache]. Applications call [tarn.SetMany].
func (c *ReadThroughCache[K, V]) SetMany(ctx context.Context, keys []K, values []V) error {
	return c.reader.setMany(ctx, keys, values)
}

// DeleteMany is Delete for many keys; see [tarn.BatchCache]. Applications call [tarn.DeleteMany].
func (c *ReadThroughCache[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	return c.reader.deleteMany(ctx, keys)
}

// Hold holds keys while their source is written. Write strategies call it; see [tarn.Guarded].
func (c *ReadThroughCache[K, V]) Hold(ctx context.Context, keys []K) (tarn.Hold[V], error) {
	return c.reader.hold(ctx, keys)
}

// Close cancels the loads that run and waits for them, as long as ctx allows: a loader that ignores its context may
// outlast it, and then the error says so. Afterwards every call returns [tarn.ErrClosed].
func (c *ReadThroughCache[K, V]) Close(ctx context.Context) error { return c.reader.close(ctx) }
