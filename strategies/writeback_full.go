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
	if c.log != nil {
		return c.writeJournaled(ctx, op)
	}
	size := c.size(op)
	if limit := c.config.MaxPendingBytes; limit > 0 && size > limit {
		if c.config.WhenFull == WriteThroughWhenFull {
			return c.writeThrough(ctx, op, size)
		}
		return errTooHeavy
	}
	how := c.accept(ctx, op, size, false)
	if how == full {
		return c.writeFull(ctx, op, size)
	}
	return how.err()
}

var errTooHeavy = fmt.Errorf("strategies: write-back: above WriteBackConfig.MaxPendingBytes by itself: %w",
	bare(tarn.ErrTooHeavy))

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

// cappedSize returns the bytes of an operation that was accepted by an earlier process, whose bounds may have been wider:
// no more than may be pending, since it would wait for more for ever, and keep all others waiting behind it.
func (c *WriteBackCache[K, V]) cappedSize(op tarn.Op[K, V]) int64 {
	size := c.size(op)
	if limit := c.config.MaxPendingBytes; limit > 0 {
		return min(size, limit)
	}
	return size
}

// writeFull writes an operation for which there was no room.
func (c *WriteBackCache[K, V]) writeFull(ctx context.Context, op tarn.Op[K, V], size int64) error {
	switch c.config.WhenFull {
	case RefuseWhenFull:
		return c.refuse()
	case WriteThroughWhenFull:
		c.table.queue.press()
		return c.writeThrough(ctx, op, size)
	}
	if err := c.waitForRoom(ctx, size); err != nil {
		return err
	}
	return c.accept(ctx, op, size, true).err()
}

// writeThrough writes an operation to the source while the caller waits, after what is in flight of its key. If there
// is room by then, it is accepted instead.
func (c *WriteBackCache[K, V]) writeThrough(ctx context.Context, op tarn.Op[K, V], size int64) error {
	return c.through(ctx, op.Key, size,
		func(p *pendingKey[K, V], seq uint64) error {
			op.Epoch, op.Seq = c.table.epoch, seq
			return c.writeClaimed(ctx, p, op)
		},
		func() (acceptance, error) {
			how := c.accept(ctx, op, size, false)
			return how, how.err()
		})
}

// through writes an operation of key through to the source once nothing of the key is in flight and there is no pause, or
// accepts it, should there be room by then.
func (c *WriteBackCache[K, V]) through(
	ctx context.Context, key K, size int64,
	write func(p *pendingKey[K, V], seq uint64) error, accept func() (acceptance, error),
) error {
	for {
		if err := c.beginThrough(ctx); err != nil {
			return err
		}
		p, seq, busy, err := c.table.claim(key)
		if err == nil && busy == nil {
			defer c.table.queue.endThrough()
			return write(p, seq)
		}
		c.table.queue.endThrough()
		if err != nil {
			return err
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
		if how, err := accept(); how != full {
			return err
		}
	}
}

// beginThrough begins a write through to the source, after a pause.
func (c *WriteBackCache[K, V]) beginThrough(ctx context.Context) error {
	for {
		resumed := c.table.queue.beginThrough()
		if resumed == nil {
			return nil
		}
		select {
		case <-resumed:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.closing:
			return tarn.ErrClosed
		}
	}
}

// writeClaimed writes an operation whose key the caller has claimed, and ends the claim however it goes: a claim that
// stayed would keep everybody from the key.
func (c *WriteBackCache[K, V]) writeClaimed(ctx context.Context, p *pendingKey[K, V], op tarn.Op[K, V]) (err error) {
	var a *attempt[K, V]
	defer func() { c.table.release(p, op.Seq, a.wrote()) }()
	a = c.attempt(ctx, []tarn.Op[K, V]{op})
	return c.wroteThrough(ctx, op, a)
}

// wrote reports whether an attempt of one operation has written it. a may be nil.
func (a *attempt[K, V]) wrote() bool { return a != nil && a.errs[0] == nil }

// wroteThrough tells of an attempt to write one operation through, and returns what its caller is told.
func (c *WriteBackCache[K, V]) wroteThrough(ctx context.Context, op tarn.Op[K, V], a *attempt[K, V]) error {
	err := a.errs[0]
	if errors.Is(err, errUntried) {
		return ctx.Err()
	}
	c.told(ctx, op.Key, err, a.took)
	if err != nil {
		return fmt.Errorf("strategies: write-back: write through: %w", bare(err))
	}
	c.writtenThrough.Add(1)
	if a.stale != nil {
		return fmt.Errorf("strategies: write-back: write through: %w", bare(a.stale))
	}
	return nil
}

// writeUncached writes a key that no table can hold.
func (c *WriteBackCache[K, V]) writeUncached(ctx context.Context, op tarn.Op[K, V]) error {
	if err := c.beginThrough(ctx); err != nil {
		return err
	}
	defer c.table.queue.endThrough()
	a := &attempt[K, V]{ops: []tarn.Op[K, V]{op}}
	c.apply(ctx, a)
	if errors.Is(a.errs[0], errUntried) {
		return ctx.Err()
	}
	c.told(ctx, op.Key, a.errs[0], a.took)
	if a.errs[0] != nil {
		return fmt.Errorf("strategies: write-back: write through: %w", bare(a.errs[0]))
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
