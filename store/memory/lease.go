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
// has tags that are without a stamp or one of which was invalidated after it, or if one of Over was; that is no error, for
// whoever loaded the value can still use it. Stored is false then, and [Stats] counts what was refused. If Weigh or
// OnRemove panics, all of the leases end.
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
		if f.Store && isStamped(&f.Entry) {
			weight = s.weigh(f.Key, &f.Entry)
		}
		done++
		if err := s.fillOne(ctx, f, weight); err != nil {
			return err
		}
	}
	return nil
}

// giveBack ends a lease without a value, while a panic is on its way to the caller.
func (s *Store[K, V]) giveBack(ctx context.Context, f tarn.Fill[K, V]) {
	defer s.contain()
	f.Store = false
	_ = s.fillOne(ctx, &f, 0)
}

func (s *Store[K, V]) fillOne(ctx context.Context, f *tarn.Fill[K, V], weight int64) error {
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
	case s.outdated(f.Over):
		g.empty(f.Key, short(hash), Replaced)
	default:
		f.Stored = g.putLoaded(f.Key, short(hash), &f.Entry, weight)
	}
	c := g.unlock()
	s.after(ctx, &c)
	return nil
}

// putLoaded is put for what was read from the source, or written to it. What is not stamped leaves the key empty.
func (g *segment[K, V]) putLoaded(key K, hash uint32, e *tarn.Entry[V], weight int64) (stored bool) {
	if !isStamped(e) {
		g.empty(key, hash, Replaced)
		return false
	}
	stored, _ = g.put(key, hash, e, weight, nil)
	return stored
}

// isStamped reports whether the tags of an entry, if it has any, are of a moment before its source was read or written.
func isStamped[V any](e *tarn.Entry[V]) bool { return e.Tags == nil || e.Tags.Stamp() != 0 }

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
