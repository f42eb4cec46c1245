package memory_test

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

// inOneGo is how many entries at most may be removed for having expired before others get at the store.
const inOneGo = 1000

// massed is how many entries expire at one instant.
func massed() int {
	if soaking() {
		return 1_000_000
	}
	return 100_000
}

// mass is a store in which very many entries are to expire at one instant, and some are not.
type mass struct {
	*memory.Store[int, int]
	n      int
	told   []atomic.Uint32 // how often it was told of each
	others atomic.Uint64   // other causes than expiry
	gone   atomic.Int64
	most   atomic.Int64 // the most that were removed in one go
}

const standing = 5000 // keys from -1 down, which stay

func newMass(n int) *mass {
	m := &mass{n: n, told: make([]atomic.Uint32, n)}
	m.Store = memory.New(memory.Options[int, int]{
		MaxEntries: n + 3*standing,
		OnRemove: func(r memory.Removal[int, int]) {
			switch {
			case r.Cause == memory.Expired && r.Key == r.Value && r.Key >= 0:
				m.told[r.Key].Add(1)
				m.gone.Add(1)
			case r.Key >= 0:
				m.others.Add(1)
			}
		},
		Observer: tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
			if e.Kind == tarn.EventExpired {
				for most := m.most.Load(); int64(e.N) > most && !m.most.CompareAndSwap(most, int64(e.N)); {
					most = m.most.Load()
				}
			}
		}),
	})
	return m
}

// fill sets all n keys to expire at one instant, d from now, and reports whether it was done before.
func (m *mass) fill(t *testing.T, d time.Duration) (at ttl.Time, inTime bool) {
	at = m.Clock().Now().Add(d)
	for key := range m.n {
		if err := m.Set(bg, key, tarn.Entry[int]{Value: key, Expires: at}); err != nil {
			t.Fatal(err)
		}
	}
	for key := range standing {
		mustSet(t, m.Store, -1-key, 0)
	}
	return at, !at.Passed(m.Clock().Now())
}

// wantAllTold expects that all have left, once, for having expired, and that nothing else has.
func (m *mass) wantAllTold(t *testing.T) {
	t.Helper()
	for key := range m.told {
		if n := m.told[key].Load(); n != 1 {
			t.Fatalf("key %d was told %d times", key, n)
		}
	}
	st := m.Stats()
	if st.Expirations != uint64(m.n) || st.Evictions != 0 || m.others.Load() != 0 {
		t.Errorf("%d other causes were told: %+v", m.others.Load(), st)
	}
	for key := range standing {
		if _, found := m.Value(-1 - key); !found {
			t.Fatalf("key %d is gone", -1-key)
		}
	}
}

// TestMassExpiryGoesInParts: however many expire at one instant, no operation does the work of more than a few, nor
// does the store's own goroutine without letting others at it. The Observer is told once for each operation.
func TestMassExpiryGoesInParts(t *testing.T) {
	for name, use := range map[string]func(m *mass){
		"nobody uses it": func(*mass) {},
		"writers come before the sweep": func(m *mass) {
			for key := range 2000 {
				_ = m.Put(-1-standing-key, 0, 0)
			}
		},
		"and have to make room": func(m *mass) {
			_ = m.Resize(int64(m.Len() + 1))
			for key := range 2000 {
				_ = m.Put(-1-standing-key, 0, 0)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMass(50_000)
				_ = m.Put(-1-2*standing, 0, 999*time.Millisecond) // for which it sweeps, and pauses
				m.fill(t, time.Second)
				time.Sleep(time.Second)
				use(m)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if n := m.most.Load(); n == 0 || n > inOneGo {
					t.Errorf("%d entries were removed in one go", n)
				}
				if st := m.Stats(); st.Expirations != uint64(m.n)+1 {
					t.Errorf("%+v", st)
				}
				for key := range m.told {
					if n := m.told[key].Load(); n != 1 {
						t.Fatalf("key %d was told %d times", key, n)
					}
				}
				if n := m.gone.Load(); n != int64(m.n) {
					t.Errorf("%d were told of %d", n, m.n)
				}
				_ = m.Close()
			})
		})
	}
}

// slowest are the two longest that an operation took, the longest first.
type slowest [2]time.Duration

func (s *slowest) add(d time.Duration) {
	for i := range s {
		if d > s[i] {
			d, s[i] = s[i], d
		}
	}
}

// time uses other keys until f is true, and returns how long operations took, and rests of who asks nothing of the store:
// that is the machine's doing.
func (m *mass) time(f func() bool) (get, set, rest slowest) {
	var done atomic.Bool
	var mu sync.Mutex // protects get, set, rest
	var all sync.WaitGroup
	timed := func(most *slowest, op func(i int)) {
		all.Go(func() {
			var mine slowest
			for i := 0; !done.Load(); i++ {
				start := time.Now()
				op(i)
				mine.add(time.Since(start))
				time.Sleep(20 * time.Microsecond) // who never rests is made to, in the midst of an operation
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range mine {
				most.add(d)
			}
		})
	}
	timed(&get, func(i int) { m.Value(-1 - i%standing) })
	for g := range 4 {
		timed(&set, func(i int) { _ = m.Put(-1-standing-(4*i+g)%standing, i, 0) })
	}
	timed(&rest, func(int) { time.Sleep(20 * time.Microsecond) })
	for !f() {
		time.Sleep(time.Millisecond)
	}
	done.Store(true)
	all.Wait()
	return get, set, rest
}

// TestMassExpiryStopsNobody: on a real clock, while all expire, a Get or Set of another key waits no longer than some
// times inOneGo of them take. The machine itself makes an operation wait now and then; so the slowest does not count, nor
// what the longest rest took that should have been short, and one undisturbed run of several will do.
func TestMassExpiryStopsNobody(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var said string
	life := 300 * time.Millisecond
	for range 10 {
		m := newMass(massed())
		at, inTime := m.fill(t, life)
		if !inTime {
			life *= 2 // a slow machine
			_ = m.Close()
			continue
		}
		for !at.Passed(m.Clock().Now()) {
			time.Sleep(time.Millisecond)
		}
		begun := time.Now()
		get, set, rest := m.time(func() bool { return m.gone.Load() == int64(m.n) })
		all := time.Since(begun)
		m.wantAllTold(t)
		_ = m.Close()
		allowed := all*3*inOneGo/time.Duration(m.n) + rest[0]
		said = fmt.Sprintf("%d entries expired within %v; the slowest Gets took %v, the slowest Sets %v; allowed are %v",
			m.n, all, get, set, allowed)
		if max(get[1], set[1]) < allowed {
			t.Log(said)
			return
		}
		debug.FreeOSMemory()
	}
	t.Errorf("no run was better: %s", said)
}

// TestMassExpiryGivesMemoryBack when nothing is done with the store any more.
func TestMassExpiryGivesMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := massed()
		s := memory.New(memory.Options[[4]uint64, int]{MaxEntries: n})
		before := heapNow()
		for i := range n {
			_ = s.Put([4]uint64{uint64(i)}, i, time.Second)
		}
		full := heapNow() - before
		time.Sleep(time.Minute)
		synctest.Wait()
		left := heapNow() - before
		t.Logf("%d kB for %d entries, %d kB after", full>>10, n, left>>10)
		if s.Len() != 0 || left > full/4 {
			t.Errorf("%d of %d bytes are left for %d entries", left, full, s.Len())
		}
		_ = s.Close()
	})
}
