package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
)

// awayFor is how long Redis is away in BenchmarkOutage.
const awayFor = time.Second

// BenchmarkOutage kills Redis while 64 callers in two processes read, a fifth of what they do being writes, and starts an
// empty one a second later. errors/op counts the calls that failed; a write that is told that the cache may be stale has
// not failed. trusted-ms is how long after Redis is back both processes trust their copies again, longest-ms the longest
// call of all.
func BenchmarkOutage(b *testing.B) {
	for _, a := range adapters {
		b.Run("client="+a.name, func(b *testing.B) {
			server := redistest.Start(b)
			addr := server.Addr()
			o := outage{tiers: []*tier{
				newTier(b, inRedis(a.of(b, addr)), time.Millisecond),
				newTier(b, inRedis(a.of(b, addr)), time.Millisecond),
			}}
			outages, trusted := 0, time.Duration(0)
			for b.Loop() {
				stop := o.load()
				time.Sleep(100 * time.Millisecond)
				server.Kill()
				time.Sleep(awayFor)
				server.Restart()
				back := time.Now()
				for _, t := range o.tiers {
					t.untilTrusted(b)
				}
				trusted += time.Since(back)
				outages++
				stop()
			}
			per := func(n int64) float64 { return float64(n) / float64(outages) }
			b.ReportMetric(per(o.calls.Load()), "calls/op")
			b.ReportMetric(per(o.failed.Load()), "errors/op")
			b.ReportMetric(per(o.maybeStale.Load()), "maybe-stale/op")
			b.ReportMetric(milliseconds(trusted)/float64(outages), "trusted-ms")
			b.ReportMetric(milliseconds(time.Duration(o.longest.Load())), "longest-ms")
			if err := o.err.Load(); err != nil {
				b.Logf("the last error: %v", *err)
			}
		})
	}
}

// outage is what callers saw.
type outage struct {
	tiers                     []*tier
	calls, failed, maybeStale atomic.Int64
	longest                   atomic.Int64 // nanoseconds
	err                       atomic.Pointer[error]
}

// load lets 64 callers read and write until stop is called, which waits for them.
func (o *outage) load() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	keys := profileKeys(1000)
	var all sync.WaitGroup
	for g := range callers {
		t := o.tiers[g%len(o.tiers)]
		all.Go(func() {
			for n := g * 61; ctx.Err() == nil; n++ {
				start := time.Now()
				var err error
				if key := keys[n%len(keys)]; n%5 == 0 {
					err = t.cache.Set(context.Background(), key, profileOf(int64(n)))
				} else {
					_, err = t.cache.Get(context.Background(), key)
				}
				o.note(time.Since(start), err)
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

func (o *outage) note(took time.Duration, err error) {
	o.calls.Add(1)
	switch {
	case errors.Is(err, tarn.ErrMaybeStale):
		o.maybeStale.Add(1)
	case err != nil:
		o.failed.Add(1)
		o.err.Store(&err)
	}
	for {
		longest := o.longest.Load()
		if int64(took) <= longest || o.longest.CompareAndSwap(longest, int64(took)) {
			return
		}
	}
}
