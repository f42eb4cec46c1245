package strategies

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// pendingQueue says which pending keys are written next, and when. Instants are durations since the strategy began.
//
// A key waits in one of three places: among the fresh, in the order of their age, until there are enough for a batch
// or the oldest is old enough; among the timed after a failure, until its backoff is over; or among the urgent, since
// somebody flushes. What is in the queue is a hint: a key may be in it while it is being written, or when it has
// nothing to write any more, and whoever takes it out of the queue looks.
//
// A batch that failed as a whole does not tell who is to blame. Each of its keys becomes a suspect: suspects are
// written apart from the others and in batches of half the size, down to one by one, so that a single bad value
// cannot keep others back for long. So that a source that was away is not written to one by one for long either,
// each success of suspects doubles the size of their next batch.
type pendingQueue[K comparable, V any] struct {
	maxBatch    int
	maxDelay    time.Duration
	concurrency int
	patient     bool          // a full batch waits for its age, too
	crowded     func() bool   // reports whether writers wait for room
	wake        chan struct{} // of capacity 1: next may have more to say

	mu      sync.Mutex // protects all below, and the fields of pendingKey that say so
	fresh   pendingList[K, V]
	urgent  pendingList[K, V]
	timed   pendingHeap[K, V]
	flights int  // batches in flight
	through int  // writes through to the source that are under way
	pressed bool // a bound was met: what is fresh now does not wait for its age
	closing bool // nothing waits for its age
	stopped bool
	trust   int           // how many suspects may share a batch whatever their limit; 0 after one failed
	landed  chan struct{} // closed when it is stopped and nothing is in flight
	resumed chan struct{} // closed by resume; nil: it is not paused
	still   chan struct{} // closed when it is paused and nothing is under way; nil: nobody waits
}

// never is an instant that does not come.
const never time.Duration = math.MaxInt64

// saturated returns a+b of two durations that are not negative, or never.
func saturated(a, b time.Duration) time.Duration {
	if sum := a + b; sum >= 0 {
		return sum
	}
	return never
}

const sameLimit = -1

// place says where in the queue a key is.
type place uint8

const (
	notQueued place = iota
	amongFresh
	amongTimed
	amongUrgent
)

// addFresh adds a key whose oldest unwritten operation was accepted at since.
func (q *pendingQueue[K, V]) addFresh(p *pendingKey[K, V], since time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.place != notQueued {
		return
	}
	p.place, p.due, p.limit = amongFresh, saturated(since, q.maxDelay), 0
	if head := q.fresh.head; head != nil && p.due < head.due {
		q.fresh.pushFront(p)
	} else {
		q.fresh.pushBack(p)
	}
	if q.fresh.head == p || q.full() || q.pressed || q.closing {
		q.signal()
	}
}

// addTimed adds a key that is to be written at due, or at once if it is urgent. limit is how many keys may be in its
// batch if it is a suspect, 0 if it is none, sameLimit if that has not changed.
func (q *pendingQueue[K, V]) addTimed(p *pendingKey[K, V], due time.Duration, urgent bool, limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(p)
	p.due = due
	if limit != sameLimit {
		p.limit = limit
	}
	if urgent {
		p.place = amongUrgent
		q.urgent.pushBack(p)
	} else {
		p.place = amongTimed
		heap.Push(&q.timed, p)
	}
	q.signal()
}

// hurry makes keys urgent, all at once so that they make up whole batches.
func (q *pendingQueue[K, V]) hurry(keys ...*pendingKey[K, V]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range keys {
		if p.place != amongUrgent {
			q.remove(p)
			p.place = amongUrgent
			q.urgent.pushBack(p)
		}
	}
	q.signal()
}

// drop takes a key out of the queue, if it is there.
func (q *pendingQueue[K, V]) drop(p *pendingKey[K, V]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(p)
}

// press makes what is fresh now due, because a bound was met.
func (q *pendingQueue[K, V]) press() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pressed = q.fresh.n > 0
	q.signal()
}

// close makes whatever waits for its age due, now and in future.
func (q *pendingQueue[K, V]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closing = true
	q.resume()
	q.signal()
}

// stop lets no further batch begin.
func (q *pendingQueue[K, V]) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.checkLanded()
	q.signal()
}

// next takes a batch that is due, which is in flight until end is called. If there is none, it says when there will
// be one unless something is added. It reports false once the queue is stopped.
func (q *pendingQueue[K, V]) next(now time.Duration) (batch []*pendingKey[K, V], at time.Duration, goOn bool) {
	crowded := q.crowded()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return nil, never, false
	}
	if q.flights == q.concurrency || q.resumed != nil {
		return nil, never, true
	}
	timedDue, freshDue := q.timed.due(), q.freshDue(now, crowded)
	switch {
	case q.urgent.n > 0:
		batch = q.collect(func() *pendingKey[K, V] { return q.urgent.head })
	case min(timedDue, freshDue) > now:
		return nil, min(timedDue, freshDue), true
	case timedDue <= freshDue:
		batch = q.collect(func() *pendingKey[K, V] { return q.timed.headAt(now) })
	default:
		batch = q.collect(func() *pendingKey[K, V] { return q.fresh.head })
		q.pressed = q.pressed && q.fresh.n > 0
	}
	q.flights++
	return batch, now, true
}

