package bench

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarncache/tarn/bench/peers"
)

// BenchmarkBound is how far above its capacity a cache goes: new keys are set by as many goroutines as there are
// processors while another asks over and over how many entries there are. above is the most, less the capacity.
func BenchmarkBound(b *testing.B) {
	const room = 10_000
	caches[string](b, 0, func(b *testing.B, name string) {
		keys := words.unseen()
		peer := lazily(b, func() *peers.Peer[string, string] {
			p := newPeer[string](b, name, peers.Options{Capacity: room})
			for _, k := range keys[len(keys)-room:] {
				p.Set(k, k)
			}
			return p
		})
		start := 0
		b.Run("load=new", func(b *testing.B) {
			p := peer()
			var over atomic.Bool
			var asked sync.WaitGroup
			most := p.Len()
			asked.Go(func() {
				for !over.Load() {
					most = max(most, p.Len())
					runtime.Gosched()
				}
			})
			share(b, runtime.GOMAXPROCS(0), &start, func(_, from, ops int) int {
				return p.Run(peers.Load[string, string]{
					Keys: keys, Values: keys, Mask: len(keys) - 1, From: from, Ops: ops,
				})
			})
			over.Store(true)
			asked.Wait()
			b.ReportMetric(float64(most-room), "above")
		})
	})
}
