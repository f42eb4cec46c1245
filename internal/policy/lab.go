package policy

// lab finds the best arm: it runs a small simulation of each arm, a shadow, on a sample of the keys, chosen by their
// hashes, with a capacity as much smaller (Waldspurger, Saemundsson, Ahmad, Park: Cache Modeling and Optimization using
// Miniature Simulations, USENIX ATC 2017).
//
// A use of a key that every shadow has tells nothing about which is best. So the owner counts it, as it counts all
// uses, and the shadows learn of it when one of them needs to know. Only an entry that some shadow lacks is watched.
// So hits cost next to nothing, and inserts of sampled keys pay.
type lab struct {
	policy    *Policy
	cells     cells
	shadows   [armCount]shadow
	scores    scores
	rate      uint   // one key in 2^rate is sampled
	threshold uint32 // a key is sampled if its hash, spread, is not above
	capacity  int    // of each shadow, in keys
}

// maxShadow is the capacity above which the lab halves its sample.
const maxShadow = 2000

func newLab(p *Policy) *lab {
	l := &lab{policy: p, cells: newCells(), threshold: 1<<32 - 1}
	for i := range l.shadows {
		l.shadows[i].init(l, i)
	}
	return l
}

// samples reports whether a key is among the sample. Without a lab none is.
func (l *lab) samples(hash uint32) bool { return l != nil && hash*0x9E3779B1 <= l.threshold }

// clear forgets all keys, but not the scores.
func (l *lab) clear() {
	if l == nil {
		return
	}
	l.cells = newCells()
	for i := range l.shadows {
		l.shadows[i] = shadow{}
		l.shadows[i].init(l, i)
	}
}

// inserted says that a key was missed and is an entry now.
func (l *lab) inserted(hash uint32, at Place) {
	if l.resize(); !l.samples(hash) {
		return
	}
	n := l.cells.find(hash)
	if n == 0 {
		if n = l.cells.add(hash); n == 0 {
			return
		}
	}
	c := &l.cells.of[n]
	c.place, c.flags = 0, c.flags&^watched // no entry of the same hash counts any more
	c.raise(1)
	l.event(n)
	l.cells.of[n].place = at
	l.finish(n, false)
}

// used says that an entry was used which some shadow lacked.
func (l *lab) used(hash uint32, at Place) {
	if l.resize(); !l.samples(hash) {
		l.policy.entries.Watch(hash, at, false)
		return
	}
	n := l.cells.find(hash)
	if n == 0 {
		n = l.cells.add(hash)
	}
	if c := &l.cells.of[n]; c.place == 0 && n != 0 {
		c.place = at // it was not known, since the key was not in the sample
	}
	if l.cells.of[n].place != at { // another entry of the same hash counts
		l.policy.entries.Watch(hash, at, false)
		return
	}
	l.cells.of[n].flags |= watched
	l.pull(n)
	l.event(n)
	l.finish(n, true)
}

// event lets the shadows use a key.
func (l *lab) event(n uint16) {
	c := &l.cells.of[n]
	had := c.has
	if c.flags&gone != 0 {
		had = 0
		c.flags &^= gone
		c.marks = 0
		l.cells.gone--
	}
	c.flags |= pinned
	for i := range l.shadows {
		if l.cells.of[n].has>>i&1 == 0 {
			l.shadows[i].insert(n)
		}
	}
	l.cells.of[n].flags &^= pinned
	l.scores.count(had, 1, l)
}

// finish has the entry watched as long as a shadow lacks it.
func (l *lab) finish(n uint16, known bool) {
	c := &l.cells.of[n]
	lacks := c.has != allArms
	if known && lacks != (c.flags&watched != 0) {
		c.flags ^= watched
		l.policy.entries.Watch(c.hash, c.place, lacks)
	}
	if c.has == 0 {
		l.cells.free(n)
	}
}

// resize follows the number of entries.
func (l *lab) resize() {
	entries := l.policy.Len()
	switch {
	case entries>>l.rate > maxShadow:
		l.setRate(l.rate + 1)
	case l.rate > 0 && entries>>l.rate < maxShadow/4:
		l.setRate(l.rate - 1)
	}
	n := max(entries>>l.rate, 2)
	l.capacity = n + min(l.cells.gone, n) // what is gone still takes room in the shadows
}

func (l *lab) setRate(rate uint) {
	l.rate = rate
	l.threshold = uint32(1<<(32-rate) - 1)
	l.scores.forget()
	for i := range l.cells.of {
		if c := &l.cells.of[i]; !l.samples(c.hash) {
			c.place = 0 // nobody will say when it changes
		}
	}
}

// pull asks for the uses of a cell's entry.
func (l *lab) pull(n uint16) {
	c := &l.cells.of[n]
	if c.place == 0 {
		return
	}
	uses := l.policy.entries.Uses(c.hash, c.place)
	if uses == 0 {
		return
	}
	l.policy.sketch.add(c.hash, uses)
	l.policy.raise(c.place, uses)
	c.raise(uses)
	l.scores.pass(uses)
}

// told says that the policy asked for an entry's uses.
func (l *lab) told(hash uint32, at Place, uses uint32) {
	if c := l.cells.at(hash, at); c != nil {
		c.raise(uses)
	}
	l.scores.pass(uses)
}

// moved says that an entry has another place.
func (l *lab) moved(hash uint32, from, to Place) {
	if c := l.cells.at(hash, from); c != nil {
		c.place = to
	}
}

// evicted says that an entry has left. The shadows may go on without it.
func (l *lab) evicted(hash uint32, at Place) {
	if c := l.cells.at(hash, at); c != nil {
		c.place = 0
		c.flags &^= watched
	}
}

// removed says that an entry was deleted or has expired. The shadows drop the key when they come by.
func (l *lab) removed(hash uint32, at Place) {
	if c := l.cells.at(hash, at); c != nil {
		c.place = 0
		c.flags = c.flags&^watched | gone
		l.cells.gone++
	}
}

// left says that a shadow has let a key go.
func (l *lab) left(n uint16, arm int) {
	c := &l.cells.of[n]
	c.has &^= 1 << arm
	if c.place != 0 && c.flags&watched == 0 {
		c.flags |= watched
		l.policy.entries.Watch(c.hash, c.place, true)
	}
	if c.has == 0 && c.flags&pinned == 0 {
		l.cells.free(n)
	}
}

// stale reports whether a key is of no interest any more: it was deleted, or is not in the sample since that shrank.
func (l *lab) stale(c *cell) bool { return c.flags&gone != 0 || !l.samples(c.hash) }
