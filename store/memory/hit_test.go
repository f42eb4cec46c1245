package memory_test

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

const minute = time.Minute

// TestHit has stricter rows than the conformance suite: this store answers every hit.
func TestHit(t *testing.T) {
	in := func(s *memory.Store[string, int], d time.Duration) ttl.Time { return s.Clock().Now().Add(d) }
	set := func(s *memory.Store[string, int], e tarn.Entry[int]) {
		if err := s.Set(bg, "a", e); err != nil {
			panic(err)
		}
	}
	hold := func(s *memory.Store[string, int], life time.Duration) tarn.Token {
		tokens := make([]tarn.Token, 1)
		if err := s.Hold(bg, []string{"a"}, life, tokens); err != nil {
			panic(err)
		}
		return tokens[0]
	}
	lease := func(s *memory.Store[string, int], refresh bool) tarn.Token {
		into := make([]tarn.Lease[int], 1)
		if err := s.Lease(bg, []string{"a"}, tarn.LeaseTerms{Life: minute, Refresh: refresh}, into); err != nil {
			panic(err)
		}
		return into[0].Token
	}
	fill := func(s *memory.Store[string, int], token tarn.Token) {
		_ = s.Fill(bg, []tarn.Fill[string, int]{{Key: "a", Token: token, Store: true, Entry: value(2)}})
	}
	settle := func(s *memory.Store[string, int], token tarn.Token, store bool) {
		_ = s.Settle(bg, []tarn.Settlement[string, int]{{Key: "a", Token: token, Store: store, Entry: value(2)}})
	}
	compute := func(s *memory.Store[string, int], op tarn.ComputeOp) {
		_, _, _ = s.Compute(bg, "a", func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
			return value(2), op
		})
	}
	for _, tc := range []struct {
		rule string
		do   func(s *memory.Store[string, int]) // after a was set to 1
		want int                                // 0: no hit
	}{
		{"a value is a hit", func(s *memory.Store[string, int]) {}, 1},
		{"a later value", func(s *memory.Store[string, int]) { set(s, value(2)) }, 2},
		{"fresh until the last nanosecond", func(s *memory.Store[string, int]) {
			set(s, tarn.Entry[int]{Value: 2, Fresh: in(s, minute), Expires: in(s, 2*minute)})
			time.Sleep(minute - 1)
		}, 2},
		{"what is stale", func(s *memory.Store[string, int]) {
			set(s, tarn.Entry[int]{Value: 2, Fresh: in(s, minute), Expires: in(s, 2*minute)})
			time.Sleep(minute)
		}, 0},
		{"there until the last nanosecond", func(s *memory.Store[string, int]) {
			set(s, tarn.Entry[int]{Value: 2, Expires: in(s, minute)})
			time.Sleep(minute - 1)
		}, 2},
		{"what has expired", func(s *memory.Store[string, int]) {
			set(s, tarn.Entry[int]{Value: 2, Expires: in(s, minute)})
			time.Sleep(minute)
		}, 0},
		{"what was touched lives on", func(s *memory.Store[string, int]) {
			_, _ = s.Touch(bg, "a", in(s, minute))
			_, _ = s.Touch(bg, "a", in(s, 2*minute))
			time.Sleep(2*minute - 1)
		}, 1},
		{"what was touched ends", func(s *memory.Store[string, int]) {
			_, _ = s.Touch(bg, "a", in(s, minute))
			time.Sleep(minute)
		}, 0},
		{"a remembered absence", func(s *memory.Store[string, int]) { set(s, tarn.Entry[int]{Negative: true}) }, 0},
		{"what was deleted", func(s *memory.Store[string, int]) { _ = s.Delete(bg, "a") }, 0},
		{"what was cleared", func(s *memory.Store[string, int]) { _ = s.Clear(bg) }, 0},
		{"what Compute stored", func(s *memory.Store[string, int]) { compute(s, tarn.ComputeStore) }, 2},
		{"what Compute left", func(s *memory.Store[string, int]) { compute(s, tarn.ComputeKeep) }, 1},
		{"what Compute deleted", func(s *memory.Store[string, int]) { compute(s, tarn.ComputeDelete) }, 0},
		{"a held key", func(s *memory.Store[string, int]) { hold(s, minute) }, 0},
		{"a hold that ended by itself", func(s *memory.Store[string, int]) { hold(s, minute); time.Sleep(minute) }, 0},
		{"what Settle stored", func(s *memory.Store[string, int]) { settle(s, hold(s, minute), true) }, 2},
		{"what Settle forgot", func(s *memory.Store[string, int]) { settle(s, hold(s, minute), false) }, 0},
		{"a leased key", func(s *memory.Store[string, int]) { _ = s.Delete(bg, "a"); lease(s, false) }, 0},
		{"what is being refreshed", func(s *memory.Store[string, int]) { lease(s, true) }, 1},
		{"what Fill stored", func(s *memory.Store[string, int]) { fill(s, lease(s, true)) }, 2},
		{"what Fill was refused", func(s *memory.Store[string, int]) {
			token := lease(s, true)
			_ = s.Delete(bg, "a")
			fill(s, token)
		}, 0},
		{"a closed store", func(s *memory.Store[string, int]) { _ = s.Close() }, 0},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := entries(200)
				defer s.Close()
				for i := range 100 {
					mustSet(t, s, fmt.Sprint("other", i), 9)
				}
				set(s, value(1))
				tc.do(s)
				before := s.Stats()
				got, ok := s.Hit("a")
				if got != tc.want || ok != (tc.want != 0) {
					t.Errorf("got %v, %v; want %v", got, ok, tc.want)
				}
				wantCounted(t, before, s.Stats(), ok)
				e, found, _ := s.Get(bg, "a")
				if asHit := found && !e.Negative && !e.Stale; asHit != ok || asHit && e.Value != got {
					t.Errorf("Get = %+v, %v; Hit = %v, %v", e, found, got, ok)
				}
			})
		})
	}
}

