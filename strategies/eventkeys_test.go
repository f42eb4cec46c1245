package strategies_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// With WithEventKeys an event that concerns one key carries it, whatever happened; without, none does.
func TestEventKeys(t *testing.T) {
	for _, asked := range []bool{true, false} {
		var mu sync.Mutex
		var seen []tarn.Event
		opts := []strategies.Option{strategies.WithObserver(tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, e)
		}))}
		if asked {
			opts = append(opts, strategies.WithEventKeys())
		}
		mem := memory.New(memory.Options[string, int]{MaxEntries: 100})
		broken := errors.New("broken")
		load := tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
			switch key {
			case "broken":
				return 0, broken
			case "gone":
				return 0, tarn.ErrNotFound
			case "changed":
				return 1, mem.Delete(ctx, key)
			}
			return 1, nil
		})
		save := func(_ context.Context, key string, _ int) error {
			if key == "broken" {
				return broken
			}
			return nil
		}
		life := strategies.WithTTL(ttl.Policy{Fresh: time.Hour, Negative: time.Hour})
		read := strategies.ReadThrough(mem, load, append([]strategies.ReadOption{life}, opts[0], opts[len(opts)-1])...)
		c := strategies.WriteThrough(read, tarn.WriteFuncs(save, func(context.Context, string) error { return nil }),
			opts[0], opts[len(opts)-1])

		ctx := t.Context()
		for _, key := range []string{"a", "a", "gone", "gone", "broken", "changed"} {
			_, _ = c.Get(ctx, key)
		}
		require.NoError(t, c.Set(ctx, "a", 2))
		require.ErrorIs(t, c.Set(ctx, "broken", 2), broken)
		require.NoError(t, c.Close(ctx))

		var kinds []tarn.EventKind
		for _, e := range seen {
			require.Equal(t, 1, e.N, e.Kind)
			kinds = append(kinds, e.Kind)
			if asked {
				require.IsType(t, "", e.Key, "%v", e.Kind)
			} else {
				require.Nil(t, e.Key, "%v", e.Kind)
			}
		}
		for _, kind := range []tarn.EventKind{
			tarn.EventHit, tarn.EventNegativeHit, tarn.EventMiss, tarn.EventLoaded, tarn.EventLoadFailed,
			tarn.EventFillDropped, tarn.EventWritten, tarn.EventWriteFailed,
		} {
			require.True(t, slices.Contains(kinds, kind), "%v", kind)
		}
	}
}

// A policy that a loader cannot choose, or that makes no sense, is told and not obeyed: the callers get what was loaded, as
// with bad tags, nothing is kept, and the value that it replaces is not served again.
func TestLoaderChoosesTooMuch(t *testing.T) {
	for says, policy := range map[string]ttl.Policy{
		"sets StaleIfError:":                   {Fresh: time.Hour, StaleIfError: time.Hour},
		"sets StaleWhileRevalidate:":           {Fresh: time.Hour, StaleWhileRevalidate: time.Hour},
		"sets StaleIfError, Throttle:":         {Fresh: time.Hour, StaleIfError: time.Hour, Throttle: time.Minute},
		"sets Sliding:":                        {Sliding: time.Hour},
		"sets EarlyRefresh:":                   {Fresh: time.Hour, EarlyRefresh: math.NaN()},
		"sets RefreshAfter:":                   {Fresh: time.Hour, RefreshAfter: 0.5},
		"Policy.Jitter is not between 0 and 1": {Fresh: time.Hour, Jitter: 2},
		"Policy.Fresh is negative":             {Fresh: -1},
		"Policy.Negative is negative: -1ns":    {Negative: -1},
	} {
		t.Run(says, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				seen := new(events)
				var now tarn.Loaded[int]
				load := tarn.LoadEntryFunc(func(context.Context, string) (tarn.Loaded[int], error) { return now, now.Err })
				c := strategies.ReadThrough(store, load, strategies.WithObserver(seen), strategies.WithEventKeys(),
					strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour}))
				now = tarn.Loaded[int]{Value: 1}
				hasValue(t, 1, <-asked(t.Context(), c, "a"))
				time.Sleep(2 * time.Minute)
				require.Zero(t, seen.count(tarn.EventFillDropped))

				now = tarn.Loaded[int]{Value: 2, Policy: &policy}
				hasValue(t, 2, <-asked(t.Context(), c, "a"), "who asks gets the value")
				require.Equal(t, 2, seen.count(tarn.EventLoaded))
				require.Zero(t, seen.count(tarn.EventLoadFailed))
				require.Equal(t, 1, seen.count(tarn.EventFillDropped), "and the observer is told that it is not kept")
				e := seen.all[len(seen.all)-1]
				require.Equal(t, tarn.EventFillDropped, e.Kind)
				require.ErrorContains(t, e.Err, says)
				require.Equal(t, "a", e.Key)

				hasValue(t, 2, <-asked(t.Context(), c, "a"))
				require.Equal(t, 3, seen.count(tarn.EventLoaded), "nothing was stored")
				now = tarn.Loaded[int]{Err: errBroken, Policy: &policy}
				require.ErrorIs(t, (<-asked(t.Context(), c, "a")).err, errBroken, "and what was there before is not back")

				now = tarn.Loaded[int]{Err: tarn.ErrNotFound, Policy: &policy}
				require.Equal(t, tarn.ErrNotFound, (<-asked(t.Context(), c, "b")).err)
				require.Equal(t, 3, seen.count(tarn.EventFillDropped), "an absence is no different")
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// A loader that leaves the policy out leaves it to the strategy.
func TestLoaderChoosesNothing(t *testing.T) {
	mem := memory.New(memory.Options[string, int]{MaxEntries: 100})
	c := strategies.ReadThrough(mem, tarn.LoadEntryFunc(func(context.Context, string) (tarn.Loaded[int], error) {
		return tarn.Loaded[int]{Value: 1}, nil
	}), strategies.WithTTL(ttl.Policy{Fresh: time.Hour}))
	_, err := c.Get(t.Context(), "a")
	require.NoError(t, err)
	e, found, err := mem.Get(t.Context(), "a")
	require.NoError(t, err)
	require.True(t, found)
	require.Positive(t, e.Expires.Sub(mem.Clock().Now()))
}

// The classic write-around is an option of no other strategy, and each says so.
func TestCopyLeftIsForWriteAround(t *testing.T) {
	mem := memory.New(memory.Options[string, int]{MaxEntries: 100})
	load := tarn.LoadFunc(func(context.Context, string) (int, error) { return 1, nil })
	read := strategies.ReadThrough(mem, load)
	save := tarn.WriteFuncs(func(context.Context, string, int) error { return nil },
		func(context.Context, string) error { return nil })
	require.Panics(t, func() { strategies.WriteThrough(read, save, strategies.WithCopyLeft()) })
	_, err := strategies.WriteBack(read, save, strategies.WriteBackConfig[string, int]{}, strategies.WithCopyLeft())
	require.ErrorContains(t, err, "WithCopyLeft is for WriteAround")
}
