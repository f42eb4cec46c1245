package strategies_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// fetches are the ways to fetch the value of a key.
var fetches = map[string]func(context.Context, *strategies.LookAsideCache[string, int], tarn.Loader[string, int]) (int, error){
	"Fetch": func(ctx context.Context, c *strategies.LookAsideCache[string, int], l tarn.Loader[string, int]) (int, error) {
		return c.Fetch(ctx, "a", l)
	},
	"FetchMany": func(ctx context.Context, c *strategies.LookAsideCache[string, int], l tarn.Loader[string, int]) (int, error) {
		many, err := c.FetchMany(ctx, []string{"a"}, l)
		return many["a"], err
	},
}

// What is loaded in the place of an entry with tags is neither kept nor shared with who comes after one of them was
// invalidated, although it has none itself.
func TestReloadAcrossAnInvalidation(t *testing.T) {
	life := ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}
	for name, fetch := range fetches {
		t.Run(name, func(t *testing.T) {
			onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1})
				c := strategies.LookAside(stores[0], policy(life))
				require.NoError(t, c.SetFor(t.Context(), "a", 1, life, "x"))
				time.Sleep(time.Minute)
				src.set(nil, takes(10*time.Second))
				v, err := fetch(t.Context(), c, src)
				require.NoError(t, err)
				require.Equal(t, 1, v, "the old value, which is being reloaded")
				synctest.Wait()
				require.Equal(t, 1, src.loaded())

				require.NoError(t, src.Save(t.Context(), "a", 2))
				require.NoError(t, c.InvalidateTags(t.Context(), "x"))
				for range 3 {
					v, err = fetch(t.Context(), c, src)
					require.NoError(t, err)
					require.Equal(t, 2, v, "who comes after the invalidation does not get what was read before it")
				}
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// The store is asked about a load that may be shared, and not where its answer could not make any difference.
func TestTripsToShareALoad(t *testing.T) {
	life := ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour}
	for _, tt := range []struct {
		rule           string
		tags           []string // of the entry that is replaced
		loader         func(*source) tarn.Loader[string, int]
		stands, stamps int
	}{
		{"no tags: whether its lease stands", nil, func(s *source) tarn.Loader[string, int] { return s }, 1, 0},
		{"what is loaded may have some: whether one was invalidated, too", nil, byLoader, 1, 1},
		{"the entry has some, and the load has no moment to compare with", []string{"x"},
			func(s *source) tarn.Loader[string, int] { return s }, 0, 0},
	} {
		for name, fetch := range fetches {
			t.Run(tt.rule+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					src, store := newSource(map[string]int{"a": 1}), newTamper(t)
					c := strategies.LookAside(store, policy(life))
					require.NoError(t, c.SetFor(t.Context(), "a", 0, life, tt.tags...))
					time.Sleep(time.Minute)
					src.set(nil, takes(10*time.Second))
					first := calls(func() (int, error) { return fetch(t.Context(), c, tt.loader(src)) })
					synctest.Wait()
					second := calls(func() (int, error) { return fetch(t.Context(), c, tt.loader(src)) })
					hasValue(t, 1, <-first)
					hasValue(t, 1, <-second)
					require.Equal(t, 1, src.loaded(), "who may not share a load finds what it has stored")
					require.Equal(t, tt.stands, store.called("stands"))
					require.Equal(t, tt.stamps, store.called("stamp"))
					require.NoError(t, c.Close(t.Context()))
				})
			})
		}
	}
}

// What was written in the place of a value to which SetFor gave tags has tags that nobody knows, and is forgotten.
func TestWriteOverTagsOfSetFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newMemory[string, int](t)
		in := strategies.LookAside(tarn.Store[string, int](mem))
		c := strategies.WriteThrough(in, newTable(map[string]int{}))
		require.NoError(t, c.Set(t.Context(), "a", 1))
		require.Equal(t, 1, count(t, mem), "while nobody gives tags, what was written is stored")
		require.NoError(t, in.SetFor(t.Context(), "a", 2, ttl.Policy{}, "x"))
		require.NoError(t, c.Set(t.Context(), "a", 3))
		require.Zero(t, count(t, mem))
	})
}

// A write asks for the store's moment only where something that may have tags is stored afterwards.
func TestWritesThatStoreNothingAskForNoMoment(t *testing.T) {
	type batches interface {
		tarn.Cache[string, int]
		tarn.BatchCache[string, int]
	}
	tagged := strategies.WithTags(byValue)
	read := func(s tarn.Store[string, int], l tarn.Loader[string, int]) *strategies.ReadThroughCache[string, int] {
		return strategies.ReadThrough(s, l, tagged)
	}
	through := func(s tarn.Store[string, int], src *table) batches {
		return strategies.WriteThrough(read(s, src.source), batchTable{src})
	}
	around := func(s tarn.Store[string, int], src *table) batches {
		return strategies.WriteAround(read(s, src.source), batchTable{src})
	}
	set := func(ctx context.Context, c batches) error { return c.Set(ctx, "a", 1) }
	setMany := func(ctx context.Context, c batches) error {
		return c.SetMany(ctx, []string{"a", "b"}, []int{1, 2})
	}
	remove := func(ctx context.Context, c batches) error { return c.Delete(ctx, "a") }
	removeMany := func(ctx context.Context, c batches) error {
		return c.DeleteMany(ctx, []string{"a", "b"})
	}
	update := func(ctx context.Context, c batches) error {
		return c.(*strategies.LookAsideCache[string, int]).Update(ctx, []string{"a"}, func(context.Context) error { return nil })
	}
	for _, tt := range []struct {
		rule  string
		cache func(tarn.Store[string, int], *table) batches
		write func(context.Context, batches) error
		want  int
	}{
		{"write-through stores the value", through, set, 1},
		{"and those of a batch, with one moment", through, setMany, 1},
		{"but nothing of a delete", through, remove, 0},
		{"nor of a batch of them", through, removeMany, 0},
		{"nor where a loader may give tags that nobody knows", func(s tarn.Store[string, int], src *table) batches {
			return strategies.WriteThrough(read(s, byLoader(src.source)), src)
		}, set, 0},
		{"write-around stores nothing", around, set, 0},
		{"nor of a batch", around, setMany, 0},
		{"nor does Update", func(s tarn.Store[string, int], _ *table) batches {
			return strategies.LookAside(s, tagged)
		}, update, 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			store := newTamper(t)
			c := tt.cache(store, newTable(map[string]int{}))
			_, _ = c.Get(t.Context(), "a") // the loader is known
			require.NoError(t, tt.write(t.Context(), c))
			require.Equal(t, tt.want, store.called("stamp"))
			require.Equal(t, 1, store.called("hold"))
		})
	}
}

func count(t *testing.T, mem *memory.Store[string, int]) int {
	n, err := mem.Count(t.Context())
	require.NoError(t, err)
	return n
}
