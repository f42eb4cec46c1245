package memory

// Hit returns the value of key if there is one that is fresh: what Get would return as an entry that is neither
// Negative nor Stale. A read that is no hit counts as none; see [tarn.Hitter].
func (s *Store[K, V]) Hit(key K) (value V, ok bool) {
	sh := s.shard(s.hash(key))
	sh.mu.RLock()
	n := sh.nodes[key]
	if n == nil || n.entry.Negative {
		sh.mu.RUnlock()
		return value, false
	}
	value = n.entry.Value
	expires, fresh := n.entry.Expires, n.entry.Fresh
	sh.mu.RUnlock()
	if expires|fresh != 0 {
		if now := s.clock.Now(); expires.Passed(now) || fresh.Passed(now) {
			var none V
			return none, false
		}
	}
	n.marks.hit()
	sh.hits.Add(1)
	return value, true
}
