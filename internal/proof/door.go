package proof

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal/bolt"
	"github.com/tarncache/tarn/ttl"
)

// door is a cache as an application uses it that reads and writes by one strategy.
type door interface {
	// read returns the values there are, and the keys that failed.
	read(ctx context.Context, keys []int64) (map[int64]Item, map[int64]error)
	// write makes changes, all of them values or all of them deletes, and returns an error for each.
	write(ctx context.Context, changes []Change) []error
	InvalidateTags(ctx context.Context, tags ...string) error
	Close(ctx context.Context) error
}

// openDoor makes a cache of a strategy on a store.
//
// With s.Tags its entries have tags: an absence too where the loader gives them, which it does for every other cache; for
// the rest an option makes them of values, and an absence is not remembered.
func openDoor(
	s *Setup, strategy string, store tarn.Store[int64, Item], src *source, o tarn.Observer, ofValues bool,
) (door, error) {
	opts := s.lives(s.Tags && ofValues)
	var writes []strategies.WriteOption
	if o != nil {
		opts = append(opts, strategies.WithObserver(o))
		writes = append(writes, strategies.WithObserver(o))
	}
	if s.HoldLife > 0 {
		opts = append(opts, strategies.WithHoldLife(s.HoldLife))
	}
	if s.LeaseWait > 0 {
		opts = append(opts, strategies.WithLeaseWait(s.LeaseWait))
	}
	if s.SettleTimeout > 0 {
		writes = append(writes, strategies.WithSettleTimeout(s.SettleTimeout))
	}
	load := src.loader()
	if s.Tags && !ofValues {
		load = src.taggedLoader()
	}
	switch strategy {
	case "look-aside":
		return &lookAside{strategies.LookAside(store, opts...), load, src}, nil
	case "read-through":
		return &readThrough{strategies.ReadThrough(store, load, opts...), src}, nil
	case "write-through":
		return &through{strategies.WriteThrough(strategies.ReadThrough(store, load, opts...), src.writer(), writes...)}, nil
	case "write-around":
		return &through{strategies.WriteAround(strategies.ReadThrough(store, load, opts...), src.writer(), writes...)}, nil
	case "write-back":
		return openWriteBack(s, strategies.ReadThrough(store, load, opts...), src, writes)
	}
	return nil, fmt.Errorf("proof: no such strategy: %q", strategy)
}

// lives are the options that say how long values are served, and how.
func (s *Setup) lives(tagged bool) []strategies.ReadOption {
	p := ttl.Policy{Fresh: s.Fresh, StaleWhileRevalidate: s.Fresh, Negative: s.Fresh}
	opts := []strategies.ReadOption{}
	if tagged {
		p.Negative = 0
		opts = append(opts, strategies.WithTags(func(key int64, _ Item) []string { return tagsOf(key) }))
	}
	if !s.Windows {
		return append(opts, strategies.WithTTL(p))
	}
	p.StaleIfError, p.Throttle = 100*s.Fresh, s.Fresh
	if p.RefreshAfter, p.Jitter = 0.5, 0.3; s.Early > 0 {
		p.RefreshAfter, p.EarlyRefresh = 0, s.Early
	}
	return append(opts, strategies.WithTTL(p), strategies.WithSoftTimeout(2*time.Millisecond),
		strategies.WithRefreshGather(time.Millisecond))
}

// openWriteBack makes a cache that writes back, with a journal if there is to be one.
func openWriteBack(
	s *Setup, inner tarn.Guarded[int64, Item], src *source, writes []strategies.WriteOption,
) (door, error) {
	config := strategies.WriteBackConfig[int64, Item]{
		MaxDelay: 2 * time.Millisecond, MinBackoff: time.Millisecond, SyncEvery: s.SyncEvery,
	}
	d := &journaled{}
	if s.Journal != "" {
		j, err := bolt.Open(s.Journal, bolt.Options{})
		if err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
		d.journal, config.Journal = j, j
	}
	back, err := strategies.WriteBack(inner, src.backWriter(), config, append(writes, strategies.WithSharedStore())...)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	d.through = through{back}
	return d, nil
}

// journaled is a door whose journal ends with it.
type journaled struct {
	through
	journal *bolt.Journal // nil: there is none
}

func (j *journaled) Close(ctx context.Context) error {
	return errors.Join(j.through.Close(ctx), j.close())
}

func (j *journaled) close() error {
	if j.journal == nil {
		return nil
	}
	return j.journal.Close()
}

