package memory_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

func absent[V any]() tarn.Entry[V] { return tarn.Entry[V]{Negative: true} }

// hitRatio returns how many of the later reads of values, by Zipf's law, a store answers that remembers what it did not
// have, while random keys that the source does not have are asked for beside each read.
func hitRatio(t *testing.T, s *memory.Store[int64, int64], reads, beside int, miss tarn.Entry[int64]) float64 {
	t.Helper()
	values := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, 50_000)
	random := rand.New(rand.NewPCG(3, 4))
	ask := func(key int64, e tarn.Entry[int64]) bool {
		_, found, err := s.Get(bg, key)
		if !found && err == nil {
			err = s.Set(bg, key, e)
		}
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	hits := 0
	for i := range reads {
		key := int64(values.Uint64())
		if ask(key, tarn.Entry[int64]{Value: key}) && i >= reads/2 {
			hits++
		}
		for range beside {
			ask(-1-random.Int64(), miss)
		}
	}
	return float64(hits) / float64(reads-reads/2)
}

// TestRandomMissesDoNotFlushValues: with ten random keys that are not there for each read of one that is, as many reads
// are answered as without them. If the absences were values like others, many fewer would be.
func TestRandomMissesDoNotFlushValues(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, and slow")
	}
	const size, reads, flood = 5000, 150_000, 10
	run := func(beside int, miss tarn.Entry[int64]) (float64, memory.Stats) {
		s := memory.New(memory.Options[int64, int64]{MaxEntries: size})
		defer s.Close()
		return hitRatio(t, s, reads, beside, miss), s.Stats()
	}
	quiet, _ := run(0, absent[int64]())
	apart, st := run(flood, absent[int64]())
	among, _ := run(flood, tarn.Entry[int64]{})
	t.Logf("hit ratio of values: %.3f without random misses, %.3f with them; %.3f if they were values", quiet, apart, among)
	if st.Entries != size || st.Negatives != size/64 {
		t.Errorf("%+v", st)
	}
	if apart < quiet-0.02 {
		t.Errorf("random misses make the hit ratio %.3f of %.3f", apart, quiet)
	}
	if among > quiet-0.05 {
		t.Errorf("the misses would have done no harm: hit ratio %.3f of %.3f", among, quiet)
	}
}

// TestAbsencesHaveTheirShare: of a store full of values, absences get what MaxNegative says and no more, whatever values
// come; and while there are few absences, values have the room.
func TestAbsencesHaveTheirShare(t *testing.T) {
	weigh := func(int64, int64) int64 { return 10 }
	for _, tc := range []struct {
		name  string
		opts  memory.Options[int64, int64]
		most  int // absences
		least int // values then
		all   int // values without any absence
	}{
		{"a 64th", memory.Options[int64, int64]{MaxEntries: 6400}, 100, 6300, 6400},
		{"one at least", memory.Options[int64, int64]{MaxEntries: 10}, 1, 9, 10},
		{"as many as was said", memory.Options[int64, int64]{MaxEntries: 6400, MaxNegative: 4000}, 4000, 2400, 6400},
		{"a 64th of the weight", memory.Options[int64, int64]{MaxWeight: 64_000, Weigh: weigh}, 1000, 6300, 6400},
		{"of weight one at least", memory.Options[int64, int64]{MaxWeight: 640, Weigh: weigh}, 10, 63, 64},
		{"as many as was said, of a 64th of the weight",
			memory.Options[int64, int64]{MaxWeight: 64_000, Weigh: weigh, MaxNegative: 50}, 50, 6300, 6400},
		{"no more than there is weight for",
			memory.Options[int64, int64]{MaxWeight: 6400, Weigh: weigh, MaxNegative: 1000}, 100, 630, 640},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := memory.New(tc.opts)
			key := int64(0)
			store := func(n int, e tarn.Entry[int64]) {
				t.Helper()
				for range n {
					if err := s.Set(bg, key, e); err != nil {
						t.Fatal(err)
					}
					if _, found, _ := s.Get(bg, key); !found {
						t.Fatal("what was stored last is gone")
					}
					key++
					if st := s.Stats(); st.Weight > st.Bound || st.Negatives > tc.most {
						t.Fatalf("%+v", st)
					}
				}
			}
			want := func(when string, negatives, entries int) {
				t.Helper()
				if st := s.Stats(); st.Negatives != negatives || st.Entries != entries {
					t.Fatalf("%s: %+v; want %d negatives of %d", when, st, negatives, entries)
				}
			}
			store(2*tc.all, tarn.Entry[int64]{Value: 1})
			want("values alone", 0, tc.all)
			store(3*tc.most, absent[int64]())
			want("absences upon them", tc.most, tc.least+tc.most)
			store(2*tc.all, tarn.Entry[int64]{Value: 1})
			want("values again", tc.most, tc.least+tc.most)
			if err := s.Clear(bg); err != nil {
				t.Fatal(err)
			}
			want("cleared", 0, 0)
			store(3*tc.most, absent[int64]())
			want("absences alone", tc.most, tc.most)
			store(2*tc.all, tarn.Entry[int64]{Value: 1})
			want("values upon them", tc.most, tc.least+tc.most)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			want("closed", 0, 0)
		})
	}
}

// TestAnAbsenceThatIsAskedForStays where others come that nobody asks for again.
func TestAnAbsenceThatIsAskedForStays(t *testing.T) {
	s := memory.New(memory.Options[int, int]{MaxEntries: 6400})
	const hot = 20
	for key := range 20_000 {
		if err := s.Set(bg, 1000+key, absent[int]()); err != nil {
			t.Fatal(err)
		}
		if _, found, _ := s.Get(bg, key%hot); !found {
			_ = s.Set(bg, key%hot, absent[int]())
		}
	}
	stay := 0
	for key := range hot {
		if _, found, _ := s.Get(bg, key); found {
			stay++
		}
	}
	if stay < hot-2 {
		t.Errorf("%d of %d are there", stay, hot)
	}
}

