package strategies

import (
	"context"
	"slices"
	"time"
)

// deltaBatch is a batch that the source has not confirmed. One goroutine has it at a time: from when it is taken out of
// the queue until its first key, which stands for it there, is put back.
type deltaBatch[K comparable, V, D any] struct {
	Batch[K, D]
	keys     []*deltaKey[K, V, D] // of Deltas
	tries    int                  // how often its deltas were sent
	failures int                  // in a row: sets its backoff

	// With a journal.
	records  []uint64 // numbers of the records that the batch's own replaces
	each     []int    // how many of these are each key's, until the batch has a name
	buffered bool     // its record waits to be brought to the disk
	recorded bool     // its record is durable
}

// dispatch begins batches as they become due, until the queue is stopped.
func (a *Accumulator[K, V, D]) dispatch() {
	defer close(a.dispatched)
	a.table.queue.dispatch(a.table.now, a.flush)
}

// flush sends what the queue said is due: a batch that failed before, or a new one.
func (a *Accumulator[K, V, D]) flush(due []*pendingKey[K, D]) {
	defer a.table.queue.end()
	b := a.table.resting(due[0].key)
	if b != nil {
		a.table.putBack(due[1:])
	} else if b = a.form(due); b == nil {
		return
	}
	a.send(b)
}

// putBack puts keys back into the queue that came out of it together with one whose batch was put there meanwhile.
func (t *deltaTable[K, V, D]) putBack(due []*pendingKey[K, D]) {
	for _, p := range due {
		s := t.shard(p.key)
		s.mu.Lock()
		if k := s.keys[p.key]; k != nil && k.hasNext && k.sent == nil {
			t.requeue(k)
		}
		s.mu.Unlock()
	}
}

// resting returns the batch that waits to be sent again and that a key stands for in the queue. It rests no longer.
func (t *deltaTable[K, V, D]) resting(key K) *deltaBatch[K, V, D] {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if k == nil || !k.resting {
		return nil
	}
	k.resting = false
	return k.sent
}

// form makes a batch of what the keys have. It returns nil if they have nothing.
func (a *Accumulator[K, V, D]) form(due []*pendingKey[K, D]) *deltaBatch[K, V, D] {
	b := &deltaBatch[K, V, D]{}
	for _, p := range due {
		a.table.begin(b, p.key)
	}
	if len(b.keys) == 0 {
		return nil
	}
	b.Epoch = a.epoch
	if a.log == nil {
		b.Seq = a.unsettled.begin()
	}
	return b
}

// send sends a batch and does what follows. With a journal, its name and what is in it are durable before.
func (a *Accumulator[K, V, D]) send(b *deltaBatch[K, V, D]) {
	a.table.arm(b)
	if a.log != nil {
		if err := a.record(b); err != nil {
			a.concludeUnrecorded(b, err)
			return
		}
	}
	b.Settled = a.unsettled.below()
	b.tries++
	began := time.Now()
	err := a.attempt(b)
	a.conclude(b, err, time.Since(began))
}

// attempt writes a batch.
func (a *Accumulator[K, V, D]) attempt(b *deltaBatch[K, V, D]) (err error) {
	if err := a.writing.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.writing, a.config.WriteTimeout)
	defer cancel()
	batch := b.Batch
	batch.Deltas = slices.Clone(batch.Deltas) // which a write may sort
	if panicked := contained(func() { err = a.write(ctx, batch) }); panicked != nil {
		a.panicked(panicked)
		return panicked
	}
	return err
}
