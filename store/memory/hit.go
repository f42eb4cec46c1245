package memory

// Hit returns the value of key if there is one that is fresh: what Get would return as an entry that is neither
// Negative nor Stale nor Rescued. A read that is no hit counts as none; see [tarn.Hitter].
func (s *Store[K, V]) Hit(key K) (value V, ok bool) {
	hash := s.hash(key)
	g := s.segment(hash)
	n := g.table.find(key, short(hash))
	if n == nil {
		return value, false
	}
	read, seen := g.read(n)
	if seen.flags != 0 && !n.isTaggedHit(seen) {
		return value, false
	}
	if seen.expires|seen.fresh != 0 {
		if now := s.clock.Now(); seen.expires.Passed(now) || seen.fresh.Passed(now) {
			return value, false
		}
	}
	if n.marks.hit() {
		g.watched(n)
	}
	s.counts.hit()
	return read, true
}

// isTaggedHit reports whether all that keeps a node from being a hit is that it has tags.
func (n *node[K, V]) isTaggedHit(seen seen) bool {
	return seen.flags == isTagged && !n.tagged().invalidated()
}

// watched tells the policy that an entry was hit which it watches, unless the segment is busy.
func (g *segment[K, V]) watched(hit *node[K, V]) {
	if !g.mu.TryLock() {
		return
	}
	if n := g.table.find(hit.key, hit.hash); n != nil {
		g.policyOf(n).Used(n.hash, n.place)
	}
	g.mu.Unlock()
}
