package memory

import (
	"context"
	"fmt"

	"github.com/tarncache/tarn"
)

const resizeChunk = 100 // entries a Resize evicts before it lets others at the segment

// Resize changes the bound that the store was made with, MaxEntries or MaxWeight, and evicts what is above it
// before it returns. After a Resize to much less the store holds about as much memory as a new one. A bound that is not
// positive is an error and changes nothing.
func (s *Store[K, V]) Resize(bound int64) error {
	if bound <= 0 {
		return fmt.Errorf("memory: resize: the bound is not positive: %d", bound)
	}
	s.resizing.Lock()
	defer s.resizing.Unlock()
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	before := s.bound.Load()
	s.setBound(bound)
	for s.excessive() {
		for i := range s.segments {
			if err := s.resizeSome(&s.segments[i]); err != nil {
				return err
			}
		}
	}
	if bound < before {
		for i := range s.segments {
			for more := true; more; {
				more = s.segments[i].slim()
			}
		}
	}
	return nil
}

// slim gives back some of the memory that a segment needed under a larger bound, and reports whether there is more.
func (g *segment[K, V]) slim() (more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.table.trim()
	entries := 0 // of those that are weighed nobody knows how many there will be
	if g.store.options.Weigh == nil {
		entries = int(g.store.bound.Load()) / len(g.store.segments)
	}
	if g.absent != nil {
		more = g.absent.Shrink(int(g.store.absences.bound.Load()) / len(g.store.segments))
	}
	return g.policy.Shrink(entries) || more
}

// setBound changes the bound while nobody takes of it: a segment that is locked may go by one bound throughout.
func (s *Store[K, V]) setBound(bound int64) {
	s.lockAll()
	s.setBounds(bound)
	for i := range s.segments {
		s.segments[i].mu.Unlock()
	}
}

// resizeSome evicts what a segment has above an equal share of the bound, while all together have too much, but no more
// than a chunk. So the segments are alike afterwards, as they are when a store fills up.
func (s *Store[K, V]) resizeSome(g *segment[K, V]) error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return tarn.ErrClosed
	}
	bound := s.bound.Load()
	share := uint64(bound) / uint64(len(s.segments))
	few := int(s.absences.bound.Load()) / len(s.segments)
	for n := resizeChunk; n > 0; n-- {
		switch {
		case s.excessiveAbsences() && g.absences() > few && g.evictAbsence():
		case s.taken.Load() > bound && g.weight() > share && (g.policy.EvictOne() || g.evictAbsence()):
		default:
			n = 0
		}
		g.giveBack()
	}
	c := g.unlock()
	s.after(context.Background(), &c)
	return nil
}
