package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

var modelRows = []row{{
	name: "random operations",
	rule: "Whatever is done in whatever order, a store answers as a plain map does that follows the rules of entries, " +
		"leases and holds.",
	repeat: 25,
	check: func(x *trial) error {
		const operations = 300
		m := newModel(x)
		for range operations {
			if err := m.step(); err != nil {
				return fmt.Errorf("%w\nThe last operations of seed %d (storetest.Replay(%d) repeats them):\n\t%s",
					err, x.seed, x.seed, strings.Join(m.log, "\n\t"))
			}
		}
		return nil
	},
}}

// model is a plain map that says what a store should answer.
type model struct {
	x    *trial
	rng  *rand.Rand
	keys []string
	at   map[string]*modelKey
	ops  []modelOp // those that the store offers
	log  []string  // the last operations
	n    int       // numbers the values

	invalidations int                // of tags
	invalidated   map[string]int     // the last of each tag
	moments       map[tarn.Stamp]int // how many there were before some stamps
}

// modelKey is what stands at one key.
type modelKey struct {
	found      bool
	entry      entry
	lease      tarn.Token // zero: none
	leaseUntil ttl.Time
	holds      []modelHold
	leases     []tarn.Token // some that were granted, live or not
	settles    []tarn.Token // some of holds, live or not
	after      int          // how many invalidations were before the stamp of the entry
	doubt      bool         // the store may have refused the entry, for tags of which it does not know
}

type modelHold struct {
	token   tarn.Token
	until   ttl.Time
	tainted bool
}

type modelOp struct {
	name   string
	needs  Capability
	weight int
	do     func(m *model, key string) error
}

var modelOps = []modelOp{
	{"Set", 0, 6, (*model).set},
	{"Set of what has expired", 0, 1, (*model).setPast},
	{"Delete", 0, 3, (*model).delete},
	{"with a context that is over", 0, 2, (*model).cancelled},
	{"wait", 0, 3, (*model).wait},
	{"GetMany", BatchStore, 1, (*model).getMany},
	{"SetMany", BatchStore, 2, (*model).setMany},
	{"DeleteMany", BatchStore, 1, (*model).deleteMany},
	{"Add", Adder, 3, (*model).add},
	{"Touch", Toucher, 3, (*model).touch},
	{"Compute", Computer, 3, (*model).compute},
	{"Clear", Clearer, 1, (*model).clear},
	{"Scan", Scanner, 1, (*model).scan},
	{"Lease", Leaser, 8, (*model).leaseKey},
	{"Fill", Leaser, 8, (*model).fill},
	{"Stands", Leaser, 3, (*model).stands},
	{"Hold", Holder, 4, (*model).hold},
	{"InvalidateTags", Tagger, 4, (*model).invalidate},
	{"Stamp", Tagger, 2, (*model).stamp},
	{"Set of what Get returned", Tagger, 2, (*model).setAgain},
	{"Set with an older stamp", Tagger, 2, (*model).setOlder},
	{"Settle", Holder, 8, (*model).settle},
}

func newModel(x *trial) *model {
	m := &model{x: x, rng: rand.New(rand.NewPCG(x.seed, 0)), keys: names("k", 4), at: make(map[string]*modelKey),
		invalidated: make(map[string]int), moments: make(map[tarn.Stamp]int)}
	for _, key := range m.keys {
		m.at[key] = new(modelKey)
	}
	for _, op := range modelOps {
		for range op.weight {
			if op.needs&^x.offered == 0 {
				m.ops = append(m.ops, op)
			}
		}
	}
	return m
}

// step does one random operation on the store and on the model, and compares what they answer and what stands.
func (m *model) step() error {
	op, key := m.ops[m.rng.IntN(len(m.ops))], m.key()
	m.note("%s %s", op.name, key)
	m.expire()
	if err := op.do(m, key); err != nil {
		return fmt.Errorf("%s: %w", op.name, err)
	}
	m.expire()
	for _, key := range m.keys {
		if err := m.resolve(key); err != nil {
			return fmt.Errorf("after %s: %w", op.name, err)
		}
		if err := m.look(key); err != nil {
			return fmt.Errorf("after %s: %w", op.name, err)
		}
	}
	return nil
}

