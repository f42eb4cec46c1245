package memory_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

const life = time.Minute

// guarded is a store with the calls of the guard, for one key at a time.
type guarded struct {
	*memory.Store[string, int]
	t *testing.T
}

func newGuarded(t *testing.T) guarded {
	return guarded{memory.New(memory.Options[string, int]{
		MaxWeight: 1000, Weigh: func(_ string, v int) int64 { return int64(v) },
	}), t}
}

func (g guarded) check(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g guarded) lease(key string, refresh bool) tarn.Lease[int] {
	g.t.Helper()
	into := make([]tarn.Lease[int], 1)
	g.check(g.Lease(bg, []string{key}, tarn.LeaseTerms{Life: life, Refresh: refresh}, into))
	return into[0]
}

func (g guarded) granted(key string) tarn.Token {
	g.t.Helper()
	l := g.lease(key, false)
	if l.State != tarn.Granted || l.Token == (tarn.Token{}) || l.Found {
		g.t.Fatalf("lease = %+v, want it granted", l)
	}
	return l.Token
}

func (g guarded) fill(key string, token tarn.Token, v int) bool {
	g.t.Helper()
	fills := []tarn.Fill[string, int]{{Key: key, Token: token, Store: true, Entry: value(v), Stored: true}}
	g.check(g.Fill(bg, fills))
	return fills[0].Stored
}

func (g guarded) stands(key string, token tarn.Token) bool {
	g.t.Helper()
	into := make([]bool, 1)
	g.check(g.Stands(bg, []string{key}, []tarn.Token{token}, into))
	return into[0]
}

func (g guarded) hold(key string) tarn.Token {
	g.t.Helper()
	tokens := make([]tarn.Token, 1)
	g.check(g.Hold(bg, []string{key}, life, tokens))
	return tokens[0]
}

func (g guarded) settle(key string, token tarn.Token, v int) bool {
	g.t.Helper()
	all := []tarn.Settlement[string, int]{{Key: key, Token: token, Store: true, Entry: value(v), Stored: true}}
	g.check(g.Settle(bg, all))
	return all[0].Stored
}

