package memory_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

var bg = context.Background()

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return ctx
}

func entries(n int) *memory.Store[string, int] {
	return memory.New(memory.Options[string, int]{MaxEntries: n, CountReads: true})
}

func value(v int) tarn.Entry[int] { return tarn.Entry[int]{Value: v} }

// mustSet sets without a deadline.
func mustSet[K comparable, V any](t testing.TB, s *memory.Store[K, V], key K, v V) {
	t.Helper()
	if err := s.Put(key, v, 0); err != nil {
		t.Fatalf("put: %v", err)
	}
}

func wantValue[K comparable, V comparable](t testing.TB, s *memory.Store[K, V], key K, want V) {
	t.Helper()
	if got, found := s.Value(key); !found || got != want {
		t.Errorf("value = %v, %v; want %v", got, found, want)
	}
}

func wantNone[K comparable, V any](t testing.TB, s *memory.Store[K, V], key K) {
	t.Helper()
	if got, found, err := s.Get(bg, key); found || err != nil {
		t.Errorf("get = %v, %v, %v; want nothing", got, found, err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v; want %v", err, want)
	}
}

// silent is an observer.
type silent struct{ told int }

func (s *silent) Observe(context.Context, tarn.Event) { s.told++ }

func TestNewPanicsNamingTheField(t *testing.T) {
	weigh := func(string, int) int64 { return 1 }
	for _, tc := range []struct {
		rule string
		opts memory.Options[string, int]
		want string
	}{
		{"a store needs a bound", memory.Options[string, int]{}, "MaxEntries"},
		{"only one bound", memory.Options[string, int]{MaxEntries: 1, MaxWeight: 1, Weigh: weigh}, "both"},
		{"negative entries", memory.Options[string, int]{MaxEntries: -1}, "MaxEntries is negative"},
		{"negative absences", memory.Options[string, int]{MaxEntries: 9, MaxNegative: -1}, "MaxNegative is negative: -1"},
		{"absences leave room", memory.Options[string, int]{MaxEntries: 9, MaxNegative: 9}, "MaxNegative is 9"},
		{"negative weight", memory.Options[string, int]{MaxWeight: -1, Weigh: weigh}, "MaxWeight is negative"},
		{"a weight needs a scale", memory.Options[string, int]{MaxWeight: 1}, "Weigh is nil"},
		{"a scale needs a bound", memory.Options[string, int]{Weigh: weigh}, "MaxWeight is not"},
		{"an observer is not a nil pointer", memory.Options[string, int]{MaxEntries: 1, Observer: (*silent)(nil)}, "Observer"},
		{"an observer is not a nil function", memory.Options[string, int]{MaxEntries: 1, Observer: tarn.ObserverFunc(nil)},
			"Observer"},
		{"a scale is not for counting", memory.Options[string, int]{MaxEntries: 1, Weigh: weigh}, "Weigh"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			defer func() {
				text, _ := recover().(string)
				if !strings.HasPrefix(text, "memory: ") || !strings.Contains(text, tc.want) {
					t.Errorf("panic %q does not contain %q", text, tc.want)
				}
			}()
			memory.New(tc.opts)
		})
	}
}

func TestGetSetDelete(t *testing.T) {
	s := entries(10)
	wantNone(t, s, "a")
	mustSet(t, s, "a", 1)
	wantValue(t, s, "a", 1)
	mustSet(t, s, "a", 2)
	wantValue(t, s, "a", 2)
	if err := s.Delete(bg, "a"); err != nil {
		t.Error(err)
	}
	wantNone(t, s, "a")
	if err := s.Delete(bg, "a"); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
}

