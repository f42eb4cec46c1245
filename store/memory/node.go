package memory

import (
	"sync/atomic"

	"github.com/tarncache/tarn"
)

// node is one key and its entry.
type node[K comparable, V any] struct {
	key   K
	hash  uint64
	born  uint64        // the store's count of new keys when this one came
	entry tarn.Entry[V] // changes under Store.mu and the shard's lock: either suffices to read it

	marks marks // what the hits left

	// Store.mu protects the rest.
	version    uint32 // counts the changes of entry
	queue      place
	weight     uint64
	prev, next *node[K, V] // in the queue
	timed      int         // one more than the index in the deadlines; 0: not there
}

// marks count the hits of an entry in one word, which a hit raises and nothing else is touched: a frequency up to
// 3 for the CLOCK, and up to 15 hits that the sketch has not been told of. At its limits a hit writes nothing.
// Readers only raise, by compare and swap, and lose a hit where two meet; the policy, under Store.mu, only lowers.
type marks struct{ word atomic.Uint32 }

const (
	maxFrequency = 3
	maxUntold    = 15
	oneUntold    = 4 // above the two bits of the frequency
	fullMarks    = maxFrequency | maxUntold*oneUntold
)

func (m *marks) hit() {
	old := m.word.Load()
	if old == fullMarks {
		return
	}
	word := old
	if word%oneUntold < maxFrequency {
		word++
	}
	if word/oneUntold < maxUntold {
		word += oneUntold
	}
	m.word.CompareAndSwap(old, word)
}

func (m *marks) frequency() uint32 { return m.word.Load() % oneUntold }

// lower takes one from a frequency that is not zero.
func (m *marks) lower() { m.word.Add(^uint32(0)) }

// takeUntold returns the hits that the sketch has not been told of, and forgets them.
func (m *marks) takeUntold() uint32 {
	n := m.word.Load() / oneUntold
	m.word.Add(-(n * oneUntold))
	return n
}
