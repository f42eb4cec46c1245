package memory_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

func TestComputeIsAtomic(t *testing.T) {
	s := entries(10)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				_, _, err := s.Compute(bg, "n", func(e tarn.Entry[int], _ bool) (tarn.Entry[int], tarn.ComputeOp) {
					e.Value++
					return e, tarn.ComputeStore
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	wantValue(t, s, "n", 4000)
}

// TestComputeRunsAgain if anything happened to the key while f ran. f calls the store itself, which would be a
// deadlock if it ran within a lock.
func TestComputeRunsAgain(t *testing.T) {
	for name, meanwhile := range map[string]func(s *memory.Store[string, int]){
		"Set":             func(s *memory.Store[string, int]) { _ = s.Put("a", 10, 0) },
		"the same value":  func(s *memory.Store[string, int]) { _ = s.Put("a", 1, 0) },
		"Touch":           func(s *memory.Store[string, int]) { _, _ = s.Touch(bg, "a", s.Clock().Now().Add(time.Hour)) },
		"Delete":          func(s *memory.Store[string, int]) { _ = s.Delete(bg, "a") },
		"Clear":           func(s *memory.Store[string, int]) { _ = s.Clear(bg) },
		"Delete and Set":  func(s *memory.Store[string, int]) { _ = s.Delete(bg, "a"); _ = s.Put("a", 1, 0) },
		"Clear and Set":   func(s *memory.Store[string, int]) { _ = s.Clear(bg); _ = s.Put("a", 1, 0) },
		"its own Compute": func(s *memory.Store[string, int]) { computeAdd(s, 5) },
		"expiry": func(s *memory.Store[string, int]) {
			time.Sleep(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := entries(10)
				_ = s.Put("a", 1, time.Minute)
				calls := 0
				_, _, err := s.Compute(bg, "a", func(e tarn.Entry[int], _ bool) (tarn.Entry[int], tarn.ComputeOp) {
					if calls++; calls == 1 {
						meanwhile(s)
					}
					e.Value++
					return e, tarn.ComputeStore
				})
				if calls != 2 || err != nil {
					t.Errorf("f was called %d times, %v", calls, err)
				}
				_ = s.Close()
			})
		})
	}
}

func computeAdd(s *memory.Store[string, int], n int) {
	_, _, _ = s.Compute(bg, "a", func(e tarn.Entry[int], _ bool) (tarn.Entry[int], tarn.ComputeOp) {
		e.Value += n
		return e, tarn.ComputeStore
	})
}

func TestCompute(t *testing.T) {
	g := newGuarded(t)
	do := func(
		want tarn.Entry[int], wantFound bool, next tarn.Entry[int], op tarn.ComputeOp,
	) (tarn.Entry[int], bool, error) {
		t.Helper()
		return g.Compute(bg, "a", func(old tarn.Entry[int], found bool) (tarn.Entry[int], tarn.ComputeOp) {
			if old != want || found != wantFound {
				t.Errorf("f was given %+v, %v", old, found)
			}
			return next, op
		})
	}
	none := tarn.Entry[int]{}
	expect := func(e tarn.Entry[int], found bool, err error) func(tarn.Entry[int], bool, error) {
		return func(ge tarn.Entry[int], gf bool, gerr error) {
			t.Helper()
			if ge != e || gf != found || !errors.Is(gerr, err) {
				t.Errorf("got %+v, %v, %v; want %+v, %v, %v", ge, gf, gerr, e, found, err)
			}
		}
	}
	expect(none, false, nil)(do(none, false, value(1), tarn.ComputeKeep))
	expect(none, false, nil)(do(none, false, value(1), tarn.ComputeDelete))
	expect(value(1), true, nil)(do(none, false, value(1), tarn.ComputeStore))
	expect(value(1), true, nil)(do(value(1), true, value(7), tarn.ComputeKeep))
	expect(value(1), true, nil)(do(value(1), true, value(7), tarn.ComputeOp(99)))
	expect(value(2), true, nil)(do(value(1), true, value(2), tarn.ComputeStore))
	gone := tarn.Entry[int]{Value: 3, Expires: g.Clock().Now()}
	expect(none, false, nil)(do(value(2), true, gone, tarn.ComputeStore))
	expect(value(4), true, nil)(do(none, false, value(4), tarn.ComputeStore))
	expect(none, false, tarn.ErrTooHeavy)(do(value(4), true, value(1001), tarn.ComputeStore))
	expect(none, false, nil)(do(none, false, none, tarn.ComputeKeep))

	// A hold that comes while f runs.
	_, _, err := g.Compute(bg, "a", func(e tarn.Entry[int], _ bool) (tarn.Entry[int], tarn.ComputeOp) {
		g.hold("a")
		return value(1), tarn.ComputeStore
	})
	wantErr(t, err, tarn.ErrHeld)
}

func TestComputePanics(t *testing.T) {
	s := entries(10)
	mustSet(t, s, "a", 1)
	func() {
		defer func() {
			if recover() != "f" {
				t.Error("the panic did not arrive")
			}
		}()
		_, _, _ = s.Compute(bg, "a", func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) { panic("f") })
	}()
	computeAdd(s, 1)
	wantValue(t, s, "a", 2)
}