func TestLease(t *testing.T) {
	for _, tc := range []struct {
		rule string
		do   func(g guarded)
	}{
		{"a lease that stands fills", func(g guarded) {
			token := g.granted("a")
			if !g.stands("a", token) || !g.fill("a", token, 1) {
				g.t.Error("refused")
			}
			wantValue(g.t, g.Store, "a", 1)
		}},
		{"a fill ends the lease", func(g guarded) {
			token := g.granted("a")
			g.fill("a", token, 1)
			if g.stands("a", token) || g.fill("a", token, 2) {
				g.t.Error("filled twice")
			}
			wantValue(g.t, g.Store, "a", 1)
		}},
		{"a second caller is told of the first", func(g guarded) {
			token := g.granted("a")
			if l := g.lease("a", false); l.State != tarn.Leased || l.Token != token || l.Found {
				g.t.Errorf("%+v", l)
			}
		}},
		{"a value is a hit", func(g guarded) {
			g.check(g.Put("a", 1, 0))
			if l := g.lease("a", false); l.State != tarn.Hit || !l.Found || l.Entry.Value != 1 {
				g.t.Errorf("%+v", l)
			}
		}},
		{"a lease given back lets the next begin", func(g guarded) {
			token := g.granted("a")
			g.check(g.Fill(bg, []tarn.Fill[string, int]{{Key: "a", Token: token, Entry: value(9)}}))
			wantNone(g.t, g.Store, "a")
			if next := g.granted("a"); next == token {
				g.t.Error("the same token again")
			}
		}},
		{"a stranger's token ends nothing", func(g guarded) {
			token := g.granted("a")
			if g.fill("a", tarn.Token{9, 9}, 2) || g.fill("a", tarn.Token{}, 2) || !g.fill("a", token, 1) {
				g.t.Error("a token that was not the lease's did something")
			}
		}},
		{"a lease ends with its life", func(g guarded) {
			token := g.granted("a")
			time.Sleep(life - 1)
			if !g.stands("a", token) {
				g.t.Error("ended early")
			}
			time.Sleep(time.Nanosecond)
			if g.stands("a", token) || g.fill("a", token, 1) {
				g.t.Error("stands after its life")
			}
			g.granted("a")
		}},
		{"an expired entry is none", func(g guarded) {
			g.check(g.Put("a", 1, time.Millisecond))
			time.Sleep(time.Millisecond)
			g.fill("a", g.granted("a"), 2)
			wantValue(g.t, g.Store, "a", 2)
		}},
		{"a refresh leaves the value until the fill", func(g guarded) {
			g.check(g.Put("a", 1, 0))
			l := g.lease("a", true)
			if l.State != tarn.Granted || !l.Found || l.Entry.Value != 1 {
				g.t.Fatalf("%+v", l)
			}
			wantValue(g.t, g.Store, "a", 1)
			if second := g.lease("a", true); second.State != tarn.Leased || second.Token != l.Token || !second.Found {
				g.t.Errorf("second: %+v", second)
			}
			if !g.fill("a", l.Token, 2) {
				g.t.Error("refused")
			}
			wantValue(g.t, g.Store, "a", 2)
		}},
		{"too heavy a fill empties the key, and is counted", func(g guarded) {
			g.check(g.Put("a", 1, 0))
			if g.fill("a", g.lease("a", true).Token, 1001) {
				g.t.Error("stored")
			}
			wantNone(g.t, g.Store, "a")
			if g.fill("a", g.granted("a"), -1) {
				g.t.Error("stored a negative weight")
			}
			if n := g.Stats().Refused; n != 2 {
				g.t.Errorf("%d refused", n)
			}
		}},
		{"a fill that has expired is not stored", func(g guarded) {
			fills := []tarn.Fill[string, int]{
				{Key: "a", Token: g.granted("a"), Store: true, Entry: tarn.Entry[int]{Value: 1, Expires: g.Clock().Now()}},
			}
			g.check(g.Fill(bg, fills))
			if fills[0].Stored || g.Len() != 0 {
				g.t.Error("stored")
			}
		}},
		{"life is positive", func(g guarded) {
			for _, life := range []time.Duration{0, -1} {
				err := g.Lease(bg, []string{"a"}, tarn.LeaseTerms{Life: life}, make([]tarn.Lease[int], 1))
				if err == nil || !strings.Contains(err.Error(), "Life") {
					g.t.Errorf("%v: %v", life, err)
				}
				if err := g.Hold(bg, []string{"a"}, life, make([]tarn.Token, 1)); err == nil {
					g.t.Errorf("hold for %v", life)
				}
			}
			g.granted("a")
		}},
		{"eviction is no change of the key", func(g guarded) {
			g.check(g.Put("a", 1, 0))
			token := g.lease("a", true).Token
			g.check(g.Put("b", 1000, 0))
			wantNone(g.t, g.Store, "a")
			if !g.fill("a", token, 2) {
				g.t.Error("refused")
			}
		}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tc.do(newGuarded(t)) })
		})
	}
}

// TestEveryChangeVoidsTheLease. Each row changes the key between the lease and its fill.
func TestEveryChangeVoidsTheLease(t *testing.T) {
	for name, change := range map[string]func(g guarded){
		"Set":     func(g guarded) { g.check(g.Set(bg, "a", value(5))) },
		"refused": func(g guarded) { wantErr(g.t, g.Set(bg, "a", value(1001)), tarn.ErrTooHeavy) },
		"SetMany": func(g guarded) { g.check(g.SetMany(bg, []string{"a"}, []tarn.Entry[int]{value(5)})) },
		"Add": func(g guarded) {
			g.check(g.Delete(bg, "b"))
			_, _ = g.Add(bg, "a", value(5))
		},
		"Touch":   func(g guarded) { _, _ = g.Touch(bg, "a", 0) },
		"Delete":  func(g guarded) { g.check(g.Delete(bg, "a")) },
		"DelMany": func(g guarded) { g.check(g.DeleteMany(bg, []string{"a"})) },
		"Clear":   func(g guarded) { g.check(g.Clear(bg)) },
		"Hold":    func(g guarded) { g.hold("a") },
		"settled": func(g guarded) { g.settle("a", g.hold("a"), 5) },
		"lost":    func(g guarded) { g.settle("a", tarn.Token{77}, 5) },
		"Compute": func(g guarded) {
			_, _, err := g.Compute(bg, "a", func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
				return value(5), tarn.ComputeStore
			})
			g.check(err)
		},
		"Compute deletes": func(g guarded) {
			_, _, err := g.Compute(bg, "a", func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
				return value(5), tarn.ComputeDelete
			})
			g.check(err)
		},
	} {
		for _, present := range []bool{false, true} {
			if present && name == "Add" || !present && name == "Touch" {
				continue // they change nothing then
			}
			t.Run(fmt.Sprint(name, " present=", present), func(t *testing.T) {
				g := newGuarded(t)
				if present {
					mustSet(t, g.Store, "a", 1)
				}
				token := g.lease("a", true).Token
				change(g)
				if g.stands("a", token) {
					t.Error("the lease stands")
				}
				if g.fill("a", token, 9) {
					t.Error("the fill was stored")
				}
				if v, _ := g.Value("a"); v == 9 {
					t.Error("the fill is there")
				}
			})
		}
	}
	t.Run("what changes nothing does not", func(t *testing.T) {
		g := newGuarded(t)
		token := g.granted("a")
		_, _ = g.Touch(bg, "a", 0)
		_, _, _ = g.Compute(bg, "a", func(e tarn.Entry[int], _ bool) (tarn.Entry[int], tarn.ComputeOp) {
			return e, tarn.ComputeKeep
		})
		g.Value("a")
		if !g.fill("a", token, 1) {
			t.Error("refused")
		}
	})
}

