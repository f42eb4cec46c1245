package strategies

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// LookAsideCache is a cache that the application fills. Make one with [LookAside].
type LookAsideCache[K comparable, V any] struct {
	reader *reader[K, V]
	adder  tarn.Adder[K, V]    // nil: the store has none
	touch  tarn.Toucher[K, V]  // nil: the store has none
	change tarn.Computer[K, V] // nil: the store has none
}

// LookAside returns a Cache that the application fills: it asks the cache, on a miss reads its source, and stores
// what it found. [LookAsideCache.Fetch] does the three in one call, and is the only one of these ways that a
// concurrent write cannot make stale. Choose it when different callers load a key in different ways, or when a write is a
// transaction over many keys.
//
// Writes go to the source inside [LookAsideCache.Update]; or the application writes the source by itself and then
// Deletes the key.
//
// Unless the store is both a [tarn.Leaser] and a [tarn.Holder], a table in this cache stands in: then what is promised
// of concurrent writes reaches as far as everybody goes through this one cache.
//
// LookAside panics if store is nil, or if the policy is Sliding and the store no [tarn.Toucher]. Close ends the
// loads; whoever made the store closes it, afterwards.
func LookAside[K comparable, V any](store tarn.Store[K, V], opts ...ReadOption) *LookAsideCache[K, V] {
	c := &LookAsideCache[K, V]{reader: newReader("LookAside", store, opts)}
	c.adder, _ = tarn.As[tarn.Adder[K, V]](c.reader.store)
	c.touch, _ = tarn.As[tarn.Toucher[K, V]](c.reader.store)
	c.change, _ = tarn.As[tarn.Computer[K, V]](c.reader.store)
	return c
}

// Get returns the value of key, or [tarn.ErrNotFound] if the cache does not have it, or remembers that Fetch found the
// source without it. A failing store is another error.
func (c *LookAsideCache[K, V]) Get(ctx context.Context, key K) (V, error) {
	return c.reader.get(ctx, key, nil)
}

// Set stores a value, which is as old as the caller made it: a value read from the source before another's write
// and set after it is stale. Fetch avoids that. While the key's source is being written, Set returns
// [tarn.ErrHeld].
func (c *LookAsideCache[K, V]) Set(ctx context.Context, key K, value V) error {
	return c.reader.set(ctx, key, value, c.reader.config.policy, nil)
}

// SetFor is Set with a policy for this value, and with tags by which InvalidateTags forgets it, beside those of
// [WithTags]. The policy's Fresh, Sliding, Jitter and windows set the deadlines; what happens on later reads of a stale
// value remains as the cache's own policy says. A policy that makes no sense, and bad tags (see [tarn.ErrTags]), are an
// error, and so are tags on a store that is no [tarn.Tagger]; then nothing is changed. A reload by a Fetch replaces the
// tags with those of what it loads: give these by the loader, or by WithTags, if they are to last.
func (c *LookAsideCache[K, V]) SetFor(ctx context.Context, key K, value V, policy ttl.Policy, tags ...string) error {
	if err := policy.Validate(); err != nil {
		return fmt.Errorf("tarn: set: %w", err)
	}
	return c.reader.set(ctx, key, value, policy, tags)
}

// Add stores a value if the cache has none under key and nobody is writing the key's source, and reports whether it
// did. A remembered absence counts as a value. If the store cannot add, the error is [errors.ErrUnsupported].
func (c *LookAsideCache[K, V]) Add(ctx context.Context, key K, value V) (bool, error) {
	if err := c.reader.writable(ctx, "add", c.adder != nil); err != nil {
		return false, err
	}
	e, err := c.reader.own(key, c.reader.positive(value, c.reader.config.policy))
	if err != nil {
		return false, during("add", err)
	}
	added, err := c.adder.Add(ctx, key, e)
	return added, during("add", err)
}

// Touch gives what is stored under key a new life, as if it were set now, and reports whether there was anything. On a
// store that is no [tarn.Computer] it moves the end alone, with a value's life for a remembered absence too. If the
// store is no [tarn.Toucher] either, the error is [errors.ErrUnsupported].
func (c *LookAsideCache[K, V]) Touch(ctx context.Context, key K) (bool, error) {
	if err := c.reader.writable(ctx, "touch", c.touch != nil || c.change != nil); err != nil {
		return false, err
	}
	if c.change == nil {
		var none V
		touched, err := c.touch.Touch(ctx, key, c.reader.positive(none, c.reader.config.policy).Expires)
		return touched, during("touch", err)
	}
	_, touched, err := c.change.Compute(ctx, key, c.renew)
	if errors.Is(err, tarn.ErrHeld) {
		return false, nil
	}
	return touched, during("touch", err)
}

