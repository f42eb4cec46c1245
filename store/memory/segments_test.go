package memory_test

import (
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

// The tests in this file repeat rules of small stores on large ones, which keep their entries in many parts. A rule
// is about the whole store, whichever part a key falls into.

// large is a number of entries, and no power of two.
var large = func() int {
	if raceEnabled {
		return 30_000 // everything takes ten times as long
	}
	return 120_000
}()

func sequence(from, n int) []int {
	keys := make([]int, n)
	for i := range keys {
		keys[i] = from + i
	}
	return keys
}

// wantAgreement expects that all ways of counting find n entries, each under its own key.
func wantAgreement(t *testing.T, s *memory.Store[int, int], when string, n int) {
	t.Helper()
	scanned, all := 0, 0
	seen := make(map[int]bool, n)
	seq, failed := s.Scan(bg)
	for key, e := range seq {
		if scanned++; seen[key] || e.Value != key {
			t.Fatalf("%s: key %d with %d, seen before: %v", when, key, e.Value, seen[key])
		}
		seen[key] = true
	}
	for range s.All() {
		all++
	}
	count, err := s.Count(bg)
	st := s.Stats()
	if scanned != n || all != n || count != n || s.Len() != n || st.Entries != n || st.Weight != int64(n) {
		t.Errorf("%s: want %d entries; a scan finds %d, All %d, Count %d, Len %d, %+v",
			when, n, scanned, all, count, s.Len(), st)
	}
	if err != nil || failed() != nil {
		t.Errorf("%s: %v, %v", when, err, failed())
	}
}

// TestLargeStoreUsesAllOfItsBound, and not more.
func TestLargeStoreUsesAllOfItsBound(t *testing.T) {
	byOne(t)
	s := memory.New(memory.Options[int, int]{MaxEntries: large})
	for key := range large {
		mustSet(t, s, key, key)
	}
	if st := s.Stats(); st.Evictions != 0 {
		t.Errorf("there was room: %+v", st)
	}
	wantAgreement(t, s, "full", large)
	for key := range large {
		wantValue(t, s, key, key)
	}

	more := large / 6
	for key := large; key < large+more; key++ {
		mustSet(t, s, key, key)
		wantValue(t, s, key, key) // what was stored last is there
		if n := s.Len(); n != large {
			t.Fatalf("%d entries after key %d", n, key)
		}
	}
	if st := s.Stats(); st.Evictions != uint64(more) {
		t.Errorf("one makes room for one: %+v", st)
	}
	wantAgreement(t, s, "after evictions", large)

	// What is deleted, in whichever part, makes room for others, in whichever part.
	var deleted []int
	for key := range s.All() {
		if deleted = append(deleted, key); len(deleted) == more {
			break // a scan goes through one part after the other
		}
	}
	if err := s.DeleteMany(bg, deleted); err != nil {
		t.Fatal(err)
	}
	wantAgreement(t, s, "after deletes", large-more)
	for key := 2 * large; key < 2*large+more; key++ {
		mustSet(t, s, key, key)
	}
	if st := s.Stats(); st.Evictions != uint64(more) {
		t.Errorf("there was room again: %+v", st)
	}
	wantAgreement(t, s, "full again", large)

	if err := s.Clear(bg); err != nil {
		t.Fatal(err)
	}
	wantAgreement(t, s, "cleared", 0)
	for key := range large {
		mustSet(t, s, key, key)
	}
	if st := s.Stats(); st.Evictions != uint64(more) {
		t.Errorf("Clear made room: %+v", st)
	}
	wantAgreement(t, s, "filled after Clear", large)
}

// TestLargeStoreResizes: a store of many parts becomes one with fewer entries than parts, and large again.
func TestLargeStoreResizes(t *testing.T) {
	s := memory.New(memory.Options[int, int]{MaxEntries: large})
	for key := range large {
		mustSet(t, s, key, key)
	}
	next, evicted := large, 0
	for _, bound := range []int{large / 2, 5000, 300, 10, 1, 2, 40, 3000, large} {
		before := s.Len()
		if err := s.Resize(int64(bound)); err != nil {
			t.Fatal(err)
		}
		evicted += max(before-bound, 0)
		if st := s.Stats(); st.Evictions != uint64(evicted) || st.Bound != int64(bound) {
			t.Errorf("Resize evicts what is above %d, and no more than %d: %+v", bound, evicted, st)
		}
		wantAgreement(t, s, fmt.Sprint("after Resize to ", bound), min(before, bound))
		for s.Len() < bound && next < 10*large {
			mustSet(t, s, next, next)
			next++
		}
		if st := s.Stats(); st.Evictions != uint64(evicted) {
			t.Errorf("%d entries were evicted though there was room for all of %d", st.Evictions-uint64(evicted), bound)
		}
		for range 1000 {
			mustSet(t, s, next, next)
			wantValue(t, s, next, next)
			if n := s.Len(); n != bound {
				t.Fatalf("%d entries of %d", n, bound)
			}
			next++
		}
		evicted += 1000
		wantAgreement(t, s, fmt.Sprint("used with ", bound), bound)
	}
}

// TestLargeStoreOfWeights: entries as heavy as the whole bound, and as nothing, whichever part they are in.
func TestLargeStoreOfWeights(t *testing.T) {
	byOne(t)
	most := 3 * large // in units that are so large that the store expects many entries
	const unit = 1 << 15
	left := map[int]int{}
	s := memory.New(memory.Options[int, int]{
		MaxWeight: int64(most) * unit,
		Weigh:     func(_, v int) int64 { return int64(v) * unit },
		OnRemove:  func(r memory.Removal[int, int]) { left[r.Key]++ },
	})
	want := func(when string, entries, weight, evictions int) {
		t.Helper()
		st := s.Stats()
		if st.Entries != entries || st.Weight != int64(weight)*unit || st.Evictions != uint64(evictions) || s.Len() != entries {
			t.Errorf("%s: want %d entries, weight %d, %d evictions: %+v", when, entries, weight, evictions, st)
		}
	}
	light := func() {
		t.Helper()
		for key := range large {
			mustSet(t, s, key, 2+key%3) // 3 on average
		}
	}
	light()
	want("full to the last unit", large, most, 0)

	mustSet(t, s, -1, most)
	want("one as heavy as the bound puts all others out", 1, most, large)
	wantValue(t, s, -1, most)
	for key := range large {
		if left[key] != 1 {
			t.Fatalf("key %d was told %d times", key, left[key])
		}
	}
	for key := range 5 {
		mustSet(t, s, -2-key, most) // and then each other
		wantValue(t, s, -2-key, most)
	}
	want("and each other", 1, most, large+5)

	mustSet(t, s, 0, 1)
	want("one light one puts it out", 1, 1, large+6)
	light()
	want("full again", large, most, large+6)
	mustSet(t, s, large/2, most)
	want("an entry may grow to the whole bound", 1, most, 2*large+5)
	mustSet(t, s, large/2, 7)
	want("and shrink again", 1, 7, 2*large+5)
	wantErr(t, s.Put(large/2, most+1, 0), tarn.ErrTooHeavy)
	want("what is heavier than the bound leaves the key empty, and the others alone", 0, 0, 2*large+5)
	for key := range 1000 {
		mustSet(t, s, key, most/4-key)
		wantValue(t, s, key, most/4-key)
		if st := s.Stats(); st.Weight > int64(most)*unit || st.Entries > 4 || key > 4 && st.Entries < 4 {
			t.Fatalf("four entries fit: %+v", st)
		}
	}
}

// standingKeys are keys of a store that is scanned while others come and go.
const standingKeys, others = 4000, 12_000

// TestScanOfWhatStandsAmongOthers: what stands all the while is seen once, and nothing is seen twice, while the
// store grows, shrinks and churns.
func TestScanOfWhatStandsAmongOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		full  bool // others are there at the beginning
		write func(s *memory.Store[int, int], i int)
	}{
		"growing": {false, func(s *memory.Store[int, int], i int) {
			_ = s.Put(standingKeys+i%others, 0, 0)
		}},
		"shrinking": {true, func(s *memory.Store[int, int], i int) {
			_ = s.Delete(bg, standingKeys+i%others)
		}},
		"keys that leave and come again": {true, func(s *memory.Store[int, int], i int) {
			_ = s.Delete(bg, standingKeys+i*7%others)
			_ = s.Put(standingKeys+i*7%others, 1, 0)
		}},
		"expiring": {true, func(s *memory.Store[int, int], i int) {
			_ = s.Put(standingKeys+i%others, 2, time.Duration(1+i%100)*time.Microsecond)
		}},
		"overwritten and touched": {true, func(s *memory.Store[int, int], i int) {
			key := standingKeys + i*31%others
			_ = s.Put(key, i, 0)
			_, _ = s.Touch(bg, key, s.Clock().Now().Add(time.Hour))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := memory.New(memory.Options[int, int]{MaxEntries: 2 * (standingKeys + others)})
			defer s.Close()
			for key := range standingKeys {
				mustSet(t, s, key, key)
			}
			if tc.full {
				for key := range others {
					mustSet(t, s, standingKeys+key, 0)
				}
			}
			// In the loop itself, so that every scan is disturbed evenly, whatever the scheduler does, and beside it.
			var written atomic.Int64
			stop := make(chan struct{})
			var beside sync.WaitGroup
			beside.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						tc.write(s, int(written.Add(1)))
					}
				}
			})
			for range 2 {
				seq, failed := s.Scan(bg)
				wantStanding(t, seq, func() { tc.write(s, int(written.Add(1))) })
				if failed() != nil || t.Failed() {
					t.Error(failed())
					break
				}
			}
			close(stop)
			beside.Wait()
			seen := 0
			for key, v := range s.All() {
				if key < standingKeys && key == v {
					seen++
				}
			}
			if seen != standingKeys {
				t.Errorf("the test is none: only %d stood", seen)
			}
		})
	}
}

