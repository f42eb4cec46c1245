package memory_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// pressed is a store on which writers press from all sides while others look at its bound.
type pressed struct {
	t       *testing.T
	store   *memory.Store[int, int]
	keys    int
	weights bool
	unit    int64 // of the bound and the weights below: where entries are weighed, so large that there are many parts
	stop    atomic.Bool

	// What Resize was told last that has returned. While it is at work, and what was looked at before it began may not
	// have been answered, there is none: changing is odd.
	changing atomic.Int64
	allowed  atomic.Int64
	looks    atomic.Int64
}

func (p *pressed) write(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 4))
	batch, entries := make([]int, 50), make([]tarn.Entry[int], 50)
	for next, n := int(seed)<<26, 0; !p.stop.Load(); n++ {
		if n%50 == 0 {
			time.Sleep(time.Microsecond) // let those look who look
		}
		key := r.IntN(p.keys)
		var err error
		switch kind := r.IntN(100); {
		case kind < 40:
			err = p.store.Put(key, 1+r.IntN(30), 0)
		case kind < 60: // keys that nobody has seen
			next++
			err = p.store.Put(next, 1, 0)
		case kind < 70:
			err = p.store.Put(key, 1+r.IntN(9), time.Duration(1+r.IntN(2_000_000)))
		case kind < 90:
			err = p.store.Delete(bg, key)
		case kind < 93:
			for i := range batch {
				batch[i], entries[i] = r.IntN(p.keys), value(1+r.IntN(30))
			}
			err = p.store.SetMany(bg, batch, entries)
		case kind < 96:
			_, err = p.store.Touch(bg, key, p.store.Clock().Now().Add(time.Duration(r.IntN(1_000_000))))
		case kind < 97:
			p.fill(key)
		case kind < 98 && p.weights: // a good part of the bound in one entry
			err = p.store.Put(key, 1+r.IntN(int(p.allowed.Load())), 0)
		case kind < 99 && r.IntN(100) == 0:
			err = p.store.Clear(bg)
		}
		if err != nil && !errors.Is(err, tarn.ErrHeld) && !errors.Is(err, tarn.ErrTooHeavy) && tarn.ErrAt(err, 0, 50) == err {
			p.t.Error(err)
		}
	}
}

// fill stores by the ways that guard a key.
func (p *pressed) fill(key int) {
	leases, tokens := make([]tarn.Lease[int], 1), make([]tarn.Token, 1)
	_ = p.store.Lease(bg, []int{key}, tarn.LeaseTerms{Life: life, Refresh: true}, leases)
	_ = p.store.Fill(bg, []tarn.Fill[int, int]{{Key: key, Token: leases[0].Token, Store: true, Entry: value(3)}})
	_ = p.store.Hold(bg, []int{key}, life, tokens)
	_ = p.store.Settle(bg, []tarn.Settlement[int, int]{{Key: key, Token: tokens[0], Store: true, Entry: value(4)}})
}

// look compares what the store says of itself with the bound that was in force all the while that it said so.
func (p *pressed) look() {
	for !p.stop.Load() {
		before := p.changing.Load()
		bound := p.allowed.Load() * p.unit
		n, st := p.store.Len(), p.store.Stats()
		if before%2 != 0 || before != p.changing.Load() {
			continue
		}
		p.looks.Add(1)
		if p.weights {
			n, st.Entries = 0, 0 // counted in one part after the other, so that they are not of one instant
		}
		if min(n, st.Entries) < 0 || int64(max(n, st.Entries)) > bound || st.Weight < 0 || st.Weight > bound {
			p.t.Errorf("the bound is %d, Len is %d: %+v", bound, n, st)
			return
		}
		time.Sleep(5 * time.Microsecond)
	}
}

// resize changes the bound. What the greater of two bounds allows is allowed between them.
func (p *pressed) resize(r *rand.Rand, most int64) {
	bound := 1 + r.Int64N(most)
	if r.IntN(4) == 0 {
		bound = 1 + r.Int64N(100)
	}
	p.changing.Add(1)
	p.allowed.Store(max(bound, p.allowed.Load()))
	p.changing.Add(1)
	if err := p.store.Resize(bound * p.unit); err != nil {
		p.t.Errorf("resize: %v", err)
	}
	p.changing.Add(1)
	p.allowed.Store(bound)
	p.changing.Add(1)
	time.Sleep(time.Duration(r.IntN(3_000_000)))
}

