package memory

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
)

// held reports whether a writer holds key. The caller has mu.
func (g *segment[K, V]) held(key K) bool {
	r := g.records.find(key)
	return r != nil && r.Held(g.now())
}

// changed voids the lease on key and taints its holds. The caller has mu.
func (g *segment[K, V]) changed(key K) {
	if r := g.records.find(key); r != nil {
		r.Change()
		g.records.tidy(r, g.now())
	}
}

var (
	errLeaseLife = errors.New("memory: lease: LeaseTerms.Life is not positive")
	errHoldLife  = errors.New("memory: hold: life is not positive")
)

// errLengths says that two slices of a batch do not go together.
func errLengths(op string, keys, others int) error {
	return fmt.Errorf("memory: %s: %d keys, but %d places for the results", op, keys, others)
}

// Lease looks keys up, and takes a lease on each that has no entry, or on each at all if terms.Refresh says so.
// If ctx is cancelled it still answers where every key is a hit. Where it returns an error, what it took before
// ends by itself after terms.Life.
func (s *Store[K, V]) Lease(
	ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V],
) error {
	switch {
	case terms.Life <= 0:
		return errLeaseLife
	case len(keys) != len(into):
		return errLengths("lease", len(keys), len(into))
	}
	if err := ctx.Err(); err != nil {
		return s.leaseHits(err, keys, terms, into)
	}
	var stamp tarn.Stamp
	if terms.Stamp {
		stamp = s.tags.stamp()
	}
	for i, key := range keys {
		hash := s.hash(key)
		g := s.lock(hash)
		if g.closed {
			g.mu.Unlock()
			return tarn.ErrClosed
		}
		into[i] = g.lease(key, short(hash), terms)
		g.unlock()
		if into[i].State == tarn.Granted {
			into[i].Stamp = stamp
		}
	}
	return nil
}

// lease leases one key. The caller has mu.
func (g *segment[K, V]) lease(key K, hash uint32, terms tarn.LeaseTerms) (l tarn.Lease[V]) {
	if n := g.live(key, hash); n != nil {
		if n.marks.hit() {
			g.policyOf(n).Used(n.hash, n.place)
		}
		l.Entry, l.Found = g.entryOf(n), true
		if !terms.Refresh {
			l.State = tarn.Hit
			return l
		}
	}
	token := g.store.tokens.Next()
	if !storable(key) {
		l.State, l.Token = tarn.Granted, token // a lease that never stands
		return l
	}
	now := g.now()
	r := g.records.take(key, now)
	l.State, l.Token = r.Lease(token, now, now.Add(terms.Life))
	return l
}

// leaseHits answers a Lease that may take none: if every key is a hit, and with err otherwise.
func (s *Store[K, V]) leaseHits(err error, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V]) error {
	if terms.Refresh {
		return err
	}
	for i, key := range keys {
		hash := s.hash(key)
		g := s.lock(hash)
		n := g.live(key, short(hash))
		if n != nil {
			into[i] = tarn.Lease[V]{State: tarn.Hit, Entry: g.entryOf(n), Found: true}
		}
		g.unlock()
		if n == nil {
			return err
		}
	}
	return nil
}

// Stands reports for each lease whether it still stands. It does not look at ctx, since it neither waits nor
// writes.
func (s *Store[K, V]) Stands(_ context.Context, keys []K, tokens []tarn.Token, into []bool) error {
	if len(keys) != len(tokens) || len(keys) != len(into) {
		return errLengths("stands", len(keys), min(len(tokens), len(into)))
	}
	for i, key := range keys {
		g := s.lock(s.hash(key)) // a key that cannot be compared panics here, with nothing locked
		if g.closed {
			g.mu.Unlock()
			return tarn.ErrClosed
		}
		r := g.records.find(key)
		into[i] = r != nil && r.Stands(tokens[i], g.now())
		g.unlock()
	}
	return nil
}

// Fill ends leases and stores entries where they stood. An entry leaves its key empty if it is too heavy, has expired, or
// has tags one of which was invalidated after their stamp, or that have none, or one that is not of this store; or if it
// is so with the tags of Over. That is no error, for whoever loaded the value can still use it. Stored is false then, and
// [Stats] counts what was refused. If Weigh or OnRemove panics, all of the leases end.
func (s *Store[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := 0
	defer func() {
		for _, f := range fills[done:] { // a panic left them
			s.giveBack(ctx, f)
		}
	}()
	for i := range fills {
		f := &fills[i]
		f.Stored = false
		var weight int64
		stamped := s.isStamped(f.Entry.Tags) && s.isStamped(f.Over)
		if f.Store && stamped {
			weight = s.weigh(f.Key, &f.Entry)
		}
		done++
		if err := s.fillOne(ctx, f, weight, stamped); err != nil {
			return err
		}
	}
	return nil
}

// giveBack ends a lease without a value, while a panic is on its way to the caller.
func (s *Store[K, V]) giveBack(ctx context.Context, f tarn.Fill[K, V]) {
	defer s.contain()
	f.Store = false
	_ = s.fillOne(ctx, &f, 0, false)
}

// fillOne ends a lease. What is not stamped was not weighed.
func (s *Store[K, V]) fillOne(ctx context.Context, f *tarn.Fill[K, V], weight int64, stamped bool) error {
	hash := s.hash(f.Key)
	g := s.lockToStore(hash, weight, func(g *segment[K, V]) bool {
		r := g.records.find(f.Key)
		return r != nil && r.Stands(f.Token, g.now()) && !g.gone(&f.Entry) && !s.outdated(f.Over)
	})
	if g.closed {
		g.mu.Unlock()
		return tarn.ErrClosed
	}
	switch {
	case !g.endLease(f.Key, f.Token) || !f.Store:
	case !stamped || s.outdated(f.Over):
		g.empty(f.Key, short(hash), Replaced)
	default:
		f.Stored, _ = g.put(f.Key, short(hash), &f.Entry, weight, nil)
	}
	c := g.unlock()
	s.after(ctx, &c)
	return nil
}

// isStamped reports whether tags that entries have, if there are any, are of a moment of this store.
func (s *Store[K, V]) isStamped(tags *tarn.Tags) bool {
	return tags == nil || s.tags.knows(tags.Stamp())
}

// endLease ends a lease and reports whether it stood. The caller has mu.
func (g *segment[K, V]) endLease(key K, token tarn.Token) bool {
	r := g.records.find(key)
	if r == nil {
		return false
	}
	stood := r.EndLease(token, g.now())
	g.records.tidy(r, g.now())
	return stood
}
