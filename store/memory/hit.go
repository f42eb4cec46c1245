package memory

// Hit returns the value of key if there is one that is fresh: what Get would return as an entry that is neither
// Negative nor Stale. A read that is no hit counts as none; see [tarn.Hitter].
func (s *Store[K, V]) Hit(key K) (value V, ok bool) {
	hash := s.hash(key)
	g := s.segment(hash)
	n := g.table.find(key, short(hash))
	if n == nil || n.negative() {
		return value, false
	}
	if n.isTimed() {
		t := n.timed()
		if now := s.clock.Now(); t.expires().Passed(now) || t.fresh.Passed(now) {
			return value, false
		}
	}
	if n.marks.hit() {
		g.watched(n)
	}
	s.counts.hit()
	return n.value, true
}

// watched tells the policy that an entry was hit which it watches, unless the segment is busy.
func (g *segment[K, V]) watched(hit *node[K, V]) {
	if !g.mu.TryLock() {
		return
	}
	if n := g.table.find(hit.key, hit.hash); n != nil {
		g.policy.Used(n.hash, n.place)
	}
	g.mu.Unlock()
}