func TestHold(t *testing.T) {
	for _, tc := range []struct {
		rule string
		do   func(g guarded)
	}{
		{"a held key has no value, takes none and is not leased", func(g guarded) {
			g.check(g.Put("a", 1, 0))
			g.hold("a")
			wantNone(g.t, g.Store, "a")
			wantErr(g.t, g.Set(bg, "a", value(2)), tarn.ErrHeld)
			wantErr(g.t, g.Set(bg, "a", value(1001)), tarn.ErrHeld)
			if added, err := g.Add(bg, "a", value(2)); added || err != nil {
				g.t.Error("Add", added, err)
			}
			if touched, err := g.Touch(bg, "a", 0); touched || err != nil {
				g.t.Error("Touch", touched, err)
			}
			_, _, err := g.Compute(bg, "a", func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
				g.t.Error("f was called")
				return value(2), tarn.ComputeStore
			})
			wantErr(g.t, err, tarn.ErrHeld)
			for _, refresh := range []bool{false, true} {
				if l := g.lease("a", refresh); l.State != tarn.Held || l.Found || l.Token != (tarn.Token{}) {
					g.t.Errorf("%+v", l)
				}
			}
			wantNone(g.t, g.Store, "a")
		}},
		{"the only hold stores", func(g guarded) {
			if !g.settle("a", g.hold("a"), 1) {
				g.t.Error("refused")
			}
			wantValue(g.t, g.Store, "a", 1)
			g.check(g.Put("a", 2, 0)) // nobody holds it any more
		}},
		{"or forgets", func(g guarded) {
			g.check(g.Put("a", 1, 0))
			token := g.hold("a")
			g.check(g.Settle(bg, []tarn.Settlement[string, int]{{Key: "a", Token: token, Entry: value(2)}}))
			wantNone(g.t, g.Store, "a")
		}},
		{"two holds taint each other", func(g guarded) {
			first, second := g.hold("a"), g.hold("a")
			if g.settle("a", second, 2) {
				g.t.Error("stored while the key is held")
			}
			wantErr(g.t, g.Set(bg, "a", value(3)), tarn.ErrHeld)
			if g.settle("a", first, 1) {
				g.t.Error("stored, though nobody knows who committed last")
			}
			wantNone(g.t, g.Store, "a")
			if !g.settle("a", g.hold("a"), 4) {
				g.t.Error("the taint outlived the holds")
			}
		}},
		{"Delete keeps the hold and taints it", func(g guarded) {
			token := g.hold("a")
			g.check(g.Delete(bg, "a"))
			wantErr(g.t, g.Set(bg, "a", value(3)), tarn.ErrHeld)
			if g.settle("a", token, 1) {
				g.t.Error("stored")
			}
			wantNone(g.t, g.Store, "a")
		}},
		{"so does Clear", func(g guarded) {
			token := g.hold("a")
			g.check(g.Clear(bg))
			wantErr(g.t, g.Set(bg, "a", value(3)), tarn.ErrHeld)
			if g.settle("a", token, 1) {
				g.t.Error("stored")
			}
		}},
		{"a Clear before the hold does not", func(g guarded) {
			g.granted("a")
			g.check(g.Clear(bg))
			if !g.settle("a", g.hold("a"), 1) {
				g.t.Error("refused")
			}
		}},
		{"a hold ends with its life, and the key is empty", func(g guarded) {
			token := g.hold("a")
			time.Sleep(life - 1)
			wantErr(g.t, g.Set(bg, "a", value(3)), tarn.ErrHeld)
			time.Sleep(time.Nanosecond)
			wantNone(g.t, g.Store, "a")
			g.fill("a", g.granted("a"), 5)
			if g.settle("a", token, 1) {
				g.t.Error("stored after its life")
			}
			wantNone(g.t, g.Store, "a") // a late settle empties the key of what may be older
		}},
		{"a late settle leaves the hold of another, tainted", func(g guarded) {
			first := g.hold("a")
			time.Sleep(life)
			second := g.hold("a")
			g.settle("a", first, 1)
			wantErr(g.t, g.Set(bg, "a", value(3)), tarn.ErrHeld)
			if g.settle("a", second, 2) {
				g.t.Error("stored")
			}
		}},
		{"too heavy a settlement empties the key, and is counted", func(g guarded) {
			if g.settle("a", g.hold("a"), 1001) || g.Len() != 0 || g.Stats().Refused != 1 {
				g.t.Error("stored, or not counted")
			}
			g.check(g.Put("a", 1, 0))
		}},
		{"too many holds: none of the batch is held", func(g guarded) {
			for range 1024 {
				g.hold("full")
			}
			g.check(g.Put("a", 1, 0))
			lease := g.granted("b")
			before := g.hold("c")
			tokens := make([]tarn.Token, 4)
			wantErr(g.t, g.Hold(bg, []string{"a", "b", "c", "full"}, life, tokens), tarn.ErrTooManyHolds)
			wantValue(g.t, g.Store, "a", 1)
			g.check(g.Put("a", 2, 0))
			if !g.stands("b", lease) || !g.fill("b", lease, 1) {
				g.t.Error("a lease was voided")
			}
			if !g.settle("c", before, 1) {
				g.t.Error("a hold was tainted")
			}
		}},
		{"a batch holds and settles all", func(g guarded) {
			keys, tokens := []string{"a", "b"}, make([]tarn.Token, 2)
			g.check(g.Hold(bg, keys, life, tokens))
			for _, key := range keys {
				wantErr(g.t, g.Set(bg, key, value(1)), tarn.ErrHeld)
			}
			g.check(g.Settle(bg, []tarn.Settlement[string, int]{
				{Key: "b", Token: tokens[1], Store: true, Entry: value(2)},
				{Key: "a", Token: tokens[0], Store: true, Entry: value(1)},
			}))
			wantValue(g.t, g.Store, "a", 1)
			wantValue(g.t, g.Store, "b", 2)
		}},
		{"slices of different lengths are errors", func(g guarded) {
			if g.Hold(bg, []string{"a"}, life, nil) == nil ||
				g.Lease(bg, []string{"a"}, tarn.LeaseTerms{Life: life}, nil) == nil ||
				g.Stands(bg, []string{"a"}, nil, nil) == nil {
				g.t.Error("no error")
			}
		}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tc.do(newGuarded(t)) })
		})
	}
}

