package strategies_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// Touch is as good as a new Set: with windows the value is fresh again, and an absence lives as long as an absence.
func TestTouchRenewsAllOfALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store := newMemory[string, int](t)
		c := strategies.LookAside(store, strategies.WithTTL(ttl.Policy{
			Fresh: time.Minute, StaleIfError: time.Hour, Negative: 10 * time.Second,
		}))
		require.NoError(t, c.Set(ctx, "a", 1))
		time.Sleep(59 * time.Second)
		touched, err := c.Touch(ctx, "a")
		require.NoError(t, err)
		require.True(t, touched)
		time.Sleep(59 * time.Second)
		e, found, err := store.Get(ctx, "a")
		require.NoError(t, err)
		require.True(t, found)
		require.False(t, e.Stale, "it is fresh for as long as if it were set")

		_, err = c.Fetch(ctx, "none", newSource(nil))
		require.ErrorIs(t, err, tarn.ErrNotFound)
		time.Sleep(9 * time.Second)
		touched, err = c.Touch(ctx, "none")
		require.NoError(t, err)
		require.True(t, touched)
		time.Sleep(10*time.Second - 1)
		e, found, _ = store.Get(ctx, "none")
		require.True(t, found)
		require.True(t, e.Negative, "it is an absence still")
		time.Sleep(time.Nanosecond)
		_, found, _ = store.Get(ctx, "none")
		require.False(t, found, "an absence is not given the life of a value")
	})
}

// In a cache whose values slide, a value with a life of its own keeps that: use neither shortens nor prolongs it.
func TestSetForInASlidingCache(t *testing.T) {
	for name, life := range map[string]time.Duration{"longer": time.Hour, "shorter": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				c := strategies.LookAside(newMemory[string, int](t), strategies.WithTTL(ttl.Policy{Sliding: time.Minute}))
				require.NoError(t, c.SetFor(ctx, "a", 1, ttl.Policy{Fresh: life}))
				time.Sleep(life / 2)
				hasValue(t, 1, <-asked(ctx, c, "a"))
				time.Sleep(life/2 - 1)
				hasValue(t, 1, <-asked(ctx, c, "a"), "its life is not shortened")
				time.Sleep(time.Nanosecond)
				_, err := c.Get(ctx, "a")
				require.ErrorIs(t, err, tarn.ErrNotFound, "nor prolonged")
			})
		})
	}
}

// What the application is asked for runs under no lock: it may use the cache.
func TestLoadContextMayUseTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *strategies.ReadThroughCache[string, int]
		nested := false
		c = strategies.ReadThrough(newMemory[string, int](t), newSource(map[string]int{"a": 1, "b": 2}),
			strategies.WithLoadContext(func(ctx context.Context) context.Context {
				if !nested {
					nested = true
					_, err := c.Get(ctx, "b")
					require.NoError(t, err)
				}
				return ctx
			}))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
	})
}
