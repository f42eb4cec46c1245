package memory

import (
	"context"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// GetMany sets into[i] to what is stored under keys[i]. It allocates nothing and reads the clock once at most.
func (s *Store[K, V]) GetMany(_ context.Context, keys []K, into []tarn.Lookup[V]) error {
	if len(keys) != len(into) {
		return errLengths("get many", len(keys), len(into))
	}
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	hits, timed := 0, false
	for i, key := range keys {
		life := s.lookUp(key, &into[i])
		timed = timed || life
		if into[i].Found {
			hits++
		}
	}
	if timed { // the clock is read after all were looked up, so that none is returned that has expired by then
		hits -= dropExpired(into, s.clock.Now())
	}
	s.counts.add(hits, len(keys)-hits)
	return nil
}

// lookUp sets into to what is stored under key, expired or not, and reports whether it has a life.
func (s *Store[K, V]) lookUp(key K, into *tarn.Lookup[V]) (timed bool) {
	hash := s.hash(key)
	g := s.segment(hash)
	n := g.table.find(key, short(hash))
	if n == nil {
		*into = tarn.Lookup[V]{}
		return false
	}
	value, seen := g.read(n)
	into.Found = true
	into.Entry.Value, into.Entry.Stale = value, false
	into.Entry.Negative, into.Entry.Rescued = seen.negative(), seen.rescued()
	into.Entry.Fresh, into.Entry.Expires, into.Entry.Tags = seen.fresh, seen.expires, nil
	if seen.tagged() {
		t := n.tagged()
		if t.invalidated() {
			*into = tarn.Lookup[V]{}
			return false
		}
		into.Entry.Tags = t.tags
	}
	if n.marks.hit() {
		g.watched(n)
	}
	return seen.expires|seen.fresh != 0
}

// dropExpired empties the lookups of what has expired by now, says of the others which are stale, and returns how many
// it emptied.
func dropExpired[V any](lookups []tarn.Lookup[V], now ttl.Time) (expired int) {
	for i := range lookups {
		switch l := &lookups[i]; {
		case !l.Found:
		case l.Entry.Expires.Passed(now):
			*l = tarn.Lookup[V]{}
			expired++
		default:
			l.Entry.Stale = l.Entry.Fresh.Passed(now)
		}
	}
	return expired
}

// SetMany sets keys[i] to entries[i], each as Set does, one after the other.
func (s *Store[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	if len(keys) != len(entries) {
		return fmt.Errorf("memory: set many: %d keys, but %d entries", len(keys), len(entries))
	}
	if err := s.mayWrite(ctx); err != nil {
		return err
	}
	var errs tarn.IndexError
	for i, key := range keys {
		if err := s.setOne(ctx, key, &entries[i]); err != nil {
			if errs == nil {
				errs = make(tarn.IndexError, len(keys))
			}
			errs[i] = err
		}
	}
	if errs == nil {
		return nil
	}
	return errs
}

// DeleteMany deletes the keys, each as Delete does, one after the other.
func (s *Store[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	if err := s.mayWrite(ctx); err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.deleteOne(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// mayWrite says why a batch may not begin.
func (s *Store[K, V]) mayWrite(ctx context.Context) error {
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	return ctx.Err()
}
