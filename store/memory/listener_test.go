package memory_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// told is a listener that writes down what it is told.
type told struct {
	mu  sync.Mutex
	all []string
}

func (l *told) on(r memory.Removal[string, int]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fmt.Sprint(r.Key, r.Value, " ", r.Cause))
}

func (l *told) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	slices.Sort(all)
	return all
}

func TestCauses(t *testing.T) {
	type store = *memory.Store[string, int]
	at := func(s store, v int, life time.Duration) tarn.Entry[int] {
		return tarn.Entry[int]{Value: v, Expires: s.Clock().Now().Add(life)}
	}
	hold := func(s store) []tarn.Token {
		tokens := make([]tarn.Token, 1)
		_ = s.Hold(bg, []string{"a"}, time.Second, tokens)
		return tokens
	}
	for _, tc := range []struct {
		rule string
		do   func(s store)
		want []string
	}{
		{"a first Set removes nothing", func(s store) {}, nil},
		{"Set replaces", func(s store) { _ = s.Put("a", 2, 0) }, []string{"a1 replaced"}},
		{"so does a Set that is refused", func(s store) { _ = s.Put("a", 999, 0) }, []string{"a1 replaced"}},
		{"or has expired", func(s store) { _ = s.Set(bg, "a", at(s, 2, 0)) }, []string{"a1 replaced", "a2 expired"}},
		{"Delete", func(s store) { _ = s.Delete(bg, "a") }, []string{"a1 deleted"}},
		{"DeleteMany", func(s store) { _ = s.DeleteMany(bg, []string{"a", "a"}) }, []string{"a1 deleted"}},
		{"Clear", func(s store) { _ = s.Clear(bg) }, []string{"a1 cleared"}},
		{"Hold", func(s store) { hold(s) }, []string{"a1 deleted"}},
		{"an unknown Settle empties the key", func(s store) {
			_ = s.Settle(bg, []tarn.Settlement[string, int]{{Key: "a"}})
		}, []string{"a1 deleted"}},
		{"Touch into the past", func(s store) { _, _ = s.Touch(bg, "a", s.Clock().Now()) }, []string{"a1 expired"}},
		{"Touch removes nothing", func(s store) { _, _ = s.Touch(bg, "a", 0) }, nil},
		{"Compute replaces", func(s store) {
			_, _, _ = s.Compute(bg, "a", func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
				return value(2), tarn.ComputeStore
			})
		}, []string{"a1 replaced"}},
		{"Compute deletes", func(s store) {
			_, _, _ = s.Compute(bg, "a", func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
				return value(2), tarn.ComputeDelete
			})
		}, []string{"a1 deleted"}},
		{"a refreshing Fill replaces", func(s store) {
			leases := make([]tarn.Lease[int], 1)
			_ = s.Lease(bg, []string{"a"}, tarn.LeaseTerms{Life: 1, Refresh: true}, leases)
			_ = s.Fill(bg, []tarn.Fill[string, int]{
				{Key: "a", Token: leases[0].Token, Store: true, Entry: value(2)},
			})
		}, []string{"a1 replaced"}},
		{"the sweeper", func(s store) {
			_, _ = s.Touch(bg, "a", s.Clock().Now().Add(time.Second))
			time.Sleep(2 * time.Second)
			synctest.Wait()
		}, []string{"a1 expired"}},
		{"a Set that comes before the sweeper", func(s store) {
			_ = s.Put("b", 2, time.Millisecond)
			time.Sleep(time.Millisecond)
			synctest.Wait() // it has swept, and pauses
			_, _ = s.Touch(bg, "a", s.Clock().Now().Add(time.Millisecond))
			time.Sleep(time.Millisecond)
			_ = s.Put("a", 3, 0)
		}, []string{"a1 expired", "b2 expired"}},
		{"a Clear that comes before the sweeper", func(s store) {
			_ = s.Put("b", 2, time.Millisecond)
			time.Sleep(time.Millisecond)
			synctest.Wait()
			_, _ = s.Touch(bg, "a", s.Clock().Now().Add(time.Millisecond))
			time.Sleep(time.Millisecond)
			_ = s.Clear(bg)
		}, []string{"a1 expired", "b2 expired"}},
		{"eviction", func(s store) { _ = s.Put("b", 100, 0) }, []string{"a1 evicted"}},
		{"Resize", func(s store) { _ = s.Put("b", 99, 0); _ = s.Resize(1) }, []string{"a1 evicted", "b99 evicted"}},
		{"an absence is no value", func(s store) {
			_ = s.Set(bg, "n", tarn.Entry[int]{Negative: true})
			_ = s.Delete(bg, "n")
			_ = s.Set(bg, "n", tarn.Entry[int]{Negative: true})
			_ = s.Clear(bg)
		}, []string{"a1 cleared"}},
		{"Close tells nothing", func(s store) { _ = s.Close() }, nil},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l told
				s := memory.New(memory.Options[string, int]{
					MaxWeight: 100, Weigh: func(_ string, v int) int64 { return int64(v) }, OnRemove: l.on,
				})
				mustSet(t, s, "a", 1)
				tc.do(s)
				if got := l.take(); !slices.Equal(got, tc.want) {
					t.Errorf("told %q, want %q", got, tc.want)
				}
			})
		})
	}
}