// TestLargeBoundIsNeverPassed, not for a moment, in a store of many parts, whatever is done to it, also while the bound
// itself goes up and down; and at the end it is used to the full.
func TestLargeBoundIsNeverPassed(t *testing.T) {
	for name, tc := range map[string]struct{ weights, resizes bool }{
		"entries": {false, false}, "entries, resized": {false, true},
		"weight": {true, false}, "weight, resized": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			most := large / 3
			p := &pressed{t: t, keys: 2 * most, weights: tc.weights, unit: 1}
			opts := memory.Options[int, int]{MaxEntries: most}
			if tc.weights {
				p.unit = 1 << 17
				opts = memory.Options[int, int]{
					MaxWeight: int64(most) * p.unit, Weigh: func(_, v int) int64 { return int64(v) * p.unit },
				}
			}
			p.store = memory.New(opts)
			defer p.store.Close()
			p.allowed.Store(int64(most))
			for key := range most {
				mustSet(t, p.store, key, 1)
			}
			var all sync.WaitGroup
			for g := range 4 {
				all.Go(func() { p.write(uint64(g + 1)) })
			}
			all.Go(p.look)
			r := rand.New(rand.NewPCG(1, 1))
			begin := time.Now()
			more := func() bool { // on a busy machine until somebody had a look
				took := time.Since(begin)
				return !t.Failed() && (took < 400*time.Millisecond || p.looks.Load() == 0 && took < 30*time.Second)
			}
			for more() {
				if tc.resizes {
					p.resize(r, int64(most))
				} else {
					time.Sleep(time.Millisecond)
				}
			}
			p.stop.Store(true)
			all.Wait()
			if t.Logf("%d looks", p.looks.Load()); p.looks.Load() == 0 {
				t.Error("nobody had a look, so nothing was tested")
			}
			p.wantFull(most)
		})
	}
}

// wantFull fills the store with entries that weigh one each, and expects that it takes as many as it may.
func (p *pressed) wantFull(most int) {
	if err := p.store.Resize(int64(most) * p.unit); err != nil {
		p.t.Error(err)
	}
	for key := range 2*p.keys + most { // also once none of the heavy ones is left, of which the last may leave late
		if err := p.store.Put(key, 1, 0); err != nil {
			p.t.Fatalf("put: %v", err)
		}
	}
	n := 0
	for range p.store.All() {
		n++
	}
	if st := p.store.Stats(); n != most || st.Entries != most || st.Weight != int64(most)*p.unit || st.Bound != int64(most)*p.unit {
		p.t.Errorf("%d entries of %d: %+v", n, most, st)
	}
}

// TestFewEntriesInManyParts: a bound of less than one entry for each part holds all the same, and is used to the full,
// while parts take room from each other all the time.
func TestFewEntriesInManyParts(t *testing.T) {
	for name, weights := range map[string]bool{"entries": false, "weights": true} {
		t.Run(name, func(t *testing.T) {
			const unit = 1 << 17
			opts, scale := memory.Options[int, int]{MaxEntries: large}, int64(1)
			if weights {
				scale = unit
				opts = memory.Options[int, int]{
					MaxWeight: int64(large) * unit, Weigh: func(_, v int) int64 { return int64(v) * unit },
				}
			}
			s := memory.New(opts)
			defer s.Close()
			const bound = 5
			if err := s.Resize(bound * scale); err != nil {
				t.Fatal(err)
			}
			var stop atomic.Bool
			var all sync.WaitGroup
			for g := range 4 {
				all.Go(func() {
					r := rand.New(rand.NewPCG(uint64(g), 7))
					for !stop.Load() {
						key := r.IntN(60)
						if r.IntN(3) == 0 {
							_ = s.Delete(bg, key)
						} else {
							_ = s.Put(key, 1+r.IntN(3), 0)
						}
					}
				})
			}
			for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
				if st := s.Stats(); st.Weight > bound*scale || !weights && st.Entries > bound {
					t.Errorf("the bound is %d: %+v", bound*scale, st)
					break
				}
				time.Sleep(5 * time.Microsecond)
			}
			stop.Store(true)
			all.Wait()
			for key := range 100 { // a heavy one may stay
				mustSet(t, s, 1000+key, 1)
			}
			n := 0
			for range s.All() {
				n++
			}
			if st := s.Stats(); n != st.Entries || !weights && n != bound || st.Weight != bound*scale {
				t.Errorf("%d entries of %d: %+v", n, bound, st)
			}
		})
	}
}

// TestTheLastUnitOfManyParts: one entry leaves less room than others need, whose parts have nothing to evict.
func TestTheLastUnitOfManyParts(t *testing.T) {
	const most int64 = 1 << 36
	for _, tc := range []struct {
		rule string
		left int64 // beside the heavy entry
		e    tarn.Entry[int64]
	}{
		{"an entry needs room", 5, tarn.Entry[int64]{Value: 6}},
		{"an entry without weight weighs one", 0, tarn.Entry[int64]{Value: 0}},
		{"an absence weighs a 65,536th", 5, tarn.Entry[int64]{Negative: true}},
		{"an absence needs room", 0, tarn.Entry[int64]{Negative: true}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			for key := range 40 {
				s := memory.New(memory.Options[int, int64]{
					MaxWeight: most, Weigh: func(_ int, v int64) int64 { return v },
				})
				mustSet(t, s, -1, most-tc.left)
				if err := s.Set(bg, key, tc.e); err != nil {
					t.Fatal(err)
				}
				if _, found, _ := s.Get(bg, key); !found {
					t.Error("what was stored last is gone")
				}
				if st := s.Stats(); st.Weight > most || st.Entries != 1 || st.Evictions != 1 {
					t.Fatalf("the bound is %d: %+v", most, st)
				}
				_ = s.Close()
			}
		})
	}
}
