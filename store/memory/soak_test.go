package memory_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// soakTime is how long a test named TestSoak… goes on: as TARN_SOAK says, such as 10m, or for a second.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(cmp.Or(os.Getenv("TARN_SOAK"), "1s"))
	if err != nil {
		t.Fatalf("TARN_SOAK: %v", err)
	}
	return d
}

func soaking() bool { return os.Getenv("TARN_SOAK") != "" }

// heapNow is what the heap holds once the garbage is gone.
func heapNow() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// eventually waits until f returns nil, and returns what it still says after a long time.
func eventually(f func() error) (err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err = f(); err == nil {
			return nil
		}
	}
	return err
}

// stamped is a value that says whose it is, in more words than a processor copies at once: a reader can tell that it
// was given another key's value, or the halves of two.
type stamped struct {
	key, serial uint64
	weight      int64
	seal        [4]uint64
}

func stamp(key, serial uint64, weight int64) stamped {
	v := stamped{key: key, serial: serial, weight: weight}
	for i := range v.seal {
		v.seal[i] = mixed(key ^ mixed(serial+uint64(i)) ^ uint64(weight))
	}
	return v
}

// check returns an error if v is not key's, or not what stamp made.
func (v stamped) check(key uint64) error {
	switch {
	case v.key != key:
		return fmt.Errorf("a value of key %d was found under key %d", v.key, key)
	case v != stamp(v.key, v.serial, v.weight):
		return fmt.Errorf("a value of key %d is torn: %v", key, v)
	}
	return nil
}

// mixed is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ledger adds up values. With the sum of their mixed serials it notices also that one came twice and another never.
type ledger struct{ n, sum atomic.Uint64 }

func (l *ledger) add(serial uint64) {
	l.n.Add(1)
	l.sum.Add(mixed(serial))
}

// soak is a store under everything at once, and what is known of it from outside.
type soak struct {
	t     *testing.T
	store *memory.Store[uint64, stamped]
	most  int64 // the greatest bound, in units
	unit  int64 // of the bound and of weights: where entries are weighed, so large that the store expects many
	heavy bool  // entries are weighed

	came, left       ledger        // values accepted, and told by OnRemove
	evicted, expired atomic.Uint64 // as the Observer is told
	hits, misses     atomic.Uint64 // as the readers saw it
	serial, refused  atomic.Uint64
}

const (
	tooHeavy = 1 << 30 // units
	heaviest = 5       // of what is set; no bound is below it
)

func newSoak(t *testing.T, most int64, heavy bool) *soak {
	s := &soak{t: t, most: most, unit: 1, heavy: heavy}
	opts := memory.Options[uint64, stamped]{
		CountReads: true,
		OnRemove: func(r memory.Removal[uint64, stamped]) {
			s.seen(r.Key, r.Value)
			s.left.add(r.Value.serial)
		},
		Observer: tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
			switch e.Kind {
			case tarn.EventEvicted:
				s.evicted.Add(uint64(e.N))
			case tarn.EventExpired:
				s.expired.Add(uint64(e.N))
			}
		}),
	}
	if heavy {
		s.unit = 1 << 16
		opts.MaxWeight, opts.Weigh = most*s.unit, func(_ uint64, v stamped) int64 { return v.weight * s.unit }
	} else {
		opts.MaxEntries = int(most)
	}
	s.store = memory.New(opts)
	return s
}

func (s *soak) seen(key uint64, v stamped) {
	if err := v.check(key); err != nil {
		s.t.Error(err)
	}
}

// watch changes the bound again and again, and asserts after each Resize that the store keeps to it.
func (s *soak) watch(stop <-chan struct{}) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for {
		bound := (heaviest + r.Int64N(s.most-heaviest+1)) * s.unit
		if err := s.store.Resize(bound); err != nil {
			s.t.Errorf("resize: %v", err)
		}
		for range 50 {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
			st := s.store.Stats()
			n := int64(s.store.Len())
			if st.Bound != bound || st.Weight > bound || int64(st.Entries) > bound || n > bound || n < 0 {
				s.t.Errorf("the bound is %d, there are %d entries, and %+v", bound, n, st)
				return
			}
		}
	}
}

