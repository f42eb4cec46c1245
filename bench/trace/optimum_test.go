package trace_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarncache/tarn/bench/trace"
)

// best finds the most hits by trying every choice that a cache has: after each request any entries may go, the one of
// the request as well, as long as no more than the capacity stay. Keys are below 8; a cache is a set of bits.
func best(keys []uint64, entries int) int64 {
	now := map[uint8]int64{0: 0}
	for _, key := range keys {
		after := make(map[uint8]int64)
		for held, hits := range now {
			hits += int64(held >> key & 1)
			with := held | 1<<key
			for stay := range 256 {
				if s := uint8(stay); s&^with == 0 && ones(s) <= entries {
					after[s] = max(after[s], hits)
				}
			}
		}
		now = after
	}
	var most int64
	for _, hits := range now {
		most = max(most, hits)
	}
	return most
}

func ones(bits uint8) (n int) {
	for ; bits != 0; bits &= bits - 1 {
		n++
	}
	return n
}

func TestOptimumAgainstEveryChoice(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		keys := make([]uint64, 1+random.IntN(25))
		different := 1 + random.Uint64N(8)
		for i := range keys {
			keys[i] = random.Uint64N(different)
		}
		o, err := trace.NewOptimum(trace.Of("", keys...))
		if err != nil || o.Requests != int64(len(keys)) {
			t.Fatalf("%d requests, %v", o.Requests, err)
		}
		for entries := range 9 {
			if got, want := o.Hits(entries), best(keys, entries); got != want {
				t.Fatalf("%v in %d entries: %d hits, and there can be %d", keys, entries, got, want)
			}
		}
	}
}

// The brute force knows no long trace, in which the sets have several levels and next uses lie far ahead.
func TestOptimumOfLongTraces(t *testing.T) {
	const length, rounds = 12_000, 25
	o, err := trace.NewOptimum(trace.Synthetic(length*rounds, 1)[2])
	if err != nil || o.Keys != length {
		t.Fatalf("%d keys, %v", o.Keys, err)
	}
	for _, entries := range []int{1, 63, 1000, 6000, length - 1, length, 2 * length} {
		// An entry that stays is a hit once in a round, and so many can stay.
		want := float64(min(entries, length) * (rounds - 1))
		if got := float64(o.Hits(entries)); got > want*1.05 || got < want*0.95 {
			t.Errorf("%d entries: %.0f hits, about %.0f expected", entries, got, want)
		}
	}
	once, err := trace.NewOptimum(trace.Of("", 1, 2, 3, 4))
	if err != nil || once.Hits(2) != 0 || once.Keys != 4 {
		t.Errorf("%d hits of keys that come once, %v", once.Hits(2), err)
	}
}

// Against the textbook's way, on a trace of some length: look for the key whose next use is the farthest.
func TestOptimumAgainstSearch(t *testing.T) {
	for _, s := range trace.Synthetic(6000, 7) {
		keys, err := keysOf(s)
		if err != nil {
			t.Fatal(err)
		}
		o, err := trace.NewOptimum(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, entries := range []int{1, 10, 100} {
			if got, want := o.Hits(entries), search(keys, entries); got != want {
				t.Errorf("%s, %d entries: %d hits, want %d", s.Name(), entries, got, want)
			}
		}
	}
}

func search(keys []uint64, entries int) (hits int64) {
	uses := make(map[uint64][]int)
	for i, key := range keys {
		uses[key] = append(uses[key], i)
	}
	held := make(map[uint64]bool)
	for i, key := range keys {
		if held[key] {
			hits++
		}
		held[key] = true
		if len(held) <= entries {
			continue
		}
		farthest, at := uint64(0), -1
		for key := range held {
			next := len(keys)
			if j, _ := slices.BinarySearch(uses[key], i+1); j < len(uses[key]) {
				next = uses[key][j]
			}
			if next > at {
				farthest, at = key, next
			}
		}
		delete(held, farthest)
	}
	return hits
}

type failing struct{ trace.Source }

var errFailing = errors.New("failing")

func (failing) Open() (trace.Reader, error) { return nil, errFailing }

func TestErrorsOfTheSource(t *testing.T) {
	if _, err := trace.NewOptimum(failing{trace.Of("")}); !errors.Is(err, errFailing) {
		t.Errorf("NewOptimum: %v", err)
	}
	if _, err := trace.Load(failing{trace.Of("")}, 1); !errors.Is(err, errFailing) {
		t.Errorf("Load: %v", err)
	}
}

func BenchmarkOptimum(b *testing.B) {
	s, err := trace.Load(trace.Synthetic(1_000_000, 1)[0], 1_000_000)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("step=next", func(b *testing.B) {
		for b.Loop() {
			if _, err := trace.NewOptimum(s); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.Requests), "ns/request")
	})
	o, err := trace.NewOptimum(s)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("step=hits", func(b *testing.B) {
		for b.Loop() {
			o.Hits(10_000)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.Requests), "ns/request")
	})
}
