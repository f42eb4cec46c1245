package memory

import (
	"context"
	"errors"
	"testing"
	"time"

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
			g := s.lockToStore(s.hash(key), weight, func(*segment[int64, int64]) bool { return true })
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
	g := s.lockToStore(s.hash(0), 1001, func(*segment[int64, int64]) bool { return true })
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

// TestWhatIsRefusedPutsNobodyOut: an entry for which other segments would have to evict is refused, or not kept, before
// they do.
func TestWhatIsRefusedPutsNobodyOut(t *testing.T) {
	const key, heavy, bound = -1, 900, 1000
	ctx, entry := context.Background(), tarn.Entry[int64]{Value: heavy}
	hold := func(s *Store[int64, int64]) ([]tarn.Token, error) {
		tokens := make([]tarn.Token, 1)
		return tokens, s.Hold(ctx, []int64{key}, time.Hour, tokens)
	}
	settle := func(s *Store[int64, int64], token tarn.Token) error {
		return s.Settle(ctx, []tarn.Settlement[int64, int64]{{Key: key, Token: token, Store: true, Entry: entry}})
	}
	fill := func(s *Store[int64, int64], before func() error) error {
		leases := make([]tarn.Lease[int64], 1)
		err := s.Lease(ctx, []int64{key}, tarn.LeaseTerms{Life: time.Hour}, leases)
		return errors.Join(err, before(),
			s.Fill(ctx, []tarn.Fill[int64, int64]{{Key: key, Token: leases[0].Token, Store: true, Entry: entry}}))
	}
	compute := func(s *Store[int64, int64], before func()) error {
		_, _, err := s.Compute(ctx, key, func(tarn.Entry[int64], bool) (tarn.Entry[int64], tarn.ComputeOp) {
			before()
			return entry, tarn.ComputeStore
		})
		return err
	}
	for _, row := range []struct {
		name string
		do   func(s *Store[int64, int64]) error
		want error
		kept bool
	}{
		{"a Set", func(s *Store[int64, int64]) error { return s.Set(ctx, key, entry) }, nil, true},
		{"a Set of a held key", func(s *Store[int64, int64]) error {
			_, err := hold(s)
			return errors.Join(err, s.Set(ctx, key, entry))
		}, tarn.ErrHeld, false},
		{"a Set whose life is over", func(s *Store[int64, int64]) error {
			return s.Set(ctx, key, tarn.Entry[int64]{Value: heavy, Expires: s.clock.Now().Add(-1)})
		}, nil, false},
		{"an Add", func(s *Store[int64, int64]) error { _, err := s.Add(ctx, key, entry); return err }, nil, true},
		{"an Add where there is an entry", func(s *Store[int64, int64]) error {
			_, err := s.Add(ctx, 1, entry)
			return err
		}, nil, false},
		{"an Add of a held key", func(s *Store[int64, int64]) error {
			_, err := hold(s)
			_, other := s.Add(ctx, key, entry)
			return errors.Join(err, other)
		}, nil, false},
		{"a Compute", func(s *Store[int64, int64]) error { return compute(s, func() {}) }, nil, true},
		{"a Compute of a key that is held meanwhile", func(s *Store[int64, int64]) error {
			return compute(s, func() { _, _ = hold(s) })
		}, tarn.ErrHeld, false},
		{"a Fill", func(s *Store[int64, int64]) error { return fill(s, func() error { return nil }) }, nil, true},
		{"a Fill whose lease is void", func(s *Store[int64, int64]) error {
			return fill(s, func() error { return s.Delete(ctx, key) })
		}, nil, false},
		{"a Settle", func(s *Store[int64, int64]) error {
			tokens, err := hold(s)
			return errors.Join(err, settle(s, tokens[0]))
		}, nil, true},
		{"a Settle without a hold", func(s *Store[int64, int64]) error { return settle(s, tarn.Token{1}) }, nil, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := weighed(t, bound, 0)
			if err := row.do(s); !errors.Is(err, row.want) {
				t.Errorf("error %v, want %v", err, row.want)
			}
			_, found := s.Value(key)
			if st := s.Stats(); found != row.kept || (st.Evictions > 0) != row.kept || st.Weight > bound {
				t.Errorf("kept: %v, want %v; %d evictions, weight %d", found, row.kept, st.Evictions, st.Weight)
			}
		})
	}
}
