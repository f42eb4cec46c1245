package trace

import (
	"errors"
	"math"
	"math/bits"
)

// Optimum says how often a trace could be answered from a cache that knows the future. It takes four bytes for each
// request. Its methods may be called by any number of goroutines.
type Optimum struct {
	Requests int64
	Keys     int64 // different ones

	next [][]uint32 // by request, in pieces: the request at which its key is asked for again
}

const never = math.MaxUint32

var errTooLong = errors.New("trace: the optimum of more than 4,294,967,295 requests is not computed")

// NewOptimum reads a trace. While it does, it takes some 50 bytes for each different key as well.
func NewOptimum(s Source) (*Optimum, error) {
	o := &Optimum{}
	last := make(map[uint64]uint32)
	for keys, err := range Batches(s) {
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			now := o.Requests
			if now == never {
				return nil, errTooLong
			}
			if before, seen := last[key]; seen {
				o.next[before/piece][before%piece] = uint32(now)
			}
			last[key] = uint32(now)
			if now%piece == 0 {
				o.next = append(o.next, make([]uint32, 0, piece))
			}
			o.next[now/piece] = append(o.next[now/piece], never)
			o.Requests++
		}
	}
	o.Keys = int64(len(last))
	return o, nil
}

// Hits returns how many requests could find their key in a cache of so many entries: one that drops the entry whose
// key will not be asked for for the longest time, be it that of the last miss. No cache finds more (Belady, A study
// of replacement algorithms for a virtual-storage computer, 1966; Mattson, Gecsei, Slutz and Traiger, Evaluation
// techniques for storage hierarchies, 1970). Those that always keep the entry of a miss for a while, unlike many
// whose admission may turn it away at once, have a bound that is a little lower.
//
// A request asks for one key, so the request at which a key comes next can stand for its entry: the cache is a set of
// numbers, a request is a hit if its own is in the set, and the entry to drop is the greatest. So each request costs
// a few steps, at most as many as the logarithm of the trace's length to the base of 64.
func (o *Optimum) Hits(entries int) int64 {
	var hits int64
	coming, held := newTimes(o.Requests), 0
	now := uint32(0)
	for _, piece := range o.next {
		for _, next := range piece {
			if coming.has(now) {
				hits++
				coming.remove(now)
				held--
			}
			if next != never {
				coming.add(next)
				held++
			}
			if held > entries {
				coming.remove(coming.last())
				held--
			}
			now++
		}
	}
	return hits
}

// times is a set of numbers below a limit: a tree of bits in which a word has a bit for each word below it that is
// not zero.
type times struct{ levels [][]uint64 } // the bits of the numbers first, a single word last

func newTimes(limit int64) *times {
	t := &times{}
	for {
		limit = max(1, (limit+63)/64)
		t.levels = append(t.levels, make([]uint64, limit))
		if limit == 1 {
			return t
		}
	}
}

func (t *times) has(n uint32) bool { return t.levels[0][n/64]>>(n%64)&1 != 0 }

func (t *times) add(n uint32) {
	for _, words := range t.levels {
		word := &words[n/64]
		was := *word
		*word |= 1 << (n % 64)
		if was != 0 {
			return
		}
		n /= 64
	}
}

func (t *times) remove(n uint32) {
	for _, words := range t.levels {
		word := &words[n/64]
		*word &^= 1 << (n % 64)
		if *word != 0 {
			return
		}
		n /= 64
	}
}

// last returns the greatest number of a set that is not empty.
func (t *times) last() uint32 {
	n := uint32(0)
	for i := len(t.levels) - 1; i >= 0; i-- {
		n = n*64 + uint32(63-bits.LeadingZeros64(t.levels[i][n]))
	}
	return n
}
