package memory_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

// register is a key whose writers take turns, each with a greater version. The serial of its value is the version.
type register struct {
	turn         sync.Mutex // held by the writer
	begun        atomic.Uint64
	acknowledged atomic.Uint64 // no value of a version below may be read any more; only rises
}

// acknowledge says that versions below v are over.
func (g *register) acknowledge(v uint64) {
	for was := g.acknowledged.Load(); was < v && !g.acknowledged.CompareAndSwap(was, v); {
		was = g.acknowledged.Load()
	}
}

// registers are keys under writers and readers, in a store that is too small for them and others.
type registers struct {
	t     *testing.T
	store *memory.Store[uint64, stamped]
	plain bool // nothing has a life, a lease or a hold
	all   []register
	stop  atomic.Bool
	reads atomic.Uint64
	found atomic.Uint64
}

// write makes one change of one register.
func (p *registers) write(r *rand.Rand) {
	key := r.Uint64N(uint64(len(p.all)))
	g := &p.all[key]
	g.turn.Lock()
	defer g.turn.Unlock()
	v := g.begun.Add(2) // of which one batch takes both
	least := g.acknowledged.Load()
	e := tarn.Entry[stamped]{Value: stamp(key, v, 1)}
	if !p.plain && r.IntN(4) == 0 {
		e.Expires = p.store.Clock().Now().Add(time.Duration(r.IntN(3_000_000)))
	}
	var err error
	kind := r.IntN(10)
	if p.plain && (kind == 4 || kind == 5) {
		kind = 6
	}
	switch kind {
	case 0, 1:
		err = p.store.Delete(bg, key)
	case 2:
		_, _, err = p.store.Compute(bg, key, func(old tarn.Entry[stamped], found bool) (tarn.Entry[stamped], tarn.ComputeOp) {
			if found {
				p.look("compute", key, old, least, v-2)
			}
			return e, tarn.ComputeOp(1 + r.IntN(2))
		})
	case 3:
		err = p.store.SetMany(bg, []uint64{key, key}, []tarn.Entry[stamped]{{Value: stamp(key, v-1, 1)}, e})
	case 4:
		tokens := make([]tarn.Token, 1)
		if err = p.store.Hold(bg, []uint64{key}, life, tokens); err == nil {
			g.acknowledge(v) // what was there is over
			err = p.store.Settle(bg, []tarn.Settlement[uint64, stamped]{
				{Key: key, Token: tokens[0], Store: r.IntN(2) == 0, Entry: e},
			})
		}
	case 5:
		leases := make([]tarn.Lease[stamped], 1)
		err = p.store.Lease(bg, []uint64{key}, tarn.LeaseTerms{Life: life, Refresh: true}, leases)
		fills := []tarn.Fill[uint64, stamped]{{Key: key, Token: leases[0].Token, Store: true, Entry: e}}
		if err == nil {
			err = p.store.Fill(bg, fills)
		}
		if !fills[0].Stored {
			return // it had expired, or a Clear came between: what was there may still be
		}
	default:
		err = p.store.Set(bg, key, e)
	}
	if err != nil {
		p.t.Errorf("write: %v", err)
	}
	g.acknowledge(v)
}

// look asserts that an entry that was read under key is whole, and of a version within the bounds.
func (p *registers) look(how string, key uint64, e tarn.Entry[stamped], least, most uint64) {
	if err := e.Value.check(key); err != nil {
		p.t.Errorf("%s: %v", how, err)
	}
	if v := e.Value.serial; v < least || v > most {
		p.t.Errorf("%s: version %d after %d was acknowledged, and %d begun", how, v, least, most)
	}
}

// read reads one register, one way or another.
func (p *registers) read(r *rand.Rand) {
	key := r.Uint64N(uint64(len(p.all)))
	g := &p.all[key]
	now, least := p.store.Clock().Now(), g.acknowledged.Load()
	var e tarn.Entry[stamped]
	var found bool
	how := "get"
	kind := r.IntN(6)
	if p.plain && kind == 2 {
		kind = 3
	}
	switch kind {
	case 0:
		how = "hit"
		e.Value, found = p.store.Hit(key)
	case 1:
		how = "get many"
		into := make([]tarn.Lookup[stamped], 2)
		_ = p.store.GetMany(bg, []uint64{key, key}, into)
		e, found = into[1].Entry, into[1].Found
	case 2:
		how = "lease"
		into := make([]tarn.Lease[stamped], 1)
		_ = p.store.Lease(bg, []uint64{key}, tarn.LeaseTerms{Life: 1}, into)
		e, found = into[0].Entry, into[0].Found
	default:
		e, found, _ = p.store.Get(bg, key)
	}
	p.reads.Add(1)
	if !found {
		return
	}
	p.found.Add(1)
	p.look(how, key, e, least, g.begun.Load())
	if e.Expires != 0 && e.Expires != ttl.End && e.Expires <= now {
		p.t.Errorf("%s: returned at %v what had expired at %v", how, now, e.Expires)
	}
}

// scan reads all registers, while they are written.
func (p *registers) scan() {
	least := make([]uint64, len(p.all))
	for key := range least {
		least[key] = p.all[key].acknowledged.Load()
	}
	for key, v := range p.store.All() {
		if key < uint64(len(p.all)) {
			p.look("scan", key, tarn.Entry[stamped]{Value: v}, least[key], p.all[key].begun.Load())
		}
	}
}

