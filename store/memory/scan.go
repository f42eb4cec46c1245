package memory

import (
	"context"
	"iter"
	"math/bits"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/policy"
)

const scanChunk = 256 // entries copied before a scan lets writers at a segment

// Len returns the number of entries, remembered absences and what has expired but was not yet removed among them.
func (s *Store[K, V]) Len() int {
	if s.options.Weigh == nil {
		return int(s.taken.Load()) // an entry weighs 1
	}
	n := 0
	for i := range s.segments {
		g := &s.segments[i]
		g.mu.Lock()
		n += g.policy.Len() + g.absences()
		g.mu.Unlock()
	}
	return n
}

// Count returns what Len returns.
func (s *Store[K, V]) Count(context.Context) (int, error) {
	if s.closed.Load() {
		return 0, tarn.ErrClosed
	}
	return s.Len(), nil
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
		for i := range s.segments {
			more, err := s.scanSegment(ctx, &s.segments[i], yield)
			if failed = err; err != nil || !more {
				return
			}
		}
	}
	return seq, func() error { return failed }
}

// scanSegment iterates over one segment, and reports whether the loop goes on.
func (s *Store[K, V]) scanSegment(
	ctx context.Context, g *segment[K, V], yield func(K, tarn.Entry[V]) bool,
) (more bool, err error) {
	chunk := make([]*node[K, V], 0, scanChunk+scanChunk/4)
	for next := uint32(0); next < scanEnd; {
		chunk = chunk[:0]
		g.mu.Lock()
		if g.closed {
			g.mu.Unlock()
			return false, tarn.ErrClosed
		}
		for next < scanEnd && len(chunk) < scanChunk {
			chunk, next = g.table.scan(next, chunk)
		}
		g.mu.Unlock()
		if more, err := s.yieldChunk(ctx, g, chunk, yield); !more {
			return false, err
		}
	}
	return true, nil
}

// scanEnd is where a scan of a table ends: above all hashes, read from their lowest bit up.
const scanEnd = uint32(1) << policy.HashBits

func reversed(hash uint32) uint32 { return bits.Reverse32(hash) >> (32 - policy.HashBits) }

// scan appends the nodes of one bucket, and returns where to go on. It goes by the hashes read from their lowest bit
// up, as Redis's SCAN does (Noordhuis, 2012): of these a bucket has all between two, however many buckets there are, and
// one that is split or merged meanwhile still has those below next behind the scan and the others before it. So no node
// is met twice, and none is missed that stands all the while.
func (t *table[K, V]) scan(from uint32, into []*node[K, V]) (nodes []*node[K, V], next uint32) {
	buckets := t.buckets()
	i := geometryOf(buckets).bucket(reversed(from))
	width := bits.Len32(buckets - 1)
	if high := uint32(1) << (width - 1); i < high && i+high >= buckets {
		width-- // not yet split
	}
	for b := t.bucket(i); b != nil; b = b.next.Load() {
		b.each(func(_ int, n *node[K, V]) {
			if reversed(n.hash) >= from {
				into = append(into, n)
			}
		})
	}
	span := scanEnd >> width
	return into, from&^(span-1) + span
}

// yieldChunk hands the entries to the loop, and reports whether it goes on.
func (s *Store[K, V]) yieldChunk(
	ctx context.Context, g *segment[K, V], chunk []*node[K, V], yield func(K, tarn.Entry[V]) bool,
) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	for _, n := range chunk {
		value, seen := g.read(n)
		e := tarn.Entry[V]{Value: value, Fresh: seen.fresh, Expires: seen.expires, Negative: seen.negative()}
		e.Rescued = seen.rescued()
		if e.Expires|e.Fresh != 0 {
			now := s.clock.Now()
			if e.Expires.Passed(now) {
				continue
			}
			e.Stale = e.Fresh.Passed(now)
		}
		if seen.tagged() {
			t := n.tagged()
			if t.invalidated() {
				continue
			}
			e.Tags = t.tags
		}
		if !yield(n.key, e) {
			return false, nil
		}
	}
	return true, nil
}
