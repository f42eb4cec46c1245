package policy

// cell is a key that at least one shadow has.
type cell struct {
	hash  uint32
	place Place  // of the entry; 0: there is none
	marks uint16 // two bits for each shadow
	next  uint16 // cell with the same head, or free one
	has   uint8  // a bit for each shadow that has the key
	flags uint8
}

const (
	watched = 1 << iota // the owner calls Used at each use
	gone                // the entry was deleted or has expired
	pinned              // in use by lab.event, which frees it
)

const allArms = 1<<armCount - 1

// raise gives the key's marks in all shadows so many more, up to 3 each.
func (c *cell) raise(uses uint32) {
	const ones = 0x5555
	for range min(uses, maxMarks) {
		c.marks += ones &^ (c.marks & (c.marks >> 1))
	}
}

func (c *cell) marksOf(arm int) uint32 { return uint32(c.marks>>(2*arm)) & maxMarks }

// lower takes one of a shadow's marks, of which there are some.
func (c *cell) lower(arm int) { c.marks -= 1 << (2 * arm) }

func (c *cell) reset(arm int) { c.marks &^= maxMarks << (2 * arm) }

// cells are found by the hashes of their keys. Cell 0 is none.
type cells struct {
	of    []cell   // not empty
	heads []uint16 // by hash; the length is a power of two
	spare uint16   // list of free cells
	used  int
	gone  int // cells with that flag
}

const (
	maxHeads = 1 << 12
	minHeads = 1 << 5
	maxCells = 1 << 16
)

func newCells() cells { return cells{of: make([]cell, 1), heads: make([]uint16, minHeads)} }

func (s *cells) head(hash uint32) *uint16 { return &s.heads[spread(hash)>>16&uint32(len(s.heads)-1)] }

// find returns a key's cell, or 0.
func (s *cells) find(hash uint32) uint16 {
	n := *s.head(hash)
	for n != 0 && s.of[n].hash != hash {
		n = s.of[n].next
	}
	return n
}

// at returns the cell of a key whose entry has a place, or nil.
func (s *cells) at(hash uint32, at Place) *cell {
	if n := s.find(hash); n != 0 && s.of[n].place == at {
		return &s.of[n]
	}
	return nil
}

// add returns a new cell for a key that has none, or 0 if there are too many.
func (s *cells) add(hash uint32) uint16 {
	if s.used >= len(s.heads) && len(s.heads) < maxHeads {
		s.rehash()
	}
	n := s.spare
	switch {
	case n != 0:
		s.spare = s.of[n].next
	case len(s.of) == maxCells:
		return 0
	default:
		n = uint16(len(s.of))
		s.of = append(s.of, cell{})
	}
	head := s.head(hash)
	s.of[n] = cell{hash: hash, next: *head}
	*head = n
	s.used++
	return n
}

// rehash doubles the heads.
func (s *cells) rehash() {
	old := s.heads
	s.heads = make([]uint16, 2*len(old))
	for _, n := range old {
		for n != 0 {
			next := s.of[n].next
			head := s.head(s.of[n].hash)
			s.of[n].next, *head = *head, n
			n = next
		}
	}
}

// free drops a cell that no shadow has.
func (s *cells) free(n uint16) {
	c := &s.of[n]
	link := s.head(c.hash)
	for *link != n {
		link = &s.of[*link].next
	}
	*link = c.next
	if c.flags&gone != 0 {
		s.gone--
	}
	*c = cell{next: s.spare}
	s.spare = n
	s.used--
}
