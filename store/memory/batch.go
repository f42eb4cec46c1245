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
	var timed bool
	for i, key := range keys {
		hash := s.hash(key)
		g := s.segment(hash)
		n := g.table.find(key, short(hash))
		if n == nil {
			into[i] = tarn.Lookup[V]{}
			continue
		}
		value, seen := g.read(n)
		l := &into[i]
		l.Found = true
		l.Entry.Value, l.Entry.Negative, l.Entry.Stale = value, seen.negative, false
		l.Entry.Fresh, l.Entry.Expires = seen.fresh, seen.expires
		if n.marks.hit() {
			g.watched(n)
		}
		timed = timed || seen.expires|seen.fresh != 0
	}
	var now ttl.Time
	if timed {
		now = s.clock.Now() // after all were looked up, so that none is returned that has expired by then
	}
	hits := uint64(0)
	for i := range into {
		l := &into[i]
		switch {
		case !l.Found:
		case timed && l.Entry.Expires.Passed(now):
			*l = tarn.Lookup[V]{}
		default:
			l.Entry.Stale = timed && l.Entry.Fresh.Passed(now)
			hits++
		}
	}
	count := s.counts.own()
	count.hits.Add(hits)
	count.misses.Add(uint64(len(keys)) - hits)
	return nil
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
