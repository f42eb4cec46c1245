package policy

// sketch estimates how often a key was used lately, kept or not: a count-min sketch of 4-bit counters (Cormode,
// Muthukrishnan: An improved data stream summary, J. Algorithms 2005) whose counters are all halved from time to
// time, so that the past fades (Einziger, Friedman, Manes: TinyLFU, ACM Transactions on Storage 2017).
//
// A key has four counters, all within one block of 64 bytes. The table grows with the entries, a word for each, one
// block at a time (Litwin: Linear Hashing, VLDB 1980), and a halving is spread over the additions that follow. So no
// addition does more than a bounded amount of work.
type sketch struct {
	words     array[uint64] // 16 counters each
	blocks    int           // in use; some, once grow was called
	level     uint          // at least 2^level blocks, and fewer than twice as many
	entries   int           // that grow was told of
	additions int           // since the last halving began
	halved    int           // how many words the present halving has done; all: none is going on
}

const (
	blockWords     = 8
	minBlocks      = 8
	minLevel       = 3
	growStep       = 2  // blocks per insert
	halvingStep    = 16 // words per addition
	samplePerEntry = 10 // additions between two halvings, per entry
)

// grow tells how many entries there are, and gets nearer to one word for each.
func (s *sketch) grow(entries int) {
	s.entries = max(s.entries, entries)
	if s.blocks*blockWords >= entries && s.blocks > 0 {
		return
	}
	if s.blocks == 0 {
		s.blocks, s.level = minBlocks, minLevel
		s.words.grow(minBlocks * blockWords)
		s.halved = minBlocks * blockWords
		return
	}
	for range growStep {
		s.split()
	}
}

// split adds a block. The keys that it takes over were all in one other, so a copy of that serves both.
func (s *sketch) split() {
	from, to := (s.blocks-1<<s.level)*blockWords, s.blocks*blockWords
	s.words.grow(to + blockWords)
	idle := s.halved == to
	for i := range blockWords {
		s.words.set(to+i, s.words.at(from+i)) // a halving that is under way may meet it twice; that errs on the low side
	}
	if s.blocks++; idle {
		s.halved = s.blocks * blockWords
	}
	if s.blocks == 2<<s.level {
		s.level++
	}
}

// locate returns a key's block, and bits that choose counters within it.
func (s *sketch) locate(hash uint32) (block []uint64, bits uint32) {
	bits = spread(hash)
	i := int(bits & (2<<s.level - 1))
	if i >= s.blocks {
		i -= 1 << s.level
	}
	i *= blockWords
	return s.words.chunks[i>>chunkBits][i&(chunkLen-1):][:blockWords], bits * 0x9E3779B1 >> 12
}

// spread mixes the bits of a hash, whose low ones the owner may have chosen by.
func spread(hash uint32) uint32 {
	hash *= 0x85EBCA6B
	hash ^= hash >> 15
	hash *= 0xC2B2AE35
	return hash ^ hash>>16
}

// estimate returns how often the key was added, from 0 to 15. It errs on the high side.
func (s *sketch) estimate(hash uint32) uint64 {
	words, bits := s.locate(hash)
	least := uint64(15)
	for i := uint32(0); i < blockWords; i += 2 {
		least = min(least, words[i+bits&1]>>(bits>>1&15*4)&15)
		bits >>= 5
	}
	return least
}

// add adds n uses of a key.
func (s *sketch) add(hash uint32, n uint32) {
	words, bits := s.locate(hash)
	for i := uint32(0); i < blockWords; i += 2 {
		word, shift := i+bits&1, bits>>1&15*4
		words[word] += min(uint64(n), 15-words[word]>>shift&15) << shift
		bits >>= 5
	}
	s.additions += int(n)
	if s.halved < s.blocks*blockWords {
		s.halve()
	} else if s.additions >= samplePerEntry*max(s.entries, minBlocks) {
		s.additions = 0
		s.halved = 0
	}
}

// halve does the next step of a halving.
func (s *sketch) halve() {
	end := min(s.halved+halvingStep, s.blocks*blockWords)
	for i := s.halved; i < end; i++ {
		s.words.set(i, s.words.at(i)>>1&0x7777777777777777)
	}
	s.halved = end
}
