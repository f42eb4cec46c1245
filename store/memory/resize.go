package memory

import (
	"context"
	"fmt"

	"github.com/tarncache/tarn"
)

const resizeChunk = 100 // entries a Resize evicts before it lets others at the store

// Resize changes the bound that the store was made with, MaxEntries or MaxWeight, and evicts what is above it
// before it returns. A bound that is not positive is an error and changes nothing.
func (s *Store[K, V]) Resize(bound int64) error {
	if bound <= 0 {
		return fmt.Errorf("memory: resize: the bound is not positive: %d", bound)
	}
	s.resizing.Lock()
	defer s.resizing.Unlock()
	for {
		done, err := s.resizeSome(bound)
		if done || err != nil {
			return err
		}
	}
}

// resizeSome does a part of a Resize and reports whether it was the last.
func (s *Store[K, V]) resizeSome(bound int64) (done bool, err error) {
	var c change[K, V]
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false, tarn.ErrClosed
	}
	s.bound = bound
	done = s.policy.resize(bound, resizeChunk)
	s.dropEvicted(&c)
	s.mu.Unlock()
	s.after(context.Background(), &c)
	return done, nil
}
