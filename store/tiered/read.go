package tiered

import (
	"context"

	"github.com/tarncache/tarn"
)

// Hit returns the value of key if there is a copy of it that is fresh. See [tarn.Hitter].
func (s *Store[K, V]) Hit(key K) (value V, ok bool) {
	switch {
	case s.near.gated != nil:
		return s.near.gated.Hit(key)
	case s.near.hitter == nil || s.trusted() == nil:
		return value, false
	}
	return s.near.hitter.Hit(key)
}

// Get returns the entry of key: the copy, if there is one and it is trusted, or else what the far store has, of which
// it keeps a copy.
func (s *Store[K, V]) Get(ctx context.Context, key K) (e tarn.Entry[V], found bool, err error) {
	word := s.trusted()
	if word == nil {
		return s.getFar(ctx, key)
	}
	if e, found, err := s.near.Get(ctx, key); err == nil && found {
		s.original(&e)
		return e, true, nil
	}
	return s.getBoth(ctx, key, word)
}

// getBoth is Get where there is no copy: it is apart because what it defers needs the results on the heap.
func (s *Store[K, V]) getBoth(ctx context.Context, key K, word *word) (e tarn.Entry[V], found bool, err error) {
	c := s.copying(ctx, []K{key}, word, false)
	if c.leases != nil && c.leases[0].State == tarn.Hit { // somebody else has just made one
		e = c.leases[0].Entry
		s.original(&e)
		return e, true, nil
	}
	defer c.keep(ctx, func(int) (tarn.Entry[V], bool) { return e, found && err == nil })
	return s.getFar(ctx, key)
}

func (s *Store[K, V]) getFar(ctx context.Context, key K) (tarn.Entry[V], bool, error) {
	if s.closed.Load() {
		return tarn.Entry[V]{}, false, tarn.ErrClosed
	}
	return s.far.Get(ctx, key)
}

// GetMany sets into[i] to the entry of keys[i]: the copies of those that have one, and the others in one read of the
// far store. If that fails, the copies are in into all the same.
func (s *Store[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Lookup[V]) error {
	switch {
	case len(keys) != len(into):
		return errLengths("get many", len(keys), len(into))
	case s.far.batch == nil:
		return errUnsupported("get many")
	case s.closed.Load():
		return tarn.ErrClosed
	}
	word := s.trusted()
	if word == nil {
		return s.far.batch.GetMany(ctx, keys, into)
	}
	s.lookNear(ctx, keys, into)
	missing := missingOf(keys, into)
	if len(missing.keys) == 0 {
		return nil
	}
	c := s.copying(ctx, missing.keys, word, false)
	got := make([]tarn.Lookup[V], len(missing.keys))
	found := false
	defer c.keep(ctx, func(i int) (tarn.Entry[V], bool) { return got[i].Entry, found && got[i].Found })
	if err := s.far.batch.GetMany(ctx, missing.keys, got); err != nil {
		return err
	}
	found = true
	for i, at := range missing.at {
		if at >= 0 {
			into[i] = got[at]
		}
	}
	return nil
}

// lookNear sets into[i] to the copy of keys[i], as an entry of the far store.
func (s *Store[K, V]) lookNear(ctx context.Context, keys []K, into []tarn.Lookup[V]) {
	if s.near.batch != nil {
		if s.near.batch.GetMany(ctx, keys, into) != nil {
			clear(into)
		}
	} else {
		for i, key := range keys {
			e, found, err := s.near.Get(ctx, key)
			into[i] = tarn.Lookup[V]{Entry: e, Found: found && err == nil}
		}
	}
	for i := range into {
		s.original(&into[i].Entry)
	}
}

// missing are the keys that have no copy, each once.
type missing[K comparable] struct {
	keys []K
	at   []int // for each key of the caller, its index in keys; -1: it has a copy
}

func missingOf[K comparable, V any](keys []K, copies []tarn.Lookup[V]) (m missing[K]) {
	n := 0
	for i := range copies {
		if !copies[i].Found {
			n++
		}
	}
	if n == 0 {
		return m
	}
	m.keys, m.at = make([]K, 0, n), make([]int, len(keys))
	index := make(map[K]int, n)
	for i, key := range keys {
		m.at[i] = -1
		if copies[i].Found {
			continue
		}
		at, known := index[key]
		if !known {
			at = len(m.keys)
			index[key] = at
			m.keys = append(m.keys, key)
		}
		m.at[i] = at
	}
	return m
}
