package bench

import (
	"runtime"
	"testing"

	"github.com/tarncache/tarn/bench/peers"
)

// BenchmarkAllocs is what one operation allocates: a hit, a Set of a key that is there, and a Set of a key that is
// not, which evicts another. mallocs/op counts what the caches' own goroutines allocate too, and is no whole number:
// buffers are shared among many operations. allocs/op is the same, cut off.
func BenchmarkAllocs(b *testing.B) {
	const room, few = 8192, 4096
	caches[uint64](b, 0, func(b *testing.B, name string) {
		for _, op := range []struct {
			name  string
			keys  int // of which it goes round
			reads int
		}{{"hit", few, 4}, {"overwrite", few, 0}, {"insert", samples, 0}} {
			peer := lazily(b, func() *peers.Peer[uint64, uint64] {
				p := newPeer[uint64](b, name, peers.Options{Capacity: room})
				if op.keys == few {
					for _, k := range numbers.unseen()[:few] {
						p.Set(k, k)
						p.Wait()
					}
					return p
				}
				for _, k := range numbers.unseen()[samples-2*room:] {
					p.Set(k, k)
				}
				return p
			})
			start := 0
			b.Run("op="+op.name, func(b *testing.B) { allocs(b, peer(), op.keys, op.reads, &start) })
		}
	})
}

func allocs(b *testing.B, p *peers.Peer[uint64, uint64], keys, reads int, start *int) {
	all := numbers.unseen()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	share(b, 1, start, func(_, from, ops int) int {
		return p.Run(peers.Load[uint64, uint64]{
			Keys: all, Values: all, Mask: keys - 1, Reads: reads, From: from, Ops: ops,
		})
	})
	p.Wait()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), "mallocs/op")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N), "malloc-B/op")
}
