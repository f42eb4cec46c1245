package policy

// window is a queue, first in first out, of entries that may also leave from its midst. It is a list of chunks of 32
// words. A chunk without entries leaves the list at once. So the oldest entry is in the first chunk, and neither
// finding it nor removing any depends on how many there are.
//
// A chunk's first word has the next chunk, its second the chunk before and how many entries it has.
type window struct {
	words   array[uint32]
	weights weights
	first   uint32 // chunk; chunk 0 is not used, and stands for none
	last    uint32
	pos     uint32 // where in the last chunk the next entry goes
	free    uint32 // list of chunks, by their first words
	total   uint32 // chunks there are, with chunk 0
	chunks  int    // chunks in the list
	len     int
	weight  uint64
}

// inWindow marks a place in the window. The rest of it counts words.
const inWindow Place = 1 << 31

const (
	spanBits  = 5
	span      = 1 << spanBits // words of a chunk
	spanHead  = 2             // words of it that are no entries
	spanSlots = span - spanHead
	live      = 1 << 31 // set in a word that is an entry; two bits of marks and the hash's follow
)

// push adds an entry behind all others. Neither the result nor the places that others take have the bit inWindow.
func (w *window) push(hash uint32, weight uint64) Place {
	if w.last == 0 || w.pos == span {
		w.append()
	}
	i := int(w.last<<spanBits | w.pos)
	w.pos++
	w.words.set(i, hash|live)
	w.weights.set(i, weight)
	w.words.set(int(w.last<<spanBits|1), w.words.at(int(w.last<<spanBits|1))+1)
	w.len++
	w.weight += weight
	return Place(i)
}

// append adds an empty chunk.
func (w *window) append() {
	chunk := w.free
	if chunk != 0 {
		w.free = w.words.at(int(chunk << spanBits))
	} else {
		w.total = max(w.total, 1)
		chunk = w.total
		w.total++
		w.words.grow(int(w.total << spanBits))
	}
	w.words.set(int(chunk<<spanBits), 0)
	w.words.set(int(chunk<<spanBits|1), w.last<<spanBits)
	if w.last != 0 {
		w.words.set(int(w.last<<spanBits), chunk)
	} else {
		w.first = chunk
	}
	w.last, w.pos = chunk, spanHead
	w.chunks++
}

// pop takes the oldest entry out. There must be one. Its place is returned with the bit inWindow.
func (w *window) pop() (hash uint32, at Place, weight uint64, marks uint32) {
	i := int(w.first<<spanBits | spanHead)
	for w.words.at(i)&live == 0 {
		i++
	}
	word, weight := w.words.at(i), w.weights.at(i)
	w.remove(Place(i))
	return word & hashMask, Place(i) | inWindow, weight, word >> HashBits & maxMarks
}

// raise gives an entry marks.
func (w *window) raise(at Place, marks uint32) {
	word := w.words.at(int(at))
	marks = min(word>>HashBits&maxMarks+marks, maxMarks)
	w.words.set(int(at), live|marks<<HashBits|word&hashMask)
}

// oldest returns what the oldest entry weighs.
func (w *window) oldest() uint64 {
	if !w.weights.on {
		return 1
	}
	i := int(w.first<<spanBits | spanHead)
	for w.words.at(i)&live == 0 {
		i++
	}
	return w.weights.at(i)
}

// remove takes an entry out.
func (w *window) remove(at Place) {
	i := int(at)
	w.len--
	w.weight -= w.weights.at(i)
	w.words.set(i, 0)
	head := i>>spanBits<<spanBits | 1
	count := w.words.at(head) - 1
	w.words.set(head, count)
	if count&(span-1) == 0 {
		w.unlink(uint32(i >> spanBits))
	}
}

// unlink frees a chunk that has no entries.
func (w *window) unlink(chunk uint32) {
	next, prev := w.words.at(int(chunk<<spanBits)), w.words.at(int(chunk<<spanBits|1))>>spanBits
	if prev != 0 {
		w.words.set(int(prev<<spanBits), next)
	} else {
		w.first = next
	}
	if next != 0 {
		i := int(next<<spanBits | 1)
		w.words.set(i, prev<<spanBits|w.words.at(i)&(span-1))
	} else {
		w.last, w.pos = prev, span // what was before is full, or its end was left behind
	}
	for i := chunk<<spanBits + spanHead; i < (chunk+1)<<spanBits; i++ {
		w.words.set(int(i), 0)
	}
	w.words.set(int(chunk<<spanBits), w.free)
	w.free = chunk
	w.chunks--
}

// sparse reports whether most of the chunks' words are holes that removed entries left.
func (w *window) sparse() bool { return w.chunks > 2*(w.len/spanSlots)+2 }
