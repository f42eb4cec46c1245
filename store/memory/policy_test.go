package memory_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tarncache/tarn/store/memory"
)

// ratio plays keys against a store of n entries, a miss inserting the key, and returns the share of hits.
func ratio(n int, keys []uint64) float64 {
	s := memory.New(memory.Options[uint64, struct{}]{MaxEntries: n, CountReads: true})
	for _, key := range keys {
		if _, found := s.Value(key); !found {
			_ = s.Put(key, struct{}{}, 0)
		}
	}
	st := s.Stats()
	return float64(st.Hits) / float64(st.Hits+st.Misses)
}

// lru is what a list in order of use would have got.
func lru(n int, keys []uint64) float64 {
	used, at := map[uint64]int{}, map[int]uint64{}
	hits, oldest := 0, 0
	for now, key := range keys {
		last, found := used[key]
		if found {
			hits++
			delete(at, last)
		}
		for ; len(used) >= n && !found; oldest++ {
			if victim, ok := at[oldest]; ok {
				delete(at, oldest)
				delete(used, victim)
			}
		}
		used[key], at[now] = now, key
	}
	return float64(hits) / float64(len(keys))
}

func loop(length, n int) []uint64 {
	keys := make([]uint64, n)
	for i := range keys {
		keys[i] = uint64(i % length)
	}
	return keys
}

func zipf(n int) []uint64 {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, 99_999)
	keys := make([]uint64, n)
	for i := range keys {
		keys[i] = z.Uint64()
	}
	return keys
}

// withScans puts a scan over keys that never come again after every chunk of keys.
func withScans(keys []uint64, chunk, scan int) []uint64 {
	var all []uint64
	next := uint64(1 << 40)
	for ; len(keys) > 0; keys = keys[min(chunk, len(keys)):] {
		all = append(all, keys[:min(chunk, len(keys))]...)
		for range scan {
			all = append(all, next)
			next++
		}
	}
	return all
}

// byOne leaves a test of what one goroutine does to a run without the race detector, which would take many times as long
// to find nothing.
func byOne(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine races with nobody")
	}
}

// TestLoopLargerThanTheStore: the best there is hits capacity/loop; a list in order of use hits never.
func TestLoopLargerThanTheStore(t *testing.T) {
	byOne(t)
	for _, n := range []int{100, 1000} {
		for _, times := range []float64{1.1, 1.5, 2} {
			length := int(float64(n) * times)
			keys := loop(length, 60*length)
			if got, want := ratio(n, keys), 0.8*float64(n)/float64(length); got < want {
				t.Errorf("%d entries, a loop of %d: %.3f, want %.3f", n, length, got, want)
			}
			if got := lru(n, keys); got != 0 {
				t.Errorf("the loop is no test: LRU gets %.3f", got)
			}
		}
	}
}

func TestZipfAndScans(t *testing.T) {
	byOne(t)
	const n = 1000
	keys := zipf(120_000)
	plain, plainLRU := ratio(n, keys), lru(n, keys)
	if plain < plainLRU+0.03 {
		t.Errorf("Zipf: %.3f, LRU gets %.3f", plain, plainLRU)
	}
	// A third of the requests are scans, each twice the store: they cannot be hit, and should cost little else.
	scanned := ratio(n, withScans(keys, 4*n, 2*n)) * 1.5
	if scanned < 0.95*plain {
		t.Errorf("Zipf under scans: %.3f of its own requests are hit, %.3f without scans", scanned, plain)
	}
	if got := lru(n, withScans(keys, 4*n, 2*n)) * 1.5; got > 0.95*plainLRU {
		t.Errorf("the scans are no test: LRU gets %.3f of %.3f", got, plainLRU)
	}
}

// TestThePolicyAdapts: what was hot is forgotten when other keys are hot.
func TestThePolicyAdapts(t *testing.T) {
	byOne(t)
	const n = 1000
	first := zipf(80_000)
	second := make([]uint64, len(first))
	for i, key := range first {
		second[i] = key + 1<<32
	}
	s := memory.New(memory.Options[uint64, struct{}]{MaxEntries: n, CountReads: true})
	for _, keys := range [][]uint64{first, second} {
		before := s.Stats()
		for _, key := range keys {
			if _, found := s.Value(key); !found {
				_ = s.Put(key, struct{}{}, 0)
			}
		}
		after := s.Stats()
		got := float64(after.Hits-before.Hits) / float64(len(keys))
		if alone := ratio(n, keys); got < 0.85*alone {
			t.Errorf("%.3f hits, %.3f in a new store", got, alone)
		}
	}
}

