package strategies_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// inBatches makes a loader of a source that takes batches.
func inBatches(src *source) tarn.Loader[string, int] {
	return tarn.LoadManyFunc(src.Load, func(ctx context.Context, keys []string) (map[string]int, error) {
		found := make(map[string]int)
		for _, key := range keys {
			v, err := src.Load(ctx, key)
			if err != nil {
				return nil, err
			}
			found[key] = v
		}
		return found, nil
	})
}

// Close ends a gathering at once, and nothing is loaded.
func TestCloseEndsAGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(newMemory[string, int](t), inBatches(src),
			policy(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}), strategies.WithRefreshGather(time.Hour))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		time.Sleep(2 * time.Minute)
		hasValue(t, 1, <-asked(t.Context(), c, "a"), "served, and to be reloaded within the hour")
		start := time.Now()
		require.NoError(t, c.Close(t.Context()))
		require.Equal(t, start, time.Now())
		time.Sleep(2 * time.Hour)
		require.Equal(t, 1, src.loaded())
	})
}

// Whoever has to wait for a key that is being gathered waits for its load alone: all that was gathered departs at once. Hits
// do not have it depart.
func TestNobodyWaitsForAGathering(t *testing.T) {
	for _, tt := range []struct {
		rule string
		ask  func(ctx context.Context, c *strategies.ReadThroughCache[string, int]) error
	}{
		{"a Get", func(ctx context.Context, c *strategies.ReadThroughCache[string, int]) error {
			_, err := c.Get(ctx, "a")
			return err
		}},
		{"one of many keys, the others of which are not being gathered", func(
			ctx context.Context, c *strategies.ReadThroughCache[string, int],
		) error {
			_, err := tarn.GetMany(ctx, c, []string{"c", "a"})
			return err
		}},
		{"a warm-up", func(ctx context.Context, c *strategies.ReadThroughCache[string, int]) error {
			_, err := c.WarmUp(ctx, slices.Values([]string{"a"}), strategies.WarmUpConfig{})
			return err
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newSource(map[string]int{"a": 1, "b": 1, "c": 1})
				src.set(takes(time.Second), nil)
				c := strategies.ReadThrough(newMemory[string, int](t), inBatches(src),
					policy(ttl.Policy{Fresh: 100 * time.Second, RefreshAfter: 0.9}), strategies.WithRefreshGather(9*time.Second))
				hasValue(t, 1, <-asked(t.Context(), c, "a"))
				hasValue(t, 1, <-asked(t.Context(), c, "b"))
				time.Sleep(95 * time.Second)
				for range 3 {
					hasValue(t, 1, <-asked(t.Context(), c, "a"))
					hasValue(t, 1, <-asked(t.Context(), c, "b"))
					time.Sleep(time.Second)
				}
				require.Equal(t, 2, src.loaded(), "it is being gathered")
				require.NoError(t, c.Delete(t.Context(), "a"))
				start := time.Now()
				require.NoError(t, tt.ask(t.Context(), c))
				require.LessOrEqual(t, time.Since(start), 2*time.Second, "which both keys of the gathering take")
				time.Sleep(2*time.Second - time.Since(start))
				synctest.Wait()
				loaded := src.loaded()
				require.GreaterOrEqual(t, loaded, 4, "what was gathered with it departs as well")
				time.Sleep(10 * time.Second)
				require.Equal(t, loaded, src.loaded())
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// A key that somebody else has renewed by the time its refresh looks is not loaded again, and one that nobody has is, fresh
// as it is.
func TestRefreshOfARenewedKey(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		p     ttl.Policy
		after time.Duration // when it is due
	}{
		{"at a share of the life", ttl.Policy{Fresh: time.Minute, RefreshAfter: 0.5}, 40 * time.Second},
		{"by XFetch", ttl.Policy{Fresh: time.Minute, EarlyRefresh: 1e12}, 20 * time.Second},
	} {
		for _, renewed := range []bool{true, false} {
			t.Run(tt.rule, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					src := newSource(map[string]int{"a": 1, "b": 1})
					src.set(takes(time.Second), nil)
					store := newMemory[string, int](t)
					patient := strategies.ReadThrough(store, inBatches(src), policy(tt.p), strategies.WithRefreshGather(10*time.Second))
					other := strategies.ReadThrough(store, inBatches(src), policy(tt.p))
					hasValue(t, 1, <-asked(t.Context(), patient, "a"))
					hasValue(t, 1, <-asked(t.Context(), other, "b")) // and knows what a load costs
					time.Sleep(tt.after)
					start := time.Now()
					hasValue(t, 1, <-asked(t.Context(), patient, "a"))
					require.Equal(t, 2, src.loaded(), "it is being gathered")
					if renewed {
						require.NoError(t, src.Save(t.Context(), "a", 2))
						hasValue(t, 1, <-asked(t.Context(), other, "a"))
						time.Sleep(2 * time.Second)
						require.Equal(t, 3, src.loaded())
					}
					time.Sleep(12*time.Second - time.Since(start))
					synctest.Wait()
					require.Equal(t, 3, src.loaded())
					require.NoError(t, patient.Close(t.Context()))
					require.NoError(t, other.Close(t.Context()))
				})
			})
		}
	}
}

// A value that is served since the source failed is never called fresh, however often it is used, by whom, and for how long,
// until the source has answered.
func TestRescuedIsNeverFresh(t *testing.T) {
	for name, life := range map[string]ttl.Policy{
		"stale if error": {Fresh: time.Minute, StaleIfError: time.Hour},
		"reloaded early": {Fresh: time.Minute, StaleIfError: time.Hour, RefreshAfter: 0.8},
		"by XFetch":      {Fresh: time.Minute, StaleIfError: time.Hour, EarlyRefresh: 1},
		"seldom tried":   {Fresh: time.Minute, StaleIfError: time.Hour, Throttle: 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			onFleets(t, 2, []strategies.ReadOption{policy(life)}, func(t *testing.T, fl *fleet) {
				hasValue(t, 1, <-asked(t.Context(), fl.caches[0], "a"))
				fl.set(failing, nil)
				time.Sleep(time.Minute)
				hits := fl.seen.count(tarn.EventHit)
				for range 200 {
					for _, c := range fl.caches {
						a, err := c.Answer(t.Context(), "a")
						require.NoError(t, err)
						require.Equal(t, strategies.HowRescued, a.How)
						require.LessOrEqual(t, a.FreshFor, time.Duration(0), "it has been fresh")
						hasValue(t, 1, <-asked(t.Context(), c, "a"))
					}
					synctest.Wait()
					time.Sleep(7 * time.Second)
				}
				require.Equal(t, hits, fl.seen.count(tarn.EventHit))
				require.Equal(t, 800, fl.seen.count(tarn.EventRescued))
				fl.set(nil, nil)
				time.Sleep(10 * time.Minute)
				hasValue(t, 1, <-asked(t.Context(), fl.caches[0], "a"))
				synctest.Wait()
				a, err := fl.caches[0].Answer(t.Context(), "a")
				require.NoError(t, err)
				require.Equal(t, strategies.HowFresh, a.How)
			})
		})
	}
}
