// Package bench measures tarn, and the memory store beside other caches. Each benchmark's parts are named key=value,
// so that benchstat can put them side by side (benchstat -col /cache), and cmd/report knows which have a target.
package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// Product is a value as applications have them: a small struct.
type Product struct {
	ID    int64
	Name  string
	Price int64
}

func product(id int64) Product { return Product{ID: id, Name: "lamp", Price: 100 + id} }

// hot is how many keys the benchmarks of hits use: few enough for all to be in the cache, and more than fit in the
// processor's first one. A power of two.
const hot = 1 << 12

func intKey(i int64) int64     { return i }
func stringKey(i int64) string { return fmt.Sprintf("product:%08d", i) }

// shuffled returns the keys of the numbers from 0 to hot-1, in random order.
func shuffled[K comparable](key func(int64) K) []K {
	keys := make([]K, hot)
	for i, n := range rand.New(rand.NewPCG(1, 2)).Perm(hot) {
		keys[i] = key(int64(n))
	}
	return keys
}

// discard is a source without rows, whose writes succeed and are forgotten.
func discard[K comparable]() (tarn.Loader[K, Product], tarn.Writer[K, Product]) {
	return tarn.LoadFunc(func(context.Context, K) (Product, error) { return Product{}, tarn.ErrNotFound }),
		tarn.WriteFuncs(
			func(context.Context, K, Product) error { return nil },
			func(context.Context, K) error { return nil })
}

// lives are the policies under which hits are measured: with a deadline a hit reads the clock.
var lives = []struct {
	name   string
	policy ttl.Policy
}{
	{"none", ttl.Policy{}},
	{"5m", ttl.Policy{Fresh: 5 * time.Minute}},
}

// stack is one store, full of hot keys, and every strategy over it.
type stack[K comparable] struct {
	keys    []K
	store   *memory.Store[K, Product]
	loader  tarn.Loader[K, Product]
	through *strategies.ReadThroughCache[K, Product]
	aside   *strategies.LookAsideCache[K, Product]
	writer  tarn.Writer[K, Product]
}

func newStack[K comparable](b *testing.B, key func(int64) K, policy ttl.Policy) *stack[K] {
	s := &stack[K]{keys: shuffled(key), store: memory.New(memory.Options[K, Product]{MaxEntries: 4 * hot})}
	s.loader, s.writer = discard[K]()
	s.through = strategies.ReadThrough(s.store, s.loader, strategies.WithTTL(policy))
	s.aside = strategies.LookAside(s.store, strategies.WithTTL(policy))
	for i, k := range s.keys {
		must(b, s.through.Set(b.Context(), k, product(int64(i))))
	}
	b.Cleanup(func() {
		must(b, s.through.Close(context.Background()))
		must(b, s.aside.Close(context.Background()))
		must(b, s.store.Close())
	})
	return s
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
