package memory

import (
	"context"
	"testing"

	"github.com/tarncache/tarn"
)

// weighed returns a store of many segments whose values are their weights, with a bound and full of what weighs 1 but
// for some room.
func weighed(t *testing.T, bound, room int64) *Store[int64, int64] {
	t.Helper()
	s := New(Options[int64, int64]{MaxWeight: 1 << 40, Weigh: func(_, value int64) int64 { return value }})
	if len(s.segments) == 1 {
		t.Fatal("one segment")
	}
	if err := s.Resize(bound); err != nil {
		t.Fatal(err)
	}
	for key := range bound - room {
		if err := s.Put(key, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestAnAbsenceGoesByTheBoundInForce, also if that changes after the absence was weighed, outside every lock, and before
// it is stored.
func TestAnAbsenceGoesByTheBoundInForce(t *testing.T) {
	for _, row := range []struct {
		name          string
		before, after int64
		want          int64 // what it weighs
	}{
		{"smaller by then", 1 << 40, 1000, 1},
		{"larger by then", 1000, 1 << 20, 16},
		{"smaller, and below what it weighed", 1 << 40, 1 << 20, 16},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := weighed(t, 1000, 0)
			if err := s.Resize(row.before); err != nil {
				t.Fatal(err)
			}
			key, e := int64(-1), tarn.Entry[int64]{Negative: true}
			weight := s.weigh(key, &e)
			if err := s.Resize(row.after); err != nil {
				t.Fatal(err)
			}
			before := s.Stats()
			g := s.lock(s.hash(key), weight)
			err := g.set(key, short(s.hash(key)), &e, weight, nil)
			c := g.unlock()
			s.after(context.Background(), &c)
			st := s.Stats()
			if err != nil || st.Weight > row.after {
				t.Errorf("error %v, weight %d of %d", err, st.Weight, row.after)
			}
			if got := st.Weight - before.Weight + int64(st.Evictions-before.Evictions); got != row.want {
				t.Errorf("it weighs %d, want %d", got, row.want)
			}
			if _, found, _ := s.Get(context.Background(), key); !found {
				t.Error("it is not there")
			}
		})
	}
}

// TestWhatIsTooHeavyTakesNoRoom that others would miss while it is being refused.
func TestWhatIsTooHeavyTakesNoRoom(t *testing.T) {
	s := weighed(t, 1000, 500)
	g := s.lock(s.hash(0), 1001)
	for key := int64(1000); key < 1100; key++ {
		if s.segment(s.hash(key)) == g {
			continue
		}
		if err := s.Put(key, 1, 0); err != nil {
			t.Error(err)
		}
	}
	c := g.unlock()
	s.after(context.Background(), &c)
	if st := s.Stats(); st.Evictions > 0 {
		t.Errorf("%d entries made room for one that was refused", st.Evictions)
	}
}
