package memory

import (
	"context"
	"fmt"

	"github.com/tarncache/tarn"
)

const resizeChunk = 100 // entries a Resize evicts before it lets others at the segment

// Resize changes the bound that the store was made with, MaxEntries or MaxWeight, and evicts what is above it
// before it returns. A bound that is not positive is an error and changes nothing.
func (s *Store[K, V]) Resize(bound int64) error {
	if bound <= 0 {
		return fmt.Errorf("memory: resize: the bound is not positive: %d", bound)
	}
	s.resizing.Lock()
	defer s.resizing.Unlock()
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	s.setBound(bound)
	for s.taken.Load() > bound {
		for i := range s.segments {
			if err := s.resizeSome(&s.segments[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// setBound changes the bound while nobody takes of it: a segment that is locked may go by one bound throughout.
func (s *Store[K, V]) setBound(bound int64) {
	s.lockAll()
	s.bound.Store(bound)
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
	for n := resizeChunk; n > 0 && s.taken.Load() > bound && g.policy.Weight() > share && g.policy.EvictOne(); n-- {
		g.giveBack()
	}
	c := g.unlock()
	s.after(context.Background(), &c)
	return nil
}