// balance compares what is in the store with what came and what was told. It is for when nobody uses the store but
// its own goroutine.
func (s *soak) balance() error {
	var here ledger
	entries, weight := 0, int64(0)
	seq, failed := s.store.Scan(bg)
	for key, e := range seq {
		entries++
		if e.Negative {
			continue
		}
		s.seen(key, e.Value)
		here.add(e.Value.serial)
		weight += max(e.Value.weight*s.unit, 1)
	}
	if !s.heavy {
		weight = int64(entries)
	}
	st := s.store.Stats()
	left := s.left.n.Load()
	switch {
	case failed() != nil:
		return failed()
	case st.Entries != entries || s.store.Len() != entries || st.Weight != weight:
		return fmt.Errorf("a scan finds %d entries that weigh %d, Len is %d: %+v", entries, weight, s.store.Len(), st)
	case s.came.n.Load() != left+here.n.Load():
		return fmt.Errorf("%d values came, %d left, %d are here", s.came.n.Load(), left, here.n.Load())
	case s.came.sum.Load() != s.left.sum.Load()+here.sum.Load():
		return errors.New("some value left twice, and another never")
	case st.Evictions != s.evicted.Load() || st.Expirations != s.expired.Load():
		return fmt.Errorf("%d evictions and %d expirations were told: %+v", s.evicted.Load(), s.expired.Load(), st)
	case st.Hits != s.hits.Load() || st.Misses != s.misses.Load():
		return fmt.Errorf("%d hits and %d misses: %+v", s.hits.Load(), s.misses.Load(), st)
	case st.Refused != s.refused.Load():
		return fmt.Errorf("%d were refused: %+v", s.refused.Load(), st)
	}
	return nil
}

// fill makes the store as large as it may be.
func (s *soak) fill() {
	if err := s.store.Resize(s.most * s.unit); err != nil {
		s.t.Errorf("resize: %v", err)
	}
	for key := range uint64(s.most) {
		v := stamp(key, s.serial.Add(1), 1)
		if s.store.Put(key, v, 0) == nil { // a hold may not be over
			s.came.add(v.serial)
		}
	}
}

// TestSoakMemory does everything that a store can do, all at once, and looks meanwhile at the bound and at what is
// read, and from time to time at the sums and at the memory.
func TestSoakMemory(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	stores := []*soak{newSoak(t, 20_000, false), newSoak(t, 20_000, true)}
	d := soakTime(t)
	rounds := int(min(max(d/(10*time.Second), 6), 60))
	var heaps []int64
	for range rounds {
		soakRound(stores, d/time.Duration(rounds))
		for _, s := range stores {
			if err := eventually(s.balance); err != nil {
				t.Errorf("at rest: %v", err)
			}
			s.fill()
		}
		if err := fewGoroutines(goroutines + len(stores)); err != nil {
			t.Errorf("at rest: %v", err)
		}
		heaps = append(heaps, heapNow())
		if t.Failed() {
			break
		}
	}
	for _, s := range stores {
		_ = s.store.Clear(bg)
		if err := eventually(s.balance); err != nil || s.store.Len() != 0 {
			t.Errorf("after Clear: %v, %d entries", err, s.store.Len())
		}
		_ = s.store.Close()
		st := s.store.Stats()
		t.Logf("%d values came, %d hits, %d misses, %d evictions, %d expirations",
			s.came.n.Load(), st.Hits, st.Misses, st.Evictions, st.Expirations)
	}
	wantFlat(t, heaps)
	if err := fewGoroutines(goroutines); err != nil {
		t.Error(err)
	}
}

// fewGoroutines waits until there are no more than most. One that is waited for no more may yet have to end.
func fewGoroutines(most int) error {
	return eventually(func() error {
		if n := runtime.NumGoroutine(); n > most {
			return fmt.Errorf("%d goroutines, there should be %d", n, most)
		}
		return nil
	})
}

// wantFlat expects that a full store takes no more memory after many rounds than after few.
func wantFlat(t *testing.T, heaps []int64) {
	t.Helper()
	t.Logf("heap at rest: %d kB", kilobytes(heaps))
	third := len(heaps) / 3
	if third == 0 {
		return
	}
	middle := func(part []int64) int64 {
		part = slices.Clone(part)
		slices.Sort(part)
		return part[len(part)/2]
	}
	first, last := middle(heaps[:2*third]), middle(heaps[len(heaps)-third:])
	if last > first+first/10+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", first, last)
	}
}

func kilobytes(heaps []int64) []int64 {
	all := make([]int64, len(heaps))
	for i, heap := range heaps {
		all[i] = heap >> 10
	}
	return all
}

