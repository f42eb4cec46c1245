package policy

const (
	shrinkFrom = 4   // how many times as large as it has to be the sketch is at least that is made anew
	shrinkWork = 256 // entries told to a new sketch at once
)

// renewal is a sketch that is to take the place of one that is too large. Of what that knows it gets what concerns the
// main queue: all of it, in so few counters, would be noise.
type renewal struct {
	sketch sketch
	told   int // entries of main
}

// Shrink gives back memory that a policy needs no more that had many more entries, and will have this many or those that
// it has. It does some of the work at each call, and reports whether there is more to do.
func (p *Policy) Shrink(entries int) (more bool) {
	entries = max(entries, p.Len())
	p.main.words.cut(p.main.len)
	p.main.weights.of.cut(p.main.len)
	more = p.window.shrink(p.moved)
	return p.renew(entries) || more
}

// renew makes the sketch and the ghosts anew if they are much too large, and reports whether there is more to do.
func (p *Policy) renew(entries int) (more bool) {
	if p.sketch.blocks*blockWords < shrinkFrom*max(entries, minBlocks*blockWords) {
		p.renewal = nil
		return false
	}
	if p.renewal == nil {
		p.renewal = new(renewal)
	}
	r := p.renewal
	for range shrinkWork {
		r.sketch.grow(entries)
		if full := r.sketch.blocks*blockWords >= entries; full && r.told >= p.main.len {
			break
		} else if full { // what it is told before would be split with its blocks
			hash := p.main.hashAt(r.told)
			r.sketch.add(hash, uint32(p.sketch.estimate(hash)))
			r.sketch.additions = 0 // which were not made now
			r.told++
		}
	}
	if r.told < p.main.len {
		return true
	}
	p.sketch, p.renewal = r.sketch, nil
	p.ghost = ghost{}
	p.ghost.grow(0)
	return false
}

// shrink moves chunks to free ones with lower numbers, and reports whether there are more to move.
func (w *window) shrink(moved func(hash uint32, from, to Place)) (more bool) {
	to := uint32(1)
	for range shrinkChunks {
		w.trim()
		for to < w.total && w.count(to) > 0 {
			to++
		}
		if to >= w.total {
			break
		}
		w.move(w.total-1, to, moved)
	}
	w.trim()
	w.free = 0
	for chunk := w.total; chunk > 1; {
		if chunk--; w.count(chunk) == 0 {
			w.words.set(int(chunk<<spanBits), w.free)
			w.free = chunk // in the end that with the lowest number
		}
	}
	w.words.cut(int(w.total << spanBits))
	w.weights.of.cut(int(w.total << spanBits))
	return w.free != 0
}

const shrinkChunks = 8 // that are moved at once

// count returns how many entries a chunk has. A free one has none.
func (w *window) count(chunk uint32) uint32 { return w.words.at(int(chunk<<spanBits|1)) & (span - 1) }

// trim forgets free chunks behind all others. The caller makes the list of the free ones anew.
func (w *window) trim() {
	for w.total > 1 && w.count(w.total-1) == 0 {
		w.total--
	}
}

// move moves a chunk's entries to a free one, which takes its place in the list.
func (w *window) move(from, to uint32, moved func(hash uint32, from, to Place)) {
	for i := range span {
		at, into := int(from<<spanBits)+i, int(to<<spanBits)+i
		word := w.words.at(at)
		w.words.set(into, word)
		w.words.set(at, 0)
		if i >= spanHead && word&live != 0 {
			w.weights.set(into, w.weights.at(at))
			moved(word&hashMask, Place(at)|inWindow, Place(into)|inWindow)
		}
	}
	next, prev := w.words.at(int(to<<spanBits)), w.words.at(int(to<<spanBits|1))>>spanBits
	if prev != 0 {
		w.words.set(int(prev<<spanBits), to)
	} else {
		w.first = to
	}
	if next != 0 {
		i := int(next<<spanBits | 1)
		w.words.set(i, to<<spanBits|w.words.at(i)&(span-1))
	} else {
		w.last = to
	}
}
