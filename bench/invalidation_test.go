package bench

import (
	"slices"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
)

// BenchmarkInvalidation is a write in one process of a key that another one keeps near, and how long after it was
// acknowledged the other one still has its copy: the median, and what 99 of 100 stay within. A copy that is gone by
// then counts as 0. Each process has connections of its own.
func BenchmarkInvalidation(b *testing.B) {
	for _, a := range adapters {
		b.Run("client="+a.name, func(b *testing.B) {
			addr := redistest.Start(b).Addr()
			one := newTier(b, inRedis(a.of(b, addr)), 0)
			two := newTier(b, inRedis(a.of(b, addr)), 0)
			ctx, keys, n := b.Context(), profileKeys(hot), 0
			var delays []time.Duration
			for b.Loop() {
				n++
				key := keys[n%len(keys)]
				two.keepNear(b, []string{key})
				must(b, one.cache.Set(ctx, key, profileOf(int64(n))))
				delays = append(delays, untilGone(two, key))
			}
			slices.Sort(delays)
			b.ReportMetric(milliseconds(delays[len(delays)/2]), "gone-median-ms")
			b.ReportMetric(milliseconds(delays[len(delays)*99/100]), "gone-p99-ms")
		})
	}
}

func untilGone(t *tier, key string) time.Duration {
	start := time.Now()
	for looks := 0; ; looks++ {
		if _, has := t.near.Hit(key); !has {
			if looks == 0 {
				return 0
			}
			return time.Since(start)
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