// soakRound has eight goroutines use the stores for d, four each.
func soakRound(stores []*soak, d time.Duration) {
	stop := make(chan struct{})
	var all sync.WaitGroup
	for _, s := range stores {
		all.Go(func() { s.watch(stop) })
		for range 4 {
			all.Go(func() {
				w := &soaker{soak: s, r: rand.New(rand.NewPCG(rand.Uint64(), 2))}
				for !w.t.Failed() {
					select {
					case <-stop:
						w.soak.hits.Add(w.hits)
						w.soak.misses.Add(w.misses)
						return
					default:
					}
					for range 16 {
						w.step()
					}
				}
			})
		}
	}
	time.Sleep(d)
	close(stop)
	all.Wait()
}

// soaker is one goroutine that uses a store.
type soaker struct {
	*soak
	r            *rand.Rand
	hits, misses uint64
}

// key prefers small ones.
func (w *soaker) key() uint64 { return uint64(min(w.r.Int64N(3*w.most), w.r.Int64N(3*w.most))) }

// keys returns a few distinct ones.
func (w *soaker) keys() []uint64 {
	keys := make([]uint64, 1+w.r.IntN(8))
	for i, key := 0, w.key(); i < len(keys); i++ {
		keys[i] = key
		key += 1 + w.r.Uint64N(100)
	}
	return keys
}

// entry is one of all kinds; the value is new.
func (w *soaker) entry(key uint64) tarn.Entry[stamped] {
	e := tarn.Entry[stamped]{Value: stamp(key, w.serial.Add(1), w.r.Int64N(heaviest+1))}
	now := w.store.Clock().Now()
	switch w.r.IntN(6) {
	case 0:
		e.Expires = now.Add(time.Duration(w.r.IntN(10_000_000)))
	case 1:
		e.Expires, e.Fresh = now.Add(time.Hour), now.Add(time.Duration(w.r.IntN(1_000_000)))
	case 2:
		e.Expires = now.Add(time.Hour)
	}
	if !w.heavy && w.r.IntN(30) == 0 { // what an absence weighs depends on the bound
		e.Negative, e.Value = true, stamped{}
	}
	return e
}

// accepted notes that the store took an entry, which it must tell of when it leaves.
func (w *soaker) accepted(e tarn.Entry[stamped]) {
	if !e.Negative {
		w.came.add(e.Value.serial)
	}
}

// took notes how a write ended.
func (w *soaker) took(op string, e tarn.Entry[stamped], err error) {
	switch {
	case err == nil:
		w.accepted(e)
	case !errors.Is(err, tarn.ErrHeld):
		w.t.Errorf("%s: %v", op, err)
	}
}

func (w *soaker) read(key uint64, e tarn.Entry[stamped], found bool) {
	if !found {
		w.misses++
		return
	}
	w.hits++
	if !e.Negative {
		w.seen(key, e.Value)
	}
}

func (w *soaker) step() {
	switch n := w.r.IntN(1000); {
	case n < 500:
		w.reads(n)
	case n < 700:
		key := w.key()
		e := w.entry(key)
		w.took("set", e, w.store.Set(bg, key, e))
	case n < 740:
		w.setMany()
	case n < 800:
		if err := w.store.Delete(bg, w.key()); err != nil {
			w.t.Errorf("delete: %v", err)
		}
	case n < 815:
		if err := w.store.DeleteMany(bg, w.keys()); err != nil {
			w.t.Errorf("delete many: %v", err)
		}
	case n < 860:
		key := w.key()
		e := w.entry(key)
		added, err := w.store.Add(bg, key, e)
		if err != nil {
			w.t.Errorf("add: %v", err)
		} else if added {
			w.accepted(e)
		}
	case n < 890:
		if _, err := w.store.Touch(bg, w.key(), w.entry(0).Expires); err != nil {
			w.t.Errorf("touch: %v", err)
		}
	case n < 930:
		w.compute()
	case n < 960:
		w.lease()
	case n < 990:
		w.hold()
	default:
		w.rare()
	}
}

func (w *soaker) reads(n int) {
	switch {
	case n < 350:
		key := w.key()
		e, found, err := w.store.Get(bg, key)
		if w.read(key, e, found); err != nil {
			w.t.Errorf("get: %v", err)
		}
	case n < 470:
		key := w.key()
		if v, ok := w.store.Hit(key); ok {
			w.read(key, tarn.Entry[stamped]{Value: v}, true)
		}
	default:
		keys := w.keys()
		into := make([]tarn.Lookup[stamped], len(keys))
		if err := w.store.GetMany(bg, keys, into); err != nil {
			w.t.Errorf("get many: %v", err)
		}
		for i, l := range into {
			w.read(keys[i], l.Entry, l.Found)
		}
	}
}

