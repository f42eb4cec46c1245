package memory

import (
	"context"
	"iter"

	"github.com/tarncache/tarn"
)

const scanChunk = 256 // entries copied before a scan lets writers at a shard

// Len returns the number of entries, remembered absences and what has expired but was not yet removed among them.
func (s *Store[K, V]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy.len()
}

// Count returns what Len returns.
func (s *Store[K, V]) Count(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, tarn.ErrClosed
	}
	return s.policy.len(), nil
}

// All iterates over the keys and values, in no order, as Scan does; remembered absences are left out. The body of
// the loop may use the store as it likes.
func (s *Store[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		entries, _ := s.Scan(context.Background())
		for key, e := range entries {
			if !e.Negative && !yield(key, e.Value) {
				return
			}
		}
	}
}

// Scan iterates over the entries, in no order. No lock is held while the body of the loop runs. An entry that
// stands all the while is seen; one that is written or removed meanwhile may be seen as it was, as it is, or not
// at all; no key is seen twice. The scan ends with the error of ctx when that is cancelled, and with
// [tarn.ErrClosed] when the store is closed.
func (s *Store[K, V]) Scan(ctx context.Context) (iter.Seq2[K, tarn.Entry[V]], func() error) {
	var failed error
	seq := func(yield func(K, tarn.Entry[V]) bool) {
		failed = nil
		born := s.births.Load() // what comes later is left out: it may be a key that was seen, and removed
		for i := range s.shards {
			more, err := s.scanShard(ctx, &s.shards[i], born, yield)
			if failed = err; err != nil || !more {
				return
			}
		}
	}
	return seq, func() error { return failed }
}

// scanShard iterates over one shard, and reports whether the loop goes on. A Go map may change between the steps
// of an iteration, so the lock is let go of while the entries of a chunk are yielded.
func (s *Store[K, V]) scanShard(
	ctx context.Context, sh *shard[K, V], born uint64, yield func(K, tarn.Entry[V]) bool,
) (more bool, err error) {
	chunk := make([]sighting[K, V], 0, scanChunk)
	locked := true
	sh.mu.RLock()
	defer func() {
		if locked {
			sh.mu.RUnlock()
		}
	}()
	if sh.closed {
		return false, tarn.ErrClosed
	}
	clears := sh.clears
	for key, n := range sh.nodes {
		if n.born <= born {
			chunk = append(chunk, sighting[K, V]{key, n.entry})
		}
		if len(chunk) < scanChunk {
			continue
		}
		locked = false
		sh.mu.RUnlock()
		if more, err := s.yieldChunk(ctx, chunk, yield); !more {
			return false, err
		}
		chunk = chunk[:0]
		sh.mu.RLock()
		locked = true
		switch {
		case sh.closed:
			return false, tarn.ErrClosed
		case sh.clears != clears:
			return true, nil
		}
	}
	locked = false
	sh.mu.RUnlock()
	return s.yieldChunk(ctx, chunk, yield)
}

// sighting is an entry that a scan copied.
type sighting[K comparable, V any] struct {
	key   K
	entry tarn.Entry[V]
}

// yieldChunk hands the entries to the loop, and reports whether it goes on.
func (s *Store[K, V]) yieldChunk(
	ctx context.Context, chunk []sighting[K, V], yield func(K, tarn.Entry[V]) bool,
) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	for _, seen := range chunk {
		e := seen.entry
		if e.Expires|e.Fresh != 0 {
			now := s.clock.Now()
			if e.Expires.Passed(now) {
				continue
			}
			e.Stale = e.Fresh.Passed(now)
		}
		if !yield(seen.key, e) {
			return false, nil
		}
	}
	return true, nil
}
