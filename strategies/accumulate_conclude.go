package strategies

import (
	"context"
	"errors"
	"time"

	"github.com/tarncache/tarn"
)

// conclude does what follows from an attempt: what the source has is confirmed, what it will never take is given up or
// parted from the rest, and the rest is sent again under its name.
func (a *Accumulator[K, V, D]) conclude(b *deltaBatch[K, V, D], err error, took time.Duration) {
	var each tarn.IndexError
	switch {
	case err == nil:
		a.flushed(b, len(b.keys), took)
		a.settle(b)
		a.confirm(b.keys, nil)
	case a.writing.Err() != nil: // recalled by Close
		a.table.rest(b, err)
	case errors.As(err, &each) && len(each) == len(b.keys):
		a.concludeEach(b, each, took)
	case tarn.IsPermanent(err):
		a.failed(b, len(b.keys), err, took)
		a.concludePermanent(b, err, took)
	default:
		a.failed(b, len(b.keys), err, took)
		a.retry(b, err, took)
	}
}

// concludePermanent looks for who is to blame for a batch that was refused for good: of several deltas each half is sent
// as a batch of its own, down to one by one.
func (a *Accumulator[K, V, D]) concludePermanent(b *deltaBatch[K, V, D], err error, took time.Duration) {
	switch {
	case len(b.keys) > 1:
		a.split(b, err, took)
	case a.giveUp(b, 0, err):
		a.settle(b)
		a.confirm(b.keys, []bool{true})
	default:
		a.retry(b, err, took)
	}
}

// concludeEach does what follows where the source told of each delta. Those that are left stay together.
func (a *Accumulator[K, V, D]) concludeEach(b *deltaBatch[K, V, D], each tarn.IndexError, took time.Duration) {
	var done []*deltaKey[K, V, D]
	var lost []bool
	var first error
	left := &deltaBatch[K, V, D]{Batch: b.Batch, tries: b.tries, failures: b.failures} // to be recorded anew
	left.Deltas = nil
	failed := 0
	for i, k := range b.keys {
		if each[i] != nil {
			failed++
			if first == nil || !tarn.IsPermanent(each[i]) {
				first = each[i]
			}
		}
		if given := tarn.IsPermanent(each[i]) && a.giveUp(b, i, each[i]); given || each[i] == nil {
			done, lost = append(done, k), append(lost, given)
			continue
		}
		left.keys, left.Deltas = append(left.keys, k), append(left.Deltas, b.Deltas[i])
	}
	a.flushed(b, len(b.keys)-failed, took)
	if failed > 0 {
		a.failed(b, failed, first, took)
	}
	if len(left.keys) == 0 {
		a.settle(b)
	}
	a.confirm(done, lost)
	if len(left.keys) > 0 {
		a.table.reassign(left)
		a.retry(left, first, took)
	}
}

// confirm ends the part of keys in their batch; lost says of each whether it counts no longer, and nil: all count. A value
// is loaded anew if Fold ends its goroutine.
func (a *Accumulator[K, V, D]) confirm(keys []*deltaKey[K, V, D], lost []bool) {
	containedEach(len(keys), func(i int) {
		a.table.confirm(keys[i], lost != nil && lost[i])
	}, func(i int, panicked error) {
		a.panicked(panicked)
		a.table.confirmUnfolded(keys[i])
	})
}

// reassign has the keys of a batch be in it, who were in another.
func (t *deltaTable[K, V, D]) reassign(b *deltaBatch[K, V, D]) {
	for _, k := range b.keys {
		s := t.shard(k.turn.key)
		s.mu.Lock()
		k.sent = b
		s.mu.Unlock()
	}
}

// split makes two batches of one that is known not to have been applied, and never to be.
func (a *Accumulator[K, V, D]) split(b *deltaBatch[K, V, D], err error, took time.Duration) {
	half := len(b.keys) / 2
	halves := [2]*deltaBatch[K, V, D]{
		{Batch: Batch[K, D]{Epoch: b.Epoch, Deltas: b.Deltas[:half:half]}, keys: b.keys[:half:half], tries: b.tries},
		{Batch: Batch[K, D]{Epoch: b.Epoch, Deltas: b.Deltas[half:]}, keys: b.keys[half:], tries: b.tries},
	}
	if err := a.nameHalves(b, halves[0], halves[1]); err != nil {
		a.retry(b, err, took)
		return
	}
	for _, h := range halves {
		a.table.reassign(h)
		a.table.restUntil(h, err, 0)
	}
}

