package bench

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn/bench/peers"
)

// The load of the benchmarks that set tarn beside its peers: Zipf 1.01 over 100,000 keys, and room for 50,000.
const (
	zipfKeys = 100_000
	capacity = zipfKeys / 2
	samples  = 1 << 20
)

// large is how many entries the benchmarks hold that measure what many entries cost.
var large = flag.Int("entries", 10_000,
	"how many entries BenchmarkHeap, BenchmarkExpiry and BenchmarkExpiryAtOnce hold, and a tenth of the most that "+
		"BenchmarkGrowth holds; the report takes 1,000,000")

// sampleSet is the keys of one type, made when they are first asked for. A value is its key. Every sample of a key has
// memory of its own, as the key of a request has: a cache may not find out by its address that two are the same.
type sampleSet[K peers.Key] struct {
	zipf   func() []K
	unseen func() []K // all different, and different from those of zipf
}

func newSamples[K peers.Key](key func(uint64) K) *sampleSet[K] {
	return &sampleSet[K]{
		zipf: sync.OnceValue(func() []K {
			ranks := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, zipfKeys-1)
			keys := make([]K, samples)
			for i := range keys {
				keys[i] = key(ranks.Uint64())
			}
			return keys
		}),
		unseen: sync.OnceValue(func() []K {
			keys := make([]K, samples)
			for i := range keys {
				keys[i] = key(uint64(zipfKeys + i))
			}
			return keys
		}),
	}
}

var (
	numbers = newSamples(func(n uint64) uint64 { return n })
	words   = newSamples(func(n uint64) string { return "key:" + strconv.FormatUint(n, 10) })
)

// caches runs a benchmark with every cache that can take part in it.
func caches[K peers.Key](b *testing.B, life time.Duration, f func(b *testing.B, name string)) {
	_, isString := any(*new(K)).(string)
	for _, c := range peers.All() {
		if c.ReplayOnly || c.StringKeys && !isString || life > 0 && !c.Lives {
			continue
		}
		b.Run("cache="+c.Name, func(b *testing.B) { f(b, c.Name) })
	}
}

func newPeer[K peers.Key](b *testing.B, name string, o peers.Options) *peers.Peer[K, K] {
	p, err := peers.New[K, K](name, o)
	must(b, err)
	return p
}

// lazily returns a function that makes a cache when it is first called. It is closed when b ends. A benchmark's
// function is called several times, with more and more operations; the parts of one share what was costly to make. With
// another number of processors it is made anew, since caches lay themselves out by it.
func lazily[K peers.Key](b *testing.B, make func() *peers.Peer[K, K]) func() *peers.Peer[K, K] {
	var p *peers.Peer[K, K]
	processors := 0
	closeIt := func() {
		if p != nil {
			p.Close()
		}
	}
	b.Cleanup(closeIt)
	return func() *peers.Peer[K, K] {
		if now := runtime.GOMAXPROCS(0); processors != now {
			closeIt()
			p, processors = make(), now
			p.Wait()
			runtime.GC() // what the others left is not paid for here
		}
		return p
	}
}

// warm makes a cache that has seen a quarter of the samples, which are more different keys than it has room for: a key
// that it lacks is set, as its user would.
func warm[K peers.Key](b *testing.B, name string, life time.Duration, keys []K) *peers.Peer[K, K] {
	p := newPeer[K](b, name, peers.Options{Capacity: capacity, Life: life})
	for _, k := range keys[:samples/4] {
		if _, found := p.Get(k); !found {
			p.Set(k, k)
		}
	}
	return p
}

// piece is how many operations a goroutine takes at once, so that taking them costs nothing.
const piece = 256

// share has a number of goroutines run b.N operations, a piece at a time, and returns how many Gets hit. start is the
// number of the first operation, and goes on from one call to the next.
func share(b *testing.B, goroutines int, start *int, run func(goroutine, from, ops int) (hits int)) int {
	var next, hits atomic.Int64
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for g := range goroutines {
		all.Go(func() {
			mine := 0
			for {
				from := int(next.Add(piece)) - piece
				if from >= b.N {
					break
				}
				mine += run(g, *start+from, min(piece, b.N-from))
				if goroutines > runtime.GOMAXPROCS(0) {
					runtime.Gosched() // so that all of them are under way
				}
			}
			hits.Add(int64(mine))
		})
	}
	all.Wait()
	b.StopTimer()
	*start += b.N
	return int(hits.Load())
}

// drive runs b.N operations of a load, every goroutine mixing reads and writes, and reports the share of hits.
func drive[K peers.Key](b *testing.B, p *peers.Peer[K, K], keys []K, reads int, start *int) {
	first := *start
	hits := share(b, runtime.GOMAXPROCS(0), start, func(_, from, ops int) int {
		return p.Run(peers.Load[K, K]{Keys: keys, Values: keys, Mask: len(keys) - 1, Reads: reads, From: from, Ops: ops})
	})
	if gets := getsIn(first, b.N, reads); gets > 0 {
		b.ReportMetric(100*float64(hits)/float64(gets), "hit-%")
	}
}

// getsIn returns how many of n operations from the first on are Gets.
func getsIn(first, n, reads int) int {
	gets := n / 4 * reads
	for i := first + n/4*4; i < first+n; i++ {
		if i&3 < reads {
			gets++
		}
	}
	return gets
}

// spans are the lives of the benchmarks' entries.
var spans = []struct {
	name string
	life time.Duration
}{{"none", 0}, {"1h", time.Hour}}

// BenchmarkLoad is a mix of Gets and Sets of the keys by Zipf, on a cache that has seen them before. Where there are
// Sets, they overwrite and insert.
func BenchmarkLoad(b *testing.B) {
	b.Run("keys=string", func(b *testing.B) { loads(b, words) })
	b.Run("keys=uint64", func(b *testing.B) { loads(b, numbers) })
}

func loads[K peers.Key](b *testing.B, set *sampleSet[K]) {
	for _, span := range spans {
		b.Run("life="+span.name, func(b *testing.B) {
			caches[K](b, span.life, func(b *testing.B, name string) {
				peer := lazily(b, func() *peers.Peer[K, K] { return warm(b, name, span.life, set.zipf()) })
				start := samples / 4
				for _, reads := range []int{4, 3, 0} {
					b.Run(fmt.Sprintf("reads=%d", 25*reads), func(b *testing.B) {
						drive(b, peer(), set.zipf(), reads, &start)
					})
				}
			})
		})
	}
}

// BenchmarkNew is Sets of keys that were not seen for a million others, into a full cache.
func BenchmarkNew(b *testing.B) {
	b.Run("keys=string", func(b *testing.B) { unseen(b, words) })
	b.Run("keys=uint64", func(b *testing.B) { unseen(b, numbers) })
}

func unseen[K peers.Key](b *testing.B, set *sampleSet[K]) {
	caches[K](b, 0, func(b *testing.B, name string) {
		peer := lazily(b, func() *peers.Peer[K, K] {
			p := newPeer[K](b, name, peers.Options{Capacity: capacity})
			for _, k := range set.unseen()[samples-2*capacity:] {
				p.Set(k, k)
			}
			return p
		})
		start := 0
		b.Run("load=new", func(b *testing.B) { drive(b, peer(), set.unseen(), 0, &start) })
	})
}