func wantStanding(t *testing.T, seq iter.Seq2[int, tarn.Entry[int]], disturb func()) {
	t.Helper()
	seen := make(map[int]bool)
	standing := 0
	for key, e := range seq {
		if seen[key] {
			t.Errorf("key %d was seen twice", key)
			return
		}
		seen[key] = true
		if key < standingKeys {
			if standing++; e.Value != key {
				t.Errorf("key %d has %d", key, e.Value)
			}
		}
		disturb()
		disturb()
	}
	if standing != standingKeys {
		t.Errorf("%d of %d were seen that stood", standing, standingKeys)
	}
}

const many = 3000 // keys of one call: some in every part

// TestHoldsOfManyKeys are for all of them or for none.
func TestHoldsOfManyKeys(t *testing.T) {
	keys := sequence(0, many)
	panicking := -1
	newStore := func() *memory.Store[int, int] {
		s := memory.New(memory.Options[int, int]{MaxEntries: large, OnRemove: func(r memory.Removal[int, int]) {
			if r.Key == panicking {
				panic("application")
			}
		}})
		for _, key := range keys {
			if key%2 == 0 {
				mustSet(t, s, key, key)
			}
		}
		return s
	}
	hold := func(s *memory.Store[int, int], keys []int) ([]tarn.Token, error) {
		tokens := make([]tarn.Token, len(keys))
		return tokens, s.Hold(bg, keys, life, tokens)
	}
	// heldOf counts by trying to set.
	heldOf := func(s *memory.Store[int, int]) (held int) {
		for _, key := range keys {
			if errors.Is(s.Put(key, key, 0), tarn.ErrHeld) {
				held++
			}
		}
		return held
	}

	t.Run("all are held, and all are settled", func(t *testing.T) {
		s := newStore()
		tokens, err := hold(s, keys)
		if n := heldOf(s); err != nil || n != many || s.Len() != 0 {
			t.Fatalf("%v: %d of %d are held, %d entries are left", err, n, many, s.Len())
		}
		all := make([]tarn.Settlement[int, int], many)
		for i, key := range keys {
			all[many-1-i] = tarn.Settlement[int, int]{
				Key: key, Token: tokens[i], Store: key%3 > 0, Entry: value(key + 1),
			}
		}
		if err := s.Settle(bg, all); err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			if v, found := s.Value(a.Key); a.Stored != a.Store || found != a.Store || found && v != a.Key+1 {
				t.Fatalf("%+v, and there is %d, %v", a, v, found)
			}
		}
		if n := heldOf(s); n != 0 {
			t.Errorf("%d are still held", n)
		}
	})
	for _, full := range []int{0, many / 2, many - 1} {
		t.Run(fmt.Sprint("none, if there are too many holds on key ", full), func(t *testing.T) {
			s := newStore()
			var other tarn.Token
			for range 1024 {
				tokens, err := hold(s, []int{full})
				if err != nil {
					t.Fatal(err)
				}
				other = tokens[0]
			}
			leases := make([]tarn.Lease[int], many)
			if err := s.Lease(bg, keys, tarn.LeaseTerms{Life: life}, leases); err != nil {
				t.Fatal(err)
			}
			_, err := hold(s, keys)
			wantErr(t, err, tarn.ErrTooManyHolds)
			for i, key := range keys {
				if key == full {
					continue
				}
				stands := make([]bool, 1)
				_ = s.Stands(bg, keys[i:i+1], []tarn.Token{leases[i].Token}, stands)
				if v, found := s.Value(key); found != (key%2 == 0) || found && v != key || stands[0] == found {
					t.Fatalf("key %d: %v %v, its lease stands: %v", key, v, found, stands[0])
				}
			}
			if n := heldOf(s); n != 1 {
				t.Errorf("%d are held", n)
			}
			_ = s.Settle(bg, []tarn.Settlement[int, int]{{Key: full, Token: other}})
			if _, err := hold(s, keys); err != nil {
				t.Errorf("there is room for one more: %v", err)
			}
		})
	}
	t.Run("none, if OnRemove panics", func(t *testing.T) {
		s := newStore()
		panicking = many / 2
		defer func() { panicking = -1 }()
		func() {
			defer func() {
				if p := recover(); p != "application" {
					t.Errorf("recovered %v", p)
				}
			}()
			_, _ = hold(s, keys)
		}()
		panicking = -1
		if n := heldOf(s); n != 0 {
			t.Errorf("%d are held", n)
		}
	})
}

