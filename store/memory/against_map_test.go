package memory_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// against plays operations that need no clock on a store and on a plain map. A store that is large enough equals the
// map; a smaller one has a part of it.
type against struct {
	t     *testing.T
	input []byte
	store *memory.Store[uint16, int]
	want  map[uint16]int
	bound int // 0: large enough for all keys
	value int
	left  map[int]bool // values told by OnRemove
}

func newAgainst(t *testing.T, bound int, input []byte) *against {
	p := &against{t: t, input: input, bound: bound, want: map[uint16]int{}, left: map[int]bool{}}
	most := bound
	if bound == 0 {
		most = 150_000
	}
	p.store = memory.New(memory.Options[uint16, int]{MaxEntries: most, OnRemove: func(r memory.Removal[uint16, int]) {
		if p.left[r.Value] {
			t.Fatalf("value %d left twice", r.Value)
		}
		p.left[r.Value] = true
	}})
	return p
}

func (p *against) next() uint16 {
	if len(p.input) == 0 {
		return 0
	}
	b := p.input[0]
	p.input = p.input[1:]
	return uint16(b)
}

func (p *against) key() uint16 { return p.next()<<8 | p.next() }

// keys returns some keys that lie a step apart, so that later operations meet them again.
func (p *against) keys() []uint16 {
	keys := make([]uint16, 1+int(p.next())*int(p.next()%6))
	first, step := p.next()<<8, 1+p.next()%3
	for i := range keys {
		keys[i] = first + uint16(i)*step
	}
	return keys
}

func (p *against) entries(n int) []tarn.Entry[int] {
	all := make([]tarn.Entry[int], n)
	for i := range all {
		p.value++
		all[i] = value(p.value)
	}
	return all
}

// stored notes an entry, which must be there at once.
func (p *against) stored(key uint16, e tarn.Entry[int]) {
	p.want[key] = e.Value
	if got, found := p.store.Value(key); !found || got != e.Value {
		p.t.Fatalf("key %d: %d, %v right after %d was stored", key, got, found, e.Value)
	}
}

func (p *against) check(err error) {
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *against) step() {
	switch p.next() % 12 {
	case 0, 1:
		key, e := p.key(), p.entries(1)[0]
		p.check(p.store.Set(bg, key, e))
		p.stored(key, e)
	case 2:
		key := p.key()
		p.check(p.store.Delete(bg, key))
		delete(p.want, key)
	case 3, 4, 5:
		keys := p.keys()
		all := p.entries(len(keys))
		p.check(p.store.SetMany(bg, keys, all))
		for i, key := range keys {
			p.want[key] = all[i].Value
		}
	case 6:
		keys := p.keys()
		p.check(p.store.DeleteMany(bg, keys))
		for _, key := range keys {
			delete(p.want, key)
		}
	case 7:
		if p.next() < 8 {
			p.check(p.store.Clear(bg))
			clear(p.want)
		}
	case 8:
		key, e := p.key(), p.entries(1)[0]
		added, err := p.store.Add(bg, key, e)
		p.check(err)
		if added {
			p.wantLost(key)
			p.stored(key, e)
		} else if _, found := p.want[key]; !found {
			p.t.Fatalf("key %d was not added, though it was not there", key)
		}
	case 9:
		p.compute(p.key())
	case 10:
		if bound := 1 + int(p.next())*int(p.next()); p.bound != 0 {
			p.bound = bound
			p.check(p.store.Resize(int64(bound)))
		}
	case 11:
		p.guarded(p.keys())
	}
	if n := p.store.Len(); p.bound == 0 && n != len(p.want) || p.bound != 0 && n > min(p.bound, len(p.want)) {
		p.t.Fatalf("%d entries, the map has %d, the bound is %d", n, len(p.want), p.bound)
	}
}

// wantLost expects that key was evicted, if it is in the map.
func (p *against) wantLost(key uint16) {
	if v, found := p.want[key]; found && !p.left[v] {
		p.t.Fatalf("key %d has %d, which nobody was told has left", key, v)
	}
}

func (p *against) compute(key uint16) {
	e, op := p.entries(1)[0], tarn.ComputeOp(p.next()%3)
	_, _, err := p.store.Compute(bg, key, func(old tarn.Entry[int], found bool) (tarn.Entry[int], tarn.ComputeOp) {
		if !found {
			p.wantLost(key)
		} else if v, there := p.want[key]; !there || v != old.Value {
			p.t.Fatalf("compute of key %d: %d; want %d, %v", key, old.Value, v, there)
		}
		return e, op
	})
	p.check(err)
	switch op {
	case tarn.ComputeStore:
		p.stored(key, e)
	case tarn.ComputeDelete:
		delete(p.want, key)
	}
}

