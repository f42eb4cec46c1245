package bench

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/tarncache/tarn/bench/peers"
)

// BenchmarkGrowth is a Get of a key that is there, from among more and more of them, each as likely as the others.
// What it costs rises with the entries because they leave the processor's caches; the question is by how much.
func BenchmarkGrowth(b *testing.B) {
	order := make([]uint64, samples)
	for entries := 1000; entries <= 10**large; entries *= 10 {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			for _, name := range []string{"tarn", "otter"} {
				b.Run("cache="+name, func(b *testing.B) {
					peer := lazily(b, func() *peers.Peer[uint64, uint64] { return filled(b, name, entries) })
					start := 0
					b.Run("reads=100", func(b *testing.B) {
						p := peer()
						random := rand.New(rand.NewPCG(3, 4))
						for i := range order {
							order[i] = random.Uint64N(uint64(entries))
						}
						hits := share(b, runtime.GOMAXPROCS(0), &start, func(_, from, ops int) int {
							return p.Run(peers.Load[uint64, uint64]{
								Keys: order, Values: order, Mask: samples - 1, Reads: 4, From: from, Ops: ops,
							})
						})
						b.ReportMetric(100*float64(hits)/float64(b.N), "hit-%")
					})
				})
			}
		})
	}
}

// filled makes a cache that has the keys from 0 to entries-1, and room for an eighth more.
func filled(b *testing.B, name string, entries int) *peers.Peer[uint64, uint64] {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // filling it is not what is measured
	p := newPeer[uint64](b, name, peers.Options{Capacity: entries + entries/8})
	const hands = 2
	var all sync.WaitGroup
	for h := range hands {
		all.Go(func() {
			for k := uint64(h); k < uint64(entries); k += hands {
				p.Set(k, k)
			}
		})
	}
	all.Wait()
	return p
}
