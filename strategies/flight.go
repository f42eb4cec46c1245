package strategies

import (
	"context"
	"sync"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// flight is one load of one key on its way to whoever may share it.
//
// A caller may share a load only if it can tell, after it began itself, that the key has not changed since the
// load looked at it. Otherwise it would be handed a value older than a write that was acknowledged before it asked:
//
//	first caller       writer               second caller
//	look: miss
//	load: old value
//	                   write the source
//	                   invalidate
//	                                        Get begins: miss
//	                                        share the load: old value
//
// So there is a proof for each who joins: the load has yet to look at the key, or will look again (see outwait), or its
// lease still stands. Whoever has none waits for the next flight, which takes off when this one has landed, looks at the
// key anew, and takes along all who came meanwhile.
type flight[K comparable, V any] struct {
	key  K
	load *load[K, V]
	nest *nest
	done chan struct{} // closed when value and err are final

	// Protected by flights.mu.
	looked  bool           // the key is being looked at, or was for the last time: who comes now needs a proof
	token   tarn.Token     // the lease to ask about; zero: none, so there is no proof
	mine    bool           // token is this flight's own lease
	stamp   tarn.Stamp     // the store's moment of before the source is read; zero: not known
	over    *tarn.Tags     // the tags of an entry that was there; nil: it had none
	old     bool           // an entry was there, too old or about to be
	was     *tarn.Entry[V] // it, if it may be served again should the load fail; nil otherwise
	broken  uint64         // what the key was to be repaired of when the flight looked; 0: nothing
	waiters int
	left    bool // the last waiter has left: the load is cancelled, nobody may join
	slow    bool // a caller waited for as long as it should; one seat stays taken, so that the load goes on
	landed  bool

	value V
	err   error
	how   How

	early ttl.Time // the end of the fresh entry that is to be replaced; 0: it is stale, or there is none. Never changes
}

// flights are the loads of a reader: of each key at most one that runs and one that waits to begin.
type flights[K comparable, V any] struct {
	mu    sync.Mutex // protects slots, the fields of flights that say so, and loads
	slots map[K]*slot[K, V]
	loads map[*load[K, V]]struct{} // running, also those whose flights have landed
	idle  chan struct{}            // made by Close; closed when the last load has ended
}

type slot[K comparable, V any] struct {
	running *flight[K, V]
	next    *flight[K, V] // nil: nobody waits for one
}

// boarding says what a caller found at the gate.
type boarding uint8

const (
	boarded boarding = iota // it has a seat on the flight
	created                 // the flight is new, and the caller is to start it
	asking                  // it may have a seat if the flight's lease still stands
)

// maker makes a flight with one waiter. next says that it waits for another one to land, which then starts it.
type maker[K comparable, V any] func(next bool) *flight[K, V]

// board finds a seat on a flight of key, or makes a new one.
func (t *flights[K, V]) board(key K, newFlight maker[K, V]) (*flight[K, V], boarding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.slots[key]
	if s == nil {
		f := newFlight(false)
		t.slots[key] = &slot[K, V]{running: f}
		return f, created
	}
	switch f := s.running; {
	case f.left: // it is being cancelled
	case !f.looked:
		f.waiters++
		f.load.awaited()
		return f, boarded
	case f.provable() && s.next == nil:
		return f, asking
	}
	return t.boardNext(s, newFlight), boarded
}

// provable reports whether the store can say that who comes now may share a flight which has looked at its key: not
// without a lease to ask about, nor where tags matter without the moment before which they were not invalidated. The
// caller holds flights.mu.
func (f *flight[K, V]) provable() bool {
	return f.token != (tarn.Token{}) && (f.stamp != 0 || !f.mayBeTagged())
}

// boardEmpty makes a flight that nobody waits for, unless there is one of key or newFlight returns nil.
func (t *flights[K, V]) boardEmpty(key K, newFlight maker[K, V]) *flight[K, V] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key != key || t.slots[key] != nil {
		return nil
	}
	f := newFlight(false)
	if f != nil {
		t.slots[key] = &slot[K, V]{running: f}
	}
	return f
}

// boardNext finds a seat on the flight after the running one.
func (t *flights[K, V]) boardNext(s *slot[K, V], newFlight maker[K, V]) *flight[K, V] {
	if s.next == nil {
		s.next = newFlight(true)
		s.next.nest.follow(s.running.nest)
	} else {
		s.next.waiters++
	}
	return s.next
}

// boardAsked goes on where board said asking: stands is what the store answered about f's lease.
func (t *flights[K, V]) boardAsked(f *flight[K, V], stands bool, newFlight maker[K, V]) (*flight[K, V], boarding) {
	t.mu.Lock()
	if stands && !f.left {
		// It may have landed by now. What it brought is right for this caller all the same: the key had not
		// changed when the caller looked.
		f.waiters++
		t.mu.Unlock()
		return f, boarded
	}
	s := t.slots[f.key]
	if s != nil && s.running == f {
		defer t.mu.Unlock()
		if !f.looked && !f.left {
			f.waiters++ // it will look again
			return f, boarded
		}
		return t.boardNext(s, newFlight), boarded
	}
	t.mu.Unlock()
	// Another took off meanwhile. It has begun after this caller did, but may have looked before its own Get.
	return t.boardAny(f.key, newFlight)
}

