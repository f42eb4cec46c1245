package bench

import (
	"math/rand"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/tarncache/tarn/store/memory"
)

// BenchmarkMemory is the memory store alone under a skewed load of string keys and values: Zipf 1.01 over 100,000
// keys, room for 50,000, every goroutine mixing reads and writes. load=new sets keys that were never seen.
func BenchmarkMemory(b *testing.B) {
	const (
		keys     = 100_000
		capacity = keys / 2
		samples  = 1 << 20 // a power of two
	)
	zipf := rand.NewZipf(rand.New(rand.NewSource(1)), 1.01, 1, keys-1)
	used := make([]string, samples)
	for i := range used {
		used[i] = "key:" + strconv.FormatUint(zipf.Uint64(), 10)
	}
	unseen := make([]string, samples)
	for i := range unseen {
		unseen[i] = "new:" + strconv.Itoa(i)
	}
	for _, load := range []struct {
		name  string
		reads uint64 // of 4
		keys  []string
	}{
		{"reads", 4, used}, {"mixed", 3, used}, {"writes", 0, used}, {"new", 0, unseen},
	} {
		b.Run("cache=tarn/load="+load.name, func(b *testing.B) {
			store := memory.New(memory.Options[string, string]{MaxEntries: capacity})
			b.Cleanup(func() { must(b, store.Close()) })
			for _, k := range used[:samples/2] {
				must(b, store.Put(k, k, 0))
			}
			var goroutines atomic.Uint64
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := goroutines.Add(1) * (samples / 7)
				for ; pb.Next(); i++ {
					k := load.keys[i&(samples-1)]
					if i&3 < load.reads {
						store.Value(k)
					} else if err := store.Put(k, k, 0); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
