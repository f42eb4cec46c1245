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

// Close ends a gathering at once: whoever waits for one of its keys is told, and nothing is loaded.
func TestCloseEndsAGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(newMemory[string, int](t), inBatches(src),
			policy(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}), strategies.WithRefreshGather(time.Hour))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		time.Sleep(2 * time.Minute)
		hasValue(t, 1, <-asked(t.Context(), c, "a"), "served, and to be reloaded within the hour")
		require.NoError(t, c.Delete(t.Context(), "a"))
		waits := asked(t.Context(), c, "a")
		require.True(t, pending(waits), "it joins what is being gathered")
		start := time.Now()
		require.NoError(t, c.Close(t.Context()))
		r := <-waits
		require.ErrorIs(t, r.err, tarn.ErrClosed)
		require.Equal(t, start, r.at)
		require.Equal(t, 1, src.loaded())
		time.Sleep(2 * time.Hour)
		require.Equal(t, 1, src.loaded())
	})
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
		{"by XFetch", ttl.Policy{Fresh: time.Minute, EarlyRefresh: 1e6}, 20 * time.Second},
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