// boardAny is board for a caller who does not want to ask again: where it would have to, it takes the next flight.
func (t *flights[K, V]) boardAny(key K, newFlight maker[K, V]) (*flight[K, V], boarding) {
	f, how := t.board(key, newFlight)
	if how != asking {
		return f, how
	}
	return t.boardAsked(f, false, newFlight)
}

// leave gives a seat back. The last to leave cancels the load.
func (t *flights[K, V]) leave(f *flight[K, V]) {
	t.mu.Lock()
	f.waiters--
	if f.waiters > 0 || f.landed {
		t.mu.Unlock()
		return
	}
	f.left = true
	s := t.slots[f.key]
	if s != nil && s.next == f { // it never took off
		s.next = nil
		t.mu.Unlock()
		return
	}
	f.load.live--
	last, cancel := f.load.live == 0, f.load.cancel
	t.mu.Unlock()
	if last && cancel != nil { // nil: it is about to begin, and will not
		cancel()
	}
}

// giveUp gives back the seat of a caller who waits no longer, and reports whether the load goes on, with a seat taken for
// good, by itself: unless too many do.
func (t *flights[K, V]) giveUp(f *flight[K, V]) (goesOn bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, l := f.load.reader, f.load
	switch {
	case f.slow:
		f.waiters--
		return true
	case f.landed:
		return true
	case l.background.Load():
	case r.refreshing.Load() >= maxRefreshes:
		return false
	default:
		r.refreshing.Add(1)
		l.background.Store(true)
	}
	f.slow = true
	return true
}

// underway reports whether key is being loaded, or with slow, whether that has taken too long for somebody.
func (t *flights[K, V]) underway(key K, slow bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.slots[key]
	return s != nil && !s.running.left && (!slow || s.running.slow)
}

// land makes a flight's result known, once, and returns the flight that takes off next, if there is one.
func (t *flights[K, V]) land(f *flight[K, V], v V, err error, how How) (next *flight[K, V]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.landed {
		return nil
	}
	f.landed, f.value, f.err, f.how = true, v, err, how
	close(f.done)
	if !f.left {
		f.load.live--
	}
	s := t.slots[f.key]
	if s == nil || s.running != f {
		return nil
	}
	if s.running, s.next = s.next, nil; s.running == nil {
		delete(t.slots, f.key)
		return nil
	}
	s.running.nest.follow(nil) // or a key that is always invalidated would chain its loads together for ever
	return s.running
}

// gone reports whether a flight has landed, before its time if its load still runs.
func (t *flights[K, V]) gone(f *flight[K, V]) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.landed
}

// look marks flights as looking at their keys: from now on, whoever joins needs a proof.
func (t *flights[K, V]) look(fs []*flight[K, V]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range fs {
		f.looked = true
	}
}

// found tells what a look found.
func (t *flights[K, V]) found(fs []*flight[K, V], leases []tarn.Lease[V]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, f := range fs {
		f.token, f.mine, f.stamp = leases[i].Token, leases[i].State == tarn.Granted, leases[i].Stamp
		if f.over = nil; leases[i].Found && f.load.reader.tagger != nil {
			f.over = leases[i].Entry.Tags
		}
		if f.old, f.was = leases[i].Found, nil; f.old && leases[i].Entry.Stale && f.load.reader.rearms() {
			was := leases[i].Entry
			f.was = &was
		}
	}
}

// await marks flights as waiting for somebody else's load, after which they look at their keys again.
func (t *flights[K, V]) await(fs []*flight[K, V]) {
	if len(fs) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range fs {
		f.looked = false
	}
}

// leaseOf returns the lease that a flight's key was last seen under.
func (t *flights[K, V]) leaseOf(f *flight[K, V]) (token tarn.Token, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.token, f.mine
}

// begin registers a load and starts its time, unless the reader is closed or nobody waits for the load any more.
func (t *flights[K, V]) begin(l *load[K, V]) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.idle != nil:
		return tarn.ErrClosed
	case l.live == 0:
		return context.Canceled
	}
	l.ctx, l.cancel = context.WithTimeout(l.ctx, l.reader.config.loadTimeout)
	t.loads[l] = struct{}{}
	return nil
}

// end takes a load off the register.
func (t *flights[K, V]) end(l *load[K, V]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.loads, l)
	if t.idle != nil && len(t.loads) == 0 {
		close(t.idle)
	}
}

// shut lets nothing new begin.
func (t *flights[K, V]) shut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle != nil {
		return
	}
	t.idle = make(chan struct{})
	if len(t.loads) == 0 {
		close(t.idle)
	}
}

// close cancels what runs, lets nothing new begin, and waits until all has ended or ctx is done.
func (t *flights[K, V]) close(ctx context.Context) error {
	t.shut()
	t.mu.Lock()
	var cancels []context.CancelFunc
	for l := range t.loads {
		cancels = append(cancels, l.cancel)
	}
	idle := t.idle
	t.mu.Unlock()
	for _, cancel := range cancels {
		cancel()
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