// TestHoldThatIsRefusedIsNeverSeen: not for a moment is a key held by a Hold that then finds another key full.
func TestHoldThatIsRefusedIsNeverSeen(t *testing.T) {
	s := memory.New(memory.Options[int, int]{MaxEntries: large})
	const full = 9999
	for range 1024 {
		if err := s.Hold(bg, []int{full}, life, make([]tarn.Token, 1)); err != nil {
			t.Fatal(err)
		}
	}
	keys := append(sequence(0, 300), full)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			tokens := make([]tarn.Token, len(keys))
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.Hold(bg, keys, life, tokens); !errors.Is(err, tarn.ErrTooManyHolds) {
					t.Errorf("hold: %v", err)
					return
				}
			}
		})
	}
	end := time.Now().Add(300 * time.Millisecond)
	for i := 0; i < 100 || time.Now().Before(end); i++ {
		key := i % (len(keys) - 1)
		leases, stands := make([]tarn.Lease[int], 1), make([]bool, 1)
		if err := s.Set(bg, key, value(i)); err != nil {
			t.Errorf("set: %v", err)
			break
		}
		wantValue(t, s, key, i)
		_ = s.Lease(bg, []int{key}, tarn.LeaseTerms{Life: life, Refresh: true}, leases)
		_ = s.Stands(bg, []int{key}, []tarn.Token{leases[0].Token}, stands)
		if leases[0].State != tarn.Granted || !stands[0] {
			t.Errorf("%+v, stands: %v", leases[0], stands[0])
			break
		}
	}
	close(stop)
	all.Wait()
}