// TestTurning: a value that turns into an absence, and back, is of the kind that it is, whether it is changed in place or
// not.
func TestTurning(t *testing.T) {
	t.Run("in place", func(t *testing.T) { testTurning(t, 1) })
	t.Run("in a new node", func(t *testing.T) { testTurning(t, [3]byte{1}) })
	t.Run("of many words", func(t *testing.T) { testTurning(t, [4]string{"a"}) })
}

func testTurning[V comparable](t *testing.T, v V) {
	for name, life := range map[string]time.Duration{"without a life": 0, "with one": time.Hour} {
		t.Run(name, func(t *testing.T) {
			var evicted int
			s := memory.New(memory.Options[int, V]{
				MaxEntries: 640, Observer: tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
					if e.Kind == tarn.EventEvicted {
						evicted += e.N
					}
				}),
			})
			value, none := tarn.Entry[V]{Value: v}, absent[V]()
			if life > 0 {
				value.Expires, none.Expires = s.Clock().Now().Add(life), s.Clock().Now().Add(life)
			}
			for round := range 3 {
				for key := range 640 {
					mustSetEntry(t, s, key, value)
				}
				if st := s.Stats(); st.Negatives != 0 || st.Entries != 640 || evicted != 0 {
					t.Fatalf("round %d: %d evicted, %+v", round, evicted, st)
				}
				for key := range 10 {
					mustSetEntry(t, s, key, none)
					if e, found, _ := s.Get(bg, key); !found || !e.Negative {
						t.Fatalf("%+v, %v", e, found)
					}
				}
				if st := s.Stats(); st.Negatives != 10 || st.Entries != 640 || evicted != 0 {
					t.Fatalf("round %d: %d evicted, %+v", round, evicted, st)
				}
			}
			for key := range 640 {
				mustSetEntry(t, s, key, none)
			}
			if st := s.Stats(); st.Negatives != 10 || st.Entries != 10 || evicted != 630 || st.Evictions != 630 {
				t.Fatalf("all are absent: %d evicted, %+v", evicted, st)
			}
		})
	}
}

func mustSetEntry[V any](t *testing.T, s *memory.Store[int, V], key int, e tarn.Entry[V]) {
	t.Helper()
	if err := s.Set(bg, key, e); err != nil {
		t.Fatal(err)
	}
}

// TestExpiredAbsencesGiveTheirRoomBack, to values as to absences, and at the latest when they are swept away.
func TestExpiredAbsencesGiveTheirRoomBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options[int, int]{MaxEntries: 640})
		defer s.Close()
		short := absent[int]()
		short.Expires = s.Clock().Now().Add(time.Second)
		for key := range 10 {
			mustSetEntry(t, s, key, short)
		}
		for key := range 630 {
			mustSet(t, s, 100+key, key)
		}
		time.Sleep(time.Second) // the timer of the sweep is due as well, but the segment is asked before it, or after
		mustSetEntry(t, s, 50, absent[int]())
		if st := s.Stats(); st.Evictions != 0 {
			t.Errorf("%+v", st)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if st := s.Stats(); st.Negatives != 1 || st.Entries != 631 || st.Expirations != 10 {
			t.Errorf("%+v", st)
		}
		for key := range 9 {
			mustSet(t, s, 1000+key, key)
		}
		if st := s.Stats(); st.Evictions != 0 || st.Entries != 640 {
			t.Errorf("%+v", st)
		}
	})
}

// TestResizeAndAbsences: their number follows the bound.
func TestResizeAndAbsences(t *testing.T) {
	for name, tc := range map[string]struct {
		opts        memory.Options[int, int]
		small, most int64 // a bound, and how many absences then
	}{
		"by default":           {memory.Options[int, int]{MaxEntries: 64_000}, 6400, 100},
		"as was said":          {memory.Options[int, int]{MaxEntries: 64_000, MaxNegative: 32_000}, 640, 320},
		"to very little":       {memory.Options[int, int]{MaxEntries: 64_000, MaxNegative: 32_000}, 1, 1},
		"by weight":            {memory.Options[int, int]{MaxWeight: 64_000, Weigh: one}, 6400, 100},
		"by weight, as was so": {memory.Options[int, int]{MaxWeight: 64_000, Weigh: one, MaxNegative: 500}, 6400, 100},
	} {
		t.Run(name, func(t *testing.T) {
			s := memory.New(tc.opts)
			fill := func() {
				for key := range 64_000 {
					mustSetEntry(t, s, key, absent[int]())
				}
			}
			fill()
			before := s.Stats().Negatives
			if err := s.Resize(tc.small); err != nil {
				t.Fatal(err)
			}
			if st := s.Stats(); st.Negatives != int(tc.most) || st.Entries != st.Negatives || st.Weight > st.Bound {
				t.Errorf("%d before, now %+v", before, st)
			}
			fill()
			if st := s.Stats(); st.Negatives != int(tc.most) {
				t.Errorf("%+v", st)
			}
			if err := s.Resize(64_000); err != nil {
				t.Fatal(err)
			}
			fill()
			if st := s.Stats(); st.Negatives != before || st.Weight > st.Bound {
				t.Errorf("%d before, now %+v", before, st)
			}
		})
	}
}

func one(int, int) int64 { return 1 }
