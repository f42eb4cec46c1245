package strategies

import (
	"errors"

	"github.com/tarncache/tarn"
)

// concludeUnrecorded does what follows where a batch could not be recorded, and so was not sent. One that is too heavy for
// the journal has no name yet, so it is parted, in halves, down to a single key, each with the records of its deltas; they
// are recorded one after the other. A single delta may have become too heavy by what was merged into it.
func (a *Accumulator[K, V, D]) concludeUnrecorded(b *deltaBatch[K, V, D], err error) {
	if b.Seq != 0 || b.buffered || !errors.Is(err, tarn.ErrTooHeavy) {
		a.retry(b, err, 0)
		return
	}
	if len(b.keys) > 1 {
		a.part(b)
		return
	}
	err = tarn.Permanent(err)
	if !a.giveUp(b, 0, err) {
		a.retry(b, err, 0)
		return
	}
	for _, seq := range b.records {
		a.log.remove(seq)
	}
	a.confirm(b.keys, []bool{true})
}

// part makes two batches of one that has no name.
func (a *Accumulator[K, V, D]) part(b *deltaBatch[K, V, D]) {
	half, records := len(b.keys)/2, 0
	for _, n := range b.each[:half] {
		records += n
	}
	for _, h := range []*deltaBatch[K, V, D]{
		{
			Batch: Batch[K, D]{Epoch: b.Epoch, Deltas: b.Deltas[:half:half]}, keys: b.keys[:half:half],
			records: b.records[:records:records], each: b.each[:half:half],
		},
		{
			Batch: Batch[K, D]{Epoch: b.Epoch, Deltas: b.Deltas[half:]}, keys: b.keys[half:],
			records: b.records[records:], each: b.each[half:],
		},
	} {
		a.table.reassign(h)
		a.table.restUntil(h, nil, 0)
	}
}
