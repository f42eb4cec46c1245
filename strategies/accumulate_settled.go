package strategies

import (
	"slices"
	"sync"
)

// unsettledBatches knows which batches may be sent again, be it after a restart.
type unsettledBatches struct {
	mu   sync.Mutex // protects all below
	seq  uint64     // the last number given; without a journal
	open []uint64   // in ascending order
}

// begin numbers a batch.
func (u *unsettledBatches) begin() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seq++
	u.open = append(u.open, u.seq)
	return u.seq
}

// add says that there is a batch of that number, or may be one of a greater number.
func (u *unsettledBatches) add(seq uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	i, _ := slices.BinarySearch(u.open, seq)
	u.open = slices.Insert(u.open, i, seq)
}

// end says that a batch is not sent again, whatever happens.
func (u *unsettledBatches) end(seq uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if i, found := slices.BinarySearch(u.open, seq); found {
		u.open = slices.Delete(u.open, i, i+1)
	}
}

// below returns the number below which no batch is sent again; there is at least one open.
func (u *unsettledBatches) below() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.open[0]
}
