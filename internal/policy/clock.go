package policy

// clock is the main queue: entries around a hand. A word has the hash's bits and two bits of marks: how many times
// the hand passes the entry before it is the victim.
type clock struct {
	words   array[uint32]
	weights weights
	hand    int // what is looked at next; below len, or 0
	len     int
	weight  uint64
}

const (
	markBits = 2
	maxMarks = 1<<markBits - 1
)

func (c *clock) hashAt(i int) uint32      { return c.words.at(i) >> markBits & hashMask }
func (c *clock) marksAt(i int) uint32     { return c.words.at(i) & maxMarks }
func (c *clock) weightAt(i int) uint64    { return c.weights.at(i) }
func (c *clock) setMarks(i int, m uint32) { c.words.set(i, c.words.at(i)&^uint32(maxMarks)|m) }

// next returns the entry that the hand is at and moves it on.
func (c *clock) next() int {
	i := c.hand
	if c.hand++; c.hand >= c.len {
		c.hand = 0
	}
	return i
}

// push adds an entry without marks.
func (c *clock) push(hash uint32, weight uint64) int {
	i := c.len
	c.words.grow(i + 1)
	c.words.set(i, hash<<markBits)
	c.weights.set(i, weight)
	c.len++
	c.weight += weight
	return i
}

// set puts an entry without marks in the place of another.
func (c *clock) set(i int, hash uint32, weight uint64) {
	c.weight += weight - c.weights.at(i)
	c.words.set(i, hash<<markBits)
	c.weights.set(i, weight)
}

// remove takes an entry out and puts the last one there.
func (c *clock) remove(i int) {
	c.weight -= c.weights.at(i)
	c.len--
	if i != c.len {
		c.words.set(i, c.words.at(c.len))
		c.weights.set(i, c.weights.at(c.len))
	}
	if c.hand >= c.len {
		c.hand = 0
	}
}
