package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/bench/peers"
	"github.com/tarncache/tarn/store/memory"
)

// BenchmarkExpiry is a mass expiry: all entries but a thousand expire at one instant, while one goroutine gets those
// that stay, and another sets new ones, and both note the longest that a call took. gone-ms is how long it takes from
// that instant until the cache holds none of them; a cache that removes them only when it is used may take as long as
// the benchmark looks, which is two seconds. calm-get-us and calm-set-us are the longest calls in 200 ms before: on a
// machine with other work they are not small either.
func BenchmarkExpiry(b *testing.B) {
	b.Run(fmt.Sprintf("entries=%d", *large), func(b *testing.B) {
		caches[uint64](b, time.Hour, func(b *testing.B, name string) {
			for range b.N {
				expiry(b, newPeer[uint64](b, name, peers.Options{Capacity: 2 * *large, Life: time.Hour}), *large)
			}
			b.ReportMetric(0, "ns/op") // says nothing
		})
	})
}

// BenchmarkExpiryAtOnce is the same with a tarn that has an Observer, who is told how many entries left in one go, as
// a rule under one hold of a lock: at-once is the most. That is the store's own part of what a call waits for; the
// clock also sees what the system does with the goroutine. Entries leave as they do where nobody observes. What is
// different is a Set without a deadline in a segment in which no entry has one, which is where none expires.
func BenchmarkExpiryAtOnce(b *testing.B) {
	b.Run(fmt.Sprintf("entries=%d/cache=tarn", *large), func(b *testing.B) {
		for range b.N {
			atOnce(b, *large)
		}
		b.ReportMetric(0, "ns/op") // says nothing
	})
}

func atOnce(b *testing.B, entries int) {
	var told, most atomic.Int64
	s := memory.New(memory.Options[uint64, uint64]{
		MaxEntries: 2 * entries,
		Observer: tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
			if e.Kind == tarn.EventExpired {
				told.Add(int64(e.N))
				raise(&most, int64(e.N))
			}
		}),
	})
	expiry(b, peers.Tarn(s, time.Hour), entries)
	if n := s.Stats().Expirations; n == 0 || told.Load() != int64(n) {
		b.Errorf("the observer was told of %d entries; the store says %d", told.Load(), n)
	}
	b.ReportMetric(float64(most.Load()), "at-once")
}

// expiry fills a cache that is empty and has room for twice the entries, reports what calls took when they expired, and
// closes the cache, which waits for those of tarn's goroutines that still tell.
func expiry(b *testing.B, p *peers.Peer[uint64, uint64], entries int) {
	const stay, fresh = 1000, 1000
	defer p.Close()
	if p.SetUntil == nil {
		b.Skip("its entries cannot expire at an instant of the benchmark's choice")
	}
	for k := range uint64(stay) {
		p.Set(k, k)
	}
	calm := probe(p, stay, fresh, time.Now(), func(elapsed time.Duration) bool { return elapsed > 200*time.Millisecond })
	instant := time.Now().Add(50*time.Millisecond + time.Duration(entries)*2*time.Microsecond)
	for k := range uint64(entries) {
		p.SetUntil(1<<40+k, k, instant)
		if k%1024 == 0 {
			p.Wait() // so that none is dropped
		}
	}
	p.Wait()
	if late := time.Since(instant); late > 0 {
		b.Logf("filling it took %v too long", late)
	}
	time.Sleep(time.Until(instant) - 20*time.Millisecond)
	held := p.Len()
	storm := probe(p, stay, fresh, instant, func(elapsed time.Duration) bool {
		return elapsed > 2*time.Second || p.Len() <= stay+fresh
	})
	b.ReportMetric(us(calm.get), "calm-get-us")
	b.ReportMetric(us(calm.set), "calm-set-us")
	b.ReportMetric(us(storm.get), "get-us")
	b.ReportMetric(us(storm.set), "set-us")
	b.ReportMetric(float64(storm.took.Microseconds())/1e3, "gone-ms")
	b.ReportMetric(float64(held), "held")
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// longest are the longest Get and Set of a probe, and how long it took from its instant on.
type longest struct{ get, set, took time.Duration }

// probe gets and sets keys until done says so, which it is asked from the instant on, once a millisecond.
func probe(
	p *peers.Peer[uint64, uint64], stay, fresh uint64, instant time.Time, done func(time.Duration) bool,
) (l longest) {
	var over atomic.Bool
	var both sync.WaitGroup
	watch := func(longest *time.Duration, call func(i uint64)) {
		both.Go(func() {
			for i := uint64(0); !over.Load(); i++ {
				begin := time.Now()
				call(i)
				*longest = max(*longest, time.Since(begin))
				if i%64 == 0 {
					time.Sleep(20 * time.Microsecond) // leaves the processors to what removes the entries
				}
			}
		})
	}
	watch(&l.get, func(i uint64) { p.Get(i % stay) })
	watch(&l.set, func(i uint64) { p.Set(1<<50+i%fresh, i) })
	time.Sleep(time.Until(instant))
	for {
		l.took = time.Since(instant)
		if done(l.took) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	over.Store(true)
	both.Wait()
	return l
}
