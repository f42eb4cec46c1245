package bench

import (
	"fmt"
	"math/rand/v2"
	"runtime"
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
				peer := lazily(b, func() *peers.Peer[uint64, uint64] {
					p := newPeer[uint64](b, name, peers.Options{Capacity: entries + entries/8})
					for k := range uint64(entries) {
						p.Set(k, k)
					}
					return p
				})
				start := 0
				b.Run("cache="+name, func(b *testing.B) {
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
			}
		})
	}
}
