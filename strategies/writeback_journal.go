package strategies

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// writeLog is what a WriteBackCache has of its journal.
type writeLog[K comparable, V any] struct {
	*committer
	form *recordForm[K, V]
}

// writeJournaled accepts one operation once the journal has it.
func (c *WriteBackCache[K, V]) writeJournaled(ctx context.Context, op tarn.Op[K, V]) error {
	rec, err := c.log.form.record(op)
	if err != nil {
		return err
	}
	size := c.size(op)
	if limit := c.config.MaxPendingBytes; limit > 0 && size > limit {
		if c.config.WhenFull == WriteThroughWhenFull {
			return c.writeThroughJournaled(ctx, op, size, rec)
		}
		return errTooHeavy
	}
	return c.persistently(ctx, func() error { return c.submit(ctx, op, size, rec) })
}

// persistently does something that the journal has no room for until it has, if writes wait for room.
func (c *WriteBackCache[K, V]) persistently(ctx context.Context, do func() error) error {
	for failures := 1; ; failures++ {
		err := do()
		if !errors.Is(err, journal.ErrFull) || c.config.WhenFull != BlockWhenFull {
			return err
		}
		c.table.queue.press()
		if ended := c.blocked(ctx, func() error { return c.log.roomFor(ctx, failures) }); ended != nil {
			return ended
		}
		if err := c.refuses(ctx); err != nil {
			return err
		}
	}
}

// submit accepts one operation if the journal has room.
func (c *WriteBackCache[K, V]) submit(ctx context.Context, op tarn.Op[K, V], size int64, rec journal.Record) error {
	how := c.table.reserve(op.Key, size, false)
	if how == full {
		switch c.config.WhenFull {
		case RefuseWhenFull:
			return c.refuse()
		case WriteThroughWhenFull:
			c.table.queue.press()
			return c.writeThroughJournaled(ctx, op, size, rec)
		}
		if err := c.waitForRoom(ctx, size); err != nil {
			return err
		}
		how = c.table.reserve(op.Key, size, true)
	}
	if how == closed {
		return tarn.ErrClosed
	}
	return c.enter(ctx, &commit{put: []journal.Record{rec}}, []tarn.Op[K, V]{op}, []int64{size})
}

// enter accepts operations that have their places, as the records that x puts, in one append.
func (c *WriteBackCache[K, V]) enter(ctx context.Context, x *commit, ops []tarn.Op[K, V], sizes []int64) error {
	hows := make([]acceptance, len(ops))
	x.apply = func(err error) {
		for i, op := range ops {
			if err != nil {
				c.table.leave(op.Key, sizes[i])
				continue
			}
			op.Epoch, op.Seq = c.table.epoch, x.put[i].Seq
			hows[i] = c.table.enter(op, sizes[i])
		}
	}
	if err := c.log.do(ctx, x); err != nil {
		return c.journalError(ctx, err)
	}
	if c.observer != nil {
		for i, how := range hows {
			if how == coalesced {
				c.observe(ctx, tarn.Event{Kind: tarn.EventCoalesced, N: 1, Key: eventKey(&c.common, ops[i].Key)})
			}
		}
	}
	return nil
}

// journalError is what a write returns that the journal did not take.
func (c *WriteBackCache[K, V]) journalError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, tarn.ErrClosed):
		return tarn.ErrClosed
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return ctx.Err()
	case errors.Is(err, errObsolete):
		return err
	}
	c.refused.Add(1)
	return fmt.Errorf("strategies: write-back: %w", bare(err))
}

// writeManyJournaled accepts operations, in one append if there is room for all.
func (c *WriteBackCache[K, V]) writeManyJournaled(ctx context.Context, n int, at func(i int) tarn.Op[K, V]) error {
	var errs tarn.IndexError
	fail := func(i int, err error) {
		if err != nil {
			if errs == nil {
				errs = make(tarn.IndexError, n)
			}
			errs[i] = err
		}
	}
	for next := 0; next < n; {
		chunk := c.reserveChunk(n, next, at)
		if len(chunk.ops) > 0 {
			err := c.enter(ctx, &commit{put: chunk.put}, chunk.ops, chunk.sizes)
			for i := range chunk.ops {
				fail(next+i, c.again(ctx, chunk.ops[i], err))
			}
			next += len(chunk.ops)
		}
		if next < n && len(chunk.ops) < c.config.MaxBatch {
			fail(next, c.write(ctx, at(next)))
			next++
		}
	}
	if errs == nil {
		return nil
	}
	return errs
}

// again writes an operation by itself for which, together with others, the journal had no room.
func (c *WriteBackCache[K, V]) again(ctx context.Context, op tarn.Op[K, V], err error) error {
	if errors.Is(err, journal.ErrFull) || errors.Is(err, tarn.ErrTooHeavy) {
		return c.write(ctx, op)
	}
	return err
}

