package policy

import "testing"

// words returns how many words of 8 bytes a policy's arrays have, without the lab's.
func (p *Policy) words() int {
	return p.sketch.words.len + p.ghost.words.len +
		(p.main.words.len+p.window.words.len)/2 + p.main.weights.of.len + p.window.weights.of.len
}

// After a Shrink a policy takes about as much as one that never was larger. One that is to have as many again, or not
// much fewer, keeps what it knows.
func TestShrinkGivesMemoryBack(t *testing.T) {
	const large = 20_000
	for _, weighted := range []bool{false, true} {
		fill := func(limit, n int) *Policy {
			p := New(unused{}, Options{Weighted: weighted, Choice: new(Choice)})
			p.choice.arm.Store(1) // with the largest window
			p.SetLimit(uint64(limit))
			for i := range n {
				p.Insert(hashOf(i), 1)
			}
			return p
		}
		for _, row := range []struct{ small, keep, most int }{
			{0, 0, 2},
			{50, 0, 2},
			{1000, 0, 2},
			{3000, 0, 2},
			{8000, 0, 4},
			{50, large, 1000}, // times what a new one has
			{50, large / 3, 1000},
		} {
			fresh, p := fill(row.small, 3*row.small), fill(large, 3*large)
			sketch := p.sketch.blocks
			for p.Len() > row.small {
				p.EvictOne()
			}
			p.SetLimit(uint64(row.small))
			for p.Shrink(row.keep) {
			}
			if got, want := p.words(), fresh.words(); got > row.most*want {
				t.Errorf("weighted %v, %+v: %d words, a new one has %d", weighted, row, got, want)
			}
			if kept := p.sketch.blocks == sketch; kept != (shrinkFrom*max(row.small, row.keep) > large) {
				t.Errorf("weighted %v, %+v: the sketch is the same: %v", weighted, row, kept)
			}
			if p.renewal != nil {
				t.Errorf("weighted %v, %+v: a renewal is going on", weighted, row)
			}
			before := p.words()
			for i := range 3 * row.small {
				p.Insert(hashOf(large+i), 1)
			}
			if after := p.words(); after > before+2*fresh.words() {
				t.Errorf("weighted %v, %+v: %d words, and %d after as many entries again", weighted, row, before, after)
			}
		}
	}
}

type unused struct{}

func (unused) Uses(uint32, Place) uint32  { return 0 }
func (unused) Moved(uint32, Place, Place) {}
func (unused) Evict(uint32, Place)        {}
func (unused) Watch(uint32, Place, bool)  {}

// What the sketch knew of the entries, it still knows.
func TestShrinkKeepsWhatIsKnownOfEntries(t *testing.T) {
	const large, small = 20_000, 1000
	p := New(unused{}, Options{})
	p.SetLimit(large)
	for i := range large {
		p.Insert(hashOf(i), 1)
	}
	for p.Len() > small {
		p.EvictOne()
	}
	for i := range p.main.len {
		p.sketch.add(p.main.hashAt(i), uint32(i%8))
	}
	before := make([]uint64, p.main.len)
	for i := range before {
		before[i] = p.sketch.estimate(p.main.hashAt(i))
	}
	for p.Shrink(0) {
	}
	wrong := 0
	for i, estimate := range before {
		switch got := p.sketch.estimate(p.main.hashAt(i)); {
		case got < estimate:
			t.Fatalf("entry %d: the estimate is %d, and was %d", i, got, estimate)
		case got > estimate+1:
			wrong++
		}
	}
	if wrong > small/20 {
		t.Errorf("%d of %d estimates are too high", wrong, small)
	}
	if p.sketch.additions != 0 {
		t.Errorf("%d additions were not made now", p.sketch.additions)
	}
}

// A window is in order after its chunks have moved, and at each step on the way.
func TestShrinkKeepsTheWindowInOrder(t *testing.T) {
	var w window
	w.weights.on = true
	at := map[uint32]Place{}
	for i := range uint32(10_000) {
		at[i] = w.push(i, uint64(i)) | inWindow
	}
	for i := range uint32(10_000) {
		if i%3000 > 30 {
			w.remove(at[i] &^ inWindow)
			delete(at, i)
		}
	}
	moves := 0
	for more := true; more; {
		before := moves
		more = w.shrink(func(hash uint32, from, to Place) {
			if at[hash] != from {
				t.Fatalf("entry %d moves from %x, and was at %x", hash, from, at[hash])
			}
			at[hash] = to
			moves++
		})
		if moves-before > shrinkChunks*spanSlots {
			t.Fatalf("%d moves at once", moves-before)
		}
		next := uint32(10_000 + moves)
		at[next] = w.push(next, uint64(next)) | inWindow
	}
	if moves == 0 {
		t.Fatal("nothing moved")
	}
	if most := 2 * (w.chunks + 1) << spanBits; w.words.len > most || w.weights.of.len > most {
		t.Errorf("%d words and %d weights for %d chunks", w.words.len, w.weights.of.len, w.chunks)
	}
	last := -1
	for n := len(at); n > 0; n-- {
		hash, from, weight, _ := w.pop()
		if int(hash) <= last || from != at[hash] || weight != uint64(hash) {
			t.Fatalf("popped %d at %x of weight %d after %d; it is at %x", hash, from, weight, last, at[hash])
		}
		last = int(hash)
	}
	if w.len != 0 || w.chunks != 0 || w.weight != 0 {
		t.Errorf("what is left of an empty window: %d entries, %d chunks, weight %d", w.len, w.chunks, w.weight)
	}
}
