package memory

// Stats are the counts of a store since it was made, and its size.
type Stats struct {
	// Hits are the reads by Get, GetMany, Value and Hit that found an entry, which may be stale: a strategy may load it yet.
	// Misses are those that did not, but for Hit, after which the caller asks Get. Both are 0 without Options.CountReads.
	Hits, Misses uint64

	Evictions   uint64 // entries that made room for others
	Expirations uint64 // entries removed after their lives
	Refused     uint64 // entries refused as too heavy, or for a negative weight

	Entries   int   // as of Len
	Negatives int   // those of them that are remembered absences
	Weight    int64 // the sum of the entries' weights; without Weigh each weighs 1
	Bound     int64 // the bound in force: MaxEntries or MaxWeight, or what Resize has made of it
}

// Stats returns the counts as they are now. They are not from one instant.
func (s *Store[K, V]) Stats() Stats {
	stats := Stats{Bound: s.bound.Load()}
	for i := range s.segments {
		g := &s.segments[i]
		g.mu.Lock()
		stats.Evictions += g.evictions
		stats.Expirations += g.expirations
		stats.Refused += g.refused
		g.mu.Unlock()
	}
	stats.Entries, stats.Negatives, stats.Weight = s.Len(), int(s.absences.taken.Load()), s.taken.Load()
	stats.Hits, stats.Misses = s.counts.sum()
	return stats
}
