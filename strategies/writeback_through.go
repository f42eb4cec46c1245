package strategies

import (
	"context"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// writeThroughJournaled is writeThrough with a journal, which learns of the operation before the source does. Otherwise,
// after a crash, an older one of its key that is in the journal could be written over it.
func (c *WriteBackCache[K, V]) writeThroughJournaled(
	ctx context.Context, op tarn.Op[K, V], size int64, rec journal.Record,
) error {
	return c.through(ctx, op.Key, size,
		func(p *pendingKey[K, V], _ uint64) error { return c.writeClaimedJournaled(ctx, p, op, rec) },
		func() (acceptance, error) {
			how := c.table.reserve(op.Key, size, false)
			if how != accepted {
				return how, how.err()
			}
			return how, c.enter(ctx, &commit{put: []journal.Record{rec}}, []tarn.Op[K, V]{op}, []int64{size})
		})
}

// writeClaimedJournaled writes an operation whose key the caller has claimed, and ends the claim. What is in the journal,
// at each moment:
//
//	the older operation that is pending, if there is one
//	both
//	the newer one                  from before the source is written
//	nothing, or the older one      if the source does not take it: before the caller is told
func (c *WriteBackCache[K, V]) writeClaimedJournaled(
	ctx context.Context, p *pendingKey[K, V], op tarn.Op[K, V], rec journal.Record,
) (err error) {
	var a *attempt[K, V]
	defer func() { c.table.release(p, op.Seq, a.wrote()) }()
	if op.Seq, err = c.writeProvisionally(ctx, rec); err != nil {
		return err
	}
	op.Epoch = c.table.epoch
	older, err := c.replaceOlder(p, op.Seq)
	if err == nil {
		err = c.log.sync(ctx)
	}
	if err == nil {
		a = c.attempt(ctx, []tarn.Op[K, V]{op})
		err = c.wroteThrough(ctx, op, a)
	} else {
		err = c.journalError(ctx, err)
	}
	if a.wrote() {
		c.log.remove(op.Seq)
		return err
	}
	if undone := c.undo(ctx, p, op.Seq, older); undone != nil {
		return fmt.Errorf("%w; and the journal may have it still: %w", err, bare(undone))
	}
	return err
}

// replaceOlder has the journal forget the operation that is pending of a claimed key, in favour of the one of number seq,
// and returns its record; of no number if there is none.
func (c *WriteBackCache[K, V]) replaceOlder(p *pendingKey[K, V], seq uint64) (rec journal.Record, err error) {
	older, found := c.table.older(p, seq)
	if !found {
		return rec, nil
	}
	if rec, err = c.recordContained(older); err != nil {
		return journal.Record{}, err
	}
	rec.Seq = older.Seq
	c.log.remove(older.Seq)
	return rec, nil
}
