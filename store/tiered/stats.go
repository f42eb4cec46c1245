package tiered

import "sync/atomic"

// Stats are the counts of a Store since it was made. How often copies were hit, the near store counts.
type Stats struct {
	Kept    uint64 // copies that were made
	Refused uint64 // and those that were not: what was read changed meanwhile, trust was lost, or near keeps no tags
	Changed uint64 // keys that were told to have changed
	Tags    uint64 // tags that were told to have been invalidated
	Lost    uint64 // times that all copies were dropped, since changes were not told
}

type counts struct{ kept, refused, changed, tags, lost atomic.Uint64 }

// copied counts what became of a copy that was to be made, if there was anything to copy.
func (c *counts) copied(kept, found bool) {
	if kept {
		c.kept.Add(1)
	} else if found {
		c.refused.Add(1)
	}
}

// Stats returns the counts as they are now. They are not from one instant.
func (s *Store[K, V]) Stats() Stats {
	c := &s.counts
	return Stats{
		Kept: c.kept.Load(), Refused: c.refused.Load(), Changed: c.changed.Load(), Tags: c.tags.Load(), Lost: c.lost.Load(),
	}
}