func TestCauseInWords(t *testing.T) {
	if memory.Cause(0).String() != "unknown cause" || memory.Cause(99).String() != "unknown cause" {
		t.Error("an unknown cause has a name")
	}
}

// TestListenerMayCallTheStore, from operations and from the sweeper.
func TestListenerMayCallTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *memory.Store[string, int]
		calls := 0
		s = memory.New(memory.Options[string, int]{MaxEntries: 3, OnRemove: func(r memory.Removal[string, int]) {
			if calls++; calls > 20 {
				return
			}
			s.Value(r.Key)
			s.Len()
			s.Stats()
			for range s.All() {
			}
			_ = s.Put(r.Key, r.Value+1, time.Second)
			_ = s.Delete(bg, "other")
			_ = s.Resize(2)
		}})
		for _, key := range []string{"a", "b", "c", "d", "a"} {
			_ = s.Put(key, 1, time.Second)
		}
		_ = s.Clear(bg)
		time.Sleep(time.Minute)
		synctest.Wait()
		if calls < 20 {
			t.Errorf("%d calls", calls)
		}
	})
}

// TestListenerThatPanics: the caller gets the panic once all removals are told, and the store goes on.
func TestListenerThatPanics(t *testing.T) {
	calls := 0
	s := memory.New(memory.Options[int, int]{MaxEntries: 100, OnRemove: func(memory.Removal[int, int]) {
		calls++
		panic("listener")
	}})
	for i := range 100 {
		mustSet(t, s, i, i)
	}
	panics := func(f func()) {
		t.Helper()
		defer func() {
			if p := recover(); p != "listener" {
				t.Errorf("recovered %v", p)
			}
		}()
		f()
	}
	panics(func() { _ = s.Put(1, 2, 0) })
	wantValue(t, s, 1, 2)
	panics(func() { _ = s.Delete(bg, 1) })
	wantNone(t, s, 1)
	panics(func() { _ = s.Clear(bg) })
	if calls != 101 || s.Len() != 0 {
		t.Errorf("%d calls, %d entries", calls, s.Len())
	}
	mustSet(t, s, 1, 1)
	wantValue(t, s, 1, 1)
}

