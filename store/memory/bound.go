package memory

import (
	"errors"
	"math"
	"sync/atomic"

	"github.com/tarncache/tarn"
)

// room is the store's bound and how much of it the segments have taken. A segment takes what it needs for a new entry
// while there is some left, and gives back what is deleted or expires; with none left, it evicts from its own. So the
// store is full before anything is evicted, is never more than full, and its segments grow as their keys do.
//
// A segment takes and gives with its mu locked.
type room struct {
	bound atomic.Int64 // as the options or Resize have it; changes with every segment locked
	taken atomic.Int64
}

// take takes up to so much, and returns how much.
func (r *room) take(wanted uint64) uint64 {
	for {
		taken := r.taken.Load()
		left := r.bound.Load() - taken
		if left <= 0 {
			return 0
		}
		got := min(wanted, uint64(left))
		if r.taken.CompareAndSwap(taken, taken+int64(got)) {
			return got
		}
	}
}

func (r *room) give(weight uint64) { r.taken.Add(-int64(weight)) }

// absence stands for the weight of a remembered absence, which goes by the bound in force when it is stored.
const absence = math.MinInt64

// weigh asks how heavy an entry is, which may be less than nothing. Nobody may have mu: it calls the application.
func (s *Store[K, V]) weigh(key K, e *tarn.Entry[V]) int64 {
	switch {
	case e.Negative:
		return absence
	case s.options.Weigh == nil:
		return 1
	}
	if weight := s.options.Weigh(key, e.Value); weight != 0 {
		return weight
	}
	return 1
}

// admissible returns the weight that counts of an entry that was weighed, or why it cannot be stored. The caller has
// locked a segment.
func (s *Store[K, V]) admissible(e *tarn.Entry[V], weight int64) (int64, error) {
	if s.options.Weigh == nil {
		return 1, nil
	}
	switch {
	case e.Negative:
		return s.weighAbsence(), nil
	case weight < 0:
		return 0, errNegativeWeight
	case weight > s.bound.Load():
		return 0, tarn.ErrTooHeavy
	}
	return weight, nil
}

var errNegativeWeight = errors.New("memory: Options.Weigh returned a negative weight")

// lock locks the segment of a hash.
func (s *Store[K, V]) lock(hash uint64) *segment[K, V] {
	g := s.segment(hash)
	g.mu.Lock()
	return g
}

// lockToStore locks the segment of a hash for an operation that may store an entry of weight there, 0 for none, and sees
// to it that the entry is within the segment's limit once the segment has evicted others. Other segments are made to
// evict only if may says, with the segment locked, that the entry will be stored. It may change nothing.
func (s *Store[K, V]) lockToStore(hash uint64, weight int64, may func(*segment[K, V]) bool) *segment[K, V] {
	g := s.lock(hash)
	if (weight > int64(g.policy.Limit()) || weight == absence) && !s.admit(g, weight) {
		g.giveBack()
		g.mu.Unlock()
		s.lockFor(g, weight, may)
	}
	return g
}

// admit takes what room a locked segment lacks for an entry that was weighed, and reports whether there was enough. One
// that will be refused takes none.
func (s *Store[K, V]) admit(g *segment[K, V], weight int64) bool {
	if weight == absence {
		return g.admitAbsence()
	}
	if weight <= int64(g.policy.Limit()) || g.closed || weight > s.bound.Load() {
		return true
	}
	g.reserve(uint64(weight))
	return weight <= int64(g.policy.Limit())
}

// lockFor locks a segment that alone has no room for an entry of weight: with all the others locked, they evict in its
// stead. That happens to an entry as heavy as very many others, or when all room was taken before a segment got any.
func (s *Store[K, V]) lockFor(g *segment[K, V], weight int64, may func(*segment[K, V]) bool) {
	s.lockAll()
	if may(g) {
		s.evictOthers(g, weight)
	}
	for i := range s.segments {
		if other := &s.segments[i]; other != g {
			c := other.unlock()
			g.change.add(&c)
		}
	}
}

// evictOthers evicts from all segments until g has room for a weight: values from all but g, but absences for an absence
// before that, or those of g for a value. The caller has locked them all.
func (s *Store[K, V]) evictOthers(g *segment[K, V], weight int64) {
	absences := func(other *segment[K, V]) bool { return other.evictAbsence() }
	own := func(other *segment[K, V]) bool { return other == g && other.evictAbsence() }
	values := func(other *segment[K, V]) bool { return other != g && other.policy.EvictOne() }
	if weight == absence {
		_ = s.evictInTurn(g, weight, absences) || s.evictInTurn(g, weight, values)
		return
	}
	_ = s.evictInTurn(g, weight, own) || s.evictInTurn(g, weight, values) || s.evictInTurn(g, weight, absences)
}

// evictInTurn evicts an entry of each segment in turn, until g has room for a weight, and reports whether it has.
func (s *Store[K, V]) evictInTurn(g *segment[K, V], weight int64, evict func(*segment[K, V]) bool) bool {
	for evicted := true; evicted; {
		evicted = false
		for i := range s.segments {
			if s.admit(g, weight) {
				return true
			}
			if other := &s.segments[i]; evict(other) {
				other.giveBack()
				evicted = true
			}
		}
	}
	return false
}

// lockAll locks all segments, in the order in which everybody does who locks several.
func (s *Store[K, V]) lockAll() {
	for i := range s.segments {
		s.segments[i].mu.Lock()
	}
}

// reserve raises the limit to a weight, as far as there is room. The caller has mu.
func (g *segment[K, V]) reserve(weight uint64) {
	if limit := g.policy.Limit(); weight > limit {
		g.policy.SetLimit(limit + g.store.take(weight-limit))
	}
}
