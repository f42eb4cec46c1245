package bench

import (
	"context"
	"testing"
	"time"

	"github.com/tarncache/tarn/observe"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// BenchmarkFeature is a hit of ReadThrough on the memory store with a feature switched on, and with none.
func BenchmarkFeature(b *testing.B) {
	hour := ttl.Policy{Fresh: time.Hour}
	stale := ttl.Policy{Fresh: time.Hour, StaleWhileRevalidate: time.Hour, StaleIfError: 24 * time.Hour}
	ahead, xfetch := hour, hour
	ahead.RefreshAfter, xfetch.EarlyRefresh = 0.8, 1
	for _, f := range []struct {
		name    string
		policy  ttl.Policy
		options []strategies.ReadOption
	}{
		{"nothing", hour, nil},
		{"stale-windows", stale, nil},
		{"refresh-after", ahead, nil},
		{"xfetch", xfetch, nil},
		{"timeouts", stale, []strategies.ReadOption{
			strategies.WithSoftTimeout(time.Second), strategies.WithStoreTimeout(time.Second),
		}},
		{"untagged", hour, []strategies.ReadOption{
			strategies.WithTags(func(int64, Product) []string { return nil }),
		}},
		{"tagged", hour, []strategies.ReadOption{
			strategies.WithTags(func(int64, Product) []string { return []string{"brand", "shelf", "season"} }),
		}},
		{"observer", hour, []strategies.ReadOption{strategies.WithObserver(observe.NewCounter())}},
	} {
		b.Run("with="+f.name, func(b *testing.B) {
			c := featured(b, append(f.options, strategies.WithTTL(f.policy))...)
			gets(b, c.keys, c.through)
		})
	}
	b.Run("with=count-reads", func(b *testing.B) {
		c := featuredIn(b, memory.Options[int64, Product]{MaxEntries: 4 * hot, CountReads: true}, strategies.WithTTL(hour))
		gets(b, c.keys, c.through)
	})
	b.Run("with=answer", func(b *testing.B) {
		c := featured(b, strategies.WithTTL(hour))
		ctx := b.Context()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if a, err := c.through.Answer(ctx, c.keys[i&(hot-1)]); err != nil || a.How != strategies.HowFresh {
				b.Fatal(a.How, err)
			}
		}
	})
}

// featured returns a full stack of a read-through cache with options.
func featured(b *testing.B, options ...strategies.ReadOption) *stack[int64] {
	b.Helper()
	return featuredIn(b, memory.Options[int64, Product]{MaxEntries: 4 * hot}, options...)
}

// featuredIn is featured, on a store with options.
func featuredIn(
	b *testing.B, opts memory.Options[int64, Product], options ...strategies.ReadOption,
) *stack[int64] {
	s := &stack[int64]{keys: shuffled(intKey), store: memory.New(opts)}
	s.loader, s.writer = discard[int64]()
	s.through = strategies.ReadThrough(s.store, s.loader, options...)
	for i, k := range s.keys {
		must(b, s.through.Set(b.Context(), k, product(int64(i))))
	}
	b.Cleanup(func() {
		must(b, s.through.Close(context.Background()))
		must(b, s.store.Close())
	})
	return s
}
