package bench

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/bench/peers"
	"github.com/tarncache/tarn/store/memory"
)

// boundRoom is how many entries the caches of BenchmarkBound have room for.
const boundRoom = 10_000

// BenchmarkBound is how far above its capacity a cache goes: new keys are set by as many goroutines as there are
// processors while another asks over and over how many entries there are. above is the most, less the capacity.
//
// That is what a cache says of itself. load=told does not rely on it: see boundTold. Only tarn's store tells its
// listener of every removal on the goroutine that made it, so only tarn is counted so.
func BenchmarkBound(b *testing.B) {
	caches[string](b, 0, func(b *testing.B, name string) {
		keys := words.unseen()
		peer := lazily(b, func() *peers.Peer[string, string] {
			p := newPeer[string](b, name, peers.Options{Capacity: boundRoom})
			for _, k := range keys[len(keys)-boundRoom:] {
				p.Set(k, k)
			}
			return p
		})
		start := 0
		b.Run("load=new", func(b *testing.B) {
			p := peer()
			stop := most(p.Len)
			share(b, runtime.GOMAXPROCS(0), &start, func(_, from, ops int) int {
				return p.Run(peers.Load[string, string]{
					Keys: keys, Values: keys, Mask: len(keys) - 1, From: from, Ops: ops,
				})
			})
			b.ReportMetric(float64(stop()-boundRoom), "above")
		})
		if name == "tarn" {
			b.Run("load=told", func(b *testing.B) { boundTold(b, keys) })
		}
	})
}

// boundTold counts from outside: the values that were set, less those that the store has told its listener of. A value
// counts from before its Set until after it has left, so the count is never below what the store holds, and above it
// by no more than what is being set and told at that moment. above-told is the most that it was, less the capacity,
// and above what the store said meanwhile. A count that is not the store's own once all is done fails the benchmark.
func boundTold(b *testing.B, keys []string) {
	var held, peak atomic.Int64
	s := memory.New(memory.Options[string, string]{
		MaxEntries: boundRoom,
		OnRemove:   func(memory.Removal[string, string]) { held.Add(-1) },
	})
	defer s.Close()
	set := func(key string) int64 {
		now := held.Add(1)
		if err := s.Set(context.Background(), key, tarn.Entry[string]{Value: key}); err != nil {
			panic(err)
		}
		return now
	}
	for _, k := range keys[len(keys)-boundRoom:] {
		set(k)
	}
	stop := most(func() int {
		raise(&peak, held.Load())
		return s.Len()
	})
	start := 0
	share(b, runtime.GOMAXPROCS(0), &start, func(_, from, ops int) int {
		var mine int64 // the count is at its most after somebody added to it
		for i := from; i < from+ops; i++ {
			mine = max(mine, set(keys[i&(len(keys)-1)]))
		}
		raise(&peak, mine)
		return 0
	})
	b.ReportMetric(float64(stop()-boundRoom), "above")
	b.ReportMetric(float64(peak.Load()-boundRoom), "above-told")
	if n := s.Len(); held.Load() != int64(n) {
		b.Errorf("by what was set and told there are %d entries; the store says %d", held.Load(), n)
	}
}

func raise(peak *atomic.Int64, to int64) {
	for now := peak.Load(); to > now && !peak.CompareAndSwap(now, to); now = peak.Load() {
	}
}

// most asks for a number over and over, on a goroutine of its own. stop ends it and returns the most it was told.
func most(ask func() int) (stop func() int) {
	var over atomic.Bool
	var asking sync.WaitGroup
	n := ask()
	asking.Go(func() {
		for !over.Load() {
			n = max(n, ask())
			runtime.Gosched()
		}
	})
	return func() int {
		over.Store(true)
		asking.Wait()
		return n
	}
}
