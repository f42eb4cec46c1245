package strategies_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

// While a tag could not be invalidated, whatever has it is gone around; the store is told as soon as it can be.
func TestTagThatCouldNotBeInvalidated(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newTamper(t)
				src := newSource(map[string]int{"a": 1, "b": 11})
				c := strategies.ReadThrough(store, src, append(way.opts, strategies.WithTags(byValue))...)
				get := func(key string, want int) {
					v, err := way.get(t.Context(), c, key)
					require.NoError(t, err)
					require.Equal(t, want, v)
				}
				get("a", 1)
				get("b", 11)
				store.failing("invalidate")
				require.NoError(t, src.Save(t.Context(), "a", 2))
				require.ErrorIs(t, c.InvalidateTags(t.Context(), "tens:0"), errBroken)
				require.NoError(t, src.Save(t.Context(), "b", 12))
				for range 3 {
					get("a", 2)
					get("b", 11)
				}
				require.Equal(t, 2+3, src.loaded(), "what has the tag is loaded each time, and nothing else is")

				store.on(nil)
				time.Sleep(time.Second)
				synctest.Wait()
				loaded := src.loaded()
				for range 3 {
					get("a", 2)
				}
				require.Equal(t, loaded+1, src.loaded(), "what was loaded before it was invalidated is gone")
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// A load that began before a tag could not be invalidated is not joined by who comes after.
func TestLoadBeforeATagThatCouldNotBeInvalidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		src := newSource(map[string]int{"a": 1})
		src.set(nil, takes(time.Second))
		c := strategies.ReadThrough(store, src, strategies.WithTags(byValue))
		first := asked(t.Context(), c, "a")
		synctest.Wait()
		store.failing("invalidate")
		require.NoError(t, src.Save(t.Context(), "a", 2))
		require.ErrorIs(t, c.InvalidateTags(t.Context(), "tens:0"), errBroken)
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		hasValue(t, 1, <-first)
		store.on(nil)
		require.NoError(t, c.Close(t.Context()))
		requireNothing(t, store, "a") // Close has told the store
	})
}

// An InvalidateTags that succeeds repairs its tags, and only those.
func TestTagsAreRepairedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		src := newSource(map[string]int{"a": 1, "b": 11})
		c := strategies.ReadThrough(store, src, strategies.WithTags(byValue))
		store.failing("invalidate")
		require.ErrorIs(t, c.InvalidateTags(t.Context(), "tens:0", "tens:1"), errBroken)
		store.on(nil)
		require.NoError(t, c.InvalidateTags(t.Context(), "tens:0"))
		for range 3 {
			hasValue(t, 1, <-asked(t.Context(), c, "a"))
			hasValue(t, 11, <-asked(t.Context(), c, "b"))
		}
		require.Equal(t, 1+3, src.loaded())
		require.NoError(t, c.Close(t.Context()))
	})
}

// More tags than there is room for are all keys.
func TestTagsToRepairAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(store, src)
		require.NoError(t, c.Set(t.Context(), "a", 0))
		store.failing("invalidate")
		tags := make([]string, 10_001)
		for i := range tags {
			tags[i] = fmt.Sprint(i)
		}
		require.ErrorIs(t, c.InvalidateTags(t.Context(), tags[:10_000]...), errBroken)
		hasValue(t, 0, <-asked(t.Context(), c, "a"))
		require.ErrorIs(t, c.InvalidateTags(t.Context(), tags[10_000]), errBroken)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.ErrorIs(t, c.Close(t.Context()), tarn.ErrMaybeStale)
	})
}

func TestInvalidateTagsWithAContextThatIsDone(t *testing.T) {
	onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
		src := newTable(map[string]int{"a": 1})
		in := strategies.ReadThrough(stores[0], src.source, strategies.WithTags(byValue))
		back, err := strategies.WriteBack(in, src, strategies.WriteBackConfig[string, int]{}, strategies.WithSharedStore())
		require.NoError(t, err)
		caches := map[string]tarn.TagInvalidator{
			"ReadThrough": in, "LookAside": strategies.LookAside(stores[0], strategies.WithTags(byValue)),
			"WriteThrough": strategies.WriteThrough(in, src), "WriteAround": strategies.WriteAround(in, src), "WriteBack": back,
		}
		hasValue(t, 1, <-asked(t.Context(), in, "a"))
		done, cancel := context.WithCancel(t.Context())
		cancel()
		for name, c := range caches {
			require.ErrorIs(t, c.InvalidateTags(done, "tens:0"), done.Err(), name)
			requireTags(t, stores[0], "a", "tens:0")
		}
		for name, c := range caches {
			hasValue(t, 1, <-asked(t.Context(), in, "a"))
			require.NoError(t, c.InvalidateTags(t.Context(), "tens:0"), name)
			requireNothing(t, stores[0], "a")
			require.ErrorIs(t, c.InvalidateTags(t.Context()), tarn.ErrTags, name)
		}
		require.NoError(t, back.Close(t.Context()))
		for _, name := range []string{"ReadThrough", "WriteBack"} {
			require.ErrorIs(t, caches[name].InvalidateTags(t.Context(), "tens:0"), tarn.ErrClosed, name)
		}
	})
}

// What is pending is what the source will have: no tag takes it away.
func TestPendingWritesKeepTheirValue(t *testing.T) {
	onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
		src := newTable(map[string]int{"a": 1})
		in := strategies.ReadThrough(stores[0], src.source, strategies.WithTags(byValue))
		back, err := strategies.WriteBack(in, src, strategies.WriteBackConfig[string, int]{MaxDelay: time.Hour}, strategies.WithSharedStore())
		require.NoError(t, err)
		require.NoError(t, back.Set(t.Context(), "a", 20))
		require.NoError(t, back.InvalidateTags(t.Context(), "tens:2"))
		hasValue(t, 20, <-asked(t.Context(), back, "a"))
		require.NoError(t, back.Flush(t.Context()))
		requireTags(t, stores[0], "a", "tens:2")
		require.NoError(t, back.InvalidateTags(t.Context(), "tens:2"))
		requireNothing(t, stores[0], "a")
		require.NoError(t, back.Close(t.Context()))
	})
}
