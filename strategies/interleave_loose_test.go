package strategies_test

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// looseStore is a store with leases and holds, as small as it can be, whose rules can be switched off one by one.
// With none switched off it is right.
type looseStore struct {
	off   looseRules
	clock ttl.Clock

	mu   sync.Mutex // protects the below
	keys map[int]*looseKey
	last uint64
	now  tarn.Stamp            // the number of the last invalidation
	tags map[string]tarn.Stamp // to that of their own
}

// looseRules names the rules, each by what a store does that does not keep to it.
type looseRules struct {
	fillsBlindly     bool // Fill stores though the lease is gone
	renewsBlindly    bool // so it does if the lease was taken over an entry
	changesKeepLease bool // Set, Add, Compute, Clear and DeleteMany void no lease
	standsAlways     bool // Stands says yes
	leasesHeld       bool // Lease on a held key pretends that somebody has a lease, which stands
	holdsNothing     bool // Hold does nothing
	holdsKeepRenewal bool // Hold voids no lease that was taken over an entry
	holdsKeepValue   bool // the value is there again when the holds are over
	holdsAreShort    bool // holds end after a tenth of their lives
	deleteDropsHolds bool // Delete and Clear end holds
	forgetsTaint     bool // Settle stores though the hold was not alone
	settlesLazily    bool // Settle leaves what stands if its hold is gone
	settleWipes      bool // Settle ends others' holds if its own is gone
	touchRevives     bool // Touch brings back what stood there last
	stampsAnew       bool // what is stored has a stamp of when it is stored, not the one that it was given
	settlesAnew      bool // so has what is settled
	stampStands      bool // Stamp says nothing of what was invalidated
	tagsStay         bool // an entry with a tag that was invalidated is found
}

type looseKey struct {
	entry   *tarn.Entry[int]
	former  tarn.Entry[int] // what stood there last
	lease   tarn.Token
	until   ttl.Time // of the lease
	holds   map[tarn.Token]ttl.Time
	tainted bool
}

func newLooseStore(off looseRules) *looseStore {
	return &looseStore{
		off: off, clock: ttl.NewClock(), keys: make(map[int]*looseKey), now: 1, tags: make(map[string]tarn.Stamp),
	}
}

func (s *looseStore) Clock() ttl.Clock { return s.clock }

// at locks the store and returns a key, without what has ended by itself.
func (s *looseStore) at(key int) (k *looseKey, now ttl.Time) {
	s.mu.Lock()
	now = s.clock.Now()
	k = s.keys[key]
	if k == nil {
		k = &looseKey{holds: make(map[tarn.Token]ttl.Time)}
		s.keys[key] = k
	}
	for token, until := range k.holds {
		if until.Passed(now) {
			delete(k.holds, token)
		}
	}
	k.tainted = k.tainted && k.held()
	if k.until.Passed(now) {
		k.lease = tarn.Token{}
	}
	if k.entry != nil && (k.entry.Expires.Passed(now) || s.invalid(k.entry) && !s.off.tagsStay) {
		k.entry = nil
	}
	return k, now
}

// invalid reports whether a tag was invalidated after the stamp of an entry.
func (s *looseStore) invalid(e *tarn.Entry[int]) bool {
	for _, name := range e.Tags.Names() {
		if s.tags[name] > e.Tags.Stamp() {
			return true
		}
	}
	return false
}

func (s *looseStore) Stamp(context.Context) (tarn.Stamp, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stamp(), nil
}

func (s *looseStore) stamp() tarn.Stamp {
	if s.off.stampStands {
		return 1 << 40
	}
	return s.now
}

func (s *looseStore) InvalidateTags(_ context.Context, tags ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now++
	for _, tag := range tags {
		s.tags[tag] = s.now
	}
	return nil
}

// stamped gives an entry that is to be stored its stamp.
func (s *looseStore) stamped(e *tarn.Entry[int], anew bool) *tarn.Entry[int] {
	if e.Tags != nil && (anew || e.Tags.Stamp() == 0) {
		e.Tags = e.Tags.Restamped(s.now)
	}
	if e.Tags.Stamp() == 1<<40 { // what stampStands says is of use to those who compare stamps alone
		e.Tags = e.Tags.Restamped(1)
	}
	return e
}