// dispatch calls flush, on a goroutine of its own, for each batch as it becomes due, until the queue is stopped.
func (q *pendingQueue[K, V]) dispatch(now func() time.Duration, flush func(due []*pendingKey[K, V])) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		t := now()
		due, at, goOn := q.next(t)
		if !goOn {
			return
		}
		if due != nil {
			go flush(due)
			continue
		}
		if timer.Stop(); at != never {
			timer.Reset(at - t)
		}
		select {
		case <-q.wake:
		case <-timer.C:
		}
	}
}

// freshDue returns when the next batch of fresh keys is due. The caller holds mu.
func (q *pendingQueue[K, V]) freshDue(now time.Duration, crowded bool) time.Duration {
	switch {
	case q.fresh.n == 0:
		return never
	case q.full() || q.pressed || q.closing || crowded:
		return min(now, q.fresh.head.due)
	default:
		return q.fresh.head.due
	}
}

// full reports whether there are enough fresh keys for a batch that does not wait for its age. The caller holds mu.
func (q *pendingQueue[K, V]) full() bool { return q.fresh.n >= q.maxBatch && !q.patient }

// collect takes keys for one batch, as many as may be together. The caller holds mu.
func (q *pendingQueue[K, V]) collect(head func() *pendingKey[K, V]) (batch []*pendingKey[K, V]) {
	size := q.maxBatch
	for p := head(); p != nil; p = head() {
		suspect := p.limit > 0
		if suspect {
			size = min(size, max(p.limit, q.trust))
		}
		if len(batch) >= size || len(batch) > 0 && suspect != (batch[0].limit > 0) {
			break
		}
		q.remove(p)
		batch = append(batch, p)
	}
	return batch
}

// end says that a batch of next is no longer in flight.
func (q *pendingQueue[K, V]) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flights--
	q.checkLanded()
	q.checkStill()
	q.signal()
}

// judge is told whether a batch of next failed as a whole.
func (q *pendingQueue[K, V]) judge(batch []*pendingKey[K, V], failed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch n := len(batch); {
	case failed && n > 1:
		q.trust = 0
	case !failed && batch[0].limit > 0:
		q.trust = min(max(q.trust, 2*n), q.maxBatch)
	}
}

// checkLanded closes landed if it is time. The caller holds mu.
func (q *pendingQueue[K, V]) checkLanded() {
	if q.stopped && q.flights == 0 {
		select {
		case <-q.landed:
		default:
			close(q.landed)
		}
	}
}

// remove takes p from where it is. The caller holds mu.
func (q *pendingQueue[K, V]) remove(p *pendingKey[K, V]) {
	switch p.place {
	case amongFresh:
		q.fresh.remove(p)
	case amongUrgent:
		q.urgent.remove(p)
	case amongTimed:
		heap.Remove(&q.timed, p.index)
	}
	p.place = notQueued
}

func (q *pendingQueue[K, V]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pendingList is a list of keys, linked by fields of their own.
type pendingList[K comparable, V any] struct {
	head, tail *pendingKey[K, V]
	n          int
}

func (l *pendingList[K, V]) pushBack(p *pendingKey[K, V]) {
	p.before, p.after = l.tail, nil
	if l.tail == nil {
		l.head = p
	} else {
		l.tail.after = p
	}
	l.tail = p
	l.n++
}

func (l *pendingList[K, V]) pushFront(p *pendingKey[K, V]) {
	p.before, p.after = nil, l.head
	if l.head == nil {
		l.tail = p
	} else {
		l.head.before = p
	}
	l.head = p
	l.n++
}

func (l *pendingList[K, V]) remove(p *pendingKey[K, V]) {
	if p.before == nil {
		l.head = p.after
	} else {
		p.before.after = p.after
	}
	if p.after == nil {
		l.tail = p.before
	} else {
		p.after.before = p.before
	}
	p.before, p.after = nil, nil
	l.n--
}

// pendingHeap orders keys by when they are due. It is a heap.Interface.
type pendingHeap[K comparable, V any] []*pendingKey[K, V]

// due returns when the first key is due.
func (h pendingHeap[K, V]) due() time.Duration {
	if len(h) == 0 {
		return never
	}
	return h[0].due
}

// headAt returns the first key if it is due now.
func (h pendingHeap[K, V]) headAt(now time.Duration) *pendingKey[K, V] {
	if h.due() > now {
		return nil
	}
	return h[0]
}

func (h pendingHeap[K, V]) Len() int           { return len(h) }
func (h pendingHeap[K, V]) Less(i, j int) bool { return h[i].due < h[j].due }
func (h pendingHeap[K, V]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *pendingHeap[K, V]) Push(x any) {
	p := x.(*pendingKey[K, V])
	p.index = len(*h)
	*h = append(*h, p)
}

func (h *pendingHeap[K, V]) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return p
}
