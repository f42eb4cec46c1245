package memory

import "github.com/tarncache/tarn/internal/policy"

// Remembered absences are bounded apart from values: by number, and of the store's bound they have a share at most. So
// whoever asks for random keys makes absences leave for absences. Up to their share they take room that is left, or that
// values have had meanwhile; values that need room leave for one another.
//
// A segment gives them a policy of their own, whose limit is how many of [Options.MaxNegative] the segment has taken.
// They are entries of the table like others, and their flag says which policy a node's place is with. What they weigh is
// of the room that all share: for each absence a segment has taken that weight beside the limit of its policy for
// values.

// shareOfAbsences is which part of the bound absences have, where Options.MaxNegative does not say.
const shareOfAbsences = 64

// absencesWeighed is how many absences the share has room for where entries are weighed.
const absencesWeighed = 1024

// maxAbsences returns how many absences there may be under a bound.
func (o *Options[K, V]) maxAbsences(bound int64) int64 {
	share := max(bound/shareOfAbsences, 1)
	switch {
	case o.Weigh != nil && o.MaxNegative == 0:
		return min(share, absencesWeighed)
	case o.Weigh != nil:
		return min(share, int64(o.MaxNegative))
	case o.MaxNegative == 0:
		return share
	case bound == int64(o.MaxEntries):
		return int64(o.MaxNegative)
	default: // the store was resized
		return max(int64(float64(o.MaxNegative)/float64(o.MaxEntries)*float64(bound)), 1)
	}
}

// weighAbsence returns what an absence weighs. The caller has locked a segment.
func (s *Store[K, V]) weighAbsence() int64 {
	if s.options.Weigh == nil {
		return 1
	}
	return max(s.bound.Load()/shareOfAbsences, 1) / s.absences.bound.Load()
}

// setBounds goes by another bound. The caller has locked all segments, if anybody else knows the store.
func (s *Store[K, V]) setBounds(bound int64) {
	var before int64
	if s.bound.Load() != 0 {
		before = s.weighAbsence()
	}
	s.bound.Store(bound)
	s.absences.bound.Store(s.options.maxAbsences(bound))
	for i := range s.segments {
		s.taken.Add(int64(s.segments[i].absences()) * (s.weighAbsence() - before))
	}
}

// excessive reports whether there is more than the bounds allow, as after a Resize.
func (s *Store[K, V]) excessive() bool {
	return s.taken.Load() > s.bound.Load() || s.excessiveAbsences()
}

func (s *Store[K, V]) excessiveAbsences() bool {
	return s.absences.taken.Load() > s.absences.bound.Load()
}

// The methods below are parts of operations. Their callers have mu.

// absences returns how many absences the segment has.
func (g *segment[K, V]) absences() int {
	if g.absent == nil {
		return 0
	}
	return g.absent.Len()
}

// weight returns what the entries of the segment weigh together.
func (g *segment[K, V]) weight() uint64 {
	return g.policy.Weight() + uint64(g.absences())*uint64(g.store.weighAbsence())
}

// policyOf returns the policy with which a node has its place.
func (g *segment[K, V]) policyOf(n *node[K, V]) *policy.Policy {
	if n.negative() {
		return g.absent
	}
	return g.policy
}

// admitAbsence is [Store.admit] for an absence.
func (g *segment[K, V]) admitAbsence() bool {
	return g.closed || g.absences() > 0 || g.reserveAbsence(uint64(g.store.weighAbsence()))
}

// reserveAbsence takes room for one more absence of a weight, and reports whether there was enough, once the segment has
// evicted some of its values.
func (g *segment[K, V]) reserveAbsence(weight uint64) bool {
	if g.absent == nil {
		g.absent = policy.New((*absences[K, V])(g), policy.Options{})
	}
	a, all := g.absent, &g.store.absences
	if n := uint64(a.Len()); a.Limit() == n {
		if all.take(1) == 0 {
			return false
		}
		a.SetLimit(n + 1)
	}
	if g.take(weight); g.policy.Limit() >= weight {
		return true
	}
	a.SetLimit(a.Limit() - 1)
	all.give(1)
	return false
}

// enterAbsence takes a new absence in. Others leave for it, if there are as many as there may be; or else values, if
// they have the room.
func (g *segment[K, V]) enterAbsence(hash uint32) policy.Place {
	weight := uint64(g.store.weighAbsence())
	room := g.reserveAbsence(weight)
	if full := !room || g.policy.Weight()+weight > g.policy.Limit(); full && g.due() {
		g.expire(fewExpired)
		g.reserveAbsence(weight)
	}
	at := g.absent.Insert(hash, 1)
	for g.policy.Weight()+weight > g.policy.Limit() && g.policy.EvictOne() {
	}
	g.policy.SetLimit(g.policy.Limit() - weight)
	return at
}

// absenceLeft gives the segment the room of an absence that its policy has let go.
func (g *segment[K, V]) absenceLeft() {
	g.policy.SetLimit(g.policy.Limit() + uint64(g.store.weighAbsence()))
}

// evictAbsence evicts an absence, and reports whether there was one.
func (g *segment[K, V]) evictAbsence() bool { return g.absent != nil && g.absent.EvictOne() }

// clearAbsences forgets all absences, as the policy for values does with Clear.
func (g *segment[K, V]) clearAbsences() {
	if n := g.absences(); n > 0 {
		g.policy.SetLimit(g.policy.Limit() + uint64(n)*uint64(g.store.weighAbsence()))
		g.absent.Clear()
	}
}

// giveBackAbsences gives back what the segment has taken of the number of absences and does not need.
func (g *segment[K, V]) giveBackAbsences() {
	if excess := g.absent.Limit() - uint64(g.absent.Len()); excess > 0 {
		g.absent.SetLimit(uint64(g.absent.Len()))
		g.store.absences.give(excess)
	}
}

// leave takes a node out of its policy. Its room stays with the segment.
func (g *segment[K, V]) leave(n *node[K, V]) {
	g.policyOf(n).Remove(n.place)
	if n.negative() {
		g.absenceLeft()
	}
	n.place = 0 // so that nobody is taken for it who gets its place
}

// turned gives a node a place whose entry was a value and is an absence now, or the other way round.
func (g *segment[K, V]) turned(n *node[K, V], weight uint64) {
	n.marks.watch(false) // by the policy that it was with
	n.place = g.enter(n, weight)
}

// absences is what the policy for absences asks a segment.
type absences[K comparable, V any] segment[K, V]

func (g *absences[K, V]) Uses(hash uint32, at policy.Place) uint32 {
	return g.table.findAt(hash, at, isNegative).marks.take()
}

func (g *absences[K, V]) Moved(hash uint32, from, to policy.Place) {
	g.table.findAt(hash, from, isNegative).place = to
}

func (g *absences[K, V]) Evict(hash uint32, at policy.Place) {
	s := (*segment[K, V])(g)
	s.absenceLeft()
	s.drop(s.table.findAt(hash, at, isNegative), Evicted)
}

func (g *absences[K, V]) Watch(hash uint32, at policy.Place, on bool) {
	g.table.findAt(hash, at, isNegative).marks.watch(on)
}
