package strategies

import "sync"

// flushRound is one call of Flush: it waits until each operation that was pending when it began has left the table,
// or failed in an attempt that began after it.
type flushRound[K comparable] struct {
	done chan struct{} // closed when nothing is left

	mu     sync.Mutex // protects all below
	left   int        // how many it waits for
	failed []K
	err    error // the first failure
}

// flushWait is what a key has for each round that waits for it.
type flushWait[K comparable] struct {
	round *flushRound[K]
	seq   uint64 // of the operation; a later one of the key serves as well
	armed bool   // an attempt has begun since
}

// resolve tells one key's result.
func (r *flushRound[K]) resolve(key K, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed = append(r.failed, key)
		if r.err == nil {
			r.err = err
		}
	}
	if r.left--; r.left == 0 {
		close(r.done)
	}
}

// resolve tells the rounds that wait for an operation of at most this number: it is gone if err is nil, and failed
// otherwise. The caller holds the shard's lock.
func (p *pendingKey[K, V]) resolve(seq uint64, err error) {
	rest := p.waits[:0]
	for _, w := range p.waits {
		if w.seq <= seq && (err == nil || w.armed) {
			w.round.resolve(p.key, err)
		} else {
			rest = append(rest, w)
		}
	}
	clear(p.waits[len(rest):])
	p.waits = rest
}

// arm says that an attempt to write the newest operation begins. The caller holds the shard's lock.
func (p *pendingKey[K, V]) arm() {
	for i := range p.waits {
		p.waits[i].armed = true
	}
}

// flush begins a round that makes everything pending urgent.
func (t *pendingTable[K, V]) flush() *flushRound[K] {
	r := &flushRound[K]{done: make(chan struct{}), left: 1} // 1: until all are counted
	var resting []*pendingKey[K, V]
	t.each(func(p *pendingKey[K, V]) {
		r.mu.Lock()
		r.left++
		r.mu.Unlock()
		p.waits = append(p.waits, flushWait[K]{round: r, seq: p.op.Seq})
		if !p.busy {
			resting = append(resting, p)
		}
	})
	t.queue.hurry(resting...)
	var none K
	r.resolve(none, nil)
	return r
}

// abandon ends a round that is not waited for any longer: what it has not heard of has failed with err.
func (t *pendingTable[K, V]) abandon(r *flushRound[K], err error) {
	t.each(func(p *pendingKey[K, V]) {
		rest := p.waits[:0]
		for _, w := range p.waits {
			if w.round == r {
				r.resolve(p.key, err)
			} else {
				rest = append(rest, w)
			}
		}
		clear(p.waits[len(rest):])
		p.waits = rest
	})
}
