package memory_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

// model is what a store promises, written the plain way: a map with deadlines, and beside it a map of leases and
// one of holds.
type model struct {
	entries map[byte]tarn.Entry[int]
	leases  map[byte]grant
	holds   map[byte][]grant
	tainted map[byte]bool
}

type grant struct {
	token tarn.Token
	until ttl.Time
}

func newModel() *model {
	return &model{map[byte]tarn.Entry[int]{}, map[byte]grant{}, map[byte][]grant{}, map[byte]bool{}}
}

// pass drops everything whose time is over.
func (m *model) pass(now ttl.Time) {
	maps.DeleteFunc(m.entries, func(_ byte, e tarn.Entry[int]) bool { return e.Expires.Passed(now) })
	maps.DeleteFunc(m.leases, func(_ byte, l grant) bool { return l.until.Passed(now) })
	for key, holds := range m.holds {
		holds = slices.DeleteFunc(holds, func(h grant) bool { return h.until.Passed(now) })
		if m.holds[key] = holds; len(holds) == 0 {
			delete(m.holds, key)
			delete(m.tainted, key)
		}
	}
}

func (m *model) held(key byte) bool { return len(m.holds[key]) > 0 }

func (m *model) change(key byte) {
	delete(m.leases, key)
	if m.held(key) {
		m.tainted[key] = true
	}
}

// put stores e if its value, which is its weight, is no more than the bound, and it has not expired.
func (m *model) put(now ttl.Time, key byte, e tarn.Entry[int]) bool {
	delete(m.entries, key)
	if e.Value > bound || e.Value < 0 || e.Expires.Passed(now) {
		return false
	}
	m.entries[key] = e
	return true
}

func (m *model) seen(now ttl.Time, key byte) (tarn.Entry[int], bool) {
	e, found := m.entries[key]
	e.Stale = e.Fresh.Passed(now)
	return e, found
}

const bound = 1 << 20

// player plays random operations on a store and on the model, and compares what they answer.
type player struct {
	t      *testing.T
	input  []byte
	store  *memory.Store[byte, int]
	model  *model
	tokens []tarn.Token // of leases and holds, whoever's
	value  int
}

func (p *player) next() byte {
	if len(p.input) == 0 {
		return 0
	}
	b := p.input[0]
	p.input = p.input[1:]
	return b
}

func (p *player) key() byte { return p.next() % 4 }

func (p *player) life() time.Duration {
	return []time.Duration{1, 2, time.Millisecond, 150 * time.Millisecond, time.Second, time.Hour}[p.next()%6]
}

func (p *player) token() tarn.Token {
	if len(p.tokens) == 0 {
		return tarn.Token{1}
	}
	return p.tokens[len(p.tokens)-1-int(p.next())%min(len(p.tokens), 6)]
}

func (p *player) entry() tarn.Entry[int] {
	p.value++
	e := tarn.Entry[int]{Value: p.value}
	now := p.store.Clock().Now()
	switch p.next() % 8 {
	case 0:
		e.Expires = now
	case 1:
		e.Value = bound + 1
	case 2:
		e.Fresh = now.Add(p.life())
	case 3:
		e.Fresh, e.Expires = now.Add(p.life()), now.Add(p.life())
	case 4, 5:
		e.Expires = now.Add(p.life())
	}
	return e
}

func (p *player) same(what string, got, want any) {
	if got != want {
		p.t.Fatalf("%s: got %+v, want %+v", what, got, want)
	}
}

// setErr is the error of a Set.
func setErr(e tarn.Entry[int]) error {
	if e.Value > bound {
		return tarn.ErrTooHeavy
	}
	return nil
}

