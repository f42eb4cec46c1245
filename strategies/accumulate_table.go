package strategies

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// deltaTable is what an [Accumulator] knows of its keys: deltas that are in no batch yet, merged into one for each key;
// the delta of a key that is in a batch which the source has not confirmed, of which there is at most one; and
// the value that the source had before these. What a reader sees is the three, one folded into the other, under one
// lock, so that a batch counts once at every instant:
//
//	          accept             begin                      confirm
//	(nothing) ──────► next ──────────────────► sent ──────────────────► value
//	                  ▲  │                     ▲  │
//	                  └──┘ accept: merged      └──┘ the same batch is sent again
//
// A value is loaded only while nothing is sent, and nothing is sent while it is loaded: otherwise nobody could tell
// whether the loaded value has the batch in it.
//
// Locks are taken in the order shard, then queue, bounds or flushRound.
type deltaTable[K comparable, V, D any] struct {
	merger  Merger[V, D]
	size    func(key K, delta D) int64 // nil: bytes are not counted
	fresh   time.Duration
	began   time.Time
	seed    maphash.Seed
	backoff backoff
	count   atomic.Int64  // keys that are placed
	closed  atomic.Bool   // set once; who reads it under a shard's lock comes before close, or is refused
	shut    atomic.Bool   // set once: nothing is loaded any more
	drained chan struct{} // closed once it is closed and count is 0
	empty   sync.Once     // closes drained

	startLoad func(ctx context.Context, key K) *deltaLoad[K, V, D] // called under the shard's lock

	shards    []deltaShard[K, V, D]
	maxValues int // in one shard
	bounds    bounds
	queue     pendingQueue[K, D]
}

type deltaShard[K comparable, V, D any] struct {
	mu     sync.Mutex // protects all below, and the fields of deltaKey that say so
	keys   map[K]*deltaKey[K, V, D]
	values int                // how many keys have one
	read   valueList[K, V, D] // those that may lose it, by when it was read
	added  uint64
	merged uint64
	_      [64]byte // keeps neighbours off one cache line
}

// deltaKey is a key of which something is known. Its fields are protected by the shard's lock.
type deltaKey[K comparable, V, D any] struct {
	turn pendingKey[K, D] // the key, its place in the queue, and the flushes that wait for it

	next      D // what was accepted and is in no batch yet, merged
	hasNext   bool
	nextSize  int64         // bytes of next
	records   []uint64      // numbers of the journal's records that make up next
	rewriting bool          // these are being made one
	incoming  int           // deltas that have a place and are on their way into the journal
	since     time.Duration // when the first delta of next was accepted
	accepted  uint64        // how many deltas were accepted; numbers the last of next

	sent      *deltaBatch[K, V, D] // the batch that has a delta of the key and is not confirmed; nil: none
	sentDelta D
	sentSize  int64
	sentSince time.Duration
	sentLast  uint64 // accepted of the last delta in sentDelta
	resting   bool   // sent waits to be sent again, and the key stands for it in the queue

	value  V // what the source has, without sentDelta and next
	known  bool
	absent bool          // the source had no such key
	stale  time.Duration // when value is to be loaded again
	load   *deltaLoad[K, V, D]
	wanted int           // readers who wait for sent or owed to end
	owed   bool          // a batch passed the key over while it was busy: no load before it was sent
	idle   chan struct{} // made by who waits for sent or owed to end; closed then
	gone   bool          // not in the table any more

	wantedBy context.Context // of one of these readers

	newer, older *deltaKey[K, V, D] // in the shard's list of values
}

// init makes a table ready. The config has no defaults left out.
func (t *deltaTable[K, V, D]) init(merger Merger[V, D], config *AccumulateConfig[K, D]) {
	t.merger = merger
	t.size = config.Size
	t.fresh = config.Fresh
	t.began = time.Now()
	t.seed = maphash.MakeSeed()
	t.backoff = backoff{min: config.MinBackoff, max: config.MaxBackoff}
	t.drained = make(chan struct{})
	t.bounds.maxKeys = int64(config.MaxPending)
	t.bounds.maxBytes = config.MaxPendingBytes
	t.queue.maxBatch = config.MaxBatch
	t.queue.maxDelay = config.MaxDelay
	t.queue.concurrency = config.Concurrency
	t.queue.patient = true // the longer deltas are merged, the less there is to write
	t.queue.crowded = t.bounds.waiting
	t.queue.wake = make(chan struct{}, 1)
	t.queue.landed = make(chan struct{})
	t.shards = make([]deltaShard[K, V, D], min(pendingShards, config.MaxValues))
	t.maxValues = config.MaxValues / len(t.shards)
	for i := range t.shards {
		t.shards[i].keys = make(map[K]*deltaKey[K, V, D])
	}
}