// TestHoldsThatOverlap in opposite orders end all the same, and taint each other wherever they met.
func TestHoldsThatOverlap(t *testing.T) {
	s := memory.New(memory.Options[int, int]{MaxEntries: large})
	keys := sequence(0, 64)
	holders := make([]atomic.Int32, len(keys))
	var stored, refused atomic.Int64
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for round := range 300 {
				mine := make([]int, 0, len(keys))
				for i := range keys {
					if key := (i*(2*g+1) + round) % len(keys); i%4 != g%2 {
						mine = append(mine, key)
					}
				}
				tokens := make([]tarn.Token, len(mine))
				if err := s.Hold(bg, mine, life, tokens); err != nil {
					t.Errorf("hold: %v", err)
					return
				}
				settlements := make([]tarn.Settlement[int, int], len(mine))
				alone := make([]bool, len(mine))
				for i, key := range mine {
					alone[i] = holders[key].Add(1) == 1
					settlements[i] = tarn.Settlement[int, int]{
						Key: key, Token: tokens[i], Store: true, Entry: value(key),
					}
				}
				for _, key := range mine {
					holders[key].Add(-1)
				}
				if err := s.Settle(bg, settlements); err != nil {
					t.Errorf("settle: %v", err)
				}
				for i, a := range settlements {
					switch {
					case a.Stored && !alone[i]:
						t.Errorf("key %d was stored by one who met another", a.Key)
					case a.Stored:
						stored.Add(1)
					default:
						refused.Add(1)
					}
				}
			}
		})
	}
	all.Wait()
	for _, key := range keys {
		if err := s.Put(key, key, 0); err != nil {
			t.Errorf("key %d: %v", key, err)
		}
	}
	t.Logf("%d stored, %d not", stored.Load(), refused.Load())
}

