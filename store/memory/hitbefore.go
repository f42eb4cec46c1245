package memory

import "github.com/tarncache/tarn/ttl"

// HitBefore is Hit as long as until has not passed by the store's clock, and says nothing from then on. It reads the
// clock once, for the entry and for until, or not at all where neither ends: a zero until is no end, nor is [ttl.End].
//
// It is for who answers from this store what somebody has vouched for until then, as package store/tiered does.
func (s *Store[K, V]) HitBefore(key K, until ttl.Time) (value V, ok bool) {
	hash := s.hash(key)
	g := s.segment(hash)
	n := g.table.find(key, short(hash))
	if n == nil {
		return value, false
	}
	read, seen := g.read(n)
	if seen.negative {
		return value, false
	}
	if seen.expires|seen.fresh != 0 || until != 0 && until != ttl.End {
		now := s.clock.Now()
		if until.Passed(now) || seen.expires.Passed(now) || seen.fresh.Passed(now) {
			return value, false
		}
	}
	if n.marks.hit() {
		g.watched(n)
	}
	s.counts.hit()
	return read, true
}
