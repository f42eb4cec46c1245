package tiered

import (
	"context"
	"errors"
	"time"

	"github.com/tarncache/tarn"
)

// Leases and holds are the far store's. That the keys of a hold have no copies in other processes is the far store's to
// tell; here they are dropped.

var errLeaseLife = errors.New("tiered: lease: LeaseTerms.Life is not positive")

// Lease answers a key from its copy, unless terms.Refresh asks for more, and asks the far store for the others. What
// that has stored is copied.
func (s *Store[K, V]) Lease(ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V]) error {
	switch {
	case terms.Life <= 0:
		return errLeaseLife
	case len(keys) != len(into):
		return errLengths("lease", len(keys), len(into))
	case s.closed.Load():
		return tarn.ErrClosed
	}
	word := s.trusted()
	if word == nil {
		return s.far.leaser.Lease(ctx, keys, terms, into)
	}
	if terms.Refresh {
		return s.leaseFar(ctx, keys, terms, into, word)
	}
	copies := make([]tarn.Lookup[V], len(keys))
	s.lookNear(ctx, keys, copies)
	left := missingOf(keys, copies)
	for i, l := range copies {
		if l.Found {
			into[i] = tarn.Lease[V]{State: tarn.Hit, Entry: l.Entry, Found: true}
		}
	}
	if len(left.keys) == 0 {
		return nil
	}
	leases := make([]tarn.Lease[V], len(left.keys))
	err := s.leaseFar(ctx, left.keys, terms, leases, word)
	for i, at := range left.at {
		if at >= 0 {
			into[i] = leases[at]
		}
	}
	return err
}

func (s *Store[K, V]) leaseFar(
	ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V], word *word,
) error {
	c := s.copying(ctx, keys, word, true)
	known := false
	defer c.keep(ctx, func(i int) (tarn.Entry[V], bool) { return into[i].Entry, known && into[i].Found })
	err := s.far.leaser.Lease(ctx, keys, terms, into)
	known = err == nil
	return err
}

// Fill ends leases in the far store, and keeps copies of what that has stored. The copy that a Fill has replaced is
// dropped.
func (s *Store[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) (err error) {
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	keys := make([]K, 0, len(fills))
	at := make([]int, 0, len(fills))
	for i := range fills {
		if fills[i].Store {
			keys, at = append(keys, fills[i].Key), append(at, i)
		}
	}
	if len(keys) == 0 {
		return s.far.leaser.Fill(ctx, fills)
	}
	word := s.trusted()
	c := change[K, V]{s: s, keys: distinct(keys), stamp: s.nearStamp(ctx, fills)}
	if len(c.keys) < len(keys) {
		word = nil // which of the entries of one key the far store has, it does not say
	}
	done := false
	defer func() {
		c.keep(ctx, word, func(i int) (tarn.Entry[V], bool) { f := &fills[at[i]]; return f.Entry, done && f.Stored })
	}()
	c.begin(ctx)
	err = s.far.leaser.Fill(ctx, fills)
	done = err == nil
	return err
}

// Stands asks the far store which leases stand.
func (s *Store[K, V]) Stands(ctx context.Context, keys []K, tokens []tarn.Token, into []bool) error {
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	return s.far.leaser.Stands(ctx, keys, tokens, into)
}

// Hold holds keys in the far store, and drops their copies.
func (s *Store[K, V]) Hold(ctx context.Context, keys []K, life time.Duration, tokens []tarn.Token) error {
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	return s.change(ctx, keys, func() error { return s.far.holder.Hold(ctx, keys, life, tokens) })
}

// Settle ends holds in the far store, and drops the copies of their keys before it returns.
func (s *Store[K, V]) Settle(ctx context.Context, settlements []tarn.Settlement[K, V]) error {
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	keys := make([]K, len(settlements))
	for i := range settlements {
		keys[i] = settlements[i].Key
	}
	return s.change(ctx, keys, func() error { return s.far.holder.Settle(ctx, settlements) })
}