// TestLeasesOfManyKeys are granted, asked about and filled in one call each.
func TestLeasesOfManyKeys(t *testing.T) {
	s := memory.New(memory.Options[int, int]{MaxEntries: large})
	keys := sequence(0, many)
	for _, key := range keys[:many/3] {
		mustSet(t, s, key, key)
	}
	leases := make([]tarn.Lease[int], many)
	if err := s.Lease(bg, keys, tarn.LeaseTerms{Life: life}, leases); err != nil {
		t.Fatal(err)
	}
	tokens, fills := make([]tarn.Token, many), make([]tarn.Fill[int, int], many)
	for i, l := range leases {
		if hit := i < many/3; hit != (l.State == tarn.Hit) || hit && l.Entry.Value != i || !hit && l.State != tarn.Granted {
			t.Fatalf("key %d: %+v", i, l)
		}
		tokens[i] = l.Token
		fills[many-1-i] = tarn.Fill[int, int]{Key: i, Token: l.Token, Store: true, Entry: value(-i)}
	}
	for i := many / 3; i < many; i += 5 {
		if err := s.Delete(bg, i); err != nil {
			t.Fatal(err)
		}
	}
	stood := func(i int) bool { return i >= many/3 && (i-many/3)%5 > 0 }
	stands := make([]bool, many)
	if err := s.Stands(bg, keys, tokens, stands); err != nil {
		t.Fatal(err)
	}
	if err := s.Fill(bg, fills); err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		v, found := s.Value(i)
		if stands[i] != stood(i) || fills[many-1-i].Stored != stood(i) || found != (stood(i) || i < many/3) {
			t.Fatalf("key %d: stood %v, stored %v, found %v", i, stands[i], fills[many-1-i].Stored, found)
		}
		if found && v != i && v != -i || stood(i) && v != -i {
			t.Fatalf("key %d has %d", i, v)
		}
	}
	// A Clear is a change of every key, in every part.
	_ = s.Lease(bg, keys, tarn.LeaseTerms{Life: life, Refresh: true}, leases)
	if err := s.Clear(bg); err != nil {
		t.Fatal(err)
	}
	for i, l := range leases {
		tokens[i] = l.Token
	}
	_ = s.Stands(bg, keys, tokens, stands)
	for i, stands := range stands {
		if stands || leases[i].State != tarn.Granted {
			t.Fatalf("key %d: its lease stands after Clear: %v; it was %v", i, stands, leases[i].State)
		}
	}
}

