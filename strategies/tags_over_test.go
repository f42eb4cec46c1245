package strategies_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// What is loaded in the place of an entry with tags is neither kept nor shared with who comes after one of them was
// invalidated, although it has none itself.
func TestReloadAcrossAnInvalidation(t *testing.T) {
	life := ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}
	onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.LookAside(stores[0], policy(life))
		require.NoError(t, c.SetFor(t.Context(), "a", 1, life, "x"))
		time.Sleep(time.Minute)
		src.set(nil, takes(10*time.Second))
		v, err := c.Fetch(t.Context(), "a", src)
		require.NoError(t, err)
		require.Equal(t, 1, v, "the old value, which is being reloaded")
		synctest.Wait()
		require.Equal(t, 1, src.loaded())

		require.NoError(t, src.Save(t.Context(), "a", 2))
		require.NoError(t, c.InvalidateTags(t.Context(), "x"))
		for range 3 {
			v, err = c.Fetch(t.Context(), "a", src)
			require.NoError(t, err)
			require.Equal(t, 2, v, "who comes after the invalidation does not get what was read before it")
		}
		many, err := c.FetchMany(t.Context(), []string{"a"}, src)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"a": 2}, many)
		require.NoError(t, c.Close(t.Context()))
	})
}

// A batch does not share such a load either.
func TestBatchAcrossAnInvalidation(t *testing.T) {
	life := ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}
	onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.LookAside(stores[0], policy(life))
		require.NoError(t, c.SetFor(t.Context(), "a", 1, life, "x"))
		time.Sleep(time.Minute)
		src.set(nil, takes(10*time.Second))
		_, err := c.Fetch(t.Context(), "a", src)
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, src.Save(t.Context(), "a", 2))
		require.NoError(t, c.InvalidateTags(t.Context(), "x"))
		many, err := c.FetchMany(t.Context(), []string{"a"}, src)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"a": 2}, many)
		require.NoError(t, c.Close(t.Context()))
	})
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

func count(t *testing.T, mem *memory.Store[string, int]) int {
	n, err := mem.Count(t.Context())
	require.NoError(t, err)
	return n
}