func (k *looseKey) held() bool { return len(k.holds) > 0 }

// change puts an entry in the place of another, nil for none, and voids the lease if it should.
func (k *looseKey) change(e *tarn.Entry[int], void bool) {
	k.put(e)
	if void {
		k.lease = tarn.Token{}
	}
	k.tainted = k.held()
}

func (k *looseKey) put(e *tarn.Entry[int]) {
	if e != nil {
		k.former = *e
	}
	k.entry = e
}

func (s *looseStore) token() (t tarn.Token) {
	s.last++
	binary.LittleEndian.PutUint64(t[:], s.last)
	return t
}

func (s *looseStore) Get(_ context.Context, key int) (e tarn.Entry[int], found bool, err error) {
	k, now := s.at(key)
	defer s.mu.Unlock()
	return k.look(now)
}

func (k *looseKey) look(now ttl.Time) (e tarn.Entry[int], found bool, err error) {
	if k.entry == nil || k.held() {
		return e, false, nil
	}
	e = *k.entry
	e.Stale = e.Fresh.Passed(now)
	return e, true, nil
}

func (s *looseStore) Set(_ context.Context, key int, e tarn.Entry[int]) error {
	k, _ := s.at(key)
	defer s.mu.Unlock()
	if k.held() {
		return tarn.ErrHeld
	}
	k.change(s.stamped(&e, s.off.settlesAnew), !s.off.changesKeepLease)
	return nil
}

func (s *looseStore) Delete(_ context.Context, key int) error {
	k, _ := s.at(key)
	defer s.mu.Unlock()
	if s.off.deleteDropsHolds {
		clear(k.holds)
	}
	k.change(nil, true)
	return nil
}

func (s *looseStore) GetMany(ctx context.Context, keys []int, into []tarn.Lookup[int]) error {
	for i, key := range keys {
		into[i].Entry, into[i].Found, _ = s.Get(ctx, key)
	}
	return nil
}