func (m *model) key() string { return m.keys[m.rng.IntN(len(m.keys))] }

func (m *model) note(format string, args ...any) {
	if m.log = append(m.log, fmt.Sprintf(format, args...)); len(m.log) > 30 {
		m.log = m.log[1:]
	}
}

// detail adds to the last note.
func (m *model) detail(format string, args ...any) {
	m.log[len(m.log)-1] += ": " + fmt.Sprintf(format, args...)
}

// look compares what stands under key. Hit comes before Get, which may remove what has expired.
func (m *model) look(key string) error {
	k := m.at[key]
	if m.x.hitter != nil {
		if err := m.hit(key, k); err != nil {
			return err
		}
	}
	if k.found {
		return m.x.sees(key, k.entry)
	}
	return m.x.misses(key)
}

// hit compares what Hit says.
func (m *model) hit(key string, k *modelKey) error {
	if k.found && !k.entry.Negative && !k.entry.Fresh.Passed(m.x.clock.Now()) {
		return m.x.hits(key, k.entry.Value)
	}
	return m.x.noHit(key)
}

// expire ends what has run out.
func (m *model) expire() {
	now := m.x.clock.Now()
	for _, k := range m.at {
		if k.found && k.entry.Expires.Passed(now) {
			k.found = false
		}
		if k.leaseUntil.Passed(now) {
			k.lease = tarn.Token{}
		}
		live := k.holds[:0]
		for _, h := range k.holds {
			if !h.until.Passed(now) {
				live = append(live, h)
			}
		}
		k.holds = live
	}
}

// put stores an entry, or none that has expired, as every change does: the lease is void.
func (m *model) put(k *modelKey, e entry) {
	k.found, k.entry, k.lease = true, e, tarn.Token{}
	k.after, k.doubt = m.before(e.Tags), m.doubts(e.Tags)
	if m.gone(e.Tags) {
		k.found = false
	}
}

// drop empties the key as Delete does: the lease is void, and holds are tainted.
func (k *modelKey) drop() {
	k.found, k.lease = false, tarn.Token{}
	k.taint()
}

func (k *modelKey) taint() {
	for i := range k.holds {
		k.holds[i].tainted = true
	}
}

// life picks a life; in real time one that nobody waits for.
func (m *model) life() time.Duration {
	if !m.x.fake {
		return 2 * long
	}
	return time.Duration(1+m.rng.IntN(20)) * time.Second
}

// entry makes a new entry that has not expired.
func (m *model) entry() entry {
	m.n++
	e := plain(fmt.Sprintf("v%d", m.n))
	if m.rng.IntN(3) == 0 {
		e.Expires = m.x.in(m.life())
	}
	if m.rng.IntN(3) == 0 {
		e.Fresh = m.x.in(m.life() - 2*time.Second)
	}
	e.Negative = m.rng.IntN(8) == 0
	if m.x.tagger != nil && m.rng.IntN(2) == 0 {
		e.Tags = m.tags(0)
	}
	return e
}

func (m *model) wait(string) error {
	if m.x.fake {
		d := time.Duration(1+m.rng.IntN(4)) * time.Second
		m.detail("%v", d)
		time.Sleep(d)
	}
	return nil
}

func (m *model) set(key string) error {
	e, k := m.entry(), m.at[key]
	m.detail("%+v", e)
	err := m.x.store.Set(m.x.ctx, key, e)
	if len(k.holds) > 0 {
		return fails("Set of a held key", err, tarn.ErrHeld)
	}
	m.put(k, e)
	return did("Set", err)
}

