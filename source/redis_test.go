package source_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/source"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// On a real Redis, and with copies near, a breaker that opens spares the source while old values are served, and lets it be
// asked when it is back.
func TestRealRedis(t *testing.T) {
	server := redistest.Start(t)
	for _, near := range []bool{false, true} {
		t.Run(map[bool]string{false: "redis", true: "tiers"}[near], func(t *testing.T) {
			far := redisstore.New(server.Client(), redisstore.Config[string, int64]{Namespace: t.Name()})
			store := tarn.Store[string, int64](far)
			if near {
				both := tiered.New(memory.New(memory.Options[string, int64]{MaxEntries: 100}), far)
				t.Cleanup(func() { require.NoError(t, both.Close()) })
				store = both
			}
			var calls atomic.Int64
			var down atomic.Bool
			load := source.New(tarn.LoadFunc(func(context.Context, string) (int64, error) {
				if n := calls.Add(1); !down.Load() {
					return n, nil
				}
				return 0, errors.New("down")
			}), source.Config{Breaker: source.Breaker{Failures: 2, Pause: 300 * time.Millisecond}})
			c := strategies.ReadThrough(store, load, strategies.WithTTL(ttl.Policy{
				Fresh: 100 * time.Millisecond, StaleIfError: time.Minute, Throttle: 20 * time.Millisecond,
			}))
			defer func() { require.NoError(t, c.Close(context.Background())) }()
			_, err := c.Get(t.Context(), "a")
			require.NoError(t, err)
			down.Store(true)
			before := calls.Load()
			begun := time.Now()
			for time.Since(begun) < time.Second || load.Stats().ShedByBreaker == 0 && time.Since(begun) < 20*time.Second {
				_, err := c.Get(t.Context(), "a")
				require.NoError(t, err, "an old value is served")
				time.Sleep(time.Millisecond)
			}
			// Without a breaker one in 20 ms, as Throttle has it; with it two until it opens, and a probe after each pause.
			require.LessOrEqual(t, calls.Load()-before, 2+1+int64(time.Since(begun)/(300*time.Millisecond)))
			require.Positive(t, load.Stats().ShedByBreaker)
			down.Store(false)
			old := calls.Load()
			require.Eventually(t, func() bool {
				v, err := c.Get(t.Context(), "a")
				return err == nil && v > old
			}, 20*time.Second, time.Millisecond)
			require.Equal(t, source.Closed, load.State())
		})
	}
}
