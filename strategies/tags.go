package strategies

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/tarncache/tarn"
)

// WithTags chooses the tags of values, by which InvalidateTags forgets them: of what was loaded, of what Set, SetFor and
// Add bring, and of what a write strategy around the cache has written. It needs a store that is a [tarn.Tagger]. f may be
// called by any number of goroutines; it is quick, and what it returns may be kept. A value for which it returns bad tags
// (see [tarn.ErrTags]) is given to the callers and not stored; the observer is told of an [tarn.EventFillDropped] with
// that error, and Set, SetFor and Add return it.
//
// A [tarn.EntryLoader], or a [tarn.BatchLoader] of your own, can give tags too, and what was loaded has both. What was
// written over such a loader is forgotten rather than stored, since nobody knows which tags it would have been given,
// unless the loader is [tarn.Untagged]. Where each Fetch brings a loader, that begins with the first one that may give tags;
// and with the first SetFor that gives some.
//
// An absence has the tags that the loader gives it, and none of these. WithTags panics if f is nil, and the strategy's
// constructor if f is for other types, or the store no [tarn.Tagger].
func WithTags[K comparable, V any](f func(key K, value V) []string) ReadOption {
	if f == nil {
		panic("strategies: WithTags: f is nil")
	}
	return readOption(func(c *readConfig) { c.tags = f })
}

// tagOf returns the function of WithTags, nil if there is none.
func tagOf[K comparable, V any](name string, c *readConfig, store tarn.Tagger) func(K, V) []string {
	if c.tags == nil {
		return nil
	}
	f, ok := c.tags.(func(K, V) []string)
	if !ok {
		panic(fmt.Sprintf("strategies: %s: WithTags is given a %T, and the cache needs a %v",
			name, c.tags, reflect.TypeFor[func(K, V) []string]()))
	}
	if store == nil {
		panic(fmt.Sprintf("strategies: %s: WithTags needs a store that implements tarn.Tagger", name))
	}
	return f
}

// mayTag reports whether a loader may give tags.
func mayTag[K comparable, V any](loader tarn.Loader[K, V]) bool {
	if u, ok := tarn.As[tarn.Untagged](loader); ok && u.Untagged() {
		return false
	}
	if _, ok := tarn.As[tarn.EntryLoader[K, V]](loader); ok {
		return true
	}
	_, ok := tarn.As[tarn.BatchLoader[K, V]](loader)
	return ok
}

// expects reports whether what is loaded may have tags, and so has to be stamped with a moment before.
func (r *reader[K, V]) expects(loader tarn.Loader[K, V]) bool {
	if r.tagger == nil {
		return false
	}
	if !r.foreignTags.Load() && mayTag(loader) {
		r.foreignTags.Store(true)
	}
	return r.tags != nil || mayTag(loader)
}

// addTags gives what was loaded the tags of WithTags, too.
func (l *load[K, V]) addTags(fs []*flight[K, V], into []tarn.Loaded[V]) {
	tags := l.reader.tags
	if tags == nil {
		return
	}
	for i, f := range fs {
		if res := &into[i]; res.Err == nil {
			res.Tags = append(slices.Clip(res.Tags), tags(f.key, res.Value)...)
		}
	}
}

// tagged gives an entry tags. With a zero stamp the store takes its own.
func (r *reader[K, V]) tagged(e *tarn.Entry[V], stamp tarn.Stamp, names []string) (err error) {
	if len(names) == 0 {
		return nil
	}
	if r.tagger == nil {
		return fmt.Errorf("%w: the store keeps none", tarn.ErrTags)
	}
	e.Tags, err = tarn.NewTags(stamp, names...)
	return err
}

// own is the entry of a value that the application brought.
func (r *reader[K, V]) own(key K, e tarn.Entry[V], tags ...string) (tarn.Entry[V], error) {
	if len(tags) > 0 && !r.foreignTags.Load() {
		r.foreignTags.Store(true)
	}
	if r.tags != nil {
		tags = append(slices.Clip(tags), r.tags(key, e.Value)...)
	}
	return e, r.tagged(&e, 0, tags)
}

// stamp returns the present moment of the store, or zero if it cannot be had: then what has tags is not stored.
func (r *reader[K, V]) stamp(ctx context.Context, keys ...K) tarn.Stamp {
	stamp, err := r.tagger.Stamp(ctx)
	if err != nil {
		r.storeFailed(ctx, err, keys...)
		return 0
	}
	return stamp
}

// stampAll stamps flights that take no leases.
func (l *load[K, V]) stampAll(fs []*flight[K, V]) {
	if !l.stamps {
		return
	}
	stamp := l.reader.stamp(l.ctx)
	l.reader.flights.mu.Lock()
	defer l.reader.flights.mu.Unlock()
	for _, f := range fs {
		f.stamp = stamp
	}
}

