package memory

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn/ttl"
)

// litter counts what was invalidated by a tag and is still in the store. Nobody finds it; so a sweep through the whole
// store removes it: at once when there is so much that the sweep costs little for each, and after a while if there is any.
type litter struct {
	count atomic.Int64 // tags of nodes that were invalidated; nearly so, since stamps may be taken meanwhile
	most  atomic.Int64 // of which a sweep comes at once
	due   atomic.Int64 // when a sweep comes; ttl.End: none does
}

const (
	leastLitter = 1000 // tags of nodes for which a sweep is worth while
	litterShare = 4    // a sweep comes for as many of them as one in so many of the nodes that the last one left
	litterLife  = time.Minute
)

func (l *litter) init() {
	l.most.Store(leastLitter)
	l.due.Store(int64(ttl.End))
}

// add counts tags of nodes that were invalidated. If a sweep is due earlier from then on, it returns when.
func (l *litter) add(tags int, clock *ttl.Clock) (due ttl.Time, earlier bool) {
	count := l.count.Add(int64(tags))
	if count <= 0 {
		return 0, false
	}
	due = clock.Now()
	if count < l.most.Load() {
		due = due.Add(litterLife)
	}
	for old := l.due.Load(); int64(due) < old; old = l.due.Load() {
		if l.due.CompareAndSwap(old, int64(due)) {
			return due, true
		}
	}
	return 0, false
}

// next returns when a sweep is due.
func (l *litter) next() ttl.Time { return ttl.Time(l.due.Load()) }

// begin reports whether a sweep is due, of what was invalidated until now.
func (l *litter) begin(now ttl.Time) bool {
	if !l.next().Passed(now) {
		return false
	}
	l.due.Store(int64(ttl.End))
	return l.count.Load() > 0
}

// again says that a sweep was not ended, and when another is due.
func (l *litter) again(now ttl.Time) {
	l.due.CompareAndSwap(int64(ttl.End), int64(now.Add(litterLife)))
}

// swept says that a sweep has left so many nodes in the store.
func (l *litter) swept(nodes int) {
	l.most.Store(max(l.count.Load(), 0) + max(leastLitter, int64(nodes)/litterShare))
}

// sweepInvalidated removes what was invalidated.
func (s *Store[K, V]) sweepInvalidated() {
	over := false
	defer func() {
		if !over { // OnRemove has ended the goroutine; what is left is for another sweep
			s.tags.litter.again(s.clock.Now())
		}
	}()
	chunks, nodes := 0, make([]*node[K, V], 0, sweepChunk+sweepChunk/4)
	for i := range s.segments {
		for next := uint32(0); next < scanEnd; {
			next = s.sweepInvalidatedSome(&s.segments[i], next, nodes)
			chunks = pauseSweep(chunks)
		}
	}
	s.tags.litter.swept(s.Len())
	over = true
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