// TestAbandonedLeasesAndHoldsAreForgotten: nobody ends them, and the memory they took does not grow.
func TestAbandonedLeasesAndHoldsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options[int, int]{MaxEntries: 10})
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		key := 0
		abandon := func(n int) {
			for range n {
				_ = s.Lease(bg, []int{key}, tarn.LeaseTerms{Life: time.Second}, make([]tarn.Lease[int], 1))
				_ = s.Hold(bg, []int{-key - 1}, time.Second, make([]tarn.Token, 1))
				key++
			}
			time.Sleep(time.Second)
		}
		abandon(2000)
		abandon(2000)
		before := heap()
		for range 30 {
			abandon(2000)
		}
		if after := heap(); after > before+2<<20 {
			t.Errorf("the heap grew from %d to %d", before, after)
		}
		runtime.KeepAlive(s)
	})
}

// TestNoFillPutsAnOlderValueBack: readers that load and fill beside a writer that holds, commits and settles. The
// source counts up; a read that begins after a write was acknowledged returns that write or a later one.
func TestNoFillPutsAnOlderValueBack(t *testing.T) {
	s := memory.New(memory.Options[string, int]{MaxEntries: 4})
	var source, acknowledged atomic.Int64
	var all sync.WaitGroup
	stop := make(chan struct{})
	read := func() (int, bool) {
		into := make([]tarn.Lease[int], 1)
		if err := s.Lease(bg, []string{"a"}, tarn.LeaseTerms{Life: time.Minute}, into); err != nil {
			t.Error(err)
		}
		if into[0].State == tarn.Hit {
			return into[0].Entry.Value, true
		}
		v := int(source.Load())
		runtime.Gosched()
		if into[0].State == tarn.Granted {
			_ = s.Fill(bg, []tarn.Fill[string, int]{{Key: "a", Token: into[0].Token, Store: true, Entry: value(v)}})
		}
		return v, false
	}
	var hits atomic.Int64
	for range 3 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := acknowledged.Load()
				v, hit := read()
				if int64(v) < least {
					t.Errorf("read %d after %d was acknowledged", v, least)
					return
				}
				if hit {
					hits.Add(1)
				}
			}
		})
	}
	for i := 0; i < 300 || hits.Load() == 0 && i < 10_000_000 && !t.Failed(); i++ {
		if i%3 == 0 {
			v := source.Add(1)
			runtime.Gosched()
			if err := s.Delete(bg, "a"); err != nil {
				t.Error(err)
			}
			acknowledged.Store(v)
			continue
		}
		tokens := make([]tarn.Token, 1)
		if err := s.Hold(bg, []string{"a"}, time.Minute, tokens); err != nil {
			t.Error(err)
		}
		v := source.Add(1)
		runtime.Gosched()
		err := s.Settle(bg, []tarn.Settlement[string, int]{
			{Key: "a", Token: tokens[0], Store: true, Entry: value(int(v))},
		})
		if err != nil {
			t.Error(err)
		}
		acknowledged.Store(v)
	}
	close(stop)
	all.Wait()
	if hits.Load() == 0 {
		t.Error("no read was a hit, so nothing was tested")
	}
}