// TestListenerThatPanicsInTheSweeper: the observer is told, and the sweeper goes on.
func TestListenerThatPanicsInTheSweeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, panicked atomic.Int64
		s := memory.New(memory.Options[int, int]{
			MaxEntries: 5000,
			OnRemove: func(memory.Removal[int, int]) {
				calls.Add(1)
				panic("listener")
			},
			Observer: tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
				var p *tarn.PanicError
				if e.Kind == tarn.EventPanicked && errors.As(e.Err, &p) && p.Value == "listener" {
					panicked.Add(1)
				}
			}),
		})
		for round := range 2 {
			for i := range 2000 {
				_ = s.Put(i, i, time.Second)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			want := int64(2000 * (round + 1))
			if s.Len() != 0 || calls.Load() != want || panicked.Load() != want {
				t.Errorf("%d left, %d told, %d panics seen", s.Len(), calls.Load(), panicked.Load())
			}
		}
		_ = s.Close()
	})
}

// TestListenerThatExits ends the goroutine it was called on, which is the sweeper's.
func TestListenerThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options[int, int]{MaxEntries: 10, OnRemove: func(memory.Removal[int, int]) {
			runtime.Goexit()
		}})
		for round := range 2 {
			_ = s.Put(round, 1, time.Second)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if s.Len() != 0 {
				t.Error("the sweeper is gone for good")
			}
		}
		_ = s.Close()
	})
}

func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[tarn.EventKind]int{}
		s := memory.New(memory.Options[int, int]{
			MaxEntries: 100,
			Observer: tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
				mu.Lock()
				defer mu.Unlock()
				seen[e.Kind] += e.N
			}),
		})
		for i := range 150 {
			mustSet(t, s, i, i)
		}
		_ = s.Resize(50)
		for i := range 10 {
			_ = s.Put(i, i, time.Second)
		}
		_ = s.Clear(bg)
		_ = s.Put(1, 1, time.Second)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		st := s.Stats()
		if st.Evictions < 100 || seen[tarn.EventEvicted] != int(st.Evictions) || seen[tarn.EventExpired] != 1 {
			t.Errorf("%v, stats %+v", seen, st)
		}
	})
}

// TestObserverThatPanics: the sweeper goes on, and the listener is told of every value all the same.
func TestObserverThatPanics(t *testing.T) {
	for how, crash := range map[string]func(){"panic": func() { panic("observer") }, "Goexit": runtime.Goexit} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left := 0
				s := memory.New(memory.Options[int, int]{
					MaxEntries: 10,
					OnRemove:   func(memory.Removal[int, int]) { left++ },
					Observer:   tarn.ObserverFunc(func(context.Context, tarn.Event) { crash() }),
				})
				for round := 1; round <= 2; round++ {
					for i := range 10 {
						_ = s.Put(i, i, time.Second)
					}
					time.Sleep(2 * time.Second)
					synctest.Wait()
					if s.Len() != 0 || left != 10*round {
						t.Errorf("%d left the store, %d are there", left, s.Len())
					}
				}
				_ = s.Close()
			})
		})
	}
}

// TestEveryValueLeavesOnce: what went in is in there or was told, once, under concurrency and every cause.
func TestEveryValueLeavesOnce(t *testing.T) {
	var mu sync.Mutex
	left := map[int]int{}
	s := memory.New(memory.Options[int, int]{MaxEntries: 50, OnRemove: func(r memory.Removal[int, int]) {
		mu.Lock()
		defer mu.Unlock()
		left[r.Value]++
	}})
	var next atomic.Int64
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range 3000 {
				key := r.IntN(100)
				switch r.IntN(20) {
				case 0:
					_ = s.Delete(bg, key)
				case 1:
					_ = s.Clear(bg)
				case 2:
					_ = s.Resize(int64(10 + r.IntN(60)))
				default:
					_ = s.Put(key, int(next.Add(1)), time.Duration(r.IntN(3))*time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	if err := s.Clear(bg); err != nil {
		t.Fatal(err)
	}
	_ = s.Close() // waits for the sweeper
	for v := 1; v <= int(next.Load()); v++ {
		if left[v] != 1 {
			t.Fatalf("value %d left %d times", v, left[v])
		}
	}
}
