package features_test

import (
	"context"
	"errors"
	"testing"
	"time"

	gocache "github.com/go-redis/cache/v9"
	"github.com/maypok86/otter/v2"
	"github.com/viccon/sturdyc"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// source is what the caches are in front of. Every function may be called by any number of goroutines.
type source struct {
	load     func(ctx context.Context, key string) (string, error) // errAbsent: there is no such key
	loadMany func(ctx context.Context, keys []string) (map[string]string, error)
}

var (
	errAbsent = errors.New("absent")
	errDown   = errors.New("down")
)

// subject is a cache in front of a source, set up by its own documentation for what is tried.
type subject struct {
	get     func(ctx context.Context, key string) (string, error)
	getMany func(ctx context.Context, keys []string) (map[string]string, error) // nil: it has no loads of many keys
	drop    func(key string)
	close   func()
}

// lives are the times of an entry. With refresh above 0 a value that is older is to be replaced in the background, and
// served until life is over; with absent, that a key is absent is to be remembered.
type lives struct {
	refresh, life time.Duration
	absent        bool
}

// subjects makes the caches, by the names that the table's columns have.
var subjects = map[string]func(t testing.TB, src source, l lives) subject{
	"tarn":           newTarn,
	"otter":          newOtter,
	"sturdyc":        newSturdyc,
	"go-redis/cache": newGoRedisCache,
}

func newTarn(_ testing.TB, src source, l lives) subject {
	store := memory.New(memory.Options[string, string]{MaxEntries: 1000})
	policy := ttl.Policy{Fresh: l.life}
	if l.refresh > 0 {
		policy = ttl.Policy{Fresh: l.refresh, StaleWhileRevalidate: l.life - l.refresh, StaleIfError: l.life - l.refresh}
	}
	if l.absent {
		policy.Negative = l.life
	}
	load := tarn.LoadFunc(src.load, errAbsent)
	if src.loadMany != nil {
		load = tarn.LoadManyFunc(src.load, src.loadMany, errAbsent)
	}
	cache := strategies.ReadThrough(store, load, strategies.WithTTL(policy))
	return subject{
		get: cache.Get,
		getMany: func(ctx context.Context, keys []string) (map[string]string, error) {
			return tarn.GetMany(ctx, cache, keys)
		},
		drop: func(key string) { _ = cache.Delete(context.Background(), key) },
		close: func() {
			_ = cache.Close(context.Background())
			_ = store.Close()
		},
	}
}

// patient is otter's RefreshWriting, but for a source that failed, which is left alone for a while, as its documentation
// says a calculator may have it.
type patient struct {
	otter.RefreshCalculator[string, string]
}

func (patient) RefreshAfterReloadFailure(otter.Entry[string, string], error) time.Duration {
	return 5 * time.Second
}

func newOtter(t testing.TB, src source, l lives) subject {
	options := otter.Options[string, string]{
		MaximumSize:      1000,
		ExpiryCalculator: otter.ExpiryWriting[string, string](l.life),
		Logger:           &otter.NoopLogger{},
	}
	if l.refresh > 0 {
		options.RefreshCalculator = patient{otter.RefreshWriting[string, string](l.refresh)}
	}
	cache, err := otter.New(&options)
	if err != nil {
		t.Fatal(err)
	}
	loader := otter.LoaderFunc[string, string](func(ctx context.Context, key string) (string, error) {
		value, err := src.load(ctx, key)
		if errors.Is(err, errAbsent) {
			return "", otter.ErrNotFound
		}
		return value, err
	})
	return subject{
		get: func(ctx context.Context, key string) (string, error) { return cache.Get(ctx, key, loader) },
		getMany: func(ctx context.Context, keys []string) (map[string]string, error) {
			return cache.BulkGet(ctx, keys, otter.BulkLoaderFunc[string, string](src.loadMany))
		},
		drop:  func(key string) { cache.Invalidate(key) },
		close: func() { cache.StopAllGoroutines() },
	}
}

func newSturdyc(_ testing.TB, src source, l lives) subject {
	options := []sturdyc.Option{sturdyc.WithNoContinuousEvictions(), sturdyc.WithLog(&sturdyc.NoopLogger{})}
	if l.refresh > 0 {
		options = append(options, sturdyc.WithEarlyRefreshes(l.refresh, l.refresh, l.life, 5*time.Second))
	}
	if l.absent {
		options = append(options, sturdyc.WithMissingRecordStorage())
	}
	cache := sturdyc.New[string](1000, 1, l.life, 10, options...)
	return subject{
		get: func(ctx context.Context, key string) (string, error) {
			return cache.GetOrFetch(ctx, key, func(ctx context.Context) (string, error) {
				value, err := src.load(ctx, key)
				if errors.Is(err, errAbsent) {
					return "", sturdyc.ErrNotFound
				}
				return value, err
			})
		},
		getMany: func(ctx context.Context, keys []string) (map[string]string, error) {
			return cache.GetOrFetchBatch(ctx, keys, func(id string) string { return id }, src.loadMany)
		},
		drop:  cache.Delete,
		close: func() {},
	}
}

// newGoRedisCache makes one whose values are in the process alone; TestBehindRedis has it in front of Redis.
func newGoRedisCache(_ testing.TB, src source, l lives) subject {
	local := gocache.NewTinyLFU(1000, l.life)
	local.UseRandomizedTTL(0)
	return onGoRedisCache(gocache.New(&gocache.Options{LocalCache: local}), src, l)
}

func onGoRedisCache(cache *gocache.Cache, src source, l lives) subject {
	return subject{
		get: func(ctx context.Context, key string) (value string, err error) {
			err = cache.Once(&gocache.Item{
				Ctx: ctx, Key: key, Value: &value, TTL: l.life,
				Do: func(item *gocache.Item) (any, error) {
					value, err := src.load(item.Ctx, key)
					if errors.Is(err, errAbsent) && l.absent {
						return nil, nil // is stored as an empty value
					}
					return value, err
				},
			})
			return value, err
		},
		drop:  func(key string) { _ = cache.Delete(context.Background(), key) },
		close: func() {},
	}
}
