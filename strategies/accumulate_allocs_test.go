package strategies_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

func newCounter(t testing.TB) *strategies.Accumulator[string, int, int] {
	a, err := strategies.Accumulate(
		tarn.LoadFunc(func(context.Context, string) (int, error) { return 0, tarn.ErrNotFound }),
		func(context.Context, strategies.Batch[string, int]) error { return nil },
		strategies.Sum[int](), strategies.AccumulateConfig[string, int]{MaxDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAccumulateAllocatesNothing(t *testing.T) {
	a := newCounter(t)
	ctx := t.Context()
	require.NoError(t, a.Add(ctx, "k", 1))
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = a.Add(ctx, "k", 1) }), "Add of a known key")
	_, err := a.Get(ctx, "k")
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = a.Get(ctx, "k") }), "Get of a value in memory")
	require.NoError(t, a.Close(ctx))
}

// TestAccumulateMillion has a million increments of a thousand keys become a thousand updates.
func TestAccumulateMillion(t *testing.T) {
	a := newCounter(t)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = string(rune('a'+i%26)) + string(rune('0'+i/26))
	}
	n := 1_000_000
	if racing {
		n = 100_000
	}
	for i := range n {
		require.NoError(t, a.Add(t.Context(), keys[i%len(keys)], 1))
	}
	require.NoError(t, a.Close(t.Context()))
	stats := a.Stats()
	require.EqualValues(t, n, stats.Added)
	require.EqualValues(t, len(keys), stats.Updates)
	require.EqualValues(t, 2, stats.Batches)
}

func BenchmarkAdd(b *testing.B) {
	a := newCounter(b)
	keys := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for _, key := range keys {
		_ = a.Add(b.Context(), key, 1)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			_ = a.Add(b.Context(), keys[i%len(keys)], 1)
		}
	})
	b.StopTimer()
	_ = a.Close(b.Context())
}