// TestReadsAreCountedOnRequest: by all ways to read or none.
func TestReadsAreCountedOnRequest(t *testing.T) {
	for _, counted := range []uint64{0, 1} {
		s := memory.New(memory.Options[int, int]{MaxEntries: 10, CountReads: counted == 1})
		mustSet(t, s, 1, 1)
		for key := range 2 { // 0 is not there
			_, _, _ = s.Get(bg, key)
			s.Value(key)
			s.Hit(key)
			s.Gated(func() ttl.Time { return ttl.End }).Hit(key)
		}
		if err := s.GetMany(bg, []int{0, 1, 1}, make([]tarn.Lookup[int], 3)); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); st.Hits != 6*counted || st.Misses != 3*counted {
			t.Errorf("counted %d times: %d hits, %d misses", counted, st.Hits, st.Misses)
		}
	}
}

// TestBatchesOfManyKeys go by index, whichever parts the keys are in; of a key that comes twice the last counts.
func TestBatchesOfManyKeys(t *testing.T) {
	const n = 30_000
	s := memory.New(memory.Options[int, int]{MaxEntries: large, CountReads: true})
	keys, set := make([]int, 2*n), make([]tarn.Entry[int], 2*n)
	for i := range keys {
		keys[i], set[i] = i*7%n, value(i)
	}
	if err := s.SetMany(bg, keys, set); err != nil {
		t.Fatal(err)
	}
	into := make([]tarn.Lookup[int], 2*n)
	for i := range into {
		into[i] = tarn.Lookup[int]{Entry: value(-1), Found: i%2 == 0} // of an earlier use
	}
	keys[3] = -1 // is not there
	if err := s.GetMany(bg, keys, into); err != nil {
		t.Fatal(err)
	}
	for i, l := range into {
		want := i
		if i < n {
			want = i + n // n is a period of the keys
		}
		if i == 3 {
			if l != (tarn.Lookup[int]{}) {
				t.Fatalf("what is not there: %+v", l)
			}
		} else if !l.Found || l.Entry.Value != want {
			t.Fatalf("item %d, key %d: %+v, want %d", i, keys[i], l, want)
		}
	}
	if st := s.Stats(); st.Hits != 2*n-1 || st.Misses != 1 {
		t.Errorf("%+v", st)
	}
	if err := s.DeleteMany(bg, keys[n:n+n/2]); err != nil {
		t.Fatal(err)
	}
	left := 0
	for i := n; i < 2*n; i++ {
		_, found := s.Value(keys[i])
		if found != (i >= n+n/2) {
			t.Fatalf("item %d, key %d: found %v", i, keys[i], found)
		}
		if found {
			left++
		}
	}
	if s.Len() != left {
		t.Errorf("%d entries of %d", s.Len(), left)
	}
}

// TestExpiredMakesRoomFirstInALargeStore: with as many expired as there are newcomers and as many again, so that
// every part has some, nothing that lives is evicted.
func TestExpiredMakesRoomFirstInALargeStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options[int, int]{MaxEntries: large})
		start := s.Clock().Now()
		_ = s.Put(-1, 0, 999*time.Millisecond)
		for key := range large - 1 {
			e := value(key)
			if key%2 == 0 {
				e.Expires = start.Add(time.Second)
			}
			if err := s.Set(bg, key, e); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(999 * time.Millisecond)
		synctest.Wait() // it has swept, and pauses
		time.Sleep(time.Millisecond)
		mustSet(t, s, -1, -1)
		if n := s.Len(); n < large-10 {
			t.Fatalf("the test is none: %d entries", n)
		}
		for key := range large / 4 {
			mustSet(t, s, large+key, large+key)
		}
		if st := s.Stats(); st.Evictions != 0 {
			t.Errorf("%+v", st)
		}
		for key := 1; key < large-1; key += 2 {
			if _, found := s.Value(key); !found {
				t.Fatalf("key %d is gone", key)
			}
		}
		_ = s.Close()
	})
}
