package strategies

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
)

// write accepts one operation, or does what is to be done when there is no room.
func (c *WriteBackCache[K, V]) write(ctx context.Context, op tarn.Op[K, V]) error {
	if err := c.refuses(ctx); err != nil {
		return err
	}
	if op.Key != op.Key {
		return c.writeUncached(ctx, op)
	}
	size := c.size(op)
	if limit := c.config.MaxPendingBytes; limit > 0 && size > limit {
		if c.config.WhenFull == WriteThroughWhenFull {
			return c.writeThrough(ctx, op, size)
		}
		return fmt.Errorf("strategies: write-back: above WriteBackConfig.MaxPendingBytes by itself: %w", tarn.ErrTooHeavy)
	}
	how := c.accept(ctx, op, size, false)
	if how == full {
		return c.writeFull(ctx, op, size)
	}
	return how.err()
}

// accept is the table's, with an event.
func (c *WriteBackCache[K, V]) accept(ctx context.Context, op tarn.Op[K, V], size int64, granted bool) acceptance {
	how := c.table.accept(op, size, granted)
	if how == coalesced && c.observer != nil {
		c.observe(ctx, tarn.Event{Kind: tarn.EventCoalesced, N: 1, Key: eventKey(&c.common, op.Key)})
	}
	return how
}

// err returns what the caller of a write is told, unless there was no room.
func (a acceptance) err() error {
	if a == closed {
		return tarn.ErrClosed
	}
	return nil
}

// size returns the bytes of an operation.
func (c *WriteBackCache[K, V]) size(op tarn.Op[K, V]) int64 {
	if c.config.Size == nil || op.Delete {
		return 0
	}
	return max(c.config.Size(op.Key, op.Value), 0)
}

// writeFull writes an operation for which there was no room.
func (c *WriteBackCache[K, V]) writeFull(ctx context.Context, op tarn.Op[K, V], size int64) error {
	switch c.config.WhenFull {
	case RefuseWhenFull:
		c.table.queue.press()
		return tarn.ErrFull
	case WriteThroughWhenFull:
		c.table.queue.press()
		return c.writeThrough(ctx, op, size)
	}
	if err := c.table.bounds.wait(ctx, size, c.closing, c.table.queue.press); err != nil {
		return err
	}
	return c.accept(ctx, op, size, true).err()
}

// writeThrough writes an operation to the source while the caller waits, after what is in flight of its key. If there
// is room by then, it is accepted instead.
func (c *WriteBackCache[K, V]) writeThrough(ctx context.Context, op tarn.Op[K, V], size int64) error {
	for {
		p, seq, busy, err := c.table.claim(op.Key)
		if err != nil {
			return err
		}
		if busy == nil {
			op.Epoch, op.Seq = c.table.epoch, seq
			return c.writeClaimed(ctx, p, op)
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.closing:
			return tarn.ErrClosed
		}
		if limit := c.config.MaxPendingBytes; limit > 0 && size > limit {
			continue
		}
		if how := c.accept(ctx, op, size, false); how != full {
			return how.err()
		}
	}
}

// writeClaimed writes an operation whose key the caller has claimed.
func (c *WriteBackCache[K, V]) writeClaimed(ctx context.Context, p *pendingKey[K, V], op tarn.Op[K, V]) error {
	a := c.attemptClaimed(ctx, p, op)
	err := a.errs[0]
	if errors.Is(err, errUntried) {
		return ctx.Err()
	}
	c.told(ctx, op.Key, err, a.took)
	if err != nil {
		return fmt.Errorf("strategies: write-back: write through: %w", err)
	}
	c.writtenThrough.Add(1)
	if a.stale != nil {
		return fmt.Errorf("strategies: write-back: write through: %w", a.stale)
	}
	return nil
}

// attemptClaimed attempts to write an operation, and ends the claim however it goes: a claim that stayed would keep
// everybody from the key.
func (c *WriteBackCache[K, V]) attemptClaimed(
	ctx context.Context, p *pendingKey[K, V], op tarn.Op[K, V],
) (a *attempt[K, V]) {
	defer func() { c.table.release(p, op.Seq, a != nil && a.errs[0] == nil) }()
	return c.attempt(ctx, []tarn.Op[K, V]{op})
}

// writeUncached writes a key that no table can hold.
func (c *WriteBackCache[K, V]) writeUncached(ctx context.Context, op tarn.Op[K, V]) error {
	a := &attempt[K, V]{ops: []tarn.Op[K, V]{op}}
	c.apply(ctx, a)
	if errors.Is(a.errs[0], errUntried) {
		return ctx.Err()
	}
	c.told(ctx, op.Key, a.errs[0], a.took)
	if a.errs[0] != nil {
		return fmt.Errorf("strategies: write-back: write through: %w", a.errs[0])
	}
	return nil
}

// told tells the observer of a write that the caller waited for.
func (c *WriteBackCache[K, V]) told(ctx context.Context, key K, err error, took time.Duration) {
	if c.observer == nil {
		return
	}
	kind := tarn.EventWritten
	if err != nil {
		kind = tarn.EventWriteFailed
	}
	c.observe(ctx, tarn.Event{Kind: kind, N: 1, Duration: took, Err: err, Key: eventKey(&c.common, key)})
}
