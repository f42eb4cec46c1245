package strategies

import (
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
)

// pendingTable is what was accepted and is not at the source yet: of each key the newest operation, which is the
// truth for reads, and what is known of the one in flight. An operation enters by accept and by nothing else, and it
// leaves by retire, once the source or the dead-letter handler has it, or by a newer operation of its key.
//
// With a journal an operation enters in two steps: reserve takes its place, and enter, once the journal has it, puts it
// there. Whatever leaves is told to forget, in the order in which it leaves.
//
//	            accept                       begin
//	(nothing) ─────────► pending ───────────────────────────► in flight ─────────► (nothing)
//	                     ▲  ▲  │     retry, putBack            │          retire
//	                     │  └──┼───────────────────────────────┘
//	                     └─────┘
//	                     accept: coalesced
//
// A write-through has the key to itself as well (claim, release), but its operation is never in the table.
//
// Locks are taken in the order shard, then queue, bounds or flushRound.
type pendingTable[K comparable, V any] struct {
	began   time.Time
	epoch   uint64
	seed    maphash.Seed
	_       [64]byte // each write changes seq, and reads what is around it
	seq     atomic.Uint64
	_       [64]byte
	count   atomic.Int64  // keys in the shards; 0 tells a reader that there is nothing to look for
	closed  atomic.Bool   // set once; who reads it under a shard's lock comes before close, or is refused
	drained chan struct{} // closed once it is closed and empty
	empty   sync.Once     // closes drained

	shards [pendingShards]pendingShard[K, V]
	bounds bounds
	queue  pendingQueue[K, V]

	forget func(seq uint64) // has the journal forget an operation; called under a shard's lock. Nil: there is no journal
	dead   atomic.Int64     // keys with a dead letter, and those that are about to have one

	backoff     backoff
	givesUp     bool // somebody takes dead letters
	maxAttempts int  // 0: any number
}

const pendingShards = 64

type pendingShard[K comparable, V any] struct {
	mu        sync.RWMutex // protects all below, and the fields of pendingKey that say so
	keys      map[K]*pendingKey[K, V]
	dead      map[K]*DeadLetter[K, V] // what was given up, and is in the journal; nil until there is some
	coalesced uint64
	_         [64]byte // keeps neighbours off one cache line
}

// pendingKey is a key with an operation that is pending or in flight.
type pendingKey[K comparable, V any] struct {
	key K

	// Protected by the shard's lock.
	op        tarn.Op[K, V] // the newest operation; of zero Seq if there is none, and a write-through has the key
	size      int64         // bytes of op
	since     time.Duration // when the first of those that op stands for was accepted
	busy      bool          // a write is in flight; nobody else may begin one
	sent      uint64        // Seq of the operation in flight, which is op or older; 0: not one of the table's
	sentSize  int64         // bytes of the operation in flight
	sentSince time.Duration // since of the operation in flight
	idle      chan struct{} // made by who waits for busy to end; closed then
	attempts  int           // how often op was tried, or the operation in flight was before
	failures  int           // how often the key failed in a row, whatever the operation: sets its backoff
	err       error         // of the last failure
	waits     []flushWait[K]
	incoming  int  // how many operations have reserved their place and did not enter yet; they keep the key in the table
	gone      bool // not in the table any more

	// Protected by the queue's lock.
	place         place
	due           time.Duration
	limit         int // 0: no suspect
	index         int // among the timed
	before, after *pendingKey[K, V]
}

