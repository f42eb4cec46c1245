package memory_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// TestNeverReturnedAfterItsDeadline, by no way of reading, not for a nanosecond.
func TestNeverReturnedAfterItsDeadline(t *testing.T) {
	reads := map[string]func(s *memory.Store[string, int]) bool{
		"Get":   func(s *memory.Store[string, int]) bool { _, found, _ := s.Get(bg, "a"); return found },
		"Value": func(s *memory.Store[string, int]) bool { _, found := s.Value("a"); return found },
		"GetMany": func(s *memory.Store[string, int]) bool {
			into := make([]tarn.Lookup[int], 1)
			_ = s.GetMany(bg, []string{"a"}, into)
			return into[0].Found
		},
		"Scan": func(s *memory.Store[string, int]) bool {
			for range s.All() {
				return true
			}
			return false
		},
		"Lease": func(s *memory.Store[string, int]) bool {
			into := make([]tarn.Lease[int], 1)
			_ = s.Lease(bg, []string{"a"}, tarn.LeaseTerms{Life: 1}, into)
			return into[0].Found
		},
		"Refresh": func(s *memory.Store[string, int]) bool {
			into := make([]tarn.Lease[int], 1)
			_ = s.Lease(bg, []string{"a"}, tarn.LeaseTerms{Life: 1, Refresh: true}, into)
			return into[0].Found
		},
		"cancelled Lease": func(s *memory.Store[string, int]) bool {
			into := make([]tarn.Lease[int], 1)
			_ = s.Lease(cancelled(), []string{"a"}, tarn.LeaseTerms{Life: 1}, into)
			return into[0].Found
		},
		"Compute": func(s *memory.Store[string, int]) (found bool) {
			_, _, _ = s.Compute(bg, "a", func(e tarn.Entry[int], f bool) (tarn.Entry[int], tarn.ComputeOp) {
				found = f
				return e, tarn.ComputeKeep
			})
			return found
		},
		"Touch": func(s *memory.Store[string, int]) bool {
			touched, _ := s.Touch(bg, "a", s.Clock().Now().Add(time.Millisecond))
			return touched
		},
		"Add": func(s *memory.Store[string, int]) bool {
			added, _ := s.Add(bg, "a", tarn.Entry[int]{Expires: s.Clock().Now().Add(1)})
			return !added
		},
	}
	for name, read := range reads {
		for _, life := range []time.Duration{1, time.Microsecond, time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				s := entries(10)
				// Keep the sweeper out of the way: it has just swept, and pauses.
				_ = s.Put("other", 1, 1)
				time.Sleep(time.Millisecond)
				_ = s.Put("a", 1, life)
				time.Sleep(life - 1)
				if life > 1 && name != "Touch" && !read(s) {
					t.Errorf("%s: gone a nanosecond before its deadline of %v", name, life)
				}
				time.Sleep(time.Nanosecond)
				if read(s) {
					t.Errorf("%s: returned at its deadline of %v", name, life)
				}
				_ = s.Close()
			})
		}
	}
}

func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := entries(10)
		now := s.Clock().Now()
		_ = s.Set(bg, "a", tarn.Entry[int]{Fresh: now.Add(time.Second), Expires: now.Add(time.Minute)})
		_ = s.Set(bg, "b", tarn.Entry[int]{Fresh: now.Add(time.Second)})
		stale := func(key string) [3]bool {
			e, _, _ := s.Get(bg, key)
			into, leases := make([]tarn.Lookup[int], 1), make([]tarn.Lease[int], 1)
			_ = s.GetMany(bg, []string{key}, into)
			_ = s.Lease(bg, []string{key}, tarn.LeaseTerms{Life: 1}, leases)
			return [3]bool{e.Stale, into[0].Entry.Stale, leases[0].Entry.Stale}
		}
		time.Sleep(time.Second - 1)
		for _, key := range []string{"a", "b"} {
			if got := stale(key); got != [3]bool{} {
				t.Errorf("%s stale while fresh: %v", key, got)
			}
		}
		time.Sleep(time.Nanosecond)
		for _, key := range []string{"a", "b"} {
			if got := stale(key); got != [3]bool{true, true, true} {
				t.Errorf("%s not stale when Fresh has passed: %v", key, got)
			}
		}
		_ = s.Close()
	})
}

func TestSetOfWhatHasExpiredEmptiesTheKey(t *testing.T) {
	s := entries(10)
	mustSet(t, s, "a", 1)
	if err := s.Set(bg, "a", tarn.Entry[int]{Value: 2, Expires: s.Clock().Now()}); err != nil {
		t.Error(err)
	}
	wantNone(t, s, "a")
	if s.Len() != 0 {
		t.Error("it is kept")
	}
}

