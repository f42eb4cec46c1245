// Package policy says which entries of a cache leave when there are too many. It never sees an entry: it works on
// hashes of the keys, in arrays without pointers, and asks its owner through [Entries] how often one was used.
//
// It is W-TinyLFU (Einziger, Friedman, Manes: TinyLFU: A Highly Efficient Cache Admission Policy, ACM Transactions on
// Storage 2017), with CLOCK (Corbató: A Paging Experiment with the Multics System, 1968) where the paper has lists in
// order of use:
//
//   - New entries pass a window, first in first out. So what was stored last is always there.
//   - Who leaves the window enters the main queue if there is room, or if it was used often enough in the window.
//     Otherwise it duels with the main queue's victim, and the one that was used less often lately, by a sketch,
//     leaves. So neither a scan nor a loop larger than the cache washes the main queue out.
//   - The main queue's victim is the first entry without marks that the hand meets. One with marks loses one of them.
//
// A hit only has to be counted by the owner: the policy asks for the count when it looks at the entry.
package policy

// Place is where an entry is in the policy's queues. The owner keeps it with the entry. 0 is nowhere.
type Place uint32

// HashBits is how many bits of a hash the policy keeps, the low ones. The owner is called back with these alone.
const HashBits = 29

const hashMask = 1<<HashBits - 1

// Entries is the owner's side. Its methods are called from within the policy's, and must not call them. The hashes
// have their low [HashBits] bits alone.
type Entries interface {
	// Uses returns how often the entry was used since it was last asked for, 15 for more, and forgets them.
	Uses(hash uint32, at Place) uint32
	// Moved says that the entry at from is at to from now on.
	Moved(hash uint32, from, to Place)
	// Evict says that the entry has to leave. Its place is free.
	Evict(hash uint32, at Place)
	// Watch asks for a call of Used at the entry's next use, or takes that back.
	Watch(hash uint32, at Place, on bool)
}

// Options of a [Policy]. The zero value is for entries that all weigh 1.
type Options struct {
	Weighted bool // entries weigh what Insert and Reweigh are told. Left out: they weigh 1
}

// Policy is one cache's policy. It is not safe for concurrent use. No method does more than a bounded amount of
// work, but that a heavy entry puts as many others out as it takes, and so does a lowered limit.
type Policy struct {
	entries Entries
	limit   uint64
	window  window
	main    clock
	sketch  sketch
	arm     arm
	victim  int // where in main the last duel's victim is, which had no marks then; -1: nowhere
}

// arm is one setting of the policy.
type arm struct {
	window  uint64 // the window's share of the limit, in thousandths
	promote uint32 // uses in the window that lead straight to the main queue
}

var defaultArm = arm{window: 10, promote: 2}

// New returns an empty policy whose limit is 0.
func New(entries Entries, options Options) *Policy {
	p := &Policy{entries: entries, arm: defaultArm, victim: -1}
	p.window.weights.on = options.Weighted
	p.main.weights.on = options.Weighted
	return p
}

// Len returns how many entries there are.
func (p *Policy) Len() int { return p.window.len + p.main.len }

// Weight returns what the entries weigh together.
func (p *Policy) Weight() uint64 { return p.window.weight + p.main.weight }

// Limit returns the weight above which Insert evicts.
func (p *Policy) Limit() uint64 { return p.limit }

// SetLimit sets the weight above which Insert evicts. It evicts nothing itself.
func (p *Policy) SetLimit(weight uint64) { p.limit = weight }

func (p *Policy) windowBound() uint64 {
	// The two terms cannot overflow, as a product would.
	return max(p.limit/1000*p.arm.window+p.limit%1000*p.arm.window/1000, 1)
}

// Insert takes a new entry in, and evicts others until the weight is within the limit, or no other is left. In a
// policy that is not weighted the weight is not looked at.
func (p *Policy) Insert(hash uint32, weight uint64) Place {
	hash &= hashMask
	if !p.window.weights.on {
		weight = 1
	}
	p.sketch.grow(p.Len() + 1)
	p.sketch.add(hash, 1)
	at := p.window.push(hash, weight)
	p.settle()
	return at | inWindow
}

// Remove takes an entry out that was deleted or has expired. Another entry may move.
func (p *Policy) Remove(at Place) {
	if at&inWindow != 0 {
		p.window.remove(at &^ inWindow)
	} else if at != 0 {
		p.removeMain(int(at) - 1)
	}
}

// Reweigh gives an entry another weight and returns its place, which may be another. It evicts others until the
// weight is within the limit, or no other is left.
func (p *Policy) Reweigh(at Place, hash uint32, weight uint64) Place {
	if !p.window.weights.on || at == 0 {
		return at
	}
	hash &= hashMask
	old := p.weightAt(at)
	if at&inWindow == 0 && weight <= old || p.Weight()-old+weight <= p.limit {
		p.setWeight(at, weight)
		return at
	}
	// A heavier entry takes its room as a new one does. So it is not what the hand meets first.
	p.Remove(at)
	to := p.window.push(hash, weight)
	p.settle()
	return to | inWindow
}

// EvictOne evicts an entry, and reports whether there was one.
func (p *Policy) EvictOne() bool {
	switch {
	case p.window.weight > p.windowBound() && p.window.len > 1 && p.main.len > 0:
		p.duel()
	case p.main.len > 0:
		p.evictMain(p.findVictim())
	case p.window.len > 0:
		hash, at, _ := p.window.pop()
		p.entries.Evict(hash, at|inWindow)
	default:
		return false
	}
	return true
}

