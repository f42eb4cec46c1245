package memory

import (
	"context"
	"sync/atomic"
)

// litter counts what was invalidated by a tag and is still in the store. Nobody finds it; so a sweep through the whole
// store removes it, once there is so much that the sweep costs little for each.
type litter struct {
	count atomic.Int64 // tags of nodes that were invalidated; nearly so, since stamps may be taken meanwhile
	most  atomic.Int64 // at which a sweep is due
	due   atomic.Bool
}

const (
	leastLitter = 1000 // tags of nodes for which a sweep is worth while
	litterShare = 4    // a sweep comes for as many of them as one in so many of the nodes that the last one left
)

// add counts tags of nodes that were invalidated, and reports whether a sweep is due from then on.
func (l *litter) add(tags int) (due bool) {
	return l.count.Add(int64(tags)) >= l.most.Load() && l.due.CompareAndSwap(false, true)
}

// swept says that a sweep has left so many nodes in the store.
func (l *litter) swept(nodes int) {
	l.most.Store(max(l.count.Load(), 0) + max(leastLitter, int64(nodes)/litterShare))
}

// sweepInvalidated removes what was invalidated.
func (s *Store[K, V]) sweepInvalidated() {
	chunks, nodes := 0, make([]*node[K, V], 0, sweepChunk+sweepChunk/4)
	for i := range s.segments {
		for next := uint32(0); next < scanEnd; {
			next = s.sweepInvalidatedSome(&s.segments[i], next, nodes)
			chunks = pauseSweep(chunks)
		}
	}
	s.tags.litter.swept(s.Len())
}

// sweepInvalidatedSome removes what was invalidated among a chunk of a segment's nodes, and returns where to go on.
func (s *Store[K, V]) sweepInvalidatedSome(g *segment[K, V], from uint32, nodes []*node[K, V]) (next uint32) {
	g.mu.Lock()
	for next = from; next < scanEnd && len(nodes) < sweepChunk; {
		nodes, next = g.table.scan(next, nodes)
	}
	for _, n := range nodes {
		if n.invalidated() {
			g.remove(n, Invalidated)
		}
	}
	c := g.unlock()

	defer s.contain()
	s.after(context.Background(), &c)
	return next
}
