package strategies

import (
	"context"
	"errors"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// withheldFor is how long an operation is withheld from the source at a time.
const withheldFor = 100 * time.Millisecond

// withhold waits until the journal has what is about to be written to the source, and has forgotten what the source has
// already, and returns what may be written. While the journal fails, what it does not have is withheld:
//
//	journal has a = 1, which is at the source; its removal waits
//	journal fails
//	Set a = 2, with SyncEvery: acknowledged
//	source: a = 2
//	crash: the next start writes a = 1 over it
//
// If the journal is poisoned, nothing will ever get there, and the source is the only place that is left.
func (c *WriteBackCache[K, V]) withhold(
	ctx context.Context, batch []*pendingKey[K, V], ops []tarn.Op[K, V],
) ([]*pendingKey[K, V], []tarn.Op[K, V]) {
	if c.log == nil {
		return batch, ops
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.WriteTimeout)
	defer cancel()
	err := c.log.sync(ctx)
	if err == nil || errors.Is(err, journal.ErrPoisoned) {
		return batch, ops
	}
	n := 0
	for i, p := range batch {
		if c.log.lacks(ops[i].Seq) {
			c.table.withhold(p, err)
			continue
		}
		batch[n], ops[n] = p, ops[i]
		n++
	}
	clear(batch[n:])
	clear(ops[n:])
	return batch[:n], ops[:n]
}

// lacks reports whether the journal does not have a record yet that was taken.
func (c *committer) lacks(seq uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, here := c.next.find(seq)
	if !here && c.flying != nil {
		_, here = c.flying.find(seq)
	}
	return here
}

// withhold ends a write that did not take place because of err. After a while the key is written again.
func (t *pendingTable[K, V]) withhold(p *pendingKey[K, V], err error) {
	s := t.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	p.err = err
	p.resolve(p.sent, err)
	t.supersede(s, p)
	p.rest()
	t.queue.addTimed(p, saturated(t.now(), withheldFor), len(p.waits) > 0, sameLimit)
}
