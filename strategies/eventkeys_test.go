package strategies_test

import (
	"context"
	"errors"
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

// A loader may choose no more of a policy than its deadlines need.
func TestLoaderChoosesTooMuch(t *testing.T) {
	for name, policy := range map[string]ttl.Policy{
		"StaleIfError":         {Fresh: time.Hour, StaleIfError: time.Hour},
		"StaleWhileRevalidate": {Fresh: time.Hour, StaleWhileRevalidate: time.Hour},
		"Sliding":              {Sliding: time.Hour},
		"EarlyRefresh":         {Fresh: time.Hour, EarlyRefresh: 1},
	} {
		mem := memory.New(memory.Options[string, int]{MaxEntries: 100})
		c := strategies.ReadThrough(mem, tarn.LoadEntryFunc(func(context.Context, string) (tarn.Loaded[int], error) {
			return tarn.Loaded[int]{Value: 1, Policy: &policy}, nil
		}))
		_, err := c.Get(t.Context(), "a")
		require.ErrorContains(t, err, "more than Fresh, Negative and Jitter", name)
		require.Zero(t, mem.Len(), name)
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