// TestPanicsLeaveNothingTaken: where a function of the application panics, leases and holds end all the same.
func TestPanicsLeaveNothingTaken(t *testing.T) {
	keys := []string{"a", "b", "c"}
	type store = *memory.Store[string, int]
	hold := func(s store) func() {
		for _, key := range keys {
			_ = s.Put(key, 1, 0)
		}
		return func() { _ = s.Hold(bg, keys, life, make([]tarn.Token, len(keys))) }
	}
	settle := func(s store) func() {
		all, tokens := make([]tarn.Settlement[string, int], len(keys)), make([]tarn.Token, len(keys))
		_ = s.Hold(bg, keys, life, tokens)
		for i, key := range keys {
			all[i] = tarn.Settlement[string, int]{Key: key, Token: tokens[i], Store: true, Entry: value(1000)}
		}
		return func() { _ = s.Settle(bg, all) }
	}
	fill := func(s store) func() {
		all, leases := make([]tarn.Fill[string, int], len(keys)), make([]tarn.Lease[int], len(keys))
		_ = s.Lease(bg, keys, tarn.LeaseTerms{Life: life}, leases)
		for i, key := range keys {
			all[i] = tarn.Fill[string, int]{Key: key, Token: leases[i].Token, Store: true, Entry: value(1000)}
		}
		return func() { _ = s.Fill(bg, all) }
	}
	for _, row := range []struct {
		rule    string
		prepare func(s store) (act func())
		weigh   string // the key at which Weigh panics
		removed string // the key at which OnRemove panics
	}{
		{"OnRemove in Hold", hold, "", "b"},
		{"Weigh in Settle", settle, "b", ""},
		{"OnRemove in Settle", settle, "", "a"},
		{"Weigh in Fill", fill, "b", ""},
		{"OnRemove in Fill", fill, "", "a"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			broken := false
			fault := func(key, at string) {
				if broken && key == at {
					broken = false
					panic("application")
				}
			}
			s := memory.New(memory.Options[string, int]{
				MaxWeight: 1000,
				Weigh:     func(key string, v int) int64 { fault(key, row.weigh); return int64(v) },
				OnRemove:  func(r memory.Removal[string, int]) { fault(r.Key, row.removed) },
			})
			defer func() { _ = s.Close() }()
			act := row.prepare(s)
			broken = true
			func() {
				defer func() {
					if p := recover(); p != "application" {
						t.Errorf("recovered %v", p)
					}
				}()
				act()
			}()
			leases := make([]tarn.Lease[int], len(keys))
			if err := s.Lease(bg, keys, tarn.LeaseTerms{Life: life, Refresh: true}, leases); err != nil {
				t.Fatal(err)
			}
			for i, l := range leases {
				if l.State != tarn.Granted {
					t.Errorf("%s: %v", keys[i], l.State)
				}
			}
		})
	}
}