// TestExpiredMemoryComesBack without any operation on the store, and no goroutine waits for it meanwhile: at the
// end of a bubble synctest fails the test if one is left.
func TestExpiredMemoryComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10_000
		expired := 0
		s := memory.New(memory.Options[int, int]{MaxEntries: 2 * n, OnRemove: func(r memory.Removal[int, int]) {
			if r.Cause == memory.Expired {
				expired++
			}
		}})
		for i := range n {
			_ = s.Put(i, i, time.Duration(1+i%1000)*time.Millisecond)
		}
		mustSet(t, s, -1, -1)
		_ = s.Put(-2, -2, time.Hour)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if s.Len() != 2 || expired != n || s.Stats().Expirations != n {
			t.Errorf("%d entries left, %d told", s.Len(), expired)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.Len() != 1 {
			t.Errorf("%d entries left", s.Len())
		}
		_ = s.Put(3, 3, time.Second) // the sweeper comes again
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.Len() != 1 {
			t.Errorf("%d entries left", s.Len())
		}
	})
}

// TestSweepsGoByDeadline: whatever the order in which deadlines were set, moved and taken back, each sweep removes
// what has expired and nothing waits behind what has not.
func TestSweepsGoByDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options[int, int]{MaxEntries: 5000})
		start := s.Clock().Now()
		r := rand.New(rand.NewPCG(1, 1))
		deadline := map[int]int{} // in seconds
		for i := range 3000 {
			deadline[i] = 1 + r.IntN(1000)
			_ = s.Put(i, i, time.Duration(deadline[i])*time.Second)
		}
		for i := range 1000 {
			deadline[i] = 1 + r.IntN(1000)
			_, _ = s.Touch(bg, i, start.Add(time.Duration(deadline[i])*time.Second))
			delete(deadline, i+1000)
			_ = s.Delete(bg, i+1000)
		}
		for second := 50; second <= 1000; second += 50 {
			time.Sleep(start.Add(time.Duration(second)*time.Second + 200*time.Millisecond).Sub(s.Clock().Now()))
			synctest.Wait()
			live := 0
			for _, d := range deadline {
				if d > second {
					live++
				}
			}
			if s.Len() != live {
				t.Errorf("after %d s: %d entries, %d live", second, s.Len(), live)
			}
		}
	})
}

// TestTheTableShrinks: a Go map keeps the room that its entries had, so an empty one has to be given up.
func TestTheTableShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options[[16]uint64, int]{MaxEntries: 100_000})
		heap := func() int64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before := heap()
		for i := range 50_000 {
			_ = s.Put([16]uint64{uint64(i)}, i, time.Second)
		}
		full := heap() - before
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if left := heap() - before; s.Len() != 0 || left > full/8 {
			t.Errorf("%d of %d bytes are left for %d entries", left, full, s.Len())
		}
		_ = s.Close()
	})
}

// TestAnEarlierDeadlineMovesTheSweep, whichever operation sets it.
func TestAnEarlierDeadlineMovesTheSweep(t *testing.T) {
	for name, set := range map[string]func(s *memory.Store[string, int], e tarn.Entry[int]){
		"Set": func(s *memory.Store[string, int], e tarn.Entry[int]) { _ = s.Set(bg, "a", e) },
		"Add": func(s *memory.Store[string, int], e tarn.Entry[int]) { _, _ = s.Add(bg, "a", e) },
		"Many": func(s *memory.Store[string, int], e tarn.Entry[int]) {
			_ = s.SetMany(bg, []string{"a"}, []tarn.Entry[int]{e})
		},
		"Touch": func(s *memory.Store[string, int], e tarn.Entry[int]) {
			_ = s.Set(bg, "a", tarn.Entry[int]{})
			_, _ = s.Touch(bg, "a", e.Expires)
		},
		"Compute": func(s *memory.Store[string, int], e tarn.Entry[int]) {
			_, _, _ = s.Compute(bg, "a", func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
				return e, tarn.ComputeStore
			})
		},
		"Fill": func(s *memory.Store[string, int], e tarn.Entry[int]) {
			leases := make([]tarn.Lease[int], 1)
			_ = s.Lease(bg, []string{"a"}, tarn.LeaseTerms{Life: 1}, leases)
			_ = s.Fill(bg, []tarn.Fill[string, int]{{Key: "a", Token: leases[0].Token, Store: true, Entry: e}})
		},
		"Settle": func(s *memory.Store[string, int], e tarn.Entry[int]) {
			tokens := make([]tarn.Token, 1)
			_ = s.Hold(bg, []string{"a"}, 1, tokens)
			_ = s.Settle(bg, []tarn.Settlement[string, int]{{Key: "a", Token: tokens[0], Store: true, Entry: e}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := entries(10)
				_ = s.Put("late", 1, time.Hour)
				set(s, tarn.Entry[int]{Expires: s.Clock().Now().Add(time.Second)})
				if s.Len() != 2 {
					t.Fatalf("%d entries", s.Len())
				}
				time.Sleep(time.Second + 200*time.Millisecond)
				synctest.Wait()
				if s.Len() != 1 {
					t.Error("it was not swept")
				}
			})
		})
	}
}