// guarded stores by a lease, or by a hold, or shows that one is refused.
func (p *against) guarded(keys []uint16) {
	all := p.entries(len(keys))
	leases, fills := make([]tarn.Lease[int], len(keys)), make([]tarn.Fill[uint16, int], len(keys))
	tokens, settlements := make([]tarn.Token, len(keys)), make([]tarn.Settlement[uint16, int], len(keys))
	terms := tarn.LeaseTerms{Life: life, Refresh: true}
	p.check(p.store.Lease(bg, keys, terms, leases))
	for i, key := range keys {
		fills[i] = tarn.Fill[uint16, int]{Key: key, Token: leases[i].Token, Store: true, Entry: all[i]}
	}
	byHold := p.next()%2 == 0
	if byHold {
		p.check(p.store.Hold(bg, keys, life, tokens))
		wantErr(p.t, p.store.Set(bg, keys[len(keys)-1], all[0]), tarn.ErrHeld)
		for i, key := range keys {
			settlements[i] = tarn.Settlement[uint16, int]{Key: key, Token: tokens[i], Store: true, Entry: all[i]}
		}
	}
	p.check(p.store.Fill(bg, fills))
	if byHold {
		p.check(p.store.Settle(bg, settlements))
	}
	for i, key := range keys {
		if leases[i].State != tarn.Granted || fills[i].Stored == byHold || settlements[i].Stored != byHold {
			p.t.Fatalf("key %d, %v, hold %v: filled %v, settled %v",
				key, leases[i].State, byHold, fills[i].Stored, settlements[i].Stored)
		}
		p.want[key] = all[i].Value
	}
}

// compare looks at all that there is: each key once, with the map's value.
func (p *against) compare() {
	got := make(map[uint16]int, len(p.want))
	for key, v := range p.store.All() {
		if _, twice := got[key]; twice {
			p.t.Fatalf("key %d twice", key)
		}
		got[key] = v
	}
	if len(got) != p.store.Len() {
		p.t.Fatalf("%d entries found, Len is %d", len(got), p.store.Len())
	}
	if p.bound == 0 && !maps.Equal(got, p.want) {
		p.t.Fatalf("the store and the map differ: %d and %d entries", len(got), len(p.want))
	}
	for key, v := range got {
		if want, found := p.want[key]; !found || want != v {
			p.t.Fatalf("key %d has %d; want %d, %v", key, v, want, found)
		}
	}
	for key, v := range p.want {
		if e, found, err := p.store.Get(bg, key); err != nil || found && e.Value != v {
			p.t.Fatalf("key %d: %+v, %v, %v; want %d", key, e, found, err, v)
		} else if !found {
			p.wantLost(key)
		}
	}
}

func (p *against) play() {
	defer func() { _ = p.store.Close() }()
	for i := 0; len(p.input) > 0; i++ {
		if p.step(); i%64 == 63 {
			p.compare()
		}
	}
	p.compare()
	keys := make([]uint16, 0, len(p.want))
	for key := range p.want {
		keys = append(keys, key)
	}
	if err := p.store.DeleteMany(bg, keys); err != nil || p.store.Len() != 0 {
		p.t.Fatalf("%v, %d entries are left of none", err, p.store.Len())
	}
	if n := p.store.Stats(); n.Evictions != 0 && p.bound == 0 {
		p.t.Fatalf("evictions, though there was room: %+v", n)
	}
}

func playAgainstMap(t *testing.T, bound uint16, input []byte) {
	newAgainst(t, int(bound), input).play()
}

// TestAgainstMap plays random operations, on a store that evicts nothing and on small ones.
func TestAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8))
	for _, bound := range []uint16{0, 1, 2, 50, 3000, 30_000} {
		input := make([]byte, 800)
		for i := range input {
			input[i] = byte(r.Uint32())
		}
		playAgainstMap(t, bound, input)
	}
}

// FuzzAgainstMap: bound 0 is for a store of many parts that evicts nothing.
func FuzzAgainstMap(f *testing.F) {
	f.Add(uint16(0), []byte{3, 200, 5, 0, 0, 6, 100, 9, 0, 1, 9, 0, 5, 1})
	f.Add(uint16(100), []byte{3, 255, 5, 0, 0, 10, 2, 2, 11, 9, 1, 0, 0, 1, 10, 90, 90, 3, 255, 5, 0, 0})
	f.Fuzz(playAgainstMap)
}
