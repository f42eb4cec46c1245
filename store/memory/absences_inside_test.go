package memory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
)

// TestAbsencesAddUp: whatever is done, each node is with the policy of its kind, and what the segments have taken is what
// they have, within both bounds.
func TestAbsencesAddUp(t *testing.T) {
	for name, make := range map[string]func() *Store[int64, int64]{
		"by number": func() *Store[int64, int64] {
			s := New(Options[int64, int64]{MaxEntries: 1 << 20, MaxNegative: 1 << 17})
			_ = s.Resize(60) // many segments, of few entries each
			return s
		},
		"by number, as it is": func() *Store[int64, int64] { return New(Options[int64, int64]{MaxEntries: 300}) },
		"by weight": func() *Store[int64, int64] {
			return New(Options[int64, int64]{
				MaxWeight: 2000, MaxNegative: 25, Weigh: func(_, v int64) int64 { return 1 + v%7*9 },
			})
		},
		"by weight, in many segments": func() *Store[int64, int64] { return weighed(t, 3000, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := make()
				defer s.Close()
				bound := s.Stats().Bound
				r := rand.New(rand.NewPCG(1, 2))
				for step := range 20_000 {
					op := playAbsences(t, s, r, bound)
					if step%16 == 0 || op != "set" {
						checkAbsences(t, s, fmt.Sprint("step ", step, ", ", op))
					}
				}
			})
		})
	}
}

func playAbsences(t *testing.T, s *Store[int64, int64], r *rand.Rand, bound int64) string {
	ctx, now := context.Background(), s.clock.Now()
	key := r.Int64N(2 * bound)
	e := tarn.Entry[int64]{Value: r.Int64N(100), Negative: r.IntN(2) == 0}
	if r.IntN(3) == 0 {
		e.Expires = now.Add(time.Duration(1+r.IntN(2000)) * time.Millisecond)
	}
	switch n := r.IntN(1000); {
	case n < 700:
		_ = s.Set(ctx, key, e)
		return "set"
	case n < 760:
		_ = s.Delete(ctx, key)
		return "delete"
	case n < 800:
		_, _ = s.Touch(ctx, key, now.Add(time.Duration(r.IntN(1000)-100)*time.Millisecond))
		return "touch"
	case n < 840:
		leases := make([]tarn.Lease[int64], 1)
		_ = s.Lease(ctx, []int64{key}, tarn.LeaseTerms{Life: time.Second, Refresh: r.IntN(2) == 0}, leases)
		if leases[0].State == tarn.Granted {
			_ = s.Fill(ctx, []tarn.Fill[int64, int64]{{Key: key, Token: leases[0].Token, Entry: e, Store: true}})
		}
		return "fill"
	case n < 880:
		_, _, _ = s.Compute(ctx, key, func(old tarn.Entry[int64], _ bool) (tarn.Entry[int64], tarn.ComputeOp) {
			return tarn.Entry[int64]{Value: 1, Negative: !old.Negative}, tarn.ComputeStore
		})
		return "compute"
	case n < 920:
		_, _ = s.Add(ctx, key, e)
		return "add"
	case n < 980:
		_, _, _ = s.Get(ctx, key)
		s.Hit(key)
		return "set"
	case n < 990:
		time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
		synctest.Wait()
		return "sleep"
	case n < 998:
		if err := s.Resize(1 + r.Int64N(2*bound)); err != nil {
			t.Error(err)
		}
		return "resize"
	default:
		_ = s.Clear(ctx)
		return "clear"
	}
}

func checkAbsences(t *testing.T, s *Store[int64, int64], when string) {
	t.Helper()
	s.lockAll()
	defer func() {
		for i := range s.segments {
			s.segments[i].mu.Unlock()
		}
	}()
	var taken, absent int64
	for i := range s.segments {
		g := &s.segments[i]
		values, absences := 0, 0
		contents[int64, int64](*g.table.chunks.Load()).each(func(n *node[int64, int64]) {
			kind := n.version.Load() & isNegative
			if n.place == 0 || g.table.findAt(n.hash, n.place, kind) != n {
				t.Fatalf("%s: a node is not found where its policy has it", when)
			}
			if kind == 0 {
				values++
			} else {
				absences++
			}
		})
		if values != g.policy.Len() || absences != g.absences() {
			t.Fatalf("%s: %d values of %d, %d absences of %d", when, values, g.policy.Len(), absences, g.absences())
		}
		if g.policy.Limit() != g.policy.Weight() || g.absent != nil && g.absent.Limit() != uint64(absences) {
			t.Fatalf("%s: a segment has taken more than it needs", when)
		}
		taken += int64(g.weight())
		absent += int64(absences)
	}
	if taken != s.taken.Load() || absent != s.absences.taken.Load() {
		t.Fatalf("%s: weight %d, counted as %d; absences %d, counted as %d", when, taken, s.taken.Load(), absent,
			s.absences.taken.Load())
	}
	if taken > s.bound.Load() || absent > s.absences.bound.Load() {
		t.Fatalf("%s: weight %d of %d, absences %d of %d", when, taken, s.bound.Load(), absent, s.absences.bound.Load())
	}
}

// TestValuesAlonePayNothing for what absences would need.
func TestValuesAlonePayNothing(t *testing.T) {
	s := New(Options[int64, int64]{MaxEntries: 100})
	for key := range int64(1000) {
		if err := s.Put(key, key, 0); err != nil {
			t.Fatal(err)
		}
	}
	if g := &s.segments[0]; g.absent != nil {
		t.Error("there is a policy for absences where there are none")
	}
	if st := s.Stats(); st.Entries != 100 {
		t.Errorf("%+v", st)
	}
}

// TestAValueAndAnAbsenceInOnePlace: two keys whose hashes the policies cannot tell apart, one with each, and each in the
// place that its policy gives first.
func TestAValueAndAnAbsenceInOnePlace(t *testing.T) {
	s := New(Options[int64, int64]{MaxEntries: 64})
	ctx, none := context.Background(), tarn.Entry[int64]{Negative: true}
	keys := make(map[uint32]int64)
	for key := int64(0); ; key++ {
		hash := short(s.hash(key))
		value, alike := keys[hash]
		keys[hash] = key
		if !alike {
			continue
		}
		for _, set := range []struct {
			key int64
			e   tarn.Entry[int64]
		}{{value, tarn.Entry[int64]{Value: 7}}, {key, none}, {-1, none}} {
			if err := s.Set(ctx, set.key, set.e); err != nil {
				t.Fatal(err)
			}
		}
		if v, ok := s.Value(value); !ok || v != 7 {
			t.Error("an absence that came made a value leave, and not the absence before it")
		}
		if _, found, _ := s.Get(ctx, key); found {
			t.Error("there is an absence too many")
		}
		return
	}
}
