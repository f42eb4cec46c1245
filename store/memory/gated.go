package memory

import (
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Gated returns a Hitter that answers as the Store's Hit does, but only before an instant of the store's clock that until
// returns at each call: 0 is never, [ttl.End] always. It reads the clock once, for the entry and for that instant, or not
// at all where neither ends. until is quick, and may be called by any number of goroutines at once.
//
// It is for who answers from this store what somebody has vouched for until then, as package store/tiered does.
func (s *Store[K, V]) Gated(until func() ttl.Time) tarn.Hitter[K, V] {
	return &gated[K, V]{s, until}
}

type gated[K comparable, V any] struct {
	store *Store[K, V]
	until func() ttl.Time
}

// Hit is the Store's once more, and not a call of it: a value of many words is copied by each function that it passes.
func (g *gated[K, V]) Hit(key K) (value V, ok bool) {
	s, until := g.store, g.until()
	if until == 0 {
		return value, false
	}
	hash := s.hash(key)
	segment := s.segment(hash)
	n := segment.table.find(key, short(hash))
	if n == nil {
		return value, false
	}
	read, seen := segment.read(n)
	if seen.flags != 0 && !n.isTaggedHit(seen) {
		return value, false
	}
	if seen.expires|seen.fresh != 0 || until != ttl.End {
		now := s.clock.Now()
		if until.Passed(now) || seen.expires.Passed(now) || seen.fresh.Passed(now) {
			return value, false
		}
	}
	if n.marks.hit() {
		segment.watched(n)
	}
	s.counts.hit()
	return read, true
}
