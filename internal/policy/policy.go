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
// How large the window is, and what it takes to enter the main queue, is an arm, and no arm is best for all. So a lab
// tries several on some of the keys, and the policy follows the best: see the type lab.
//
// A hit only has to be counted by the owner: the policy asks for the count when it needs to know.
package policy

// Place is where an entry is in the policy's queues. The owner keeps it with the entry. 0 is nowhere.
type Place uint32

// HashBits is how many bits of a hash the policy keeps, the low ones. The owner is called back with these alone.
const HashBits = 29

const hashMask = 1<<HashBits - 1

// Entries is the owner's side. Its methods are called from within the policy's, and must not call them. The hashes
// have their low [HashBits] bits alone. None is called for an entry that is being inserted.
type Entries interface {
	// Uses returns how often the entry was used since it was last asked for, 15 for more, and forgets them.
	Uses(hash uint32, at Place) uint32
	// Moved says that the entry at from is at to from now on.
	Moved(hash uint32, from, to Place)
	// Evict says that the entry has to leave. Its place is free.
	Evict(hash uint32, at Place)
	// Watch asks for a call of Used at each use of the entry, or takes that back. A new entry is not watched.
	Watch(hash uint32, at Place, on bool)
}

// Options of a [Policy]. The zero value is for entries that all weigh 1, and a policy that does not adapt.
type Options struct {
	Weighted bool    // entries weigh what Insert and Reweigh are told. Left out: they weigh 1
	Choice   *Choice // what is shared with the other parts of the same cache. Left out: the policy does not adapt
	Lab      bool    // this policy has the lab that makes the choice. One part of a cache should
}

// Policy is the policy of one cache, or of one part of a cache's entries. It is not safe for concurrent use. No method
// does more than a bounded amount of work, but that a heavy entry puts as many others out as it takes, and so does a
// lowered limit.
type Policy struct {
	entries Entries
	limit   uint64
	window  window
	main    clock
	sketch  sketch
	ghost   ghost
	victim  int // where in main the last duel's victim is, which had no marks then; -1: nowhere
	arm     arm
	armed   uint32 // number of arm
	choice  *Choice
	lab     *lab
	renewal *renewal // nil: none is going on
}

