package strategies_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

func TestWriteAroundDropsTheCopy(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newTable(map[string]int{"a": 1})
		c := strategies.WriteAround(strategies.ReadThrough(store, src.source), src)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.NoError(t, c.Set(t.Context(), "a", 2))
		_, found, err := store.Get(t.Context(), "a")
		require.NoError(t, err)
		require.False(t, found, "dropped, and not updated")
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		require.NoError(t, c.Delete(t.Context(), "a"))
		_, found, err = store.Get(t.Context(), "a")
		require.NoError(t, err)
		require.False(t, found)
	})
}

// Writes of one key do not queue: none of them is cached, so their order is the source's own.
func TestWriteAroundDoesNotQueue(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newTable(map[string]int{"a": 1})
		src.on(stall(time.Second), nil)
		c := strategies.WriteAround(strategies.ReadThrough(store, src.source), src)
		start := time.Now()
		var replies []<-chan reply
		for i := range 10 {
			replies = append(replies, calls(func() (int, error) { return 0, c.Set(t.Context(), "a", i) }))
		}
		for _, r := range replies {
			require.NoError(t, (<-r).err)
		}
		require.Equal(t, time.Second, time.Since(start))
		hasValue(t, src.row("a"), <-asked(t.Context(), c, "a"))
	})
}

func TestWithCopyLeft(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newTable(map[string]int{"a": 1, "b": 1})
		in := strategies.ReadThrough(store, src.source, strategies.WithTTL(ttl.Policy{Fresh: time.Minute}))
		c := strategies.WriteAround(in, batchTable{src}, strategies.WithCopyLeft())
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 1}}, getMany(t, t.Context(), c, "a", "b"))
		require.NoError(t, c.Set(t.Context(), "a", 2))
		require.NoError(t, c.DeleteMany(t.Context(), []string{"b"}))
		require.Equal(t, 2, src.row("a"))
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 1}}, getMany(t, t.Context(), c, "a", "b"),
			"this is what the option gives up")
		time.Sleep(time.Minute)
		require.Equal(t, []tarn.Result[int]{{Value: 2}, {Err: tarn.ErrNotFound}}, getMany(t, t.Context(), c, "a", "b"))
		src.on(broken, nil)
		require.ErrorIs(t, c.Set(t.Context(), "a", 3), errBroken)
	})
}

// After Close nothing reaches the source, also where no cache is asked before.
func TestWritesAfterClose(t *testing.T) {
	for rule, opts := range map[string][]strategies.WriteOption{
		"holds": nil, "the copy is left": {strategies.WithCopyLeft()},
	} {
		t.Run(rule, func(t *testing.T) {
			src := &table{source: newSource(map[string]int{"a": 1})}
			c := strategies.WriteAround(strategies.LookAside(newMemory[string, int](t)), batchTable{src}, opts...)
			require.NoError(t, c.Close(t.Context()))
			require.ErrorIs(t, c.Set(t.Context(), "a", 2), tarn.ErrClosed)
			require.ErrorIs(t, c.Delete(t.Context(), "a"), tarn.ErrClosed)
			require.ErrorIs(t, c.SetMany(t.Context(), []string{"a"}, []int{2}), tarn.ErrClosed)
			require.ErrorIs(t, c.DeleteMany(t.Context(), []string{"a"}), tarn.ErrClosed)
			v, err := src.source.Load(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, 1, v)
		})
	}
}
