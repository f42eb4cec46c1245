package strategies

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/guard"
	"github.com/tarncache/tarn/ttl"
)

// guarded returns the store with its own leases and holds, or with a table in this process that stands in for
// them.
func guarded[K comparable, V any](store tarn.Store[K, V]) (tarn.Store[K, V], tarn.Leaser[K, V], tarn.Holder[K, V]) {
	leaser, leases := tarn.LeaserOf(store)
	holder, holds := tarn.HolderOf(store)
	if leases && holds {
		return store, leaser, holder
	}
	s := &standIn[K, V]{
		store:   store,
		clock:   ttl.NewClock(),
		locks:   newKeyLocks[K](),
		records: make(map[K]*guard.Record),
	}
	s.batch, _ = tarn.As[tarn.BatchStore[K, V]](store)
	s.adder, _ = tarn.As[tarn.Adder[K, V]](store)
	s.toucher, _ = tarn.As[tarn.Toucher[K, V]](store)
	s.tagger, _ = tarn.As[tarn.Tagger](store)
	return s, s, s
}

// standIn gives leases and holds to a store that has none. They live in this process, so what they promise reaches
// as far as everybody goes through this one value: a second strategy on the same store does not.
//
// One operation at a time changes a key, so that whether a lease stands and what is then stored are one step. A
// store operation that fails may still take effect later; the stand-in cannot know.
type standIn[K comparable, V any] struct {
	store   tarn.Store[K, V]
	batch   tarn.BatchStore[K, V] // nil: none
	adder   tarn.Adder[K, V]      // nil: none
	toucher tarn.Toucher[K, V]    // nil: none
	tagger  tarn.Tagger           // nil: none
	clock   ttl.Clock
	tokens  guard.Tokens
	locks   *keyLocks[K] // who has a key's lock may change it

	mu      sync.Mutex // protects records and what they point to; held for no store operation
	records map[K]*guard.Record
	sweepAt int // how many records there may be before idle ones are swept
}

// As answers for what the store cannot do by itself and for what must not pass the stand-in by.
func (s *standIn[K, V]) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Leaser[K, V]:
		*t = s
	case *tarn.Holder[K, V]:
		*t = s
	case *tarn.BatchStore[K, V]:
		if s.batch == nil {
			return false
		}
		*t = s
	case *tarn.Adder[K, V]:
		if s.adder == nil {
			return false
		}
		*t = s
	case *tarn.Toucher[K, V]:
		if s.toucher == nil {
			return false
		}
		*t = s
	case *tarn.Tagger:
		*t = s.tagger
		return s.tagger != nil
	default:
		return false
	}
	return true
}

