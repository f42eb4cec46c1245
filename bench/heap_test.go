package bench

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tarncache/tarn/bench/peers"
)

// BenchmarkHeap is what a full cache of strings weighs, and how long a garbage collection takes with it.
//
// heap-B/entry is the growth of runtime.MemStats.HeapAlloc from before the cache is made until it is full, both after
// two collections, by the number of entries it says it holds. Each entry has a key and a value of ten bytes with
// memory of their own, which the allocator rounds up to 16: 32 bytes of the figure are theirs, in every cache.
//
// gc-ns is the median of three calls of runtime.GC. Its floor, with an empty heap, is cache=none.
func BenchmarkHeap(b *testing.B) {
	entries := *large
	for _, span := range spans {
		b.Run(fmt.Sprintf("entries=%d/life=%s", entries, span.name), func(b *testing.B) {
			b.Run("cache=none", func(b *testing.B) {
				for range b.N {
					b.ReportMetric(collection(), "gc-ns")
				}
				b.ReportMetric(0, "ns/op")
			})
			caches[string](b, span.life, func(b *testing.B, name string) {
				for range b.N {
					heapOf(b, name, peers.Options{Capacity: entries, Life: span.life})
				}
				b.ReportMetric(0, "ns/op") // says nothing
			})
		})
	}
}

func heapOf(b *testing.B, name string, o peers.Options) {
	before := heap()
	p := newPeer[string](b, name, o)
	for i := range o.Capacity {
		p.Set(fmt.Sprintf("k:%08d", i), fmt.Sprintf("v:%08d", i))
		if i%1024 == 0 {
			p.Wait() // so that none is dropped
		}
	}
	p.Wait()
	after := heap()
	n := p.Len()
	b.ReportMetric(float64(after-before)/float64(n), "heap-B/entry")
	b.ReportMetric(collection(), "gc-ns")
	b.ReportMetric(100*float64(n)/float64(o.Capacity), "full-%")
	p.Close()
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// collection returns the median time of three garbage collections, in nanoseconds.
func collection() float64 {
	times := make([]time.Duration, 3)
	for i := range times {
		begin := time.Now()
		runtime.GC()
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return float64(times[len(times)/2])
}