func (p *player) step() {
	s, m, now := p.store, p.model, p.store.Clock().Now()
	m.pass(now)
	key := p.key()
	switch op := p.next() % 16; op {
	case 0, 1:
		e := p.entry()
		err, want := s.Set(bg, key, e), setErr(e)
		if m.held(key) {
			want = tarn.ErrHeld
		} else {
			m.change(key)
			m.put(now, key, e)
		}
		p.same("set", err, want)
	case 2:
		p.same("delete", s.Delete(bg, key), error(nil))
		m.change(key)
		delete(m.entries, key)
	case 3:
		e := p.entry()
		added, err := s.Add(bg, key, e)
		if _, found := m.entries[key]; found || m.held(key) {
			p.same("add", fmt.Sprint(added, err), fmt.Sprint(false, nil))
			break
		}
		m.change(key)
		p.same("add", added, m.put(now, key, e))
		p.same("add", err, setErr(e))
	case 4:
		expires := now.Add(p.life() - 1)
		touched, err := s.Touch(bg, key, expires)
		e, found := m.entries[key]
		p.same("touch", fmt.Sprint(touched, err), fmt.Sprint(found, nil))
		if e.Expires = expires; found {
			m.change(key)
			m.put(now, key, e)
		}
	case 5:
		p.compute(now, key)
	case 6:
		if p.next()%4 == 0 {
			p.same("clear", s.Clear(bg), error(nil))
			for key := range byte(4) {
				m.change(key)
				delete(m.entries, key)
			}
		}
	case 7, 8:
		time.Sleep(p.life())
		if p.next()%2 == 0 {
			synctest.Wait() // or race with the sweeper
		}
	case 9, 10:
		p.lease(now, key)
	case 11, 12:
		fills := []tarn.Fill[byte, int]{{Key: key, Token: p.token(), Store: p.next()%4 > 0, Entry: p.entry()}}
		now = p.store.Clock().Now()
		p.same("fill", s.Fill(bg, fills), error(nil))
		want := false
		if m.leases[key].token == fills[0].Token {
			delete(m.leases, key)
			want = fills[0].Store && m.put(now, key, fills[0].Entry)
		}
		p.same("filled", fills[0].Stored, want)
	case 13:
		tokens, life := make([]tarn.Token, 1), p.life()
		p.same("hold", s.Hold(bg, []byte{key}, life, tokens), error(nil))
		if m.held(key) {
			m.tainted[key] = true
		}
		delete(m.leases, key)
		delete(m.entries, key)
		m.holds[key] = append(m.holds[key], grant{tokens[0], now.Add(life)})
		p.tokens = append(p.tokens, tokens[0])
	case 14:
		p.settle(now, key)
	case 15:
		keys := []byte{key, p.key(), key}
		es := []tarn.Entry[int]{p.entry(), p.entry(), p.entry()}
		err := s.SetMany(bg, keys, es)
		for i, key := range keys {
			want := setErr(es[i])
			if m.held(key) {
				want = tarn.ErrHeld
			} else {
				m.change(key)
				m.put(now, key, es[i])
			}
			p.same("set many", tarn.ErrAt(err, i, 3), want)
		}
	}
	p.compare()
}

func (p *player) compute(now ttl.Time, key byte) {
	m, e, op := p.model, p.entry(), tarn.ComputeOp(p.next()%3)
	old, found := m.seen(now, key)
	got, stands, err := p.store.Compute(bg, key, func(o tarn.Entry[int], f bool) (tarn.Entry[int], tarn.ComputeOp) {
		p.same("compute: old", o, old)
		p.same("compute: found", f, found)
		return e, op
	})
	if m.held(key) {
		p.same("compute", err, tarn.ErrHeld)
		return
	}
	var want error
	switch op {
	case tarn.ComputeStore:
		m.change(key)
		m.put(now, key, e)
		want = setErr(e)
	case tarn.ComputeDelete:
		m.change(key)
		delete(m.entries, key)
	}
	p.same("compute", err, want)
	after, found := m.seen(now, key)
	p.same("computed", got, after)
	p.same("compute: stands", stands, found)
}