// clear clears the store: what was acknowledged before is over.
func (p *registers) clear() {
	was := make([]uint64, len(p.all))
	for key := range was {
		was[key] = p.all[key].acknowledged.Load()
	}
	if err := p.store.Clear(bg); err != nil {
		p.t.Errorf("clear: %v", err)
	}
	for key, v := range was {
		// A write on its way may come after it: of a greater version, or of v itself where an earlier Clear made v odd.
		p.all[key].acknowledge(v | 1)
	}
}

// crowd makes the table grow with other keys and shrink again, so that registers are moved and evicted.
func (p *registers) crowd(r *rand.Rand, bound int) {
	from := uint64(1+r.IntN(1000)) << 32
	n := uint64(r.IntN(3 * bound))
	for key := from; key < from+n && !p.stop.Load(); key++ {
		_ = p.store.Put(key, stamp(key, 0, 1), 0)
		if key%64 == 0 {
			runtime.Gosched()
		}
	}
	for key := from; key < from+n && !p.stop.Load(); key++ {
		_ = p.store.Delete(bg, key)
		if key%64 == 0 {
			runtime.Gosched()
		}
	}
}

// TestSoakVersions: a read that begins after a write or a Delete was acknowledged returns that version or a later one,
// whole, while the table grows and shrinks and entries are evicted, expire, and are overwritten.
func TestSoakVersions(t *testing.T) {
	for _, n := range []int{3, 300} {
		for _, bound := range []int{100, 30_000} {
			t.Run(fmt.Sprintf("%d keys in %d", n, bound), func(t *testing.T) {
				p := &registers{t: t, all: make([]register, n), store: memory.New(memory.Options[uint64, stamped]{
					MaxEntries: bound,
					OnRemove: func(r memory.Removal[uint64, stamped]) {
						if err := r.Value.check(r.Key); err != nil {
							t.Errorf("on remove: %v", err)
						}
					},
				})}
				defer p.store.Close()
				p.run(bound, soakTime(t)/4)
				t.Logf("%d reads, %d found something", p.reads.Load(), p.found.Load())
				if p.found.Load() == 0 {
					t.Error("no read found anything, so nothing was tested")
				}
			})
		}
	}
}

// TestSoakVersionsOfPlainSets: and so it is where a Set has nobody to ask and to tell.
func TestSoakVersionsOfPlainSets(t *testing.T) {
	for _, n := range []int{3, 300} {
		t.Run(fmt.Sprintf("%d keys in %d", n, n/2), func(t *testing.T) {
			p := &registers{t: t, all: make([]register, n), plain: true,
				store: memory.New(memory.Options[uint64, stamped]{MaxEntries: max(n/2, 2)})}
			defer p.store.Close()
			p.run(n, soakTime(t)/10)
			if p.found.Load() == 0 {
				t.Error("no read found anything, so nothing was tested")
			}
		})
	}
}

// TestConcurrentSetsOfAKey, whose node goes away between a Set's look and its lock, because others set, delete, evict or
// clear it. What was set last is there, and a Set that nothing comes after is not lost.
func TestConcurrentSetsOfAKey(t *testing.T) {
	type long [9]uint64 // too long to be changed in place
	const keys, bound, rounds, writers = 3, 8, 40, 3
	s := memory.New(memory.Options[uint64, long]{MaxEntries: bound})
	defer s.Close()
	set := func(key, by uint64) {
		if err := s.Put(key, long{key, 8: by}, 0); err != nil {
			t.Errorf("put: %v", err)
		}
	}
	for range rounds {
		var all sync.WaitGroup
		for w := range uint64(writers) {
			all.Go(func() {
				for i := range uint64(100) {
					key := i / 4 % keys
					set(key, w)
					switch i % 20 {
					case 3:
						_ = s.Delete(bg, key)
					case 7:
						_ = s.Clear(bg)
					case 11:
						set(keys+i%(2*bound), w)
					}
					if v, found := s.Value(key); found && (v[0] != key || v[8] >= writers) {
						t.Errorf("key %d: %v, which nobody has set", key, v)
					}
				}
				for key := range uint64(keys) {
					set(key, w)
				}
			})
		}
		all.Wait()
		for key := range uint64(keys) {
			if v, found := s.Value(key); !found || v[0] != key {
				t.Errorf("key %d: %v, %v after it was set", key, v, found)
			}
		}
	}
}

func (p *registers) run(bound int, d time.Duration) {
	var all sync.WaitGroup
	repeat := func(f func(r *rand.Rand)) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(rand.Uint64(), 1))
			for !p.stop.Load() && !p.t.Failed() {
				f(r)
			}
		})
	}
	for range 2 {
		repeat(p.write)
	}
	for range 3 {
		repeat(p.read)
	}
	repeat(func(r *rand.Rand) { p.crowd(r, bound) })
	repeat(func(r *rand.Rand) {
		p.scan()
		time.Sleep(time.Millisecond)
		if r.IntN(20) == 0 {
			p.clear()
		}
	})
	time.Sleep(d)
	for end := time.Now().Add(30 * time.Second); p.found.Load() == 0 && time.Now().Before(end) && !p.t.Failed(); {
		time.Sleep(time.Millisecond) // on a busy machine nobody may have come to read
	}
	p.stop.Store(true)
	all.Wait()
}