// wantCounted expects one hit more, or nothing: who was told nothing asks Get, which counts then.
func wantCounted(t *testing.T, before, after memory.Stats, hit bool) {
	t.Helper()
	want := before.Hits
	if hit {
		want++
	}
	if after.Hits != want || after.Misses != before.Misses {
		t.Errorf("hits %d to %d, misses %d to %d, though the hit is %v",
			before.Hits, after.Hits, before.Misses, after.Misses, hit)
	}
}

func TestHitOfKeysThatEqualNothing(t *testing.T) {
	s := memory.New(memory.Options[float64, int]{MaxEntries: 10})
	mustSet(t, s, math.NaN(), 1)
	if v, ok := s.Hit(math.NaN()); ok {
		t.Errorf("found %v", v)
	}
}

// TestHitIsUse asserts that what Hit finds is not what is evicted first.
func TestHitIsUse(t *testing.T) {
	s := entries(100)
	for i := range 100 {
		mustSet(t, s, fmt.Sprint(i), i)
	}
	for i := range 10_000 {
		mustSet(t, s, fmt.Sprint("new", i), i)
		if _, ok := s.Hit("1"); !ok {
			t.Fatalf("evicted after %d new keys", i)
		}
	}
	if _, found := s.Value("2"); found {
		t.Error("10,000 new keys have evicted nothing")
	}
}

func TestHitByHitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := memory.New(memory.Options[string, [4]string]{MaxEntries: 10})
	mustSet(t, s, "a", [4]string{})
	_ = s.Put("timed", [4]string{}, time.Hour)
	h, _ := tarn.As[tarn.Hitter[string, [4]string]](s)
	for _, key := range []string{"a", "timed", "none"} {
		if n := testing.AllocsPerRun(100, func() { h.Hit(key) }); n != 0 {
			t.Errorf("%s: %v allocations", key, n)
		}
	}
}