// init makes a table ready. The config has no defaults left out.
func (t *pendingTable[K, V]) init(config *WriteBackConfig[K, V]) {
	t.backoff = backoff{min: config.MinBackoff, max: config.MaxBackoff}
	t.givesUp = config.DeadLetter != nil || config.Journal != nil
	t.maxAttempts = config.MaxAttempts
	t.bounds.maxKeys = int64(config.MaxPending)
	t.bounds.maxBytes = config.MaxPendingBytes
	t.queue.maxBatch = config.MaxBatch
	t.queue.maxDelay = config.MaxDelay
	t.queue.patient = config.Journal != nil // nothing is at risk while writes are merged
	t.queue.concurrency = config.Concurrency
	t.began = time.Now()
	if config.Journal != nil {
		t.epoch = config.Journal.Epoch()
	} else {
		t.epoch = 1 + rand.Uint64N(1<<63-1) // fits a signed column
	}
	t.seed = maphash.MakeSeed()
	t.drained = make(chan struct{})
	t.queue.crowded = t.bounds.waiting
	t.queue.wake = make(chan struct{}, 1)
	t.queue.landed = make(chan struct{})
	for i := range t.shards {
		t.shards[i].keys = make(map[K]*pendingKey[K, V])
	}
}

func (t *pendingTable[K, V]) now() time.Duration { return time.Since(t.began) }

func (t *pendingTable[K, V]) shard(key K) *pendingShard[K, V] {
	return &t.shards[maphash.Comparable(t.seed, key)%pendingShards]
}

// lookup returns what is pending for key.
func (t *pendingTable[K, V]) lookup(key K) (value V, deleted, found bool) {
	if t.count.Load() == 0 {
		return value, false, false
	}
	s := t.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.keys[key]; p != nil && p.pending() {
		return p.op.Value, p.op.Delete, true
	}
	return value, false, false
}

// acceptance is what accept says.
type acceptance uint8

const (
	accepted  acceptance = iota // it will be written
	coalesced                   // it will be written, in place of an older one
	full                        // there is no room
	closed
)