func TestSetKeepsTheEntryButForStale(t *testing.T) {
	s := entries(10)
	now := s.Clock().Now()
	for _, e := range []tarn.Entry[int]{
		{Value: 7, Stale: true},
		{Value: 7, Stale: true, Fresh: now.Add(time.Hour)},
		{Value: 7, Stale: true, Fresh: now.Add(time.Hour), Expires: now.Add(2 * time.Hour)},
	} {
		if err := s.Set(bg, "a", e); err != nil {
			t.Fatal(err)
		}
		e.Stale = false
		if got, _, _ := s.Get(bg, "a"); got != e {
			t.Errorf("got %+v, want %+v", got, e)
		}
	}
	absent := tarn.Entry[int]{Negative: true}
	if err := s.Set(bg, "a", absent); err != nil {
		t.Fatal(err)
	}
	if got, found, _ := s.Get(bg, "a"); !found || got != absent {
		t.Errorf("got %+v, want a remembered absence", got)
	}
	if _, found := s.Value("a"); found {
		t.Error("Value found a remembered absence")
	}
	for key := range s.All() {
		t.Errorf("All yielded the remembered absence of %q", key)
	}
}

func TestPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := entries(10)
		if err := s.Put("a", 1, -1); err == nil || !strings.Contains(err.Error(), "negative") {
			t.Errorf("negative life: %v", err)
		}
		wantNone(t, s, "a")
		if err := s.Put("a", 1, time.Nanosecond); err != nil {
			t.Fatal(err)
		}
		wantValue(t, s, "a", 1)
		time.Sleep(time.Nanosecond)
		wantNone(t, s, "a")
		if err := s.Put("b", 2, math.MaxInt64); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1000 * time.Hour)
		wantValue(t, s, "b", 2)
	})
}

// everything is every operation, with what it returns as an error.
func everything(s *memory.Store[string, int], ctx context.Context) map[string]func() error {
	keys := []string{"k"}
	return map[string]func() error{
		"Get":  func() error { _, _, err := s.Get(ctx, "k"); return err },
		"Set":  func() error { return s.Set(ctx, "k", value(1)) },
		"Put":  func() error { return s.Put("k", 1, 0) },
		"Add":  func() error { _, err := s.Add(ctx, "k", value(1)); return err },
		"Del":  func() error { return s.Delete(ctx, "k") },
		"Clr":  func() error { return s.Clear(ctx) },
		"Tch":  func() error { _, err := s.Touch(ctx, "k", ttl.End); return err },
		"GetM": func() error { return s.GetMany(ctx, keys, make([]tarn.Lookup[int], 1)) },
		"SetM": func() error { return s.SetMany(ctx, keys, []tarn.Entry[int]{value(1)}) },
		"DelM": func() error { return s.DeleteMany(ctx, keys) },
		"Comp": func() error {
			_, _, err := s.Compute(ctx, "k", func(e tarn.Entry[int], _ bool) (tarn.Entry[int], tarn.ComputeOp) {
				e.Value++
				return e, tarn.ComputeStore
			})
			return err
		},
		"Cnt":  func() error { _, err := s.Count(ctx); return err },
		"Scan": func() error { return drain(s.Scan(ctx)) },
		"Lse": func() error {
			return s.Lease(ctx, keys, tarn.LeaseTerms{Life: time.Second, Refresh: true}, make([]tarn.Lease[int], 1))
		},
		"Fill": func() error { return s.Fill(ctx, []tarn.Fill[string, int]{{Key: "k"}}) },
		"Stnd": func() error { return s.Stands(ctx, keys, make([]tarn.Token, 1), make([]bool, 1)) },
		"Hold": func() error { return s.Hold(ctx, keys, time.Second, make([]tarn.Token, 1)) },
		"Stl":  func() error { return s.Settle(ctx, []tarn.Settlement[string, int]{{Key: "k"}}) },
	}
}