func (t *deltaTable[K, V, D]) now() time.Duration { return time.Since(t.began) }

func (t *deltaTable[K, V, D]) shard(key K) *deltaShard[K, V, D] {
	return &t.shards[maphash.Comparable(t.seed, key)%uint64(len(t.shards))]
}

// at returns what is known of a key, and makes a place for it if there is none. The caller holds the shard's lock.
func (s *deltaShard[K, V, D]) at(key K) *deltaKey[K, V, D] {
	k := s.keys[key]
	if k == nil {
		k = &deltaKey[K, V, D]{turn: pendingKey[K, D]{key: key}}
		s.keys[key] = k
	}
	return k
}

// unconfirmed reports whether there is a delta that the source is not known to have.
func (k *deltaKey[K, V, D]) unconfirmed() bool { return k.hasNext || k.sent != nil }

// placed reports whether the key has a place within the bounds, and counts. k may be nil.
func (k *deltaKey[K, V, D]) placed() bool { return k != nil && (k.unconfirmed() || k.incoming > 0) }

// tidy forgets a key of which there is nothing to know. The caller holds the shard's lock.
func (s *deltaShard[K, V, D]) tidy(k *deltaKey[K, V, D]) {
	if !k.placed() && !k.known && k.load == nil && k.wanted == 0 && !k.gone {
		delete(s.keys, k.turn.key)
		k.gone = true
	}
}

// wake wakes who waits for a batch. The caller holds the shard's lock.
func (k *deltaKey[K, V, D]) wake() {
	if k.idle != nil {
		close(k.idle)
		k.idle = nil
	}
}

// merged returns what next is to be once delta was accepted, and its bytes. k may be nil.
func (t *deltaTable[K, V, D]) merged(k *deltaKey[K, V, D], key K, delta D) (D, int64, error) {
	if k != nil && k.hasNext {
		var err error
		if delta, err = t.merger.merge(k.next, delta); err != nil {
			return delta, 0, err
		}
	}
	return delta, t.sizeOf(key, delta), nil
}

// sizeOf returns the bytes of a delta.
func (t *deltaTable[K, V, D]) sizeOf(key K, delta D) int64 {
	if t.size == nil {
		return 0
	}
	return max(t.size(key, delta), 0)
}

// accept takes a delta in. granted is how many bytes were taken from the bounds for it, beside one key; negative:
// nothing was. If there is no room, lacks says how many bytes it needs.
func (t *deltaTable[K, V, D]) accept(key K, delta D, granted int64) (how acceptance, lacks int64, err error) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.closed.Load() {
		t.giveBack(granted)
		return closed, 0, nil
	}
	k := s.keys[key]
	next, size, err := t.merged(k, key, delta)
	if err != nil {
		t.giveBack(granted)
		return full, 0, err
	}
	if room, lacks := t.takeRoom(k, size, granted); !room {
		return full, lacks, nil
	}
	if k == nil {
		k = s.at(key)
	}
	s.added++
	return t.put(s, k, next, size), 0, nil
}

func (t *deltaTable[K, V, D]) giveBack(granted int64) {
	if granted >= 0 {
		t.bounds.give(1, granted)
	}
}

// takeRoom takes what a next of size bytes needs besides what the key has. What was granted is used, or given back.
func (t *deltaTable[K, V, D]) takeRoom(k *deltaKey[K, V, D], size, granted int64) (room bool, lacks int64) {
	keys, bytes := int64(1), size
	if k.placed() {
		keys, bytes = 0, size-k.nextSize
	}
	if granted < 0 {
		return t.bounds.take(keys, bytes), bytes
	}
	if bytes > granted && !t.bounds.take(0, bytes-granted) {
		t.bounds.give(1, granted)
		return false, bytes
	}
	t.bounds.give(1-keys, max(granted-bytes, 0))
	return true, 0
}

// put makes a delta a key's next. Room was taken for it. The caller holds the shard's lock.
func (t *deltaTable[K, V, D]) put(s *deltaShard[K, V, D], k *deltaKey[K, V, D], next D, size int64) acceptance {
	if !k.placed() {
		t.count.Add(1)
	}
	again := k.hasNext
	k.next, k.hasNext, k.nextSize = next, true, size
	k.accepted++
	if again {
		s.merged++
		return coalesced
	}
	k.since = t.now()
	if k.sent == nil {
		t.queue.addFresh(&k.turn, k.since)
	}
	return accepted
}

