package memory

// policy says which entries leave when there are too many. It is W-TinyLFU (Einziger, Friedman, Manes: TinyLFU: A
// Highly Efficient Cache Admission Policy, ACM Transactions on Storage 2017), with CLOCK (Corbató: A Paging
// Experiment with the Multics System, 1968) where the paper has lists in order of use:
//
//   - New entries pass a window, first in first out, of a hundredth of the bound and at least one entry. So what
//     was stored last is always there.
//   - Who leaves the window enters the main queue if there is room, or if it was hit twice in the window.
//     Otherwise it duels with the main queue's victim, and the one that was used less often lately, by the sketch,
//     leaves. So neither a scan nor a loop larger than the store washes the main queue out.
//   - The main queue's victim is its oldest entry without marks. One with marks loses one of them and becomes the
//     newest.
//
// A hit only marks the entry: it moves nothing and takes no lock of the policy's. The store's mu protects it all.
type policy[K comparable, V any] struct {
	bound  uint64 // at most the greatest int64
	window queue[K, V]
	main   queue[K, V]
	sketch sketch
	out    *node[K, V] // what was evicted and not yet taken, linked by next
}

// place says in which queue a node is.
type place uint8

const (
	nowhere place = iota
	inWindow
	inMain
)

const (
	windowShare  = 100 // the window is this part of the bound
	promoteAt    = 2   // hits in the window that lead straight to the main queue
	maxClockStep = 256 // nodes the hand passes before it takes whichever comes
)

func newPolicy[K comparable, V any](bound int64) policy[K, V] {
	return policy[K, V]{bound: uint64(bound), sketch: newSketch()}
}

func (p *policy[K, V]) len() int { return p.window.len + p.main.len }

// weight is no more than twice the bound, while a node that was taken in has not yet put others out: as much as no
// int64 may hold.
func (p *policy[K, V]) weight() uint64 { return p.window.weight + p.main.weight }

func (p *policy[K, V]) windowBound() uint64 { return max(p.bound/windowShare, 1) }

// mainBound is what the window leaves. A heavy newest entry may take more than the window's share.
func (p *policy[K, V]) mainBound() uint64 {
	return p.bound - min(p.bound, max(p.windowBound(), p.window.weight))
}

// insert takes a node in that weighs no more than the bound. Afterwards the weight is within the bound, the node
// is there, and takeOut has what had to leave.
func (p *policy[K, V]) insert(n *node[K, V]) {
	p.sketch.reserve(p.len() + 1)
	p.sketch.add(n.hash, 1, p.len())
	p.window.push(n, inWindow)
	p.settle()
}

// reweigh gives a node that is used another weight, no more than the bound, and keeps it.
func (p *policy[K, V]) reweigh(n *node[K, V], weight uint64) {
	n.marks.hit()
	switch {
	case weight == n.weight:
	case n.queue == inMain && (weight < n.weight || p.main.weight-n.weight+weight <= p.mainBound()):
		p.main.weight = p.main.weight - n.weight + weight
		n.weight = weight
	default:
		p.remove(n)
		n.weight = weight
		p.window.push(n, inWindow)
		p.settle()
	}
}

// remove takes a node out.
func (p *policy[K, V]) remove(n *node[K, V]) {
	p.tell(n)
	switch n.queue {
	case inWindow:
		p.window.remove(n)
	case inMain:
		p.main.remove(n)
	}
}

// takeOut returns the nodes evicted since it was last called, linked by next.
func (p *policy[K, V]) takeOut() *node[K, V] {
	out := p.out
	p.out = nil
	return out
}

// resize changes the bound, evicting at most some nodes, and reports whether it is done. Until it is, the bound
// is what is there.
func (p *policy[K, V]) resize(bound int64, atMost int) (done bool) {
	p.bound = uint64(bound)
	for ; atMost > 0; atMost-- {
		crowded := p.window.weight > p.windowBound() && p.window.len > 1
		switch {
		case crowded && p.weight() > p.bound:
			p.duel(p.popWindow())
		case crowded:
			p.admit(p.popWindow())
		case p.weight() > p.bound:
			p.evictOne()
		default:
			return true
		}
	}
	p.bound = max(uint64(bound), p.weight())
	return false
}

// duel evicts a node that left the window, or the main queue's victim in its stead.
func (p *policy[K, V]) duel(n *node[K, V]) {
	p.tell(n)
	victim := p.victim()
	if victim == nil || !p.beats(n, victim) {
		p.evict(n)
		return
	}
	p.main.remove(victim)
	p.evict(victim)
	p.main.push(n, inMain)
}

// settle restores the bounds after the window got a node, and keeps that node.
func (p *policy[K, V]) settle() {
	for p.window.weight > p.windowBound() && p.window.len > 1 {
		p.admit(p.popWindow())
	}
	for p.weight() > p.bound {
		p.evictOne()
	}
}

func (p *policy[K, V]) popWindow() *node[K, V] {
	n := p.window.oldest
	p.window.remove(n)
	return n
}

// admit lets a node that left the window into the main queue, or evicts it.
func (p *policy[K, V]) admit(n *node[K, V]) {
	p.tell(n)
	straight := n.marks.frequency() >= promoteAt
	for p.main.weight+n.weight > p.mainBound() {
		victim := p.victim()
		if victim == nil || !straight && !p.beats(n, victim) {
			p.evict(n)
			return
		}
		p.main.remove(victim)
		p.evict(victim)
	}
	p.main.push(n, inMain)
}

// beats reports whether a node deserves the place of a victim. On a tie it does not: that is what makes a loop
// larger than the store hit.
func (p *policy[K, V]) beats(n, victim *node[K, V]) bool {
	return p.sketch.estimate(n.hash) > p.sketch.estimate(victim.hash)
}

// victim returns the node that the main queue would lose, or nil if it is empty.
func (p *policy[K, V]) victim() *node[K, V] {
	for range maxClockStep {
		n := p.main.oldest
		if n == nil {
			return nil
		}
		p.tell(n)
		if n.marks.frequency() == 0 {
			return n
		}
		n.marks.lower()
		p.main.remove(n)
		p.main.push(n, inMain)
	}
	return p.main.oldest
}

// tell tells the sketch of the hits of a node.
func (p *policy[K, V]) tell(n *node[K, V]) {
	p.sketch.add(n.hash, n.marks.takeUntold(), p.len())
}

func (p *policy[K, V]) evictOne() {
	n := p.victim()
	if n == nil {
		n = p.window.oldest
	}
	p.remove(n)
	p.evict(n)
}

// evict puts a node that is in no queue out.
func (p *policy[K, V]) evict(n *node[K, V]) {
	n.next = p.out
	p.out = n
}

// clear forgets all nodes. What the sketch knows of keys stays.
func (p *policy[K, V]) clear() {
	p.window, p.main, p.out = queue[K, V]{}, queue[K, V]{}, nil
}

// queue is a list of nodes, first in, first out.
type queue[K comparable, V any] struct {
	oldest, newest *node[K, V]
	len            int
	weight         uint64
}

func (q *queue[K, V]) push(n *node[K, V], where place) {
	n.queue = where
	n.prev, n.next = q.newest, nil
	if q.newest != nil {
		q.newest.next = n
	} else {
		q.oldest = n
	}
	q.newest = n
	q.len++
	q.weight += n.weight
}

func (q *queue[K, V]) remove(n *node[K, V]) {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		q.oldest = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		q.newest = n.prev
	}
	n.prev, n.next, n.queue = nil, nil, nowhere
	q.len--
	q.weight -= n.weight
}