func (p *player) lease(now ttl.Time, key byte) {
	m, terms := p.model, tarn.LeaseTerms{Life: p.life(), Refresh: p.next()%2 == 0}
	into := make([]tarn.Lease[int], 1)
	p.same("lease", p.store.Lease(bg, []byte{key}, terms, into), error(nil))
	want := tarn.Lease[int]{State: tarn.Granted, Token: into[0].Token}
	want.Entry, want.Found = m.seen(now, key)
	standing, leased := m.leases[key]
	switch {
	case want.Found && !terms.Refresh:
		want.State, want.Token = tarn.Hit, tarn.Token{}
	case m.held(key):
		want.State, want.Token = tarn.Held, tarn.Token{}
	case leased:
		want.State, want.Token = tarn.Leased, standing.token
	default:
		m.leases[key] = grant{into[0].Token, now.Add(terms.Life)}
		p.tokens = append(p.tokens, into[0].Token)
	}
	p.same("leased", into[0], want)
}

func (p *player) settle(now ttl.Time, key byte) {
	m := p.model
	all := []tarn.Settlement[byte, int]{{Key: key, Token: p.token(), Store: p.next()%4 > 0, Entry: p.entry()}}
	p.same("settle", p.store.Settle(bg, all), error(nil))
	before := len(m.holds[key])
	m.holds[key] = slices.DeleteFunc(m.holds[key], func(h grant) bool { return h.token == all[0].Token })
	mine := len(m.holds[key]) < before
	delete(m.leases, key)
	want := false
	switch {
	case len(m.holds[key]) > 0:
		m.tainted[key] = true
	case mine && !m.tainted[key] && all[0].Store:
		want = m.put(now, key, all[0].Entry)
	default:
		delete(m.entries, key)
	}
	if !m.held(key) {
		delete(m.holds, key)
		delete(m.tainted, key)
	}
	p.same("settled", all[0].Stored, want)
}

// compare looks at all keys in every way.
func (p *player) compare() {
	now := p.store.Clock().Now()
	p.model.pass(now)
	keys := []byte{0, 1, 2, 3}
	many := make([]tarn.Lookup[int], 4)
	p.same("get many", p.store.GetMany(bg, keys, many), error(nil))
	scanned := map[byte]tarn.Entry[int]{}
	seq, failed := p.store.Scan(bg)
	for key, e := range seq {
		scanned[key] = e
	}
	p.same("scan", failed(), error(nil))
	p.same("entries scanned", len(scanned), len(p.model.entries))
	for _, key := range keys {
		want, wantFound := p.model.seen(now, key)
		e, found, err := p.store.Get(bg, key)
		p.same("get", err, error(nil))
		p.same("found", found, wantFound)
		p.same("entry", e, want)
		p.same("entry of many", many[key], tarn.Lookup[int]{Entry: want, Found: wantFound})
		p.same("entry of a scan", scanned[key], want)
		lease, leased := p.model.leases[key]
		if len(p.tokens) > 0 {
			token, stands := p.token(), make([]bool, 1)
			p.same("stands", p.store.Stands(bg, []byte{key}, []tarn.Token{token}, stands), error(nil))
			p.same("stands", stands[0], leased && lease.token == token)
		}
	}
	if n := p.store.Len(); n < len(p.model.entries) {
		p.t.Fatalf("Len is %d, but there are %d", n, len(p.model.entries))
	}
}

func play(t *testing.T, input []byte) {
	synctest.Test(t, func(t *testing.T) {
		p := &player{t: t, input: input, model: newModel()}
		p.store = memory.New(memory.Options[byte, int]{
			MaxWeight: bound,
			Weigh:     func(_ byte, v int) int64 { return int64(v) },
			OnRemove:  func(memory.Removal[byte, int]) {},
		})
		for len(p.input) > 0 {
			p.step()
		}
		_ = p.store.Clear(bg)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if st := p.store.Stats(); st.Entries != 0 || st.Weight != 0 || st.Evictions != 0 {
			t.Errorf("after Clear: %+v", st)
		}
		_ = p.store.Close()
	})
}

// TestRandomOperations compares random operations with the model.
func TestRandomOperations(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for range 100 {
		input := make([]byte, 2000)
		for i := range input {
			input[i] = byte(r.Uint32())
		}
		play(t, input)
	}
}

func FuzzOperations(f *testing.F) {
	f.Add([]byte{0, 9, 1, 0, 0, 11, 0, 1, 6})
	f.Fuzz(play)
}
