package strategies_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// A programmer's mistake in a constructor panics, and the message names what is wrong.
func TestBadInput(t *testing.T) {
	type str = string
	ok := memory.New(memory.Options[str, int]{MaxEntries: 10})
	defer ok.Close()
	src := newTable(nil)
	in := strategies.ReadThrough[str, int](ok, src.source)
	around := strategies.WriteAround[str, int]
	through := strategies.WriteThrough[str, int]
	read := strategies.ReadThrough[str, int]
	aside := strategies.LookAside[str, int]
	var (
		noMemory  *memory.Store[str, int]
		noSource  *source
		noTable   *table
		noThrough *strategies.ReadThroughCache[str, int]
		noAside   *strategies.LookAsideCache[str, int]
	)
	for _, tt := range []struct {
		message string
		f       func()
	}{
		{"strategies: ReadThrough: store is nil", func() { read(nil, src.source) }},
		{"strategies: ReadThrough: store is nil", func() { read(noMemory, src.source) }},
		{"strategies: ReadThrough: loader is nil", func() { read(ok, nil) }},
		{"strategies: ReadThrough: loader is nil", func() { read(ok, noSource) }},
		{"strategies: ReadThrough: loader is nil", func() { read(ok, loadManyFunc(nil)) }},
		{"strategies: LookAside: store is nil", func() { aside(nil) }},
		{"strategies: LookAside: store is nil", func() { aside(noMemory) }},
		{"strategies: WriteThrough: inner is nil", func() { through(nil, src) }},
		{"strategies: WriteThrough: inner is nil", func() { through(noThrough, src) }},
		{"strategies: WriteThrough: writer is nil", func() { through(in, nil) }},
		{"strategies: WriteThrough: writer is nil", func() { through(in, noTable) }},
		{"strategies: WriteThrough: WithCopyLeft is for WriteAround", func() { through(in, src, strategies.WithCopyLeft()) }},
		{"strategies: WriteAround: inner is nil", func() { around(nil, src) }},
		{"strategies: WriteAround: inner is nil", func() { around(noAside, src) }},
		{"strategies: WriteAround: writer is nil", func() { around(in, nil) }},
		{"strategies: WriteAround: writer is nil", func() { around(in, noTable) }},

		{"strategies: WithTTL: ttl: Policy.Fresh is negative", func() { strategies.WithTTL(ttl.Policy{Fresh: -1}) }},
		{"Policy.StaleIfError is negative", func() { strategies.WithTTL(ttl.Policy{Fresh: 1, StaleIfError: -1}) }},
		{"Policy.StaleWhileRevalidate is negative", func() {
			strategies.WithTTL(ttl.Policy{Fresh: 1, StaleWhileRevalidate: -1})
		}},
		{"Policy.Negative is negative", func() { strategies.WithTTL(ttl.Policy{Negative: -1}) }},
		{"Policy.Sliding is negative", func() { strategies.WithTTL(ttl.Policy{Sliding: -1}) }},
		{"Policy.Jitter", func() { strategies.WithTTL(ttl.Policy{Jitter: 1.5}) }},
		{"Policy.Jitter", func() { strategies.WithTTL(ttl.Policy{Jitter: math.NaN()}) }},
		{"Policy.EarlyRefresh", func() { strategies.WithTTL(ttl.Policy{Fresh: 1, EarlyRefresh: math.Inf(1)}) }},
		{"Policy.Sliding", func() { strategies.WithTTL(ttl.Policy{Fresh: 2, Sliding: 1, StaleIfError: 1}) }},
		{"strategies: ReadThrough: Policy.Sliding needs a store that implements tarn.Toucher", func() {
			read(plain[str, int]{ok}, src.source, strategies.WithTTL(ttl.Policy{Sliding: time.Minute}))
		}},
		{"strategies: LookAside: Policy.Sliding needs", func() {
			aside(plain[str, int]{ok}, strategies.WithTTL(ttl.Policy{Sliding: time.Minute}))
		}},
		{"strategies: WithLoadTimeout: not positive: 0s", func() { strategies.WithLoadTimeout(0) }},
		{"strategies: WithLoadTimeout: not positive: -1s", func() { strategies.WithLoadTimeout(-time.Second) }},
		{"strategies: WithSoftTimeout: not positive: 0s", func() { strategies.WithSoftTimeout(0) }},
		{"strategies: WithStoreTimeout: not positive: 0s", func() { strategies.WithStoreTimeout(0) }},
		{"strategies: ReadThrough: WithRefreshGather needs a loader that implements tarn.BatchLoader", func() {
			read(ok, src.source, strategies.WithRefreshGather(1), policy(ttl.Policy{Fresh: 1, RefreshAfter: 0.5}))
		}},
		{"strategies: ReadThrough: WithRefreshGather needs Policy.RefreshAfter, EarlyRefresh or", func() {
			read(ok, inBatches(src.source), strategies.WithRefreshGather(1), policy(ttl.Policy{Fresh: 1, StaleIfError: 1}))
		}},
		{"strategies: ReadThrough: WithRefreshGather 13s is above the 12s of Fresh", func() {
			read(ok, inBatches(src.source), strategies.WithRefreshGather(13*time.Second),
				policy(ttl.Policy{Fresh: time.Minute, RefreshAfter: 0.8, StaleWhileRevalidate: time.Hour}))
		}},
		{"strategies: WithRefreshGather: not positive: 0s", func() { strategies.WithRefreshGather(0) }},
		{"strategies: WithSoftTimeout 31s is above WithLoadTimeout 30s", func() {
			read(ok, src.source, strategies.WithSoftTimeout(31*time.Second),
				strategies.WithTTL(ttl.Policy{Fresh: 1, StaleIfError: 1}))
		}},
		{"strategies: WithSoftTimeout 2s is above WithLoadTimeout 1s", func() {
			aside(ok, strategies.WithLoadTimeout(time.Second), strategies.WithSoftTimeout(2*time.Second))
		}},
		{"strategies: WithHardTimeout: not positive: 0s", func() { strategies.WithHardTimeout(0) }},
		{"strategies: WithHardTimeout 31s is above WithLoadTimeout 30s", func() {
			read(ok, src.source, strategies.WithHardTimeout(31*time.Second))
		}},
		{"strategies: WithSoftTimeout 2s is above WithHardTimeout 1s", func() {
			read(ok, src.source, strategies.WithSoftTimeout(2*time.Second), strategies.WithHardTimeout(time.Second))
		}},
		{"strategies: WithSoftTimeout needs Policy.StaleIfError", func() {
			read(ok, src.source, strategies.WithSoftTimeout(time.Second))
		}},
		{"strategies: WithSoftTimeout and WithBlindFills exclude each other", func() {
			read(ok, src.source, strategies.WithSoftTimeout(time.Second), strategies.WithBlindFills(),
				strategies.WithTTL(ttl.Policy{Fresh: 1, StaleIfError: 1}))
		}},
		{"strategies: WithStoreTimeout 30s is not below WithLoadTimeout 30s", func() {
			read(ok, src.source, strategies.WithStoreTimeout(30*time.Second))
		}},
		{"strategies: WithStoreTimeout 2s is not below WithLoadTimeout 1s", func() {
			aside(ok, strategies.WithStoreTimeout(2*time.Second), strategies.WithLoadTimeout(time.Second))
		}},
		{"strategies: WithStoreTimeout 1s is not below WithHardTimeout 1s", func() {
			read(ok, src.source, strategies.WithHardTimeout(time.Second), strategies.WithStoreTimeout(time.Second))
		}},
		{"strategies: Policy.Throttle and WithBlindFills exclude each other", func() {
			read(ok, src.source, strategies.WithBlindFills(), policy(ttl.Policy{Fresh: 2, StaleIfError: 2, Throttle: 1}))
		}},
		{"strategies: WithTTL: ttl: Policy.Fresh is Forever", func() {
			strategies.WithTTL(ttl.Policy{Fresh: ttl.Forever, StaleIfError: 1})
		}},
		{"Policy.Throttle", func() { strategies.WithTTL(ttl.Policy{Fresh: 1, StaleIfError: 1, Throttle: 2}) }},
		{"Policy.EarlyRefresh and RefreshAfter", func() {
			strategies.WithTTL(ttl.Policy{Fresh: 1, EarlyRefresh: 1, RefreshAfter: 0.5})
		}},
		{"strategies: WithLoadContext: f is nil", func() { strategies.WithLoadContext(nil) }},
		{"strategies: WithMaxLoads: not positive: 0", func() { strategies.WithMaxLoads(0) }},
		{"strategies: WithMaxBatch: not positive: -3", func() { strategies.WithMaxBatch(-3) }},
		{"strategies: WithHoldLife: not positive: 0s", func() { strategies.WithHoldLife(0) }},
		{"strategies: WithSettleTimeout: not positive: 0s", func() { strategies.WithSettleTimeout(0) }},
		{"strategies: WithObserver: o is nil", func() { strategies.WithObserver(nil) }},
		{"strategies: WithObserver: o is nil", func() { strategies.WithObserver((*events)(nil)) }},
		{"strategies: WithObserver: o is nil", func() { strategies.WithObserver(tarn.ObserverFunc(nil)) }},
		{"strategies: an option is nil", func() { read(ok, src.source, nil) }},
		{"strategies: an option is nil", func() { through(in, src, nil) }},
	} {
		func() {
			defer func() {
				v := recover()
				require.IsType(t, "", v, tt.message)
				require.Contains(t, v, tt.message)
			}()
			tt.f()
			t.Errorf("accepted, without: %s", tt.message)
		}()
	}
}

// A function of the application that panics where a load is made leaves the key usable.
func TestLoadContextThatPanics(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		broken := true
		c := strategies.ReadThrough(store, newSource(map[string]int{"a": 1, "b": 2}),
			strategies.WithLoadContext(func(ctx context.Context) context.Context {
				if broken {
					panic("boom")
				}
				return ctx
			}))
		require.Panics(t, func() { c.Get(t.Context(), "a") })
		require.Panics(t, func() { c.GetMany(t.Context(), []string{"a", "b"}, make([]tarn.Result[int], 2)) })
		broken = false
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 2}}, getMany(t, t.Context(), c, "a", "b"))
		require.NoError(t, c.Close(t.Context()))
	})
}
