package policy

// ghost remembers which keys left the window for good lately: 16 bits of each key's hash, in sets of eight, the
// oldest of a set leaving first. It grows with the entries, one set at a time (Litwin: Linear Hashing, VLDB 1980).
type ghost struct {
	words array[uint64] // four fingerprints each, the newest lowest; 0: none
	sets  int
	level uint // at least 2^level sets, and fewer than twice as many
}

const (
	setWords = 2
	setKeys  = 8
)

// grow gets nearer to room for so many keys.
func (g *ghost) grow(keys int) {
	if g.sets == 0 {
		g.sets = 1
		g.words.grow(setWords)
	}
	for step := 0; step < growStep && g.sets*setKeys < keys; step++ {
		from, to := (g.sets-1<<g.level)*setWords, g.sets*setWords
		g.words.grow(to + setWords)
		for i := range setWords {
			g.words.set(to+i, g.words.at(from+i)) // the keys that it takes over are among these
		}
		if g.sets++; g.sets == 2<<g.level {
			g.level++
		}
	}
}

// locate returns a key's set and fingerprint.
func (g *ghost) locate(hash uint32) (set []uint64, print uint64) {
	bits := spread(hash)
	i := int(bits & (2<<g.level - 1))
	if i >= g.sets {
		i -= 1 << g.level
	}
	i *= setWords
	print = uint64(bits * 0x27D4EB2F >> 16)
	return g.words.chunks[i>>chunkBits][i&(chunkLen-1):][:setWords], max(print, 1)
}

// add remembers a key.
func (g *ghost) add(hash uint32) {
	set, print := g.locate(hash)
	set[1] = set[1]<<16 | set[0]>>48
	set[0] = set[0]<<16 | print
}

// has reports whether a key is remembered. It may take another for it, once in some thousand times.
func (g *ghost) has(hash uint32) bool {
	set, print := g.locate(hash)
	return hasPrint(set[0], print) || hasPrint(set[1], print)
}

// hasPrint reports whether one of the four parts of a word is print (Warren: Hacker's Delight, 2nd edition, 6-1).
func hasPrint(word, print uint64) bool {
	const ones = 0x0001_0001_0001_0001
	word ^= print * ones
	return (word-ones)&^word&(ones<<15) != 0
}