// chunk is what goes into one append of a batch.
type chunk[K comparable, V any] struct {
	ops   []tarn.Op[K, V]
	sizes []int64
	put   []journal.Record
}

// reserveChunk takes places for operations from index next on, until there is none, or one needs a closer look. If a
// function of the application panics, it gives them back.
func (c *WriteBackCache[K, V]) reserveChunk(n, next int, at func(i int) tarn.Op[K, V]) (ch chunk[K, V]) {
	returned := false
	defer func() {
		for i := 0; !returned && i < len(ch.ops); i++ {
			c.table.leave(ch.ops[i].Key, ch.sizes[i])
		}
	}()
	c.fill(&ch, n, next, at)
	returned = true
	return ch
}

// fill takes the places of a chunk.
func (c *WriteBackCache[K, V]) fill(ch *chunk[K, V], n, next int, at func(i int) tarn.Op[K, V]) {
	for i := next; i < n && len(ch.ops) < c.config.MaxBatch; i++ {
		op := at(i)
		if op.Key != op.Key {
			return
		}
		rec, err := c.recordContained(op)
		if err != nil {
			return
		}
		size := c.size(op)
		if c.table.reserve(op.Key, size, false) != accepted {
			return
		}
		ch.ops, ch.sizes, ch.put = append(ch.ops, op), append(ch.sizes, size), append(ch.put, rec)
	}
}

// recordContained is the form's record where a panic must not go by.
func (c *WriteBackCache[K, V]) recordContained(op tarn.Op[K, V]) (rec journal.Record, err error) {
	if panicked := contained(func() { rec, err = c.log.form.record(op) }); panicked != nil {
		return rec, panicked
	}
	return rec, err
}

// journalFailed tells of an append that failed.
func (c *WriteBackCache[K, V]) journalFailed(err error, records int) {
	c.tellContained(c.writing, tarn.Event{Kind: tarn.EventJournalFailed, N: max(records, 1), Err: err})
}

// provisional is the record of an operation that is written through: the journal forgets it unless it is taken.
type provisional struct {
	commit
	state atomic.Int32 // 0: on its way, 1: there, 2: given up
}

// writeProvisionally has the journal learn of an operation, and returns its number. Who gives up waiting has it forget
// the operation.
func (c *WriteBackCache[K, V]) writeProvisionally(ctx context.Context, rec journal.Record) (seq uint64, err error) {
	x := &provisional{commit: commit{put: []journal.Record{rec}}}
	x.apply = func(err error) {
		if err == nil && !x.state.CompareAndSwap(0, 1) {
			c.log.remove(x.put[0].Seq)
		}
	}
	err = c.log.do(ctx, &x.commit)
	if err == nil {
		return x.put[0].Seq, nil
	}
	if ctx.Err() != nil && !x.state.CompareAndSwap(0, 2) {
		c.log.remove(x.put[0].Seq)
	}
	return 0, c.journalError(ctx, err)
}

// undo has the journal forget an operation of a claimed key that was not written, and keep the older one that is pending
// instead; it has no number if there is none. It returns when that is durable; if it fails, the journal is told later.
func (c *WriteBackCache[K, V]) undo(ctx context.Context, p *pendingKey[K, V], seq uint64, older journal.Record) error {
	c.table.reinstate(p, older.Seq, func() { c.log.renew(seq, older) }, func() { c.log.remove(seq) })
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.settleTimeout)
	defer cancel()
	return c.log.sync(ctx)
}

// closeJournal appends what the journal has yet to learn, within a time of its own: without, a Close that has none left
// would lose what SyncEvery has not brought there yet.
func (c *WriteBackCache[K, V]) closeJournal(ctx context.Context) error {
	if c.log == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.settleTimeout)
	defer cancel()
	if err := c.log.close(ctx); err != nil {
		return fmt.Errorf("strategies: write-back: %w", bare(err))
	}
	return nil
}

// waitForRoom takes one key and the bytes from the bounds as soon as there is room.
func (c *WriteBackCache[K, V]) waitForRoom(ctx context.Context, size int64) error {
	return c.blocked(ctx, func() error {
		return c.table.bounds.wait(ctx, size, c.closing, c.table.queue.press)
	})
}

// blocked counts and tells of a write that waits.
func (c *WriteBackCache[K, V]) blocked(ctx context.Context, wait func() error) error {
	began := time.Now()
	c.waiting.Add(1)
	defer func() {
		took := time.Since(began)
		c.waiting.Add(-1)
		c.blockedFor.Add(int64(took))
		c.blockedTimes.Add(1)
		if c.observer != nil {
			c.observe(ctx, tarn.Event{Kind: tarn.EventBlocked, N: 1, Duration: took})
		}
	}()
	return wait()
}

// refuse returns ErrFull, and has what is pending be written.
func (c *WriteBackCache[K, V]) refuse() error {
	c.table.queue.press()
	c.refused.Add(1)
	return tarn.ErrFull
}