func (s *looseStore) SetMany(ctx context.Context, keys []int, entries []tarn.Entry[int]) error {
	for i, key := range keys {
		if err := s.Set(ctx, key, entries[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *looseStore) DeleteMany(_ context.Context, keys []int) error {
	for _, key := range keys {
		s.invalidate(key)
	}
	return nil
}

func (s *looseStore) Clear(context.Context) error {
	for _, key := range []int{0, 1} {
		s.invalidate(key)
	}
	return nil
}

func (s *looseStore) invalidate(key int) {
	k, _ := s.at(key)
	defer s.mu.Unlock()
	if s.off.deleteDropsHolds {
		clear(k.holds)
	}
	k.change(nil, !s.off.changesKeepLease)
}

func (s *looseStore) Add(_ context.Context, key int, e tarn.Entry[int]) (bool, error) {
	k, _ := s.at(key)
	defer s.mu.Unlock()
	if k.entry != nil || k.held() {
		return false, nil
	}
	k.change(&e, !s.off.changesKeepLease)
	return true, nil
}

func (s *looseStore) Touch(_ context.Context, key int, expires ttl.Time) (bool, error) {
	k, _ := s.at(key)
	defer s.mu.Unlock()
	if s.off.touchRevives && k.entry == nil && k.former.Value != 0 {
		clear(k.holds)
		k.put(&k.former)
	}
	if k.entry == nil || k.held() {
		return false, nil
	}
	e := *k.entry
	e.Expires = expires
	k.change(&e, true)
	return true, nil
}

func (s *looseStore) Compute(
	_ context.Context, key int, f func(old tarn.Entry[int], found bool) (tarn.Entry[int], tarn.ComputeOp),
) (tarn.Entry[int], bool, error) {
	k, now := s.at(key)
	defer s.mu.Unlock()
	if k.held() {
		return tarn.Entry[int]{}, false, tarn.ErrHeld
	}
	old, found, _ := k.look(now)
	e, op := f(old, found)
	switch op {
	case tarn.ComputeStore:
		k.change(&e, !s.off.changesKeepLease)
		return e, true, nil
	case tarn.ComputeDelete:
		k.change(nil, true)
		return old, false, nil
	}
	return old, found, nil
}

func (s *looseStore) Lease(
	_ context.Context, keys []int, terms tarn.LeaseTerms, into []tarn.Lease[int],
) error {
	for i, key := range keys {
		k, now := s.at(key)
		into[i] = s.lease(k, now, terms)
		s.mu.Unlock()
	}
	return nil
}

func (s *looseStore) lease(k *looseKey, now ttl.Time, terms tarn.LeaseTerms) (l tarn.Lease[int]) {
	l.Entry, l.Found, _ = k.look(now)
	switch {
	case l.Found && !terms.Refresh:
		l.State = tarn.Hit
	case k.held() && s.off.leasesHeld:
		l.State, l.Token = tarn.Leased, heldToken
	case k.held():
		l.State = tarn.Held
	case k.lease != tarn.Token{}:
		l.State, l.Token = tarn.Leased, k.lease
	default:
		k.lease, k.until = s.token(), now.Add(terms.Life)
		if l.Found {
			k.lease[15] = renewal
		}
		l.State, l.Token = tarn.Granted, k.lease
		if terms.Stamp {
			l.Stamp = s.stamp()
		}
	}
	return l
}

// heldToken is what leasesHeld hands out.
var heldToken = tarn.Token{15: 1}

// renewal ends the tokens of leases that were taken over an entry.
const renewal = 2

func renews(t tarn.Token) bool { return t[15] == renewal }

func (r *looseRules) blindly(t tarn.Token) bool {
	return r.fillsBlindly || r.renewsBlindly && renews(t)
}

func (s *looseStore) Fill(_ context.Context, fills []tarn.Fill[int, int]) error {
	for i := range fills {
		f := &fills[i]
		k, _ := s.at(f.Key)
		stood := k.lease == f.Token
		if stood {
			k.lease = tarn.Token{}
		}
		if f.Stored = f.Store && (stood || s.off.blindly(f.Token) && !k.held()); f.Stored {
			k.put(s.stamped(&f.Entry, s.off.stampsAnew))
		}
		s.mu.Unlock()
	}
	return nil
}

func (s *looseStore) Stands(_ context.Context, keys []int, tokens []tarn.Token, into []bool) error {
	for i, key := range keys {
		k, _ := s.at(key)
		into[i] = k.lease == tokens[i] || s.off.standsAlways || tokens[i] == heldToken
		s.mu.Unlock()
	}
	return nil
}

func (s *looseStore) Hold(_ context.Context, keys []int, life time.Duration, tokens []tarn.Token) error {
	if s.off.holdsAreShort {
		life /= 10
	}
	for i, key := range keys {
		k, now := s.at(key)
		tokens[i] = s.token()
		if !s.off.holdsNothing {
			k.tainted = k.tainted || k.held()
			k.holds[tokens[i]] = now.Add(life)
			if !s.off.holdsKeepRenewal || !renews(k.lease) {
				k.lease = tarn.Token{}
			}
			if !s.off.holdsKeepValue {
				k.entry = nil
			}
		}
		s.mu.Unlock()
	}
	return nil
}

func (s *looseStore) Settle(_ context.Context, settlements []tarn.Settlement[int, int]) error {
	for i := range settlements {
		k, _ := s.at(settlements[i].Key)
		s.settle(k, &settlements[i])
		s.mu.Unlock()
	}
	return nil
}

func (s *looseStore) settle(k *looseKey, t *tarn.Settlement[int, int]) {
	_, mine := k.holds[t.Token]
	delete(k.holds, t.Token)
	switch {
	case k.held() && (mine || !s.off.settleWipes):
		k.tainted = true
	case !mine && s.off.settlesLazily:
	default:
		store := mine && t.Store && (!k.tainted || s.off.forgetsTaint)
		clear(k.holds)
		k.change(nil, true)
		if t.Stored = store; store {
			k.put(s.stamped(&t.Entry, s.off.settlesAnew))
		}
	}
}
