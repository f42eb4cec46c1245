package memory

// sketch estimates how often a key was used lately, kept or not: a count-min sketch of 4-bit counters (Cormode,
// Muthukrishnan: An improved data stream summary, J. Algorithms 2005) whose counters are all halved from time to
// time, so that the past fades (Einziger, Friedman, Manes: TinyLFU, ACM Transactions on Storage 2017).
//
// A key has four counters, all within one block of 64 bytes. The table grows with the store's entries, a word for
// each, and a halving is spread over the additions that follow: no addition does more than a bounded amount of
// work, but for the copy when the table doubles.
type sketch struct {
	words     []uint64 // 16 counters each; the length is a power of two
	additions int      // since the last halving began
	halved    int      // how many words the present halving has done; len(words): none is going on
}

const (
	blockWords     = 8
	minSketchWords = 64
	maxSketchWords = 1 << 26
	halvingStep    = 16 // words per addition
	samplePerEntry = 10 // additions between two halvings, per entry
)

func newSketch() sketch {
	return sketch{words: make([]uint64, minSketchWords), halved: minSketchWords}
}

// reserve grows the table to a word per entry. Blocks are told apart by one more bit of the hash, so a copy of a
// block serves both that it becomes.
func (s *sketch) reserve(entries int) {
	for entries > len(s.words) && len(s.words) < maxSketchWords {
		for s.halved < len(s.words) {
			s.halve()
		}
		s.words = append(s.words, s.words...)
		s.halved = len(s.words)
	}
}

// counter returns the word and the shift of counter i of a key, i from 0 to 3.
func (s *sketch) counter(hash uint64, i uint) (word int, shift uint) {
	block := int(hash>>32) & (len(s.words)/blockWords - 1) * blockWords
	pick := uint(uint32(hash)*0x9E3779B1>>(8*i)) & 0xFF
	return block + int(2*i+pick&1), pick >> 1 & 15 * 4
}

// estimate returns how often the key was added, from 0 to 15. It errs on the high side.
func (s *sketch) estimate(hash uint64) uint64 {
	least := uint64(15)
	for i := range uint(4) {
		word, shift := s.counter(hash, i)
		least = min(least, s.words[word]>>shift&15)
	}
	return least
}

// add adds n uses of a key, in a store of so many entries.
func (s *sketch) add(hash uint64, n uint32, entries int) {
	if n == 0 {
		return
	}
	for i := range uint(4) {
		word, shift := s.counter(hash, i)
		count := s.words[word] >> shift & 15
		s.words[word] += min(uint64(n), 15-count) << shift
	}
	s.additions += int(n)
	if s.halved < len(s.words) {
		s.halve()
	} else if s.additions >= samplePerEntry*max(entries, minSketchWords/8) {
		s.additions = 0
		s.halved = 0
	}
}

// halve does the next step of a halving.
func (s *sketch) halve() {
	end := min(s.halved+halvingStep, len(s.words))
	for i := s.halved; i < end; i++ {
		s.words[i] = s.words[i] >> 1 & 0x7777777777777777
	}
	s.halved = end
}