// Clear forgets all entries, without a call of Evict. What the sketch knows of keys stays.
func (p *Policy) Clear() {
	p.window = window{weights: weights{on: p.window.weights.on}}
	p.main = clock{weights: weights{on: p.main.weights.on}}
	p.victim = -1
}

// settle restores the bounds after the window got an entry, and keeps that entry.
func (p *Policy) settle() {
	for steps := 0; p.window.len > 1 && p.leaves(steps); steps++ {
		if p.Weight() > p.limit {
			p.duel()
		} else {
			p.promote(p.window.pop())
		}
	}
	for p.Weight() > p.limit && p.main.len > 0 {
		p.evictMain(p.findVictim())
	}
	for p.Weight() > p.limit && p.window.len > 1 {
		hash, at, _ := p.window.pop()
		p.entries.Evict(hash, at|inWindow)
	}
}

// leaves reports whether the window's oldest entry has to leave it, after so many that did for the same insert. A
// window that became too large shrinks by one entry more than is inserted. One full of holes is too large as well.
func (p *Policy) leaves(steps int) bool {
	if bound := p.windowBound(); p.window.weight > bound {
		return p.Weight() > p.limit || steps < windowSteps && p.main.weight+p.window.oldest()+bound <= p.limit
	}
	return steps == 0 && p.window.sparse()
}

const windowSteps = 2

// duel takes the window's oldest entry out and evicts it, or the main queue's victim in its stead.
func (p *Policy) duel() {
	hash, at, weight := p.window.pop()
	at |= inWindow
	uses := p.uses(hash, at)
	if p.main.len == 0 || weight > p.limit {
		p.entries.Evict(hash, at)
		return
	}
	straight := uses >= p.arm.promote
	for excess := true; excess; excess = p.Weight()+weight > p.limit {
		victim, ok := p.loser(hash, straight)
		if !ok {
			p.entries.Evict(hash, at)
			return
		}
		if p.Weight()-p.main.weightAt(victim)+weight <= p.limit {
			p.replace(victim, hash, at, weight)
			return
		}
		p.evictMain(victim)
		if p.main.len == 0 {
			break
		}
	}
	p.promote(hash, at&^inWindow, weight)
}

// loser returns the main queue's victim if an entry that leaves the window deserves its place. On a tie by the
// sketch it does not: that is what makes a loop larger than the cache hit.
func (p *Policy) loser(hash uint32, straight bool) (victim int, ok bool) {
	if straight {
		return p.findVictim(), true
	}
	estimate := p.sketch.estimate(hash)
	if p.victim >= 0 && estimate <= p.sketch.estimate(p.main.hashAt(p.victim)) {
		return 0, false // whether it was used since does not matter
	}
	victim = p.findVictim()
	return victim, estimate > p.sketch.estimate(p.main.hashAt(victim))
}

// findVictim returns which entry the main queue, which has some, would lose.
func (p *Policy) findVictim() int {
	if p.victim >= 0 {
		i := p.victim
		if p.lookAt(i) == 0 {
			return i
		}
		p.victim = -1
	}
	for range maxHandSteps {
		i := p.main.next()
		marks := p.lookAt(i)
		if marks == 0 {
			p.victim = i
			return i
		}
		p.main.setMarks(i, marks-1)
	}
	p.victim = p.main.next()
	return p.victim
}

const maxHandSteps = 64 // entries the hand passes before it takes whichever comes

// lookAt returns an entry's marks after it was asked for its uses.
func (p *Policy) lookAt(i int) uint32 {
	marks := p.main.marksAt(i)
	if uses := p.uses(p.main.hashAt(i), Place(i+1)); uses > 0 {
		marks = min(marks+uses, maxMarks)
		p.main.setMarks(i, marks)
	}
	return marks
}

// uses asks for an entry's uses, and tells them to the sketch.
func (p *Policy) uses(hash uint32, at Place) uint32 {
	uses := p.entries.Uses(hash, at)
	if uses > 0 {
		p.sketch.add(hash, uses)
	}
	return uses
}

// replace evicts the entry at i and gives its place to another.
func (p *Policy) replace(i int, hash uint32, from Place, weight uint64) {
	p.victim = -1
	p.entries.Evict(p.main.hashAt(i), Place(i+1))
	p.main.set(i, hash, weight)
	p.entries.Moved(hash, from, Place(i+1))
}

func (p *Policy) evictMain(i int) {
	p.entries.Evict(p.main.hashAt(i), Place(i+1))
	p.removeMain(i)
}

// removeMain closes the gap by moving the last entry there.
func (p *Policy) removeMain(i int) {
	if p.victim == i || p.victim == p.main.len-1 {
		p.victim = -1
	}
	last := p.main.len - 1
	if p.main.remove(i); i != last {
		p.entries.Moved(p.main.hashAt(i), Place(last+1), Place(i+1))
	}
}

// promote moves an entry that was popped off the window to the main queue, which has room.
func (p *Policy) promote(hash uint32, at Place, weight uint64) {
	to := Place(p.main.push(hash, weight) + 1)
	p.entries.Moved(hash, at|inWindow, to)
}

func (p *Policy) weightAt(at Place) uint64 {
	if at&inWindow != 0 {
		return p.window.weights.at(int(at &^ inWindow))
	}
	return p.main.weightAt(int(at) - 1)
}

func (p *Policy) setWeight(at Place, weight uint64) {
	if at&inWindow != 0 {
		i := int(at &^ inWindow)
		p.window.weight += weight - p.window.weights.at(i)
		p.window.weights.set(i, weight)
	} else {
		i := int(at) - 1
		p.main.weight += weight - p.main.weightAt(i)
		p.main.weights.set(i, weight)
	}
}