func (m *model) setPast(key string) error {
	k := m.at[key]
	err := m.x.store.Set(m.x.ctx, key, until("past", m.x.in(-time.Second)))
	if len(k.holds) > 0 {
		// Whether the hold or the deadline is the reason is the store's to choose.
		return nil
	}
	_ = err
	k.drop()
	return nil
}

func (m *model) delete(key string) error {
	m.at[key].drop()
	return m.x.del(key)
}

// cancelled does any change with a context that is over.
func (m *model) cancelled(key string) error {
	c := changes[m.rng.IntN(len(changes))]
	if c.needs&^m.x.offered != 0 {
		return nil
	}
	m.detail("%s", c.name)
	return fails(c.name, c.do(m.x.ended()[0], m.x, key), context.Canceled)
}

func (m *model) getMany(string) error {
	keys := make([]string, m.rng.IntN(8))
	for i := range keys {
		keys[i] = m.key()
	}
	m.detail("%v", keys)
	into := make([]tarn.Lookup[string], len(keys))
	if err := m.x.batch.GetMany(m.x.ctx, keys, into); err != nil {
		return err
	}
	for i, key := range keys {
		k := m.at[key]
		if err := is("Found", into[i].Found, k.found); err != nil {
			return err
		}
		if k.found {
			if err := m.x.same("GetMany", into[i].Entry, k.entry); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *model) setMany(string) error {
	keys := make([]string, m.rng.IntN(6))
	entries := make([]entry, len(keys))
	held := false
	for i := range keys {
		keys[i], entries[i] = m.key(), m.entry()
		held = held || len(m.at[keys[i]].holds) > 0
	}
	m.detail("%v %+v", keys, entries)
	err := m.x.batch.SetMany(m.x.ctx, keys, entries)
	for i, key := range keys {
		at := tarn.ErrAt(err, i, len(keys))
		if k := m.at[key]; len(k.holds) == 0 {
			m.put(k, entries[i])
			if at != nil {
				return fmt.Errorf("item %d: %w", i, at)
			}
		} else if at := fails("item of a held key", at, tarn.ErrHeld); at != nil {
			return at
		}
	}
	return is("failed", err != nil, held)
}

func (m *model) deleteMany(string) error {
	keys := make([]string, m.rng.IntN(6))
	for i := range keys {
		keys[i] = m.key()
		m.at[keys[i]].drop()
	}
	m.detail("%v", keys)
	return m.x.batch.DeleteMany(m.x.ctx, keys)
}

func (m *model) add(key string) error {
	e, k := m.entry(), m.at[key]
	m.detail("%+v", e)
	want := !k.found && len(k.holds) == 0
	if want {
		m.put(k, e)
	}
	return m.x.add(key, e, want)
}

func (m *model) touch(key string) error {
	var expires ttl.Time
	if m.rng.IntN(3) > 0 {
		expires = m.x.in(m.life())
	}
	m.detail("%d", expires)
	k := m.at[key]
	if k.found {
		k.entry.Expires, k.lease = expires, tarn.Token{}
	}
	return m.x.touch(key, expires, k.found)
}

func (m *model) compute(key string) error {
	k, e, op := m.at[key], m.entry(), tarn.ComputeOp(m.rng.IntN(3))
	m.detail("%d %+v", op, e)
	if len(k.holds) > 0 {
		_, _, err := m.x.computer.Compute(m.x.ctx, key, storing("no"))
		return fails("Compute of a held key", err, tarn.ErrHeld)
	}
	var old, stands *entry
	if k.found {
		old = ptr(k.entry)
	}
	if k.found && m.rng.IntN(2) == 0 {
		kept, err := m.kept(key)
		if e.Tags = kept; err != nil {
			return err
		}
	}
	lease := k.lease
	switch op {
	case tarn.ComputeStore:
		m.put(k, e)
		k.doubt = false // tags are those that are there, or stamped now
	case tarn.ComputeDelete:
		k.drop()
	}
	if k.found {
		stands = ptr(k.entry)
	}
	err := m.x.compute(key, old, e, op, stands)
	if op == tarn.ComputeDelete && old == nil {
		// Whether deleting nothing is a change is the store's to choose.
		m.ask(key, lease)
	}
	return err
}

// ask learns from the store whether a lease stands that it may have kept or voided.
func (m *model) ask(key string, lease tarn.Token) {
	if lease == (tarn.Token{}) {
		return
	}
	into := make([]bool, 1)
	if err := m.x.leaser.Stands(m.x.ctx, []string{key}, []tarn.Token{lease}, into); err == nil && into[0] {
		m.at[key].lease = lease
	}
}

func (m *model) clear(string) error {
	if m.rng.IntN(2) == 0 {
		return nil
	}
	for _, k := range m.at {
		k.drop()
	}
	return m.x.clear()
}

func (m *model) scan(string) error {
	want := make(map[string]entry)
	for key, k := range m.at {
		if k.found {
			want[key] = k.entry
		}
	}
	return m.x.scan(want)
}

// some returns a few distinct keys.
func (m *model) some() []string {
	keys := make([]string, 0, 3)
	for _, i := range m.rng.Perm(len(m.keys))[:1+m.rng.IntN(3)] {
		keys = append(keys, m.keys[i])
	}
	return keys
}

func (m *model) leaseKey(string) error {
	keys := m.some()
	terms := tarn.LeaseTerms{Life: m.life(), Refresh: m.rng.IntN(3) == 0}
	terms.Stamp = m.x.tagger != nil && m.rng.IntN(3) > 0
	into := make([]tarn.Lease[string], len(keys))
	m.detail("%v %+v", keys, terms)
	if terms.Refresh {
		// A lease that outlives its entry may end with it, or not: that is the store's to choose.
		for _, key := range keys {
			if k := m.at[key]; k.found && k.entry.Expires != 0 {
				terms.Life = min(terms.Life, k.entry.Expires.Sub(m.x.clock.Now()))
			}
		}
	}
	if err := m.x.leaser.Lease(m.x.ctx, keys, terms, into); err != nil {
		return err
	}
	for i, key := range keys {
		if err := m.leased(key, terms, into[i]); err != nil {
			return fmt.Errorf("item %d, %s: %w", i, key, err)
		}
	}
	return nil
}

// leased compares one answer of Lease.
func (m *model) leased(key string, terms tarn.LeaseTerms, got tarn.Lease[string]) error {
	k := m.at[key]
	want := tarn.Granted
	switch {
	case len(k.holds) > 0:
		want = tarn.Held
	case k.found && !terms.Refresh:
		want = tarn.Hit
	case k.lease != tarn.Token{}:
		want = tarn.Leased
	}
	if err := is("state", got.State, want); err != nil {
		return err
	}
	switch want {
	case tarn.Leased:
		if err := is("token", got.Token, k.lease); err != nil {
			return err
		}
	case tarn.Granted:
		k.lease, k.leaseUntil = got.Token, m.x.in(terms.Life)
		k.leases = remember(k.leases, got.Token)
		if terms.Stamp {
			m.moments[got.Stamp] = m.invalidations
		}
		if err := is("Found", got.Found, k.found); err != nil {
			return err
		}
	case tarn.Hit:
		if err := is("Found", got.Found, true); err != nil {
			return err
		}
	}
	if got.Found {
		return m.x.same("Lease", got.Entry, k.entry)
	}
	return nil
}

// remember keeps the last few tokens.
func remember(tokens []tarn.Token, token tarn.Token) []tarn.Token {
	if tokens = append(tokens, token); len(tokens) > 3 {
		tokens = tokens[1:]
	}
	return tokens
}

// pick returns one of the tokens, or one that names nothing.
func (m *model) pick(tokens []tarn.Token) tarn.Token {
	if len(tokens) == 0 || m.rng.IntN(10) == 0 {
		return tarn.Token{14: byte(m.rng.IntN(2)), 15: byte(m.rng.IntN(2))}
	}
	return tokens[m.rng.IntN(len(tokens))]
}

func (m *model) fill(string) error {
	keys := m.some()
	fills := make([]tarn.Fill[string, string], len(keys))
	for i, key := range keys {
		fills[i] = tarn.Fill[string, string]{
			Key: key, Token: m.pick(m.at[key].leases), Store: m.rng.IntN(4) > 0, Entry: m.loaded(),
			Stored: m.rng.IntN(2) == 0,
		}
	}
	m.detail("%+v", fills)
	if err := m.x.leaser.Fill(m.x.ctx, fills); err != nil {
		return err
	}
	for i, f := range fills {
		k := m.at[f.Key]
		stood := k.lease != tarn.Token{} && k.lease == f.Token
		if err := m.stored(i, f.Stored, stood && f.Store, f.Entry.Tags); err != nil {
			return err
		}
		if stood {
			k.lease = tarn.Token{}
			if f.Stored {
				m.put(k, f.Entry)
			} else {
				k.doubt = f.Store // whether what was there remains is the store's to choose
			}
		}
	}
	return nil
}

func (m *model) stands(string) error {
	keys := m.some()
	tokens, into := make([]tarn.Token, len(keys)), make([]bool, len(keys))
	for i, key := range keys {
		tokens[i], into[i] = m.pick(m.at[key].leases), m.rng.IntN(2) == 0
	}
	m.detail("%v %x", keys, tokens)
	if err := m.x.leaser.Stands(m.x.ctx, keys, tokens, into); err != nil {
		return err
	}
	for i, key := range keys {
		k := m.at[key]
		if err := is(fmt.Sprintf("item %d", i), into[i], k.lease != tarn.Token{} && k.lease == tokens[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *model) hold(string) error {
	keys, life := m.some(), m.life()
	tokens := make([]tarn.Token, len(keys))
	m.detail("%v for %v", keys, life)
	if err := m.x.holder.Hold(m.x.ctx, keys, life, tokens); err != nil {
		return err
	}
	for i, key := range keys {
		k := m.at[key]
		k.found, k.lease = false, tarn.Token{}
		k.holds = append(k.holds, modelHold{token: tokens[i], until: m.x.in(life)})
		if len(k.holds) > 1 {
			k.taint()
		}
		k.settles = remember(k.settles, tokens[i])
	}
	return nil
}

func (m *model) settle(string) error {
	keys := m.some()
	settlements := make([]tarn.Settlement[string, string], len(keys))
	for i, key := range keys {
		settlements[i] = tarn.Settlement[string, string]{
			Key: key, Token: m.pick(m.at[key].settles), Store: m.rng.IntN(4) > 0, Entry: m.loaded(),
			Stored: m.rng.IntN(2) == 0,
		}
	}
	m.detail("%+v", settlements)
	if err := m.x.holder.Settle(m.x.ctx, settlements); err != nil {
		return err
	}
	for i, s := range settlements {
		k := m.at[s.Key]
		if err := m.stored(i, s.Stored, k.settled(s), s.Entry.Tags); err != nil {
			return err
		}
		if s.Stored {
			m.put(k, s.Entry)
		}
	}
	return nil
}

// settled ends a hold by the rules, and reports whether its entry is stored, if its tags allow it.
func (k *modelKey) settled(s tarn.Settlement[string, string]) bool {
	mine := -1
	for i, h := range k.holds {
		if h.token == s.Token {
			mine = i
		}
	}
	alone := mine >= 0 && len(k.holds) == 1 && !k.holds[mine].tainted
	if mine >= 0 {
		k.holds = append(k.holds[:mine], k.holds[mine+1:]...)
	}
	k.drop()
	return alone && s.Store
}
