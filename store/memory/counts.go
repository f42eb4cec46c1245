package memory

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// counts count hits and misses exactly, and so that goroutines that run at the same time seldom write the same cache
// line: each counts in a place that the address of its stack chooses. Two that come to share one lose time, and no
// count. Even so the locked addition is a sixth of what a hit costs, since it keeps the loads of one Get from overlapping
// the next one's; so it has to be asked for. Nil counts count nothing.
type counts []count

type count struct {
	hits, misses atomic.Uint64
	_            [48]byte
}

func newCounts() counts {
	n := 16 * runtime.GOMAXPROCS(0)
	return make(counts, 1<<min(bits.Len(uint(n-1)), 10))
}

func (c counts) own() *count {
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here))) >> 10
	return &c[address*0x9E3779B97F4A7C15>>40&uint64(len(c)-1)]
}

func (c counts) hit() {
	if len(c) > 0 {
		c.own().hits.Add(1)
	}
}

func (c counts) miss() {
	if len(c) > 0 {
		c.own().misses.Add(1)
	}
}

// add counts the reads of a batch.
func (c counts) add(hits, misses int) {
	if len(c) > 0 {
		own := c.own()
		own.hits.Add(uint64(hits))
		own.misses.Add(uint64(misses))
	}
}

func (c counts) sum() (hits, misses uint64) {
	for i := range c {
		hits += c[i].hits.Load()
		misses += c[i].misses.Load()
	}
	return hits, misses
}
