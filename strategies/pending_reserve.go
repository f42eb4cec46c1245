package strategies

import "github.com/tarncache/tarn"

// reserve takes the place of an operation of size bytes that the journal is to learn of first. It keeps the key in the table, and
// its place there, until enter or leave is called. The bytes of the operation that it may replace count until then, too.
// granted says that one key and the bytes were taken from the bounds for it.
func (t *pendingTable[K, V]) reserve(key K, size int64, granted bool) acceptance {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.closed.Load() {
		if granted {
			t.bounds.give(1, size)
		}
		return closed
	}
	p := s.keys[key]
	needs := int64(1)
	if p != nil && (p.pending() || p.incoming > 0) {
		needs = 0
	}
	if granted {
		t.bounds.give(1-needs, 0)
	} else if !t.bounds.take(needs, size) {
		return full
	}
	if p == nil {
		p = t.add(s, key)
	}
	p.incoming++
	return accepted
}

// enter puts an operation into the place that was reserved for it. It is called in the order of the numbers.
func (t *pendingTable[K, V]) enter(op tarn.Op[K, V], size int64) acceptance {
	s := t.shard(op.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.keys[op.Key]
	p.incoming--
	if p.pending() && !p.inFlight() {
		t.leaves(p.op.Seq)
		t.bounds.give(0, p.size)
	}
	t.exhume(s, op.Key, op.Seq)
	return t.put(s, p, &op, size)
}

// leave gives a place back that was reserved.
func (t *pendingTable[K, V]) leave(key K, size int64) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.keys[key]
	p.incoming--
	t.bounds.give(0, size)
	if p.pending() || p.incoming > 0 {
		return
	}
	t.bounds.give(1, 0)
	if !p.busy {
		t.queue.drop(p)
		t.remove(s, p)
	}
}

// older returns the operation of a claimed key that was accepted before the one of number seq, if there is one.
func (t *pendingTable[K, V]) older(p *pendingKey[K, V], seq uint64) (op tarn.Op[K, V], found bool) {
	s := t.shard(p.key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p.pending() && p.op.Seq < seq {
		return p.op, true
	}
	return op, false
}

// reinstate calls stands if the operation of number seq is the newest of a claimed key still, and gone otherwise, under
// the lock under which leaves is called.
func (t *pendingTable[K, V]) reinstate(p *pendingKey[K, V], seq uint64, stands, gone func()) {
	s := t.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq != 0 && p.op.Seq == seq {
		stands()
	} else {
		gone()
	}
}
