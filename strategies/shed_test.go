package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// What was not let through to the source is told apart from the source's own failures, in the events too, key by key of a
// batch; it is served for as a failure is, and says nothing of what a load costs.
func TestAShedLoadIsToldApart(t *testing.T) {
	shed := fmt.Errorf("spared: %w", tarn.ErrShed)
	seen := new(events)
	load := tarn.LoadFunc(func(context.Context, string) (int, error) { return 0, shed })
	many := &manyErrors{Loader: load, errs: map[string]error{"a": shed, "b": errBroken, "c": shed, "d": nil}}
	c := strategies.ReadThrough(newMemory[string, int](t), tarn.Loader[string, int](many), strategies.WithObserver(seen))

	_, err := c.Get(t.Context(), "x")
	require.ErrorIs(t, err, tarn.ErrShed)
	require.Equal(t, 1, seen.count(tarn.EventShed))
	require.Zero(t, seen.count(tarn.EventLoadFailed))

	found, err := tarn.GetMany(t.Context(), c, []string{"a", "b", "c", "d"})
	require.ErrorIs(t, err, tarn.ErrShed)
	require.ErrorIs(t, err, errBroken)
	require.Len(t, found, 1)
	require.Equal(t, 3, seen.count(tarn.EventShed))
	require.Equal(t, 1, seen.count(tarn.EventLoadFailed))
	require.Equal(t, 1, seen.count(tarn.EventLoaded))
	for _, e := range seen.all {
		switch e.Kind {
		case tarn.EventShed:
			require.ErrorIs(t, e.Err, tarn.ErrShed)
			require.Zero(t, e.Duration, "the source took no time")
		case tarn.EventLoadFailed:
			require.False(t, errors.Is(e.Err, tarn.ErrShed))
		}
	}
}

// manyErrors answers each key of a batch with an error of its own.
type manyErrors struct {
	tarn.Loader[string, int]
	errs map[string]error
}

func (m *manyErrors) LoadMany(_ context.Context, keys []string, into []tarn.Loaded[int]) error {
	for i, k := range keys {
		into[i] = tarn.Loaded[int]{Value: 1, Err: m.errs[k]}
	}
	return nil
}

// Early refresh goes by what a load costs; one that the source never saw costs nothing, and must not make it look quick.
func TestAShedLoadIsNoMeasureOfTheCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now error
		loads := 0
		load := tarn.LoadFunc(func(context.Context, string) (int, error) {
			if now == nil {
				loads++
				time.Sleep(10 * time.Second)
			}
			return 1, now
		})
		c := strategies.ReadThrough(newMemory[string, int](t), load,
			strategies.WithTTL(ttl.Policy{Fresh: time.Minute, EarlyRefresh: 1}))
		_, err := c.Get(t.Context(), "a")
		require.NoError(t, err)
		now = tarn.ErrShed
		for range 100 {
			_, err = c.Get(t.Context(), "b")
			require.ErrorIs(t, err, tarn.ErrShed)
		}
		now = nil
		time.Sleep(59 * time.Second)
		for range 100 {
			_, _ = c.Get(t.Context(), "a")
		}
		synctest.Wait()
		require.Equal(t, 2, loads, "a load that costs ten seconds is begun within the last second")
		require.NoError(t, c.Close(t.Context()))
	})
}