// errorsOf returns the error of each key, where err is what a batch returned.
func errorsOf(keys []int64, err error) []error {
	errs := make([]error, len(keys))
	var batch *tarn.BatchError[int64]
	if !errors.As(err, &batch) {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	failed := make(map[int64]error, len(batch.Failed))
	for _, f := range batch.Failed {
		failed[f.Key] = f.Err
	}
	for i, key := range keys {
		errs[i] = failed[key]
	}
	return errs
}

// found makes maps of what a read of keys returned.
func found(keys []int64, items map[int64]Item, err error) (map[int64]Item, map[int64]error) {
	if err == nil {
		return items, nil
	}
	failed := make(map[int64]error)
	for i, err := range errorsOf(keys, err) {
		if err != nil {
			failed[keys[i]] = err
		}
	}
	return items, failed
}

// one makes maps of what a read of one key returned.
func one(key int64, item Item, err error) (map[int64]Item, map[int64]error) {
	switch {
	case errors.Is(err, tarn.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, map[int64]error{key: err}
	}
	return map[int64]Item{key: item}, nil
}

func keysOfChanges(changes []Change) []int64 {
	keys := make([]int64, len(changes))
	for i, c := range changes {
		keys[i] = c.Key
	}
	return keys
}

// readCache reads from a cache that loads by itself.
func readCache(ctx context.Context, c tarn.Cache[int64, Item], keys []int64) (map[int64]Item, map[int64]error) {
	if len(keys) == 1 {
		item, err := c.Get(ctx, keys[0])
		return one(keys[0], item, err)
	}
	items, err := tarn.GetMany(ctx, c, keys)
	return found(keys, items, err)
}

// through is a strategy that writes the source by itself.
type through struct{ tarn.Cache[int64, Item] }

func (t *through) read(ctx context.Context, keys []int64) (map[int64]Item, map[int64]error) {
	return readCache(ctx, t.Cache, keys)
}

func (t *through) write(ctx context.Context, changes []Change) []error {
	keys := keysOfChanges(changes)
	first := changes[0]
	switch {
	case first.Deleted && len(changes) == 1:
		return []error{t.Delete(withDeletes(ctx, changes), first.Key)}
	case first.Deleted:
		return errorsOf(keys, tarn.DeleteMany(withDeletes(ctx, changes), t.Cache, keys))
	case len(changes) == 1:
		return []error{t.Set(ctx, first.Key, Item{Key: first.Key, Op: first.Op})}
	}
	items := make(map[int64]Item, len(changes))
	for _, c := range changes {
		items[c.Key] = Item{Key: c.Key, Op: c.Op}
	}
	return errorsOf(keys, tarn.SetMany(ctx, t.Cache, items))
}

func (t *through) InvalidateTags(ctx context.Context, tags ...string) error {
	return invalidateTags(ctx, t.Cache, tags)
}

func (t *through) Close(ctx context.Context) error {
	return t.Cache.(interface{ Close(context.Context) error }).Close(ctx)
}

// lookAside is an application that fetches, and writes values inside Update; it deletes first at the source and then
// in the cache.
type lookAside struct {
	cache *strategies.LookAsideCache[int64, Item]
	load  tarn.Loader[int64, Item]
	src   *source
}

func (l *lookAside) read(ctx context.Context, keys []int64) (map[int64]Item, map[int64]error) {
	if len(keys) == 1 {
		item, err := l.cache.Fetch(ctx, keys[0], l.load)
		return one(keys[0], item, err)
	}
	items, err := l.cache.FetchMany(ctx, keys, l.load)
	return found(keys, items, err)
}

func (l *lookAside) write(ctx context.Context, changes []Change) []error {
	keys := keysOfChanges(changes)
	if changes[0].Deleted {
		return writeAndDelete(ctx, l.src, l.cache, changes)
	}
	err := l.cache.Update(ctx, keys, func(ctx context.Context) error { return l.src.write(ctx, changes) })
	var ie tarn.IndexError
	errs := make([]error, len(keys))
	for i := range errs {
		errs[i] = err
		if errors.As(err, &ie) {
			errs[i] = tarn.ErrAt(err, i, len(keys))
		}
	}
	return errs
}

func (l *lookAside) InvalidateTags(ctx context.Context, tags ...string) error {
	return invalidateTags(ctx, l.cache, tags)
}

func (l *lookAside) Close(ctx context.Context) error { return l.cache.Close(ctx) }

// readThrough is an application that reads through the cache, and writes the source by itself before it deletes the
// keys from the cache.
type readThrough struct {
	cache *strategies.ReadThroughCache[int64, Item]
	src   *source
}

func (r *readThrough) read(ctx context.Context, keys []int64) (map[int64]Item, map[int64]error) {
	return readCache(ctx, r.cache, keys)
}

func (r *readThrough) write(ctx context.Context, changes []Change) []error {
	return writeAndDelete(ctx, r.src, r.cache, changes)
}

func (r *readThrough) InvalidateTags(ctx context.Context, tags ...string) error {
	return invalidateTags(ctx, r.cache, tags)
}

func (r *readThrough) Close(ctx context.Context) error { return r.cache.Close(ctx) }

func invalidateTags(ctx context.Context, c any, tags []string) error {
	invalidator, ok := tarn.As[tarn.TagInvalidator](c)
	if !ok {
		return errors.ErrUnsupported
	}
	return invalidator.InvalidateTags(ctx, tags...)
}

// writeAndDelete is what an application does that holds nothing.
func writeAndDelete(ctx context.Context, src *source, c tarn.Cache[int64, Item], changes []Change) []error {
	keys := keysOfChanges(changes)
	if err := src.write(ctx, changes); err != nil {
		return errorsOf(keys, err)
	}
	var errs []error
	if len(keys) == 1 {
		errs = []error{c.Delete(context.WithoutCancel(ctx), keys[0])}
	} else {
		errs = errorsOf(keys, tarn.DeleteMany(context.WithoutCancel(ctx), c, keys))
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("%s%w", cacheAlone, err)
		}
	}
	return errs
}

// cacheAlone begins the error of a call that asks the cache for no more than to forget: the source was written before.
const cacheAlone = "the cache alone: "