// begin moves what a key has into a batch, unless it has nothing, is in another, or is being loaded.
func (t *deltaTable[K, V, D]) begin(b *deltaBatch[K, V, D], key K) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	switch {
	case k == nil || !k.hasNext || k.sent != nil:
		return
	case k.load != nil || k.rewriting:
		k.owed = true
		return
	}
	t.move(s, k, b)
}

// move moves what a key has into a batch. The caller holds the shard's lock.
func (t *deltaTable[K, V, D]) move(s *deltaShard[K, V, D], k *deltaKey[K, V, D], b *deltaBatch[K, V, D]) {
	var none D
	k.owed = false
	k.sent, k.sentDelta, k.sentSize, k.sentSince, k.sentLast = b, k.next, k.nextSize, k.since, k.accepted
	b.records, b.each = append(b.records, k.records...), append(b.each, len(k.records))
	k.next, k.hasNext, k.nextSize, k.records = none, false, 0, nil
	if k.known {
		s.read.remove(k)
	}
	b.keys = append(b.keys, k)
	b.Deltas = append(b.Deltas, Delta[K, D]{k.turn.key, k.sentDelta})
}

// confirm ends the part of a key in its batch: the source has the delta, or, if it is lost, the dead-letter handler has.
func (t *deltaTable[K, V, D]) confirm(k *deltaKey[K, V, D], lost bool) {
	s := t.shard(k.turn.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.known && !lost {
		value, err := t.merger.fold(k.value, k.absent, k.sentDelta)
		k.value, k.absent = value, false
		if err != nil {
			s.forget(k)
		}
	}
	t.leave(s, k)
	if k.known {
		t.keep(s, k)
	}
	s.tidy(k)
}

// confirmUnfolded is confirm without Fold, so the value is not known any more.
func (t *deltaTable[K, V, D]) confirmUnfolded(k *deltaKey[K, V, D]) {
	s := t.shard(k.turn.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(k)
	t.leave(s, k)
	s.tidy(k)
}

// leave takes a key out of its batch. The caller holds the shard's lock.
func (t *deltaTable[K, V, D]) leave(s *deltaShard[K, V, D], k *deltaKey[K, V, D]) {
	var none D
	size := k.sentSize
	k.turn.resolve(k.sentLast, nil)
	k.turn.failures, k.turn.err = 0, nil
	k.sent, k.sentDelta, k.sentSize = nil, none, 0
	t.bounds.give(0, size)
	if k.hasNext {
		t.requeue(k)
	}
	t.unplace(k)
	if k.wanted > 0 && !k.known && !t.shut.Load() { // else the next batch could be faster, again and again
		k.load = t.startLoad(k.wantedBy, k.turn.key)
	}
	k.wake()
}

// unplace gives the place of a key back that needs none any more. It had one. The caller holds the shard's lock.
func (t *deltaTable[K, V, D]) unplace(k *deltaKey[K, V, D]) {
	if k.placed() {
		return
	}
	t.bounds.give(1, 0)
	if t.count.Add(-1) == 0 && t.closed.Load() {
		t.empty.Do(func() { close(t.drained) })
	}
}

// requeue puts a key with a next into the queue. The caller holds the shard's lock.
func (t *deltaTable[K, V, D]) requeue(k *deltaKey[K, V, D]) {
	if len(k.turn.waits) > 0 || k.owed {
		t.queue.hurry(&k.turn)
		return
	}
	t.queue.addFresh(&k.turn, k.since)
}

// close lets nothing in any more. When it has returned, every delta that was accepted is in the table, or confirmed.
func (t *deltaTable[K, V, D]) close() {
	t.closed.Store(true)
	t.pass()
	if t.count.Load() == 0 {
		t.empty.Do(func() { close(t.drained) })
	}
}

// pass takes and gives back each lock: who was inside before has left then.
func (t *deltaTable[K, V, D]) pass() {
	for i := range t.shards {
		t.shards[i].mu.Lock()
		//lint:ignore SA2001 who comes after sees what was set before
		t.shards[i].mu.Unlock()
	}
}

// each calls f for every key with something unconfirmed, under the lock of its shard.
func (t *deltaTable[K, V, D]) each(f func(k *deltaKey[K, V, D])) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, k := range s.keys {
			if k.unconfirmed() {
				f(k)
			}
		}
		s.mu.Unlock()
	}
}