func TestClosed(t *testing.T) {
	s := entries(10)
	mustSet(t, s, "k", 1)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	for name, op := range everything(s, bg) {
		if err := op(); !errors.Is(err, tarn.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	wantErr(t, s.Resize(5), tarn.ErrClosed)
	if _, found := s.Value("k"); found || s.Len() != 0 {
		t.Error("something is left after Close")
	}
	for range s.All() {
		t.Error("All yields after Close")
	}
	s.Stats()
}

func TestCancelledContextChangesNothing(t *testing.T) {
	writes := []string{"Set", "Add", "Del", "Clr", "Tch", "SetM", "DelM", "Comp", "Lse", "Fill", "Hold", "Stl"}
	for _, name := range writes {
		s := entries(10)
		mustSet(t, s, "k", 41)
		if err := everything(s, cancelled())[name](); err != context.Canceled {
			t.Errorf("%s: %v, want the context's error", name, err)
		}
		wantValue(t, s, "k", 41)
	}
	s := entries(10)
	mustSet(t, s, "k", 41)
	if e, found, err := s.Get(cancelled(), "k"); !found || e.Value != 41 || err != nil {
		t.Errorf("a hit is still answered: %v %v %v", e, found, err)
	}
	into := make([]tarn.Lookup[int], 1)
	if err := s.GetMany(cancelled(), []string{"k"}, into); err != nil || !into[0].Found {
		t.Errorf("hits of a batch are still answered: %v %v", into, err)
	}
	leases := make([]tarn.Lease[int], 1)
	terms := tarn.LeaseTerms{Life: time.Second}
	if err := s.Lease(cancelled(), []string{"k"}, terms, leases); err != nil || leases[0].State != tarn.Hit {
		t.Errorf("a lease that is a hit is still answered: %v %v", leases, err)
	}
	wantErr(t, s.Lease(cancelled(), []string{"none"}, terms, leases), context.Canceled)
	if err := s.Lease(bg, []string{"none"}, terms, leases); err != nil || leases[0].State != tarn.Granted {
		t.Errorf("a cancelled Lease left a lease behind: %v %v", leases, err)
	}
}

func TestNaNLeaksNothing(t *testing.T) {
	told := 0
	s := memory.New(memory.Options[float64, int]{
		MaxEntries: 4,
		OnRemove: func(r memory.Removal[float64, int]) {
			if r.Cause == memory.Evicted {
				told++
			}
		},
	})
	nan := math.NaN()
	terms := tarn.LeaseTerms{Life: time.Hour, Refresh: true}
	for range 100 {
		if err := s.Put(nan, 1, time.Hour); err != nil {
			t.Fatal(err)
		}
		if added, err := s.Add(bg, nan, value(1)); added || err != nil {
			t.Errorf("add: %v %v", added, err)
		}
		if err := s.SetMany(bg, []float64{nan, nan}, []tarn.Entry[int]{value(1), value(2)}); err != nil {
			t.Error(err)
		}
		e, found, err := s.Compute(bg, nan, func(_ tarn.Entry[int], found bool) (tarn.Entry[int], tarn.ComputeOp) {
			return value(3), tarn.ComputeStore
		})
		if found || err != nil {
			t.Errorf("compute: %v %v %v", e, found, err)
		}
		leases := make([]tarn.Lease[int], 1)
		if err := s.Lease(bg, []float64{nan}, terms, leases); err != nil || leases[0].State != tarn.Granted {
			t.Errorf("lease: %v %v", leases, err)
		}
		fills := []tarn.Fill[float64, int]{{Key: nan, Token: leases[0].Token, Store: true, Entry: value(1)}}
		if err := s.Fill(bg, fills); err != nil || fills[0].Stored {
			t.Errorf("fill: %v %v", fills, err)
		}
		tokens := make([]tarn.Token, 1)
		if err := s.Hold(bg, []float64{nan}, time.Hour, tokens); err != nil {
			t.Error(err)
		}
		settle := []tarn.Settlement[float64, int]{{Key: nan, Token: tokens[0], Store: true, Entry: value(1)}}
		if err := s.Settle(bg, settle); err != nil || settle[0].Stored {
			t.Errorf("settle: %v %v", settle, err)
		}
		if touched, _ := s.Touch(bg, nan, 0); touched {
			t.Error("touched")
		}
		if err := s.Delete(bg, nan); err != nil {
			t.Error(err)
		}
		wantNone(t, s, nan)
	}
	if s.Len() != 0 || told != 100*(1+2+1) { // Put, SetMany, Compute
		t.Errorf("%d entries, %d removals told", s.Len(), told)
	}
}

// TestUncomparableKeyPanicsUnlocked: the panic of a Go map, and the store is usable afterwards.
func TestUncomparableKeyPanicsUnlocked(t *testing.T) {
	s := memory.New(memory.Options[any, int]{MaxEntries: 4})
	defer s.Close()
	bad := []any{[]int{1}}
	for name, op := range map[string]func(){
		"get":    func() { s.Get(bg, bad[0]) },
		"set":    func() { s.Put(bad[0], 1, 0) },
		"add":    func() { s.Add(bg, bad[0], value(1)) },
		"touch":  func() { s.Touch(bg, bad[0], 0) },
		"delete": func() { s.Delete(bg, bad[0]) },
		"many":   func() { s.SetMany(bg, bad, []tarn.Entry[int]{value(1)}) },
		"getm":   func() { s.GetMany(bg, bad, make([]tarn.Lookup[int], 1)) },
		"delm":   func() { s.DeleteMany(bg, bad) },
		"lease":  func() { s.Lease(bg, bad, tarn.LeaseTerms{Life: 1}, make([]tarn.Lease[int], 1)) },
		"stands": func() { s.Stands(bg, bad, make([]tarn.Token, 1), make([]bool, 1)) },
		"fill":   func() { s.Fill(bg, []tarn.Fill[any, int]{{Key: bad[0]}}) },
		"hold":   func() { s.Hold(bg, bad, 1, make([]tarn.Token, 1)) },
		"settle": func() { s.Settle(bg, []tarn.Settlement[any, int]{{Key: bad[0]}}) },
		"comp":   func() { s.Compute(bg, bad[0], nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			op()
		}()
		mustSet(t, s, any(name), 1)
		wantValue(t, s, any(name), 1)
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	type pair struct {
		a string
		b int
	}
	texts := entries(100)
	pairs := memory.New(memory.Options[pair, [4]string]{MaxEntries: 100})
	mustSet(t, texts, "a", 1)
	_ = texts.Put("timed", 1, time.Hour)
	mustSet(t, pairs, pair{"a", 1}, [4]string{})
	keys, into := []string{"a", "timed", "none"}, make([]tarn.Lookup[int], 3)
	for name, f := range map[string]func(){
		"Get":       func() { texts.Get(bg, "a") },
		"Get timed": func() { texts.Get(bg, "timed") },
		"Get miss":  func() { texts.Get(bg, "none") },
		"Value":     func() { texts.Value("a") },
		"Get pair":  func() { pairs.Get(bg, pair{"a", 1}) },
		"GetMany":   func() { texts.GetMany(bg, keys, into) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestWritesAllocateOnce: an entry is one allocation, whatever it takes the place of; moving a deadline is none.
func TestWritesAllocateOnce(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := memory.New(memory.Options[int, string]{MaxEntries: 1000})
	for i := range 10_000 {
		mustSet(t, s, -i, "") // full, with all that grows grown
	}
	_ = s.Put(1, "", time.Hour)
	next, later := 1, s.Clock().Now().Add(time.Minute)
	for _, tc := range []struct {
		what string
		most float64
		do   func()
	}{
		{"overwrite", 1, func() { _ = s.Put(1, "", 0) }},
		{"overwrite with a life", 1, func() { _ = s.Put(1, "", time.Hour) }},
		{"touch", 0, func() { _, _ = s.Touch(bg, 1, later) }},
		{"insert", 1, func() { next++; _ = s.Put(next, "", 0) }},
		{"insert with a life", 1, func() { next++; _ = s.Put(next, "", time.Hour) }},
		{"delete", 0, func() { _ = s.Delete(bg, next); next-- }},
	} {
		if n := testing.AllocsPerRun(1000, tc.do); n > tc.most {
			t.Errorf("%s: %v allocations", tc.what, n)
		}
	}
}

func TestBatches(t *testing.T) {
	s := memory.New(memory.Options[string, int]{
		MaxWeight: 1000, Weigh: func(_ string, v int) int64 { return int64(v) },
	})
	keys := []string{"a", "b", "a", "heavy", "held"}
	tokens := make([]tarn.Token, 1)
	if err := s.Hold(bg, []string{"held"}, time.Hour, tokens); err != nil {
		t.Fatal(err)
	}
	err := s.SetMany(bg, keys, []tarn.Entry[int]{value(1), value(2), value(3), value(1001), value(5)})
	for i, want := range []error{nil, nil, nil, tarn.ErrTooHeavy, tarn.ErrHeld} {
		if got := tarn.ErrAt(err, i, 5); got != want {
			t.Errorf("item %d: %v, want %v", i, got, want)
		}
	}
	keys[0] = "a" // the slices stay the caller's
	into := make([]tarn.Lookup[int], 5)
	into[3] = tarn.Lookup[int]{Entry: value(9), Found: true}
	if err := s.GetMany(bg, keys, into); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{3, 2, 3, 0, 0} {
		if into[i].Entry.Value != want || into[i].Found != (want != 0) {
			t.Errorf("item %d: %+v, want %d", i, into[i], want)
		}
	}
	if err := s.DeleteMany(bg, []string{"b", "b", "none", "a"}); err != nil || s.Len() != 0 {
		t.Errorf("delete many: %v, %d left", err, s.Len())
	}
	if s.GetMany(bg, keys, into[:1]) == nil || s.SetMany(bg, keys, nil) == nil {
		t.Error("slices of different lengths are no error")
	}
}

func TestAddAndTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := entries(10)
		add := func(v int, life time.Duration) bool {
			added, err := s.Add(bg, "a", tarn.Entry[int]{Value: v, Expires: s.Clock().Now().Add(life)})
			if err != nil {
				t.Fatal(err)
			}
			return added
		}
		if !add(1, time.Second) || add(2, time.Second) {
			t.Error("Add stores once")
		}
		wantValue(t, s, "a", 1)
		time.Sleep(time.Second)
		if add(3, 0) {
			t.Error("Add stored what had expired")
		}
		if !add(3, time.Second) {
			t.Error("what has expired is no entry, so Add stores")
		}
		if ok, err := s.Touch(bg, "a", s.Clock().Now().Add(time.Minute)); !ok || err != nil {
			t.Error(ok, err)
		}
		time.Sleep(time.Minute - 1)
		wantValue(t, s, "a", 3)
		time.Sleep(time.Nanosecond)
		if ok, _ := s.Touch(bg, "a", 0); ok {
			t.Error("touched what had expired")
		}
		mustSet(t, s, "a", 4)
		if ok, _ := s.Touch(bg, "a", s.Clock().Now()); !ok {
			t.Error("there was an entry")
		}
		wantNone(t, s, "a")
		_ = s.Put("a", 5, time.Second)
		if ok, _ := s.Touch(bg, "a", 0); !ok {
			t.Error("there was an entry")
		}
		time.Sleep(time.Hour)
		wantValue(t, s, "a", 5)
		_ = s.Close()
	})
}

func TestWeight(t *testing.T) {
	s := memory.New(memory.Options[string, int]{
		MaxWeight: 100, Weigh: func(_ string, v int) int64 { return int64(v) },
	})
	mustSet(t, s, "a", 60)
	wantErr(t, s.Put("a", 101, 0), tarn.ErrTooHeavy)
	wantNone(t, s, "a")
	mustSet(t, s, "a", 60)
	if err := s.Put("a", -1, 0); err == nil || !strings.Contains(err.Error(), "negative") {
		t.Errorf("negative weight: %v", err)
	}
	wantNone(t, s, "a")
	mustSet(t, s, "a", 100)
	wantValue(t, s, "a", 100)
	mustSet(t, s, "b", 100)
	wantNone(t, s, "a")
	wantValue(t, s, "b", 100)
	mustSet(t, s, "b", 30)
	mustSet(t, s, "c", 70)
	wantValue(t, s, "b", 30)
	wantValue(t, s, "c", 70)
	mustSet(t, s, "b", 31) // a write is never its own victim
	wantValue(t, s, "b", 31)
	if st := s.Stats(); st.Weight != 31 || st.Refused != 2 || st.Bound != 100 {
		t.Errorf("%+v", st)
	}
	for i := range 1000 {
		mustSet(t, s, string(rune('A'+i)), 0)
	}
	if s.Len() > 100 {
		t.Errorf("%d weightless entries", s.Len())
	}
}

// TestAbsencesAreBounded: Weigh is not asked about absences, and yet they cannot be without number.
func TestAbsencesAreBounded(t *testing.T) {
	s := memory.New(memory.Options[int, *int]{
		MaxWeight: 1 << 30, Weigh: func(_ int, v *int) int64 { return int64(*v) },
	})
	for i := range 70_000 {
		if err := s.Set(bg, i, tarn.Entry[*int]{Negative: true}); err != nil {
			t.Fatal(err)
		}
	}
	if s.Len() > 65_536 {
		t.Errorf("%d absences", s.Len())
	}
}

func TestResize(t *testing.T) {
	s := memory.New(memory.Options[int, int]{MaxEntries: 10_000})
	for i := range 10_000 {
		mustSet(t, s, i, i)
	}
	if s.Len() != 10_000 {
		t.Fatalf("%d of 10000 fit", s.Len())
	}
	for _, bad := range []int64{0, -1} {
		if s.Resize(bad) == nil || s.Stats().Bound != 10_000 {
			t.Errorf("Resize(%d) changed something", bad)
		}
	}
	for _, bound := range []int{5000, 10, 1, 300} {
		if err := s.Resize(int64(bound)); err != nil {
			t.Fatal(err)
		}
		if s.Len() > bound {
			t.Errorf("%d entries after Resize(%d)", s.Len(), bound)
		}
		for i := range 1000 {
			mustSet(t, s, i, i)
			wantValue(t, s, i, i) // what was stored last is there
		}
		if s.Len() != bound {
			t.Errorf("%d entries of %d", s.Len(), bound)
		}
	}
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := entries(2)
		_ = s.Put("a", 1, time.Second)
		s.Value("a")
		s.Value("none")
		_ = s.GetMany(bg, []string{"a", "none", "a"}, make([]tarn.Lookup[int], 3))
		time.Sleep(time.Hour)
		for _, key := range []string{"a", "b", "c", "d"} {
			mustSet(t, s, key, 1)
		}
		got := s.Stats()
		want := memory.Stats{Hits: 3, Misses: 2, Evictions: 2, Expirations: 1, Entries: 2, Weight: 2, Bound: 2}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestBoundIsNeverPassed looks at the bound all the while that eight goroutines write.
func TestBoundIsNeverPassed(t *testing.T) {
	const bound = 100
	for name, opts := range map[string]memory.Options[int, int]{
		"entries": {MaxEntries: bound},
		"weight":  {MaxWeight: bound, Weigh: func(k, v int) int64 { return int64(v) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := memory.New(opts)
			defer s.Close()
			var writers sync.WaitGroup
			for g := range 8 {
				writers.Go(func() {
					for i := range 3000 {
						key := (i*7 + g*13) % 500
						switch i % 5 {
						case 0:
							_ = s.Delete(bg, key)
						case 1:
							_ = s.Put(key, 1+i%9, time.Duration(i%50)*time.Microsecond)
						default:
							_ = s.Put(key, 1+i%30, 0)
						}
					}
				})
			}
			done := make(chan struct{})
			go func() {
				writers.Wait()
				close(done)
			}()
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				if st := s.Stats(); st.Entries > bound || st.Weight > bound {
					t.Errorf("%d entries, weight %d", st.Entries, st.Weight)
					break
				}
			}
			<-done
			n := 0
			for range s.All() {
				n++
			}
			if n > bound {
				t.Errorf("%d entries in the table", n)
			}
		})
	}
}

// TestWeighPanics: it is the application's, and nothing may be locked while it runs.
func TestWeighPanics(t *testing.T) {
	s := memory.New(memory.Options[string, int]{MaxWeight: 10, Weigh: func(_ string, v int) int64 {
		if v < 0 {
			panic("scale")
		}
		return 1
	}})
	func() {
		defer func() { _ = recover() }()
		_ = s.Put("a", -1, 0)
	}()
	mustSet(t, s, "a", 1)
	wantValue(t, s, "a", 1)
}
