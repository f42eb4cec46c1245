package strategies

import (
	"context"
	"errors"
	"time"

	"github.com/tarncache/tarn"
)

// conclude does with the keys of a batch what follows from an attempt. The observer hears of it before those do who
// wait for a flush.
func (c *WriteBackCache[K, V]) conclude(batch []*pendingKey[K, V], a *attempt[K, V]) {
	c.report(a, c.table.age(batch))
	var lost []*letter[K, V]
	for i, p := range batch {
		switch err := a.errs[i]; {
		case err == nil:
			c.table.retire(p)
		case err == errUntried || c.writing.Err() != nil: // recalled by Close
			c.table.putBack(p)
		default:
			back := c.table.judge(p, err, a.together)
			if back.givenUp {
				lost = append(lost, &letter[K, V]{p, DeadLetter[K, V]{a.ops[i], err, back.attempts}})
			} else {
				c.retry(p, a, back, err)
			}
		}
	}
	for _, l := range lost {
		c.giveUp(l, a)
	}
}

// letter is a dead letter and where it came from.
type letter[K comparable, V any] struct {
	key *pendingKey[K, V]
	DeadLetter[K, V]
}

// report counts what an attempt has written, and tells of what it has not. age is that of the oldest operation.
func (c *WriteBackCache[K, V]) report(a *attempt[K, V], age time.Duration) {
	written, failed, first := 0, 0, error(nil)
	for _, err := range a.errs {
		switch {
		case err == nil:
			written++
		case err != errUntried:
			if failed++; first == nil {
				first = err
			}
		}
	}
	if written > 0 {
		c.flushed.Add(uint64(written))
		c.tellContained(c.writing, tarn.Event{Kind: tarn.EventFlushed, N: written, Duration: a.took, Age: age})
	}
	if failed > 0 {
		c.tellContained(c.writing, tarn.Event{Kind: tarn.EventWriteFailed, N: failed, Duration: a.took, Err: first})
	}
}

// retry puts a key back that failed.
func (c *WriteBackCache[K, V]) retry(p *pendingKey[K, V], a *attempt[K, V], back setback, err error) {
	if !back.newer {
		c.retried.Add(1)
		c.tell(tarn.EventRetried, p.key, a.took, back.attempts, err)
	}
	if c.table.retry(p, a.together, back.late) {
		c.tell(tarn.EventCoalesced, p.key, 0, 0, nil)
	}
}

// giveUp hands an operation to the dead-letter handler, or to the journal, unless a newer one came meanwhile. If that
// fails, the operation stays.
func (c *WriteBackCache[K, V]) giveUp(l *letter[K, V], a *attempt[K, V]) {
	back := setback{attempts: l.Attempts, newer: c.table.newer(l.key)}
	if back.newer {
		c.retry(l.key, a, back, l.Err)
		return
	}
	if c.config.DeadLetter == nil {
		c.giveToJournal(l, a, back)
		return
	}
	ctx, cancel := context.WithTimeout(c.writing, c.config.WriteTimeout)
	defer cancel()
	if panicked := contained(func() { c.config.DeadLetter(ctx, l.DeadLetter) }); panicked != nil {
		c.panicked(ctx, panicked)
		c.retry(l.key, a, back, l.Err)
		return
	}
	c.deadLettered.Add(1)
	c.tell(tarn.EventDeadLettered, l.key.key, 0, l.Attempts, l.Err)
	c.table.retire(l.key)
}

// giveToJournal keeps a dead letter in the journal.
func (c *WriteBackCache[K, V]) giveToJournal(l *letter[K, V], a *attempt[K, V], back setback) {
	switch err := c.buryLetter(l); {
	case err == nil:
		c.deadLettered.Add(1)
		c.tell(tarn.EventDeadLettered, l.key.key, 0, l.Attempts, l.Err)
	case c.writing.Err() != nil: // recalled by Close
		c.table.putBack(l.key)
	default:
		back.newer, back.late = errors.Is(err, errObsolete), true
		c.retry(l.key, a, back, l.Err)
	}
}

// tell tells the observer of one key.
func (c *WriteBackCache[K, V]) tell(kind tarn.EventKind, key K, took time.Duration, attempt int, err error) {
	if c.observer != nil {
		c.tellContained(c.writing, tarn.Event{
			Kind: kind, N: 1, Duration: took, Attempt: attempt, Err: err, Key: eventKey(&c.common, key),
		})
	}
}