// record calls f with the record of key, which is kept if something goes on at the key afterwards.
func (s *standIn[K, V]) record(key K, f func(r *guard.Record, now ttl.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, kept := s.records[key]
	if !kept {
		r = new(guard.Record)
	}
	now := s.clock.Now()
	f(r, now)
	switch idle := r.Idle(now); {
	case idle && kept:
		delete(s.records, key)
	case !idle && !kept && key == key:
		s.sweep(now)
		s.records[key] = r
	}
}

// sweep drops the records of leases and holds that ended by themselves, when there are twice as many as were left
// the last time, so that what a record costs stays the same however many there are.
func (s *standIn[K, V]) sweep(now ttl.Time) {
	if len(s.records) < max(s.sweepAt, 1024) {
		return
	}
	for key, r := range s.records {
		if r.Idle(now) {
			delete(s.records, key)
		}
	}
	s.sweepAt = 2 * len(s.records)
}

// change runs a store operation that changes key, also while it is held if evenHeld, and reports whether it did.
func (s *standIn[K, V]) change(ctx context.Context, key K, evenHeld bool, f func() error) (ran bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	h := s.locks.hash(key)
	if err := s.locks.lock(ctx, h); err != nil {
		return false, err
	}
	defer s.locks.unlock(h)
	s.record(key, func(r *guard.Record, now ttl.Time) {
		if ran = evenHeld || !r.Held(now); ran {
			r.Change()
		}
	})
	if !ran {
		return false, nil
	}
	return true, f()
}

func (s *standIn[K, V]) Get(ctx context.Context, key K) (tarn.Entry[V], bool, error) {
	return s.store.Get(ctx, key)
}

func (s *standIn[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Lookup[V]) error {
	return s.batch.GetMany(ctx, keys, into)
}

func (s *standIn[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	ran, err := s.change(ctx, key, false, func() error { return s.store.Set(ctx, key, e) })
	if err == nil && !ran {
		return tarn.ErrHeld
	}
	return err
}

func (s *standIn[K, V]) Delete(ctx context.Context, key K) error {
	_, err := s.change(ctx, key, true, func() error { return s.store.Delete(ctx, key) })
	return err
}

// SetMany sets the keys one by one: each is checked and set in one step.
func (s *standIn[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	if err := sameLength(len(keys), len(entries)); err != nil {
		return err
	}
	return eachOf(len(keys), func(i int) error { return s.Set(ctx, keys[i], entries[i]) })
}

func (s *standIn[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	return eachOf(len(keys), func(i int) error { return s.Delete(ctx, keys[i]) })
}

func (s *standIn[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	_, err = s.change(ctx, key, false, func() error {
		added, err = s.adder.Add(ctx, key, e)
		return err
	})
	return added, err
}

func (s *standIn[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	_, err = s.change(ctx, key, false, func() error {
		touched, err = s.toucher.Touch(ctx, key, expires)
		return err
	})
	return touched, err
}

func (s *standIn[K, V]) Lease(ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V]) error {
	return eachOf(len(keys), func(i int) error {
		h := s.locks.hash(keys[i])
		if err := s.locks.lock(ctx, h); err != nil {
			return err
		}
		defer s.locks.unlock(h)
		e, found, err := s.store.Get(ctx, keys[i])
		if err != nil {
			return err
		}
		if into[i] = (tarn.Lease[V]{State: tarn.Hit, Entry: e, Found: found}); found && !terms.Refresh {
			return nil
		}
		if terms.Stamp && s.tagger != nil {
			if into[i].Stamp, err = s.tagger.Stamp(ctx); err != nil {
				return err
			}
		}
		s.record(keys[i], func(r *guard.Record, now ttl.Time) {
			into[i].State, into[i].Token = r.Lease(s.tokens.Next(), now, now.Add(terms.Life))
		})
		return nil
	})
}

func (s *standIn[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	return eachOf(len(fills), func(i int) error {
		f := &fills[i]
		h := s.locks.hash(f.Key)
		if err := s.locks.lock(ctx, h); err != nil {
			return err
		}
		defer s.locks.unlock(h)
		stood := false
		s.record(f.Key, func(r *guard.Record, now ttl.Time) { stood = r.EndLease(f.Token, now) })
		if !stood || !f.Store || unstamped(&f.Entry) {
			return nil
		}
		if f.Over != nil && s.tagger != nil {
			return s.fillOver(ctx, f)
		}
		err := s.store.Set(ctx, f.Key, f.Entry)
		f.Stored = err == nil
		return err
	})
}

// fillOver stores an entry in the place of one with tags, unless one of these was invalidated. Of what is invalidated while
// the entry is being stored nobody can tell whether it is one of them, so then the key is emptied.
func (s *standIn[K, V]) fillOver(ctx context.Context, f *tarn.Fill[K, V]) error {
	before, err := s.tagger.Stamp(ctx)
	if err != nil {
		return err
	}
	e, found, err := s.store.Get(ctx, f.Key)
	if err != nil || !found || e.Tags.Stamp() != f.Over.Stamp() {
		return err
	}
	if err := s.store.Set(ctx, f.Key, f.Entry); err != nil {
		return err
	}
	after, err := s.tagger.Stamp(ctx)
	if f.Stored = err == nil && after == before; f.Stored {
		return nil
	}
	return errors.Join(err, s.store.Delete(context.WithoutCancel(ctx), f.Key))
}

func (s *standIn[K, V]) Stands(_ context.Context, keys []K, tokens []tarn.Token, into []bool) error {
	for i := range keys {
		s.record(keys[i], func(r *guard.Record, now ttl.Time) { into[i] = r.Stands(tokens[i], now) })
	}
	return nil
}

// Hold deletes the value first: a hold that ends by itself must leave an empty key behind.
func (s *standIn[K, V]) Hold(ctx context.Context, keys []K, life time.Duration, tokens []tarn.Token) error {
	n := 0
	defer func() {
		if n < len(keys) { // also if the store panicked, or a key cannot be compared
			s.unhold(keys[:n], tokens)
		}
	}()
	for ; n < len(keys); n++ {
		if err := s.holdOne(ctx, keys[n], life, &tokens[n]); err != nil {
			return err
		}
	}
	return nil
}

func (s *standIn[K, V]) holdOne(ctx context.Context, key K, life time.Duration, token *tarn.Token) error {
	h := s.locks.hash(key)
	if err := s.locks.lock(ctx, h); err != nil {
		return err
	}
	defer s.locks.unlock(h)
	*token = s.tokens.Next()
	ok := false
	s.record(key, func(r *guard.Record, now ttl.Time) { ok = r.Hold(*token, now, now.Add(life)) })
	if !ok {
		return tarn.ErrTooManyHolds
	}
	deleted := false
	defer func() {
		if !deleted { // also if the store panicked
			s.unhold([]K{key}, []tarn.Token{*token})
		}
	}()
	err := s.store.Delete(ctx, key)
	deleted = err == nil
	return err
}

// unhold takes holds back before anything was written under them.
func (s *standIn[K, V]) unhold(keys []K, tokens []tarn.Token) {
	for i, key := range keys {
		s.record(key, func(r *guard.Record, now ttl.Time) { r.Settle(tokens[i], now) })
	}
}

func (s *standIn[K, V]) Settle(ctx context.Context, settlements []tarn.Settlement[K, V]) error {
	return eachOf(len(settlements), func(i int) error {
		st := &settlements[i]
		h := s.locks.hash(st.Key)
		if err := s.locks.lock(ctx, h); err != nil {
			return err
		}
		defer s.locks.unlock(h)
		var verdict guard.Verdict
		s.record(st.Key, func(r *guard.Record, now ttl.Time) { verdict = r.Settle(st.Token, now) })
		switch {
		case verdict == guard.Leave:
			return nil
		case verdict == guard.Store && st.Store:
			err := s.store.Set(ctx, st.Key, st.Entry)
			st.Stored = err == nil
			return err
		}
		return s.store.Delete(ctx, st.Key)
	})
}

// unstamped reports whether an entry has tags, and no moment as of which they hold: nobody knows what was invalidated since
// its source was read.
func unstamped[V any](e *tarn.Entry[V]) bool { return e.Tags != nil && e.Tags.Stamp() == 0 }