// TestTheStoreFollowsTheWorkload: what is best for a loop larger than the store finds a fifth of keys that come again soon
// or never, of which another setting finds half.
func TestTheStoreFollowsTheWorkload(t *testing.T) {
	byOne(t)
	for name, n := range map[string]int{"in one part": 500, "in many parts": 4096} {
		t.Run(name, func(t *testing.T) {
			s := memory.New(memory.Options[uint64, struct{}]{MaxEntries: n, CountReads: true})
			for _, phase := range []struct {
				name string
				keys []uint64
				want float64
			}{
				{"a loop", loop(2*n, 20*n), 0.3},
				{"recency", soonOrNever(n, 30*n), 0.4},
			} {
				before := s.Stats().Hits
				for _, key := range phase.keys {
					if _, found := s.Value(key); !found {
						_ = s.Put(key, struct{}{}, 0)
					}
				}
				if got := float64(s.Stats().Hits-before) / float64(len(phase.keys)); got < phase.want {
					t.Errorf("%s: %.3f, want %.3f", phase.name, got, phase.want)
				}
			}
		})
	}
}

// soonOrNever returns keys most of which come again within some times n others, or never.
func soonOrNever(n, length int) []uint64 {
	random := rand.New(rand.NewPCG(3, 4))
	keys := make([]uint64, 0, length)
	for next := uint64(1 << 32); len(keys) < length; {
		if back := int(random.ExpFloat64() * 1.6 * float64(n)); random.IntN(10) < 7 && back < len(keys) {
			keys = append(keys, keys[len(keys)-1-back])
		} else {
			next++
			keys = append(keys, next)
		}
	}
	return keys
}

// TestWeightsAreDuelledFor: under a bound by weight a scan does not wash out what is used either.
func TestWeightsAreDuelledFor(t *testing.T) {
	byOne(t)
	s := memory.New(memory.Options[int, int64]{
		MaxWeight: 10_000, Weigh: func(_ int, w int64) int64 { return w },
	})
	weight := func(key int) int64 { return int64(1 + key%20) }
	for round := range 20 {
		for key := range 300 {
			if _, found := s.Value(key); !found {
				_ = s.Put(key, weight(key), 0)
			}
		}
		for i := range 3000 {
			key := 1000 + round*3000 + i
			_ = s.Put(key, weight(key), 0)
		}
	}
	kept := 0
	for key := range 300 {
		if _, found := s.Value(key); found {
			kept++
		}
	}
	if kept < 200 { // without the duel for a weight it is some sixty
		t.Errorf("%d of 300 kept", kept)
	}
}

// TestTheNewestIsThere: whatever the policy thinks of it, what was set last is found.
func TestTheNewestIsThere(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 1000} {
		s := memory.New(memory.Options[int, int]{MaxEntries: n})
		w := memory.New(memory.Options[int, int]{
			MaxWeight: int64(n), Weigh: func(key, _ int) int64 { return int64(key%n + 1) },
		})
		for key := range 5000 {
			mustSet(t, s, key, key)
			mustSet(t, w, key, key)
			wantValue(t, s, key, key)
			wantValue(t, w, key, key)
			if st := w.Stats(); st.Weight > st.Bound {
				t.Fatalf("weight %d of %d", st.Weight, st.Bound)
			}
			mustSet(t, s, key/2, -1)
			wantValue(t, s, key/2, -1)
		}
		if s.Len() != n {
			t.Errorf("%d entries of %d", s.Len(), n)
		}
	}
}

// TestHeavyWeights: sums of weights near the greatest number do not wrap.
func TestHeavyWeights(t *testing.T) {
	const half = math.MaxInt64/2 + 1
	s := memory.New(memory.Options[int, int64]{
		MaxWeight: math.MaxInt64, Weigh: func(_ int, v int64) int64 { return v },
	})
	defer func() { _ = s.Close() }()
	for i := range 5 {
		_ = s.Put(i, half, 0)
		if st := s.Stats(); st.Entries != 1 || st.Weight != half {
			t.Errorf("insert: %+v", st)
		}
	}
	for i := range 5 {
		_ = s.Put(i, 1, 0)
	}
	for i := range 5 {
		_ = s.Put(i, half, 0)
		_ = s.Put(i, math.MaxInt64, 0)
		if v, ok := s.Value(i); !ok || v != math.MaxInt64 {
			t.Errorf("%d %v: the newest is kept", v, ok)
		}
		if st := s.Stats(); st.Entries != 1 || st.Weight != math.MaxInt64 {
			t.Errorf("replace: %+v", st)
		}
	}
}
