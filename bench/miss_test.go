package bench

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

// BenchmarkMiss is a miss, its load from a source that answers at once, and the fill of a full store: each key comes
// once. The bare loader is what there is without a cache; what readthrough takes beyond it is a miss's overhead.
func BenchmarkMiss(b *testing.B) {
	source := tarn.LoadFunc(func(_ context.Context, key int64) (Product, error) { return product(key), nil })
	for _, via := range []string{"loader", "byhand", "readthrough"} {
		b.Run("callers=one/via="+via, func(b *testing.B) {
			get := missing(b, via, source)
			ctx := b.Context()
			b.ReportAllocs()
			for key := int64(0); b.Loop(); key++ {
				if v, err := get(ctx, key); err != nil || v.ID != key {
					b.Fatal(v, err)
				}
			}
		})
		b.Run("callers=many/via="+via, func(b *testing.B) {
			get := missing(b, via, source)
			ctx := b.Context()
			var next atomic.Int64
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					key := next.Add(1)
					if v, err := get(ctx, key); err != nil || v.ID != key {
						b.Error(v, err)
						return
					}
				}
			})
		})
	}
}

func missing(b *testing.B, via string, source tarn.Loader[int64, Product]) func(context.Context, int64) (Product, error) {
	if via == "loader" {
		return source.Load
	}
	store := memory.New(memory.Options[int64, Product]{MaxEntries: hot})
	b.Cleanup(func() { must(b, store.Close()) })
	for i := range int64(2 * hot) { // full from the start
		must(b, store.Set(b.Context(), -i-1, tarn.Entry[Product]{Value: product(i)}))
	}
	if via == "byhand" { // as people write it: no shared loads, and a race with every writer
		return func(ctx context.Context, key int64) (Product, error) {
			if e, found, err := store.Get(ctx, key); found || err != nil {
				return e.Value, err
			}
			v, err := source.Load(ctx, key)
			if err == nil {
				err = store.Set(ctx, key, tarn.Entry[Product]{Value: v})
			}
			return v, err
		}
	}
	cache := strategies.ReadThrough(store, source)
	b.Cleanup(func() { must(b, cache.Close(context.Background())) })
	return cache.Get
}
