package strategies_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

// A value that the store refuses is not cached, which is no error, with holds and without.
func TestTooHeavyWithoutHolds(t *testing.T) {
	for rule, opts := range map[string][]strategies.ReadOption{"holds": nil, "none": {strategies.WithoutHolds()}} {
		t.Run(rule, func(t *testing.T) {
			m := memory.New(memory.Options[string, int]{MaxWeight: 10, Weigh: func(_ string, v int) int64 { return int64(v) }})
			defer m.Close()
			src := &table{source: newSource(map[string]int{})}
			c := strategies.WriteThrough(strategies.LookAside(m, opts...), batchTable{src})
			require.NoError(t, c.Set(t.Context(), "a", 1))
			require.NoError(t, c.Set(t.Context(), "a", 11))
			_, err := c.Get(t.Context(), "a")
			require.ErrorIs(t, err, tarn.ErrNotFound)
		})
	}
}

// A write without holds that comes upon somebody else's hold taints it: what that one wrote before is not kept.
func TestWithoutHoldsUponAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, row := newMemory[string, int](t), 0
		load := tarn.LoadFunc(func(context.Context, string) (int, error) { return row, nil })
		writer := func(after time.Duration) tarn.Writer[string, int] {
			return tarn.WriteFuncs(func(_ context.Context, _ string, v int) error {
				row = v
				time.Sleep(after)
				return nil
			}, func(context.Context, string) error { return nil })
		}
		slow := strategies.WriteThrough(strategies.ReadThrough(m, load), writer(time.Second))
		quick := strategies.WriteThrough(strategies.ReadThrough(m, load, strategies.WithoutHolds()), writer(0))
		done := make(chan error)
		go func() { done <- slow.Set(t.Context(), "a", 1) }()
		synctest.Wait()
		require.NoError(t, quick.Set(t.Context(), "a", 2))
		require.NoError(t, <-done)
		hasValue(t, 2, <-asked(t.Context(), slow, "a"))
	})
}
