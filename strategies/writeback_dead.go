package strategies

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// errObsolete says that a dead letter was not retried, since something newer of its key was accepted.
var errObsolete = errors.New("strategies: write-back: a newer write of the key")

// DeadLetters iterates over the writes that were given up and are kept in the journal, in no order: at most one of each
// key. One is obsolete, and goes, as soon as a newer write of its key is accepted. The Err of one that an earlier process
// gave up has the text of what was, and no more.
func (c *WriteBackCache[K, V]) DeadLetters() iter.Seq[DeadLetter[K, V]] {
	return func(yield func(DeadLetter[K, V]) bool) {
		for i := range c.table.shards {
			for _, letter := range c.table.shards[i].letters() {
				if !yield(*letter) {
					return
				}
			}
		}
	}
}

// RetryDeadLetters accepts the dead letters of the keys again, as new writes, or all of them if no key is named, and
// returns how many. A key without one is passed over. A write that was accepted later is never replaced by one of them.
// If some cannot be accepted, such as for want of room, it goes on with the others, and returns what the first
// was refused for; those stay.
func (c *WriteBackCache[K, V]) RetryDeadLetters(ctx context.Context, keys ...K) (n int, err error) {
	if err := c.refuses(ctx); err != nil {
		return 0, err
	}
	for _, letter := range c.chosen(keys) {
		failure := c.retryLetter(ctx, letter)
		switch {
		case failure == nil:
			n++
		case !errors.Is(failure, errObsolete) && err == nil:
			err = failure
		}
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
	}
	return n, err
}

// retryLetter accepts one dead letter again.
func (c *WriteBackCache[K, V]) retryLetter(ctx context.Context, letter *DeadLetter[K, V]) error {
	op := letter.Op
	rec, err := c.log.form.record(op)
	if err != nil {
		return err
	}
	size := c.cappedSize(op)
	return c.persistently(ctx, func() error {
		how := c.table.reserve(op.Key, size, false)
		if how == full {
			if c.config.WhenFull != BlockWhenFull {
				return c.refuse()
			}
			if err := c.waitForRoom(ctx, size); err != nil {
				return err
			}
			how = c.table.reserve(op.Key, size, true)
		}
		if how == closed {
			return tarn.ErrClosed
		}
		x := &commit{put: []journal.Record{rec}, replace: []uint64{op.Seq}}
		x.admit = func() error {
			if !c.table.newest(letter, 1) {
				return errObsolete
			}
			return nil
		}
		return c.enter(ctx, x, []tarn.Op[K, V]{op}, []int64{size})
	})
}

// DropDeadLetters forgets the dead letters of the keys, and returns how many once that is durable. A key without one is
// passed over. To forget all of them, name those that DeadLetters lists: without keys nothing is dropped.
func (c *WriteBackCache[K, V]) DropDeadLetters(ctx context.Context, keys ...K) (n int, err error) {
	if err := c.refuses(ctx); err != nil {
		return 0, err
	}
	if len(keys) == 0 {
		return 0, nil // of a filter that found nothing, perhaps
	}
	letters := c.chosen(keys)
	if len(letters) == 0 {
		return 0, nil
	}
	x := &commit{}
	for _, letter := range letters {
		x.remove = append(x.remove, letter.Op.Seq)
	}
	dropped := 0
	x.apply = func(err error) {
		for _, letter := range letters {
			if err == nil && c.table.drop(letter) {
				dropped++
			}
		}
	}
	if err = c.log.do(ctx, x); err == nil {
		err = c.log.sync(ctx)
	}
	if err != nil {
		return 0, c.journalError(ctx, err)
	}
	return dropped, nil
}

// chosen returns the dead letters of keys, or all of them.
func (c *WriteBackCache[K, V]) chosen(keys []K) (letters []*DeadLetter[K, V]) {
	if len(keys) == 0 {
		for i := range c.table.shards {
			letters = append(letters, c.table.shards[i].letters()...)
		}
		return letters
	}
	for _, at := range last(keys) {
		if letter := c.table.letter(keys[at]); letter != nil {
			letters = append(letters, letter)
		}
	}
	return letters
}

// buryLetter keeps a dead letter in the journal. If there is no room, or the journal fails, it returns why.
func (c *WriteBackCache[K, V]) buryLetter(l *letter[K, V]) (err error) {
	if c.table.dead.Add(1) > int64(c.config.MaxDeadLetters) {
		c.table.dead.Add(-1)
		return fmt.Errorf("strategies: write-back: dead letters: %w", bare(tarn.ErrFull))
	}
	buried := false
	defer func() {
		if !buried {
			c.table.dead.Add(-1)
		}
	}()
	var rec journal.Record
	if panicked := contained(func() { rec, err = c.log.form.dead(l.DeadLetter) }); panicked != nil {
		err = panicked
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.writing, c.config.WriteTimeout)
	defer cancel()
	if err := c.log.do(ctx, &commit{renew: []journal.Record{rec}}); err != nil {
		return err
	}
	if err := c.log.sync(ctx); err != nil {
		return err
	}
	letter := l.DeadLetter
	if buried = c.table.bury(l.key, &letter); !buried {
		return errObsolete
	}
	return nil
}
