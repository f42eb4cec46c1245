package bench

import (
	"context"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// BenchmarkHit is a hit on the memory store, by itself and through every strategy.
func BenchmarkHit(b *testing.B) {
	for _, life := range lives {
		b.Run("life="+life.name, func(b *testing.B) {
			b.Run("key=int64", func(b *testing.B) { hits(b, intKey, life.policy) })
			b.Run("key=string", func(b *testing.B) { hits(b, stringKey, life.policy) })
		})
	}
}

func hits[K comparable](b *testing.B, key func(int64) K, policy ttl.Policy) {
	b.Run("via=store", func(b *testing.B) {
		s := newStack(b, key, policy)
		ctx := b.Context()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, found, err := s.store.Get(ctx, s.keys[i&(hot-1)]); !found || err != nil {
				b.Fatal(found, err)
			}
		}
	})
	b.Run("via=readthrough", func(b *testing.B) {
		s := newStack(b, key, policy)
		gets(b, s.keys, s.through)
	})
	b.Run("via=lookaside", func(b *testing.B) {
		s := newStack(b, key, policy)
		ctx := b.Context()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := s.aside.Fetch(ctx, s.keys[i&(hot-1)], s.loader); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("via=writethrough", func(b *testing.B) {
		s := newStack(b, key, policy)
		gets(b, s.keys, strategies.WriteThrough(s.through, s.writer))
	})
	b.Run("via=writearound", func(b *testing.B) {
		s := newStack(b, key, policy)
		gets(b, s.keys, strategies.WriteAround(s.through, s.writer))
	})
	b.Run("via=writeback", func(b *testing.B) {
		s := newStack(b, key, policy)
		gets(b, s.keys, s.back(b))
	})
	b.Run("via=writeback-pending", func(b *testing.B) {
		s := newStack(b, key, policy)
		back := s.back(b)
		for i, k := range s.keys {
			must(b, back.Set(b.Context(), k, product(int64(i))))
		}
		gets(b, s.keys, back)
	})
}

// back returns a write-back cache that writes nothing before it is closed.
func (s *stack[K]) back(b *testing.B) tarn.Cache[K, Product] {
	back, err := strategies.WriteBack(s.through, s.writer, strategies.WriteBackConfig[K, Product]{
		MaxBatch: 4 * hot, MaxPending: 8 * hot, MaxDelay: time.Hour,
	})
	must(b, err)
	b.Cleanup(func() { must(b, back.Close(context.Background())) })
	return back
}

func gets[K comparable](b *testing.B, keys []K, c tarn.Cache[K, Product]) {
	ctx := b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := c.Get(ctx, keys[i&(hot-1)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGetMany is 100 hits at once, and one after the other. ns/key is the figure to compare.
func BenchmarkGetMany(b *testing.B) {
	const batch = 100
	perKey := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/key")
	}
	at := func(keys []int64, i int) []int64 {
		from := i * batch % (hot - batch)
		return keys[from : from+batch]
	}
	for _, life := range lives {
		b.Run("life="+life.name, func(b *testing.B) {
			b.Run("via=get", func(b *testing.B) {
				s := newStack(b, intKey, life.policy)
				ctx := b.Context()
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					for _, k := range at(s.keys, i) {
						if _, err := s.through.Get(ctx, k); err != nil {
							b.Fatal(err)
						}
					}
				}
				perKey(b)
			})
			b.Run("via=batch", func(b *testing.B) { // into the caller's slice
				s := newStack(b, intKey, life.policy)
				ctx := b.Context()
				into := make([]tarn.Result[Product], batch)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if err := s.through.GetMany(ctx, at(s.keys, i), into); err != nil || into[batch-1].Err != nil {
						b.Fatal(err, into[batch-1].Err)
					}
				}
				perKey(b)
			})
			b.Run("via=map", func(b *testing.B) { // tarn.GetMany
				s := newStack(b, intKey, life.policy)
				ctx := b.Context()
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if found, err := tarn.GetMany(ctx, s.through, at(s.keys, i)); err != nil || len(found) != batch {
						b.Fatal(err, len(found))
					}
				}
				perKey(b)
			})
		})
	}
}