// accept takes an operation of size bytes in, and numbers it. granted says that one key and the bytes were taken
// from the bounds for it.
func (t *pendingTable[K, V]) accept(op tarn.Op[K, V], size int64, granted bool) acceptance {
	s := t.shard(op.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.closed.Load() {
		if granted {
			t.bounds.give(1, size)
		}
		return closed
	}
	p := s.keys[op.Key]
	keys, bytes := p.needs(size)
	if granted {
		t.bounds.give(1-keys, size-bytes)
	} else if !t.bounds.take(keys, bytes) {
		return full
	}
	if p == nil {
		p = t.add(s, op.Key)
	}
	op.Epoch, op.Seq = t.epoch, t.seq.Add(1)
	return t.put(s, p, &op, size)
}

// put makes an operation the newest of its key. The caller holds the shard's lock.
func (t *pendingTable[K, V]) put(s *pendingShard[K, V], p *pendingKey[K, V], op *tarn.Op[K, V], size int64) acceptance {
	replaces := p.pending() && !p.inFlight()
	begins := !p.pending()
	p.op, p.size = *op, size
	if replaces {
		p.attempts = 0
		s.coalesced++
		return coalesced
	}
	p.since = t.now()
	if begins && !p.busy {
		t.queue.addFresh(p, p.since)
	}
	return accepted
}

// add puts a key into the table. The caller holds the shard's lock.
func (t *pendingTable[K, V]) add(s *pendingShard[K, V], key K) *pendingKey[K, V] {
	p := &pendingKey[K, V]{key: key}
	s.keys[key] = p
	t.count.Add(1)
	return p
}

// remove takes a key out of the table. The caller holds the shard's lock.
func (t *pendingTable[K, V]) remove(s *pendingShard[K, V], p *pendingKey[K, V]) {
	delete(s.keys, p.key)
	p.gone = true
	if t.count.Add(-1) == 0 && t.closed.Load() {
		t.empty.Do(func() { close(t.drained) })
	}
}

// pending reports whether an operation was accepted that is not at the source.
func (p *pendingKey[K, V]) pending() bool { return p.op.Seq != 0 }

// inFlight reports whether the newest operation is the one in flight.
func (p *pendingKey[K, V]) inFlight() bool { return p.sent != 0 && p.sent == p.op.Seq }

// needs returns what a new operation of size bytes takes from the bounds. An operation in flight keeps its bytes
// until the source has answered. p may be nil.
func (p *pendingKey[K, V]) needs(size int64) (keys, bytes int64) {
	switch {
	case p == nil || !p.pending():
		return 1, size
	case p.inFlight():
		return 0, size
	default:
		return 0, size - p.size
	}
}

// begin makes the newest operation of a key the one in flight, unless there is nothing to write or the key is busy.
func (t *pendingTable[K, V]) begin(p *pendingKey[K, V]) (op tarn.Op[K, V], ok bool) {
	s := t.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.gone || p.busy || !p.pending() {
		return op, false
	}
	p.busy, p.sent, p.sentSize, p.sentSince = true, p.op.Seq, p.size, p.since
	p.arm()
	return p.op, true
}

// age returns how long the oldest of the operations in flight has been pending.
func (t *pendingTable[K, V]) age(batch []*pendingKey[K, V]) (age time.Duration) {
	now := t.now()
	for _, p := range batch {
		age = max(age, now-p.sentSince) // which nobody else sets while it is in flight
	}
	return age
}

// rest ends the write in flight. The caller holds the shard's lock.
func (p *pendingKey[K, V]) rest() {
	p.busy, p.sent, p.sentSize = false, 0, 0
	if p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// retire lets the operation in flight leave the table: the source has it, or the dead-letter handler. What was
// accepted meanwhile is next.
func (t *pendingTable[K, V]) retire(p *pendingKey[K, V]) {
	s := t.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.leaves(p.sent)
	t.end(s, p)
}

// end ends a write whose operation leaves. The caller holds the shard's lock.
func (t *pendingTable[K, V]) end(s *pendingShard[K, V], p *pendingKey[K, V]) {
	p.resolve(p.sent, nil)
	p.attempts, p.failures, p.err = 0, 0, nil
	if p.inFlight() {
		t.clear(p)
		p.rest()
		if p.incoming == 0 {
			t.remove(s, p)
		}
		return
	}
	t.bounds.give(0, p.sentSize)
	p.rest()
	t.requeue(p)
}

// clear takes the newest operation of a key away, and gives back what it took. The caller holds the shard's lock.
func (t *pendingTable[K, V]) clear(p *pendingKey[K, V]) {
	t.bounds.give(p.ownPlace(), p.size)
	p.op, p.size = tarn.Op[K, V]{}, 0
}

// ownPlace returns how many places are free once nothing is pending of a key. The caller holds the shard's lock.
func (p *pendingKey[K, V]) ownPlace() int64 {
	if p.incoming > 0 {
		return 0
	}
	return 1
}

// leaves has the journal forget an operation that leaves the table. The caller holds the shard's lock: the journal
// forgets the operations of a key in the order in which they leave.
func (t *pendingTable[K, V]) leaves(seq uint64) {
	if t.forget != nil {
		t.forget(seq)
	}
}

// setback is what judge says.
type setback struct {
	attempts int
	newer    bool // a newer operation of the key is pending
	givenUp  bool // the operation is to be a dead letter, unless there is a newer one by then
	late     bool // it is to wait for the longest backoff
}

// judge says what is to follow from a failure of the operation in flight, which it stays until it is retired or
// retried. together is how many operations failed as one; 0: the error is this one's own. Only an operation that
// failed by itself is given up.
func (t *pendingTable[K, V]) judge(p *pendingKey[K, V], err error, together int) setback {
	s := t.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	p.attempts++
	p.failures++
	p.err = err
	back := setback{attempts: p.attempts, newer: !p.inFlight()}
	if t.givesUp && together <= 1 {
		back.givenUp = tarn.IsPermanent(err) || t.maxAttempts > 0 && p.attempts >= t.maxAttempts
	}
	return back
}

// newer reports whether a newer operation came since the one in flight began.
func (t *pendingTable[K, V]) newer(p *pendingKey[K, V]) bool {
	s := t.shard(p.key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !p.inFlight()
}

// retry ends a write that failed and was judged. After a while the key is written again, after the longest backoff if
// late; superseded says that it will be with a newer operation.
func (t *pendingTable[K, V]) retry(p *pendingKey[K, V], together int, late bool) (superseded bool) {
	s := t.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delay := t.backoff.delay(p.failures)
	if together <= 1 && p.inFlight() && (late || tarn.IsPermanent(p.err)) {
		delay = t.backoff.max
	}
	half := together / 2
	if together == 1 {
		half = 1
	}
	p.resolve(p.sent, p.err)
	superseded = t.supersede(s, p)
	p.rest()
	t.queue.addTimed(p, saturated(t.now(), delay), len(p.waits) > 0, half)
	return superseded
}

// putBack ends a write that did not take place.
func (t *pendingTable[K, V]) putBack(p *pendingKey[K, V]) {
	s := t.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.supersede(s, p)
	p.rest()
	t.queue.addTimed(p, t.now(), len(p.waits) > 0, sameLimit)
}

// supersede forgets the operation in flight if there is a newer one. The caller holds the shard's lock.
func (t *pendingTable[K, V]) supersede(s *pendingShard[K, V], p *pendingKey[K, V]) bool {
	if p.inFlight() {
		return false
	}
	t.leaves(p.sent)
	t.bounds.give(0, p.sentSize)
	p.attempts = 0
	s.coalesced++
	return true
}

// requeue puts a key that rests back into the queue. The caller holds the shard's lock.
func (t *pendingTable[K, V]) requeue(p *pendingKey[K, V]) {
	switch {
	case len(p.waits) > 0:
		t.queue.hurry(p)
	case p.failures > 0:
		t.queue.addTimed(p, saturated(t.now(), t.backoff.delay(p.failures)), false, sameLimit)
	default:
		t.queue.addFresh(p, p.since)
	}
}

// claim gives a key to a caller who writes it through to the source, and a number to its operation, for which there is no
// other if there is no journal. If a write is in flight, it returns a channel that is closed when that has ended.
func (t *pendingTable[K, V]) claim(key K) (p *pendingKey[K, V], seq uint64, busy <-chan struct{}, err error) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.closed.Load() {
		return nil, 0, nil, tarn.ErrClosed
	}
	p = s.keys[key]
	if p == nil {
		p = t.add(s, key)
	}
	if p.busy {
		if p.idle == nil {
			p.idle = make(chan struct{})
		}
		return nil, 0, p.idle, nil
	}
	p.busy = true
	return p, t.seq.Add(1), nil, nil
}

// release ends a claim. If the operation of number seq was written, what was pending before it is superseded.
func (t *pendingTable[K, V]) release(p *pendingKey[K, V], seq uint64, written bool) {
	s := t.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if written {
		p.attempts, p.failures, p.err = 0, 0, nil
		p.resolve(seq, nil)
		if p.pending() && p.op.Seq < seq {
			t.leaves(p.op.Seq)
			t.clear(p)
			s.coalesced++
		}
		t.exhume(s, p.key, seq)
	}
	p.rest()
	if p.pending() {
		t.requeue(p)
		return
	}
	t.queue.drop(p)
	if p.incoming == 0 {
		t.remove(s, p)
	}
}

// close lets nothing in any more. When it has returned, every operation that was accepted is in the table, or
// retired.
func (t *pendingTable[K, V]) close() {
	t.closed.Store(true)
	for i := range t.shards {
		t.shards[i].mu.Lock()
		//lint:ignore SA2001 who was inside before has left, and who comes after sees closed
		t.shards[i].mu.Unlock()
	}
	if t.count.Load() == 0 {
		t.empty.Do(func() { close(t.drained) })
	}
}

// each calls f for every key with a pending operation, under the lock of its shard.
func (t *pendingTable[K, V]) each(f func(p *pendingKey[K, V])) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, p := range s.keys {
			if p.pending() {
				f(p)
			}
		}
		s.mu.Unlock()
	}
}

// ops returns the pending operations.
func (s *pendingShard[K, V]) ops() []tarn.Op[K, V] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ops := make([]tarn.Op[K, V], 0, len(s.keys))
	for _, p := range s.keys {
		if p.pending() {
			ops = append(ops, p.op)
		}
	}
	return ops
}

// coalesced returns how many operations a newer one replaced.
func (t *pendingTable[K, V]) coalesced() (n uint64) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += s.coalesced
		s.mu.RUnlock()
	}
	return n
}
