package bench

import (
	"fmt"
	"testing"

	"github.com/tarncache/tarn/bench/peers"
)

// BenchmarkGoroutines is 64 goroutines, on one hot key or each on 256 keys of its own.
func BenchmarkGoroutines(b *testing.B) {
	const goroutines, own = 64, 256
	for _, hot := range []bool{true, false} {
		on, keys := "disjoint", make([][]string, goroutines)
		if hot {
			on = "hot"
		}
		for g := range keys {
			if hot {
				keys[g] = []string{"hot"}
				continue
			}
			for i := range own {
				keys[g] = append(keys[g], fmt.Sprintf("key:%d:%d", g, i))
			}
		}
		b.Run("on="+on, func(b *testing.B) {
			caches[string](b, 0, func(b *testing.B, name string) {
				peer := lazily(b, func() *peers.Peer[string, string] {
					p := newPeer[string](b, name, peers.Options{Capacity: capacity})
					for _, mine := range keys {
						for _, k := range mine {
							p.Set(k, k)
						}
					}
					return p
				})
				start := 0
				for _, reads := range []int{4, 3} {
					b.Run(fmt.Sprintf("reads=%d", 25*reads), func(b *testing.B) {
						p := peer()
						share(b, goroutines, &start, func(g, from, ops int) int {
							return p.Run(peers.Load[string, string]{
								Keys: keys[g], Values: keys[g], Mask: len(keys[g]) - 1, Reads: reads, From: from, Ops: ops,
							})
						})
					})
				}
			})
		})
	}
}