// renew gives an entry the deadlines of one that is set now; its tags stay. An absence that would not be remembered stays
// as it is.
func (c *LookAsideCache[K, V]) renew(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp) {
	policy := c.reader.config.policy
	switch {
	case !found:
		return old, tarn.ComputeKeep
	case !old.Negative:
		e := c.reader.positive(old.Value, policy)
		e.Tags = old.Tags
		return e, tarn.ComputeStore
	}
	if e, ok := c.reader.negative(policy); ok {
		e.Tags = old.Tags
		return e, tarn.ComputeStore
	}
	return old, tarn.ComputeKeep
}

// Delete removes key from the cache. Call it after the source was written by other means than Update. No Fetch that
// runs meanwhile brings the old value back. If ctx is done nothing is deleted, so after a commit pass
// [context.WithoutCancel] of it, or use Update, which finishes what it began.
func (c *LookAsideCache[K, V]) Delete(ctx context.Context, key K) error {
	return c.reader.delete(ctx, key)
}

// Fetch returns the value of key from the cache, or else loads it with loader and stores it, unless a write came
// between. Callers share loads as with [ReadThrough]: of those that share one, the first one's loader runs.
func (c *LookAsideCache[K, V]) Fetch(ctx context.Context, key K, loader tarn.Loader[K, V]) (V, error) {
	if loader == nil {
		var zero V
		return zero, errNoLoader
	}
	return c.reader.get(ctx, key, loader)
}

// FetchMany is Fetch for many keys. A key that the source does not have is not in the map. Where some keys failed,
// the map holds the others and the error is a [*tarn.BatchError].
func (c *LookAsideCache[K, V]) FetchMany(ctx context.Context, keys []K, loader tarn.Loader[K, V]) (map[K]V, error) {
	if loader == nil {
		return nil, errNoLoader
	}
	return tarn.GetMany(ctx, fetcher[K, V]{c, loader}, keys)
}

// Update runs write, which writes the source of the keys, in a transaction if need be. From before write begins
// until Update returns, readers of the keys go to the source and store nothing; afterwards the cache has forgotten
// the keys, whether write failed or not. Update returns the error of write as it is. If write succeeded, but the cache
// could not be told, it returns [tarn.ErrMaybeStale].
//
// Updates of one key do not queue. More than a store keeps apart at a time (1024 in memory) are refused with
// [tarn.ErrTooManyHolds]. The cache is told within 5 seconds, also if ctx has ended.
//
// A key that gets its id from the database cannot be named before: create it, then Delete the key, which clears a
// remembered absence.
func (c *LookAsideCache[K, V]) Update(ctx context.Context, keys []K, write func(ctx context.Context) error) error {
	if write == nil {
		return errNoWrite
	}
	if err := c.reader.writable(ctx, "update", true); err != nil {
		return err
	}
	which := last(keys)
	distinct := make([]K, len(which))
	for i, at := range which {
		distinct[i] = keys[at]
	}
	config := &c.reader.config.common
	return underHold(storingNothing(ctx), config, defaultSettleTimeout, tarn.Guarded[K, V](c), distinct,
		func([]tarn.Outcome[V]) error { return write(ctx) })
}

// GetMany is Get for many keys; see [tarn.BatchCache]. Applications call [tarn.GetMany], which returns a map.
func (c *LookAsideCache[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Result[V]) error {
	return c.reader.getMany(ctx, keys, into, nil)
}

// SetMany is Set for many keys; see [tarn.BatchCache]. Applications call [tarn.SetMany].
func (c *LookAsideCache[K, V]) SetMany(ctx context.Context, keys []K, values []V) error {
	return c.reader.setMany(ctx, keys, values)
}

// DeleteMany is Delete for many keys; see [tarn.BatchCache]. Applications call [tarn.DeleteMany].
func (c *LookAsideCache[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	return c.reader.deleteMany(ctx, keys)
}

// Hold holds keys while their source is written. Write strategies call it; see [tarn.Guarded].
func (c *LookAsideCache[K, V]) Hold(ctx context.Context, keys []K) (tarn.Hold[V], error) {
	return c.reader.hold(ctx, keys)
}

// Close cancels the loads that run and waits for them, as long as ctx allows: a loader that ignores its context may
// outlast it, and then the error says so. Afterwards every call returns [tarn.ErrClosed].
func (c *LookAsideCache[K, V]) Close(ctx context.Context) error { return c.reader.close(ctx) }

var (
	errNoLoader = errors.New("tarn: fetch: loader is nil")
	errNoWrite  = errors.New("tarn: update: write is nil")
)

// fetcher is a LookAsideCache with a loader, for tarn.GetMany.
type fetcher[K comparable, V any] struct {
	*LookAsideCache[K, V]
	loader tarn.Loader[K, V]
}

func (f fetcher[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Result[V]) error {
	return f.reader.getMany(ctx, keys, into, f.loader)
}