func (w *soaker) setMany() {
	keys := w.keys()
	entries := make([]tarn.Entry[stamped], len(keys))
	for i, key := range keys {
		entries[i] = w.entry(key)
	}
	err := w.store.SetMany(bg, keys, entries)
	for i, e := range entries {
		w.took("set many", e, tarn.ErrAt(err, i, len(keys)))
	}
}

func (w *soaker) compute() {
	key := w.key()
	var next tarn.Entry[stamped]
	var op tarn.ComputeOp
	_, _, err := w.store.Compute(bg, key, func(old tarn.Entry[stamped], found bool) (tarn.Entry[stamped], tarn.ComputeOp) {
		if found && !old.Negative {
			w.seen(key, old.Value)
		}
		next, op = w.entry(key), tarn.ComputeOp(w.r.IntN(3))
		return next, op
	})
	if err != nil || op == tarn.ComputeStore {
		w.took("compute", next, err)
	}
}

// lease takes leases, and fills, gives back or abandons what it was granted.
func (w *soaker) lease() {
	keys := w.keys()
	terms := tarn.LeaseTerms{Life: time.Hour, Refresh: w.r.IntN(3) == 0}
	abandon := w.r.IntN(8) == 0
	if abandon {
		terms.Life = time.Millisecond
	}
	leases := make([]tarn.Lease[stamped], len(keys))
	if err := w.store.Lease(bg, keys, terms, leases); err != nil {
		w.t.Errorf("lease: %v", err)
	}
	var fills []tarn.Fill[uint64, stamped]
	for i, l := range leases {
		if l.Found && !l.Entry.Negative {
			w.seen(keys[i], l.Entry.Value)
		}
		if l.State == tarn.Granted {
			fills = append(fills, tarn.Fill[uint64, stamped]{
				Key: keys[i], Token: l.Token, Store: w.r.IntN(5) > 0, Entry: w.entry(keys[i]),
			})
		}
	}
	if abandon {
		return
	}
	if err := w.store.Fill(bg, fills); err != nil {
		w.t.Errorf("fill: %v", err)
	}
	for _, f := range fills {
		if f.Stored {
			w.accepted(f.Entry)
		}
	}
}

// hold takes holds, asserts that there is nothing to read under them, and settles or abandons them.
func (w *soaker) hold() {
	keys, life := w.keys(), time.Hour
	abandon := w.r.IntN(8) == 0
	if abandon {
		life = time.Millisecond
	}
	tokens := make([]tarn.Token, len(keys))
	if err := w.store.Hold(bg, keys, life, tokens); err != nil || abandon {
		if err != nil {
			w.t.Errorf("hold: %v", err)
		}
		return
	}
	all := make([]tarn.Settlement[uint64, stamped], len(keys))
	for i, key := range keys {
		all[i] = tarn.Settlement[uint64, stamped]{
			Key: key, Token: tokens[i], Store: w.r.IntN(5) > 0, Entry: w.entry(key),
		}
		e, found, _ := w.store.Get(bg, key)
		if w.read(key, e, found); found {
			w.t.Errorf("a held key has a value: %+v", e)
		}
	}
	if err := w.store.Settle(bg, all); err != nil {
		w.t.Errorf("settle: %v", err)
	}
	for _, a := range all {
		if a.Stored {
			w.accepted(a.Entry)
		}
	}
}

// rare is what costs much, or spoils the others' game.
func (w *soaker) rare() {
	switch n := w.r.IntN(100); {
	case n < 2:
		if err := w.store.Clear(bg); err != nil {
			w.t.Errorf("clear: %v", err)
		}
	case n < 10:
		left := w.r.IntN(5000)
		for key, v := range w.store.All() {
			w.seen(key, v)
			if left--; left < 0 {
				break
			}
		}
	case w.heavy:
		key := w.key()
		v := stamp(key, w.serial.Add(1), tooHeavy)
		switch err := w.store.Put(key, v, 0); {
		case errors.Is(err, tarn.ErrTooHeavy):
			w.refused.Add(1)
		case !errors.Is(err, tarn.ErrHeld):
			w.t.Errorf("put of what is too heavy: %v", err)
		}
	}
}
