package source_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/source"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// What a load has begun passes with it only as long as it runs, whatever has the values of its context.
func TestNothingPassesWithALoadThatHasEnded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config source.Config
		answer error // of the load
	}{
		{"it has ended", source.Config{}, nil},
		{"a try of it has ended, and it waits for the next", source.Config{
			Retry: source.Retry{Max: 1, MinBackoff: time.Hour, MaxBackoff: time.Hour},
		}, errBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.config.Rate = source.Rate{PerSecond: 1e-6, Burst: 1}
				gate := source.NewGate(tt.config)
				s := newTable(nil)
				one := source.Behind(gate, s)
				early, late := make(chan error, 1), make(chan error, 1)
				two := source.Behind(gate, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
					_, err := one.Load(ctx, key)
					early <- err
					time.AfterFunc(time.Nanosecond, func() {
						_, err := one.Load(context.WithoutCancel(ctx), key)
						late <- err
					})
					return 0, tt.answer
				}))
				ctx, cancel := context.WithCancel(t.Context())
				go func() { _, _ = two.Load(ctx, "a") }()
				require.NoError(t, <-early)
				shedBy(t, <-late, source.ByRate)
				require.Equal(t, 1, s.called())
				require.Equal(t, source.Stats{Calls: 1, ShedByRate: 1}, func() source.Stats {
					stats := gate.Stats()
					stats.Failures = 0
					return stats
				}())
				cancel()
			})
		})
	}
}

// A reload in the background passes by itself, whoever has begun it: no load waits for it, and one load could begin any
// number of them. What it asks for in turn passes with it.
func TestReloadsInTheBackgroundPassByThemselves(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []strategies.ReadOption
	}{
		{"each at once", nil},
		{"gathered", []strategies.ReadOption{strategies.WithRefreshGather(time.Second)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := source.NewGate(source.Config{Rate: source.Rate{PerSecond: 0.01, Burst: 1}})
				s := newTable(nil)
				rows := source.Behind(gate, s)
				teams := source.Behind[string, int](gate, tarn.LoadManyFunc(rows.Load,
					func(ctx context.Context, keys []string) (map[string]int, error) {
						v, err := rows.Load(ctx, keys[0])
						return map[string]int{keys[0]: v}, err
					}))
				mem := memory.New(memory.Options[string, int]{MaxEntries: 100})
				opts := append(tt.opts, strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: 24 * time.Hour}))
				inner := strategies.ReadThrough(mem, tarn.Loader[string, int](teams), opts...)
				users := source.Behind(gate, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
					v, err := inner.Get(ctx, "a")
					time.Sleep(10 * time.Second) // while it still runs, the reload would pass with it
					return v, err
				}))
				get := func() {
					v, err := users.Load(t.Context(), "u")
					require.NoError(t, err)
					require.Equal(t, 1, v)
				}
				get()
				require.Equal(t, 1, s.called(), "a caller of the load waits for it")
				time.Sleep(time.Hour)
				get()
				require.Equal(t, 1, s.called())
				require.Equal(t, uint64(1), gate.Stats().ShedByRate)

				time.Sleep(time.Hour)
				_, err := inner.Get(t.Context(), "a")
				require.NoError(t, err)
				time.Sleep(2 * time.Second)
				require.Equal(t, 2, s.called(), "it has its turn, and what it asks for passes with it")
				require.Equal(t, uint64(3), gate.Stats().Calls)
				require.NoError(t, inner.Close(t.Context()))
				require.NoError(t, mem.Close())
			})
		})
	}
}
