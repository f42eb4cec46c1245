package strategies

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// replay accepts what the journal has, and waits for room where it has more than may be pending.
func (c *WriteBackCache[K, V]) replay() error {
	position, err := c.config.Journal.Replay(c.writing, c.replayRecord)
	if err != nil {
		return fmt.Errorf("replay: %w", bare(err))
	}
	ctx, cancel := context.WithTimeout(c.writing, c.config.StartTimeout)
	defer cancel()
	if err := c.log.begin(ctx, position.Seq); err != nil {
		return fmt.Errorf("replay: %w", bare(err))
	}
	if n := c.replayed.Load(); n > 0 {
		c.tellContained(c.writing, tarn.Event{Kind: tarn.EventReplayed, N: int(n)})
	}
	return nil
}

// replayRecord accepts one record. What panics, such as a codec, cannot read it.
func (c *WriteBackCache[K, V]) replayRecord(rec journal.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			panicked := &tarn.PanicError{Value: v, Stack: debug.Stack()}
			err = fmt.Errorf("%w: %w", journal.ErrUnreadable, bare(panicked))
		}
	}()
	switch rec.Kind {
	case journal.Save, journal.Delete:
		op, err := c.log.form.op(rec, rec.Kind == journal.Delete)
		if err != nil {
			return err
		}
		return c.replayOp(op)
	case journal.Dead:
		letter, err := c.log.form.letter(rec)
		if err != nil {
			return err
		}
		letter.Op.Epoch = c.table.epoch
		c.table.replayed(letter)
		return nil
	default:
		return fmt.Errorf("record %d is of kind %d, which is none of write-back's", rec.Seq, rec.Kind)
	}
}

// replayOp accepts an operation that the journal has.
func (c *WriteBackCache[K, V]) replayOp(op tarn.Op[K, V]) error {
	size := c.cappedSize(op)
	how := c.table.reserve(op.Key, size, false)
	if how == full {
		if err := c.waitAtStart(size); err != nil {
			return err
		}
		how = c.table.reserve(op.Key, size, true)
	}
	if how == closed {
		return tarn.ErrClosed
	}
	op.Epoch = c.table.epoch
	c.table.enter(op, size)
	c.replayed.Add(1)
	return nil
}

// waitAtStart waits for room for a record.
func (c *WriteBackCache[K, V]) waitAtStart(size int64) error {
	ctx, cancel := context.WithTimeout(c.writing, c.config.StartTimeout)
	defer cancel()
	err := c.table.bounds.wait(ctx, size, c.closing, c.table.queue.press)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the source has taken nothing for %v: %w", c.config.StartTimeout, err)
	}
	return err
}

// abort ends what a constructor has begun that fails.
func (c *WriteBackCache[K, V]) abort() {
	c.closeCalled.Store(true)
	c.closed.Store(true)
	close(c.closing)
	c.table.close()
	ctx, cancel := context.WithTimeout(context.Background(), c.settleTimeout)
	defer cancel()
	c.stop(ctx)
	_ = c.closeJournal(ctx) // what it was not told of is written once more
	close(c.closeDone)
}