// TestExpiredMakesRoomFirst: what lives is not evicted while there is something that has expired.
func TestExpiredMakesRoomFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options[int, int]{MaxEntries: 100})
		_ = s.Put(-1, 0, 1)
		time.Sleep(time.Millisecond) // the sweeper has swept, and pauses
		for i := range 100 {
			life := time.Duration(0)
			if i%2 == 0 {
				life = time.Millisecond
			}
			_ = s.Put(i, i, life)
		}
		time.Sleep(time.Millisecond)
		for i := 100; i < 150; i++ {
			mustSet(t, s, i, i)
		}
		if st := s.Stats(); st.Evictions != 0 || st.Expirations != 51 || st.Entries != 100 {
			t.Errorf("%+v", st)
		}
		_ = s.Close()
	})
}

func TestCloseWaitsForTheSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var done atomic.Bool
		s := memory.New(memory.Options[int, int]{MaxEntries: 10, OnRemove: func(memory.Removal[int, int]) {
			<-release
			done.Store(true)
		}})
		_ = s.Put(1, 1, time.Second)
		time.Sleep(2 * time.Second)
		go func() {
			time.Sleep(time.Second)
			close(release)
		}()
		_ = s.Close()
		if !done.Load() {
			t.Error("Close returned while the sweep was going on")
		}
	})
}

func TestCloseFromOnRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *memory.Store[int, int]
		closed := 0
		s = memory.New(memory.Options[int, int]{MaxEntries: 10, OnRemove: func(memory.Removal[int, int]) {
			_ = s.Close()
			closed++
		}})
		_ = s.Put(1, 1, time.Second)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if closed != 1 {
			t.Errorf("closed %d times", closed)
		}
		_ = s.Close()
	})
}

// TestADroppedStoreIsCollected, though nobody closed it and deadlines are far away.
func TestADroppedStoreIsCollected(t *testing.T) {
	dropped := func() weak.Pointer[memory.Store[int, int]] {
		s := memory.New(memory.Options[int, int]{MaxEntries: 10})
		_ = s.Put(1, 1, time.Hour)
		leases := make([]tarn.Lease[int], 1)
		_ = s.Lease(context.Background(), []int{2}, tarn.LeaseTerms{Life: time.Hour}, leases)
		return weak.Make(s)
	}()
	for range 1000 {
		runtime.GC()
		if dropped.Value() == nil {
			return
		}
		time.Sleep(10 * time.Millisecond) // its goroutine may be at it
	}
	t.Error("something keeps a store that nobody has")
}

// TestAnOverwriteOfWhatHasExpired counts as its expiry, and one that has not as none. Both take the new deadlines.
func TestAnOverwriteOfWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := entries(10)
		defer s.Close()
		life := func(fresh, expires time.Duration) tarn.Entry[int] {
			now := s.Clock().Now()
			return tarn.Entry[int]{Value: 1, Fresh: now.Add(fresh), Expires: now.Add(expires)}
		}
		for _, row := range []struct {
			wait    time.Duration
			expired uint64
		}{{0, 0}, {2*time.Second - 1, 0}, {2 * time.Second, 1}} {
			if err := s.Set(bg, "a", life(time.Second, 2*time.Second)); err != nil {
				t.Fatal(err)
			}
			if err := s.Put("b", 1, 1950*time.Millisecond); err != nil { // a sweep comes then, and the next not so soon
				t.Fatal(err)
			}
			time.Sleep(row.wait)
			before := s.Stats().Expirations
			e := life(time.Minute, time.Hour)
			if err := s.Set(bg, "a", e); err != nil {
				t.Fatal(err)
			}
			if got, found, _ := s.Get(bg, "a"); !found || got != e {
				t.Errorf("after %v: %+v, %v; want %+v", row.wait, got, found, e)
			}
			if got := s.Stats().Expirations - before; got != row.expired {
				t.Errorf("after %v: %d expired, want %d", row.wait, got, row.expired)
			}
		}
	})
}
