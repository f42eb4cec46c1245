package memory_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// drain runs a scan to its end.
func drain[K comparable, V any](seq iter.Seq2[K, tarn.Entry[V]], failed func() error) error {
	for range seq {
	}
	return failed()
}

func filled(t *testing.T, n int) *memory.Store[int, int] {
	s := memory.New(memory.Options[int, int]{MaxEntries: 2 * n})
	for i := range n {
		mustSet(t, s, i, i)
	}
	return s
}

func TestAllSeesEachEntryOnce(t *testing.T) {
	const n = 20_000
	s := filled(t, n)
	seen := make(map[int]bool)
	for key, v := range s.All() {
		if key != v || seen[key] {
			t.Fatalf("key %d with %d, seen before: %v", key, v, seen[key])
		}
		seen[key] = true
	}
	if count, err := s.Count(bg); len(seen) != n || count != n || err != nil {
		t.Errorf("saw %d of %d (%v)", len(seen), count, err)
	}
	left := 0
	for range s.All() {
		if left++; left == 7 {
			break
		}
	}
	mustSet(t, s, 1, 1) // nothing is locked after a break
}

// TestScanSeesNoKeyTwice: keys that were seen are removed, others take their places, and they come again: for the
// map they are new entries, perhaps ahead of the scan.
func TestScanSeesNoKeyTwice(t *testing.T) {
	const n, chunk, others = 8000, 256, 2048
	s := memory.New(memory.Options[int, int]{MaxEntries: 4 * n})
	for key := range n {
		mustSet(t, s, key, 0)
	}
	seen := make(map[int]bool)
	var recent []int
	for key := range s.All() {
		if seen[key] {
			t.Fatalf("key %d twice", key)
		}
		seen[key] = true
		if recent = append(recent, key); len(recent) < chunk {
			continue
		}
		if err := s.DeleteMany(bg, recent); err != nil {
			t.Fatal(err)
		}
		for other := range others {
			mustSet(t, s, n+other, 0)
		}
		for _, key := range recent {
			mustSet(t, s, key, 0)
		}
		for other := range others {
			if err := s.Delete(bg, n+other); err != nil {
				t.Fatal(err)
			}
		}
		recent = recent[:0]
	}
	for key := range n {
		if !seen[key] {
			t.Fatalf("key %d was not seen, though it stood until it was", key)
		}
	}
}

func TestScanEnds(t *testing.T) {
	for _, tc := range []struct {
		rule string
		do   func(s *memory.Store[int, int], cancel func())
		want error
	}{
		{"with the context", func(_ *memory.Store[int, int], cancel func()) { cancel() }, context.Canceled},
		{"with the store", func(s *memory.Store[int, int], _ func()) { s.Close() }, tarn.ErrClosed},
		{"early when it is cleared", func(s *memory.Store[int, int], _ func()) { _ = s.Clear(bg) }, nil},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			const n = 30_000
			s := filled(t, n)
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			seq, failed := s.Scan(ctx)
			seen := 0
			for range seq {
				if seen++; seen == 1 {
					tc.do(s, cancel)
				}
			}
			if err := failed(); err != tc.want || seen > n/30 {
				t.Errorf("%v after %d entries; want %v soon", err, seen, tc.want)
			}
		})
	}
}

func TestScanSaysStaleAndLeavesOutExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := entries(10)
		now := s.Clock().Now()
		_ = s.Set(bg, "stale", tarn.Entry[int]{Fresh: now.Add(time.Second), Expires: now.Add(time.Hour)})
		_ = s.Set(bg, "gone", tarn.Entry[int]{Expires: now.Add(time.Second)})
		_ = s.Set(bg, "absent", tarn.Entry[int]{Negative: true})
		time.Sleep(time.Second)
		seq, failed := s.Scan(bg)
		seen := map[string]tarn.Entry[int]{}
		for key, e := range seq {
			seen[key] = e
		}
		if failed() != nil || len(seen) != 2 || !seen["stale"].Stale || !seen["absent"].Negative {
			t.Errorf("saw %+v", seen)
		}
		_ = s.Close()
	})
}

// TestScanLooksAtTheDeadlineWhenItYields: a slow loop is handed nothing that expired while it was at work.
func TestScanLooksAtTheDeadlineWhenItYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options[int, int]{MaxEntries: 100})
		for i := range 100 {
			_ = s.Put(i, i, time.Second)
		}
		seen := 0
		for range s.All() {
			seen++
			time.Sleep(time.Second)
		}
		if seen != 1 {
			t.Errorf("saw %d entries", seen)
		}
		_ = s.Close()
	})
}