// New returns an empty policy whose limit is 0.
func New(entries Entries, options Options) *Policy {
	p := &Policy{entries: entries, arm: arms[0], victim: -1, choice: options.Choice}
	p.window.weights.on = options.Weighted
	p.main.weights.on = options.Weighted
	p.ghost.grow(0)
	p.sketch.grow(0)
	if options.Choice != nil && options.Lab {
		p.lab = newLab(p)
	}
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

// Insert takes a new entry in, and evicts others until the weight is within the limit, or no other is left. In a
// policy that is not weighted the weight is not looked at.
func (p *Policy) Insert(hash uint32, weight uint64) Place {
	hash &= hashMask
	if !p.window.weights.on {
		weight = 1
	}
	p.follow()
	p.sketch.grow(p.Len() + 1)
	p.ghost.grow(p.Len() + 1)
	p.sketch.add(hash, 1)
	var at Place
	if p.arm.ghosts && p.main.len > 0 && p.ghost.has(hash) {
		at = p.insertMain(hash, weight)
	} else {
		at = p.window.push(hash, weight) | inWindow
		p.settle()
	}
	if p.lab.samples(hash) {
		p.lab.inserted(hash, at)
	}
	return at
}

// follow adopts what the lab chose. The queues come to it step by step, as entries are inserted.
func (p *Policy) follow() {
	if p.choice == nil {
		return
	}
	if i := p.choice.arm.Load(); i != p.armed {
		p.armed, p.arm = i, arms[i]
	}
}

// insertMain takes a new entry into the main queue, which is not empty.
func (p *Policy) insertMain(hash uint32, weight uint64) Place {
	p.settle()
	for p.Weight()+weight > p.limit && p.main.len > 0 {
		victim := p.findVictim()
		if p.main.len == 1 || p.Weight()-p.main.weightAt(victim)+weight <= p.limit {
			p.evictAt(victim)
			p.main.set(victim, hash, weight)
			return Place(victim + 1)
		}
		p.evictMain(victim)
	}
	return Place(p.main.push(hash, weight) + 1)
}

// Remove takes an entry out that was deleted or has expired. Another entry may move.
func (p *Policy) Remove(at Place) {
	if at == 0 {
		return
	}
	hash := p.hashAt(at)
	if p.lab.samples(hash) {
		p.lab.removed(hash, at)
	}
	p.remove(at)
}

func (p *Policy) remove(at Place) {
	if at&inWindow != 0 {
		p.window.remove(at &^ inWindow)
	} else {
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
	p.remove(at)
	to := p.window.push(hash, weight) | inWindow
	if p.lab.samples(hash) {
		p.lab.moved(hash, at, to)
	}
	p.settle()
	return to
}

// Used tells of a use of an entry that is watched. The use is among those that Uses will return.
func (p *Policy) Used(hash uint32, at Place) {
	hash &= hashMask
	if p.lab.samples(hash) {
		p.lab.used(hash, at)
	} else {
		p.entries.Watch(hash, at, false)
	}
}

// EvictOne evicts an entry, and reports whether there was one.
func (p *Policy) EvictOne() bool {
	switch {
	case p.window.len > 1 && p.main.len > 0 && p.window.weight > p.arm.share(p.limit):
		p.duel()
	case p.main.len > 0:
		p.evictMain(p.findVictim())
	case p.window.len > 0:
		p.evictOldest()
	default:
		return false
	}
	return true
}

// Clear forgets all entries, without a call of Evict. What is known of keys stays.
func (p *Policy) Clear() {
	p.window = window{weights: weights{on: p.window.weights.on}}
	p.main = clock{weights: weights{on: p.main.weights.on}}
	p.victim = -1
	p.lab.clear()
}

// settle restores the bounds after the window got an entry, and keeps that entry.
func (p *Policy) settle() {
	for steps := 0; p.window.len > 1 && p.leaves(steps); steps++ {
		if p.Weight() > p.limit {
			p.duel()
		} else {
			hash, at, weight, _ := p.window.pop()
			p.promote(hash, at, weight)
		}
	}
	for p.Weight() > p.limit && p.main.len > 0 {
		p.evictMain(p.findVictim())
	}
	for p.Weight() > p.limit && p.window.len > 1 {
		p.evictOldest()
	}
}

// leaves reports whether the window's oldest entry has to leave it, after so many that did for the same insert. A
// window that became too large shrinks by one entry more than is inserted. One full of holes is too large as well.
func (p *Policy) leaves(steps int) bool {
	if bound := p.arm.share(p.limit); p.window.weight > bound {
		return p.Weight() > p.limit || steps < windowSteps && p.main.weight+p.window.oldest()+bound <= p.limit
	}
	return steps == 0 && p.window.sparse()
}

const windowSteps = 2

// duel takes the window's oldest entry out and evicts it, or the main queue's victim in its stead.
func (p *Policy) duel() {
	hash, at, weight, marks := p.window.pop()
	if marks < p.arm.promote {
		marks = min(marks+p.ask(hash, at), maxMarks)
	}
	straight := marks >= p.arm.promote
	for excess := true; excess && p.main.len > 0; excess = p.Weight()+weight > p.limit {
		victim, ok := p.loser(hash, straight)
		if !ok || weight > p.limit {
			p.ghost.add(hash)
			p.evict(hash, at)
			return
		}
		if p.Weight()-p.main.weightAt(victim)+weight <= p.limit {
			p.evictAt(victim)
			p.main.set(victim, hash, weight)
			p.moved(hash, at, Place(victim+1))
			return
		}
		p.evictMain(victim)
	}
	if p.Weight()+weight > p.limit {
		p.evict(hash, at)
		return
	}
	p.promote(hash, at, weight)
}

// loser returns the main queue's victim if an entry that leaves the window deserves its place.
func (p *Policy) loser(hash uint32, straight bool) (victim int, ok bool) {
	if straight {
		return p.findVictim(), true
	}
	if !p.arm.duels {
		return 0, false
	}
	estimate := p.sketch.estimate(hash)
	if p.victim >= 0 && !p.arm.beats(estimate, p.sketch.estimate(p.main.hashAt(p.victim))) {
		return 0, false // whether that was used since would change nothing
	}
	victim = p.findVictim()
	return victim, p.arm.beats(estimate, p.sketch.estimate(p.main.hashAt(victim)))
}

// findVictim returns which entry the main queue, which has some, would lose.
func (p *Policy) findVictim() int {
	if p.victim >= 0 {
		if p.marks(p.victim) == 0 {
			return p.victim
		}
		p.victim = -1
	}
	for range maxHandSteps {
		i := p.main.next()
		marks := p.marks(i)
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

// marks returns an entry's marks. It is asked for its uses only if they decide.
func (p *Policy) marks(i int) uint32 {
	if marks := p.main.marksAt(i); marks > 0 {
		return marks
	}
	marks := min(p.ask(p.main.hashAt(i), Place(i+1)), maxMarks)
	p.main.setMarks(i, marks)
	return marks
}

// ask asks for an entry's uses, and tells them to the sketch and to the lab.
func (p *Policy) ask(hash uint32, at Place) uint32 {
	uses := p.entries.Uses(hash, at)
	if uses > 0 {
		p.sketch.add(hash, uses)
		if p.lab.samples(hash) {
			p.lab.told(hash, at, uses)
		}
	}
	return uses
}

// raise gives an entry the marks for uses that the lab asked for.
func (p *Policy) raise(at Place, uses uint32) {
	if at&inWindow != 0 {
		p.window.raise(at&^inWindow, uses)
	} else {
		p.main.setMarks(int(at)-1, min(p.main.marksAt(int(at)-1)+uses, maxMarks))
	}
}

// evict tells the owner, and the lab, that an entry leaves.
func (p *Policy) evict(hash uint32, at Place) {
	p.entries.Evict(hash, at)
	if p.lab.samples(hash) {
		p.lab.evicted(hash, at)
	}
}

func (p *Policy) evictOldest() {
	hash, at, _, _ := p.window.pop()
	p.evict(hash, at)
}

// evictAt evicts an entry of main whose place somebody else takes at once.
func (p *Policy) evictAt(i int) {
	if p.victim == i {
		p.victim = -1
	}
	p.evict(p.main.hashAt(i), Place(i+1))
}

func (p *Policy) evictMain(i int) {
	p.evictAt(i)
	p.removeMain(i)
}

// removeMain closes the gap by moving the last entry there.
func (p *Policy) removeMain(i int) {
	last := p.main.len - 1
	if p.victim == i || p.victim == last {
		p.victim = -1
	}
	if p.main.remove(i); i != last {
		p.moved(p.main.hashAt(i), Place(last+1), Place(i+1))
	}
}

// promote moves an entry that was popped off the window to the main queue, which has room.
func (p *Policy) promote(hash uint32, at Place, weight uint64) {
	p.moved(hash, at, Place(p.main.push(hash, weight)+1))
}

func (p *Policy) moved(hash uint32, from, to Place) {
	p.entries.Moved(hash, from, to)
	if p.lab.samples(hash) {
		p.lab.moved(hash, from, to)
	}
}

func (p *Policy) hashAt(at Place) uint32 {
	if at&inWindow != 0 {
		return p.window.words.at(int(at&^inWindow)) & hashMask
	}
	return p.main.hashAt(int(at) - 1)
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