// retry has a batch be sent again after a while.
func (a *Accumulator[K, V, D]) retry(b *deltaBatch[K, V, D], err error, took time.Duration) {
	b.failures++
	delay := a.table.backoff.delay(b.failures)
	if tarn.IsPermanent(err) {
		delay = a.table.backoff.max
	}
	a.retried.Add(uint64(len(b.keys)))
	a.tellContained(tarn.Event{
		Kind: tarn.EventRetried, N: len(b.keys), Duration: took, Attempt: b.tries, Err: err,
	})
	a.table.fail(b, err)
	a.table.restUntil(b, err, delay)
}

// fail tells the flushes that wait for an attempt of a batch that it has failed. What came after it fails with it.
func (t *deltaTable[K, V, D]) fail(b *deltaBatch[K, V, D], err error) {
	for _, k := range b.keys {
		s := t.shard(k.turn.key)
		s.mu.Lock()
		k.turn.resolve(k.accepted, err)
		s.mu.Unlock()
	}
}

// rest puts a batch back that is not to be sent again.
func (t *deltaTable[K, V, D]) rest(b *deltaBatch[K, V, D], err error) {
	t.restUntil(b, err, t.backoff.max)
}

// restUntil puts a batch back, to be sent again after delay, or at once if a flush waits for it.
func (t *deltaTable[K, V, D]) restUntil(b *deltaBatch[K, V, D], err error, delay time.Duration) {
	for i, k := range b.keys {
		s := t.shard(k.turn.key)
		s.mu.Lock()
		k.turn.failures, k.turn.err = b.failures, err
		k.resting = i == 0
		s.mu.Unlock()
	}
	first := &b.keys[0].turn
	t.queue.addTimed(first, saturated(t.now(), delay), delay == 0, 1)
	if t.awaited(b) { // a flush that began after the loop above sees to it itself
		t.queue.hurry(first)
	}
}

// awaited reports whether a flush waits for a key of the batch.
func (t *deltaTable[K, V, D]) awaited(b *deltaBatch[K, V, D]) bool {
	for _, k := range b.keys {
		s := t.shard(k.turn.key)
		s.mu.Lock()
		n := len(k.turn.waits)
		s.mu.Unlock()
		if n > 0 {
			return true
		}
	}
	return false
}

// arm says that an attempt to send a batch begins.
func (t *deltaTable[K, V, D]) arm(b *deltaBatch[K, V, D]) {
	for _, k := range b.keys {
		s := t.shard(k.turn.key)
		s.mu.Lock()
		k.turn.arm()
		s.mu.Unlock()
	}
}

// giveUp hands a delta to the dead-letter handler, and reports whether that has it.
func (a *Accumulator[K, V, D]) giveUp(b *deltaBatch[K, V, D], i int, err error) bool {
	if a.config.DeadLetter == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(a.writing, a.config.WriteTimeout)
	defer cancel()
	letter := DeadDelta[K, D]{Delta: b.Deltas[i], Err: err, Attempts: b.tries}
	if panicked := contained(func() { a.config.DeadLetter(ctx, letter) }); panicked != nil {
		a.panicked(panicked)
		return false
	}
	a.deadLettered.Add(1)
	a.tell(tarn.Event{Kind: tarn.EventDeadLettered, N: 1, Attempt: b.tries, Err: err}, letter.Key)
	return true
}

// flushed counts n deltas that the source has.
func (a *Accumulator[K, V, D]) flushed(b *deltaBatch[K, V, D], n int, took time.Duration) {
	if n == 0 {
		return
	}
	a.batches.Add(1)
	a.updates.Add(uint64(n))
	a.tellContained(tarn.Event{Kind: tarn.EventFlushed, N: n, Duration: took})
}

// failed tells of n deltas that the source may not have.
func (a *Accumulator[K, V, D]) failed(b *deltaBatch[K, V, D], n int, err error, took time.Duration) {
	a.tellContained(tarn.Event{Kind: tarn.EventWriteFailed, N: n, Attempt: b.tries, Duration: took, Err: err})
}