// untouched reports whether no tag was invalidated since a flight looked at its key. While its lease stands, its key has
// not changed; but what it loads may have a tag that was invalidated, which no lease says, and then it may be older than
// a caller who came afterwards is to get:
//
//	first caller         another                     second caller
//	look: miss, stamp 7
//	load: old value
//	                     write the source
//	                     invalidate a tag: 8
//	                                                 Get begins: miss
//	                                                 share the load: old value
//
// now is the store's moment since the caller began, zero if it is not known. It is asked of a flight that mayBeTagged.
func (r *reader[K, V]) untouched(f *flight[K, V], now tarn.Stamp) bool {
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	return now != 0 && f.stamp == now && r.repairs.tags.Load() == nil
}

// mayBeTagged reports whether an invalidation of tags may concern what a flight brings, which has looked at its key: if
// what is loaded may have tags, or the entry had some that was there. Whoever invalidates one of those does not want what
// was loaded before, whatever tags that has.
func (r *reader[K, V]) mayBeTagged(f *flight[K, V]) bool {
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	return f.mayBeTagged()
}

// mayBeTagged is the reader's. The caller holds flights.mu.
func (f *flight[K, V]) mayBeTagged() bool { return f.load.stamps || f.over != nil }

// askTags takes back for a batch what the store has said of leases that stand, where a tag was invalidated.
func (r *reader[K, V]) askTags(ctx context.Context, seats []*flight[K, V], asked []int, stands []bool) {
	var now tarn.Stamp
	for n, i := range asked {
		if f := seats[i]; stands[n] && r.mayBeTagged(f) {
			if now == 0 {
				now = r.stamp(ctx, f.key)
			}
			stands[n] = r.untouched(f, now)
		}
	}
}

// invalidateTags invalidates tags, or remembers that they are to be.
func (r *reader[K, V]) invalidateTags(ctx context.Context, tags []string) error {
	const op = "invalidate tags"
	if err := r.writable(ctx, op, r.tagger != nil); err != nil {
		return err
	}
	if err := tarn.CheckTags(tags...); err != nil {
		return during(op, err)
	}
	last := r.repairs.number()
	err := r.tagger.InvalidateTags(ctx, tags...)
	switch {
	case err == nil:
		r.tagsRepaired(tags, last)
	case !errors.Is(err, tarn.ErrTags) && !tarn.IsPermanent(err):
		r.tagsBroke(err, tags)
	}
	return during(op, err)
}

// InvalidateTags forgets every value, and every absence, that has one of the tags, at a cost that depends on the number of
// tags alone: the next Get of each loads it. Call it after the source was written. No load that runs meanwhile brings an
// old value back. If the store fails, the cache returns the error, and goes around the store for whatever has one of the
// tags until it could be told, as it does for a key that could not be deleted. Bad tags, and none at all, are
// [tarn.ErrTags]; if the store is no [tarn.Tagger], the error is [errors.ErrUnsupported].
//
// If ctx is done nothing is invalidated, so after a commit pass [context.WithoutCancel] of it.
func (c *ReadThroughCache[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	return c.reader.invalidateTags(ctx, tags)
}

// InvalidateTags forgets every value, and every absence, that has one of the tags, at a cost that depends on the number of
// tags alone. Call it after the source was written. No Fetch that runs meanwhile brings an old value back. If the store
// fails, the cache returns the error, and goes around the store for whatever has one of the tags until it could be told, as
// it does for a key that could not be deleted. Bad tags, and none at all, are [tarn.ErrTags]; if the store is no
// [tarn.Tagger], the error is [errors.ErrUnsupported].
//
// If ctx is done nothing is invalidated, so after a commit pass [context.WithoutCancel] of it.
func (c *LookAsideCache[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	return c.reader.invalidateTags(ctx, tags)
}

// InvalidateTags invalidates tags in the inner cache; see [ReadThroughCache.InvalidateTags]. What is being written
// meanwhile is not cached if it has one of them. If the inner cache cannot, the error is [errors.ErrUnsupported].
func (c *WriteThroughCache[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	return c.write.invalidateTags(ctx, tags)
}

// InvalidateTags invalidates tags in the inner cache; see [ReadThroughCache.InvalidateTags]. If that cannot, the error is
// [errors.ErrUnsupported].
func (c *WriteAroundCache[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	return c.write.invalidateTags(ctx, tags)
}

// InvalidateTags invalidates tags in the inner cache; see [ReadThroughCache.InvalidateTags]. What is pending stays, and is
// read as before: it is what the source will have. If the inner cache cannot, the error is [errors.ErrUnsupported].
func (c *WriteBackCache[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	if c.closed.Load() {
		return tarn.ErrClosed
	}
	return invalidateTags(ctx, c.inner, tags)
}

func (w *sourceWriter[K, V]) invalidateTags(ctx context.Context, tags []string) error {
	if w.closed.Load() {
		return tarn.ErrClosed
	}
	return invalidateTags(ctx, w.inner, tags)
}

// invalidateTags invalidates tags in a cache.
func invalidateTags(ctx context.Context, inner any, tags []string) error {
	invalidator, ok := tarn.As[tarn.TagInvalidator](inner)
	if !ok {
		return fmt.Errorf("tarn: invalidate tags: the inner cache cannot: %w", errors.ErrUnsupported)
	}
	return invalidator.InvalidateTags(ctx, tags...)
}
