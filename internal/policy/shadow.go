package policy

// shadow is a simulation of an arm: the same queues as the policy's, of cells.
type shadow struct {
	lab    *lab
	number int
	window fifo
	main   []uint16
	hand   int
	found  bool // main[hand] is a victim that had no marks
	ghost  ghost
}

func (s *shadow) init(l *lab, number int) {
	s.lab, s.number = l, number
	s.ghost.grow(0)
}

func (s *shadow) len() int { return s.window.len + len(s.main) }

// insert takes in a key that the shadow lacks.
func (s *shadow) insert(n uint16) {
	c := &s.lab.cells.of[n]
	c.has |= 1 << s.number
	c.reset(s.number)
	s.ghost.grow(s.lab.capacity)
	if arms[s.number].ghosts && len(s.main) > 0 && s.ghost.has(c.hash) {
		if s.len() < s.lab.capacity {
			s.main = append(s.main, n)
		} else {
			s.replace(n)
		}
	} else {
		s.window.push(n)
	}
	s.settle()
}

// settle restores the bounds, or gets nearer to them if they changed.
func (s *shadow) settle() {
	share := int(arms[s.number].share(uint64(s.lab.capacity)))
	for steps := 0; s.window.len > max(share, 1) && steps < windowSteps; steps++ {
		n := s.window.pop()
		if s.len() < s.lab.capacity {
			s.lab.cells.of[n].reset(s.number)
			s.main = append(s.main, n)
		} else {
			s.duel(n)
		}
	}
	for steps := 0; s.len() > s.lab.capacity && steps < shrinkSteps; steps++ {
		if len(s.main) > 0 {
			s.evictMain()
		} else {
			s.drop(s.window.pop())
		}
	}
}

const shrinkSteps = 3 // keys that leave a shadow too large at once

// duel puts the window's oldest or main's victim out.
func (s *shadow) duel(n uint16) {
	c := &s.lab.cells.of[n]
	a := &arms[s.number]
	if len(s.main) == 0 || s.lab.stale(c) {
		s.drop(n)
		return
	}
	if c.marksOf(s.number) < a.promote {
		s.lab.pull(n)
	}
	if c.marksOf(s.number) < a.promote && !s.wins(a, c.hash) {
		s.drop(n)
		return
	}
	s.replace(n)
}

// wins reports whether a key deserves the place of main's victim.
func (s *shadow) wins(a *arm, hash uint32) bool {
	if !a.duels {
		return false
	}
	estimate := s.lab.policy.sketch.estimate(hash)
	if s.found && !s.loses(a, estimate) {
		return false
	}
	s.findVictim()
	return s.loses(a, estimate)
}

// loses reports whether the key at the hand deserves its place less than one of such an estimate.
func (s *shadow) loses(a *arm, estimate uint64) bool {
	c := &s.lab.cells.of[s.main[s.hand]]
	return s.lab.stale(c) || a.beats(estimate, s.lab.policy.sketch.estimate(c.hash))
}

// findVictim leaves the hand at main's victim.
func (s *shadow) findVictim() {
	for range maxHandSteps {
		n := s.main[s.hand]
		c := &s.lab.cells.of[n]
		if s.lab.stale(c) {
			break
		}
		if c.marksOf(s.number) == 0 {
			s.lab.pull(n)
		}
		if c.marksOf(s.number) == 0 {
			break
		}
		c.lower(s.number)
		s.pass()
	}
	s.found = true
}

// pass moves the hand on.
func (s *shadow) pass() {
	if s.hand++; s.hand >= len(s.main) {
		s.hand = 0
	}
}

// replace gives the place of main's victim to a key.
func (s *shadow) replace(n uint16) {
	s.findVictim()
	victim := s.main[s.hand]
	s.main[s.hand] = n
	s.lab.cells.of[n].reset(s.number)
	s.pass()
	s.found = false
	s.lab.left(victim, s.number)
}

func (s *shadow) evictMain() {
	s.findVictim()
	victim := s.main[s.hand]
	last := len(s.main) - 1
	s.main[s.hand] = s.main[last]
	s.main = s.main[:last]
	if s.hand >= last {
		s.hand = 0
	}
	s.found = false
	s.lab.left(victim, s.number)
}

// drop lets a key go that left the window.
func (s *shadow) drop(n uint16) {
	if c := &s.lab.cells.of[n]; !s.lab.stale(c) {
		s.ghost.add(c.hash)
	}
	s.lab.left(n, s.number)
}

// fifo is a ring of cells.
type fifo struct {
	ring []uint16 // the length is a power of two
	head int
	len  int
}

func (q *fifo) push(n uint16) {
	if q.len == len(q.ring) {
		ring := make([]uint16, max(8, 2*len(q.ring)))
		for i := range q.len {
			ring[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.len)&(len(q.ring)-1)] = n
	q.len++
}

func (q *fifo) pop() uint16 {
	n := q.ring[q.head]
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.len--
	return n
}
