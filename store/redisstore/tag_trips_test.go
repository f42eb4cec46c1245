package redisstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// TestTripsOfTags counts how often a caller of ReadThrough waits for Redis. What has tags costs one round trip more at
// most, on one server and on what says that it is a cluster, and nothing where there are no tags.
func TestTripsOfTags(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for n, client := range []redisstore.Client{scanning{server.Client()}, sharded{scanning{server.Client()}}} {
		t.Run([]string{"one server", "sharded"}[n], func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			c := &counting{Client: client}
			cfg := redisstore.Config[string, string]{Namespace: unique()}
			s, other := redisstore.New(c, cfg), redisstore.New(client, cfg)
			require.NoError(t, s.Clear(ctx)) // the script is there, and the records
			var names []string
			var failure error
			load := tarn.LoadEntryFunc(func(context.Context, string) (tarn.Loaded[string], error) {
				return tarn.Loaded[string]{Value: "v", Tags: names}, failure
			})
			cache := strategies.ReadThrough[string, string](s, load, strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleIfError: time.Minute}))
			get := func(key string) func() error {
				return func() error { _, err := cache.Get(ctx, key); return err }
			}
			stale := func(key string) {
				now := s.Clock().Now()
				e := tarn.Entry[string]{Fresh: now - 1, Expires: now.Add(time.Minute)}
				if names != nil {
					e.Tags = tags(0, names...)
				}
				require.NoError(t, s.Set(ctx, key, e))
			}
			invalidate := func(tags ...string) func() { return func() { require.NoError(t, other.InvalidateTags(ctx, tags...)) } }
			nothing := func() {}
			for _, step := range []struct {
				what  string
				tags  []string
				trips [2]int // on one server, and on a cluster
				begin func()
				do    func() error
			}{
				{"a miss without tags", nil, [2]int{3, 3}, nothing, get("k")},
				{"a hit without tags", nil, [2]int{1, 1}, nothing, get("k")},
				{"the first miss of a partition", []string{"a"}, [2]int{3, 5}, nothing, get("a")},
				{"a miss", []string{"a"}, [2]int{3, 3}, nothing, get("a 2")},
				{"a hit", nil, [2]int{2, 2}, nothing, get("a")},
				{"after an invalidation", []string{"a"}, [2]int{4, 4}, invalidate("a"), get("a")},
				{"and then", nil, [2]int{2, 2}, nothing, get("a")},
				{"what has no value any more", []string{"a"}, [2]int{4, 4}, invalidate("a"), func() error {
					failure = tarn.ErrNotFound
					defer func() { failure = nil }()
					if err := get("a")(); !errors.Is(err, tarn.ErrNotFound) {
						return errors.New("it is there")
					}
					return nil
				}},
				{"after an invalidation of one of two", []string{"a", "b"}, [2]int{4, 4}, func() {
					require.NoError(t, get("b")())
					invalidate("b")()
				}, get("b")},
				{"what is stale, without tags", nil, [2]int{3, 3}, func() { stale("stale") }, get("stale")},
				{"what is stale, which the lease looks at once more", []string{"a"}, [2]int{5, 5}, func() { stale("stale a") }, get("stale a")},
			} {
				names = step.tags
				step.begin()
				before := c.calls
				require.NoError(t, step.do(), step.what)
				require.Equal(t, step.trips[n], c.calls-before, step.what)
			}
		})
	}
}
