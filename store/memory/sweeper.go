package memory

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/tarncache/tarn/ttl"
)

const (
	sweepChunk = 500                    // entries a sweep removes before it lets others at the segment
	sweepPause = 100 * time.Millisecond // between two sweeps, so that many deadlines share one

	// A sweep of very many leaves its processor alone after so many chunks, for others who wait for one: without, they
	// would wait for a time slice or a tick of the system. To yield was not enough where there are two processors.
	sweepChunks = 4
	sweepBreak  = 20 * time.Microsecond
)

// sweeper says when the store removes what has expired or was invalidated. Between sweeps there is a timer and no
// goroutine, and the timer does not keep a store alive that nobody has any more. A sweep is a goroutine, one at a
// time.
type sweeper struct {
	next atomic.Int64 // the deadline the timer is set to; ttl.End: none

	mu      sync.Mutex // protects the rest, and writes to next
	idle    sync.Cond  // on mu: running became false
	timer   *time.Timer
	running bool
	by      []byte   // the goroutine that is sweeping
	last    ttl.Time // when the last sweep began
	closed  bool
}

// wake sees to it that a sweep comes after the deadline.
func (s *Store[K, V]) wake(deadline ttl.Time) {
	w := &s.sweeper
	if int64(deadline) >= w.next.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if int64(deadline) >= w.next.Load() {
		return
	}
	w.next.Store(int64(deadline))
	if !w.running {
		s.arm()
	}
}

// arm sets the timer to the next deadline. The caller has sweeper.mu.
func (s *Store[K, V]) arm() {
	w := &s.sweeper
	at := ttl.Time(w.next.Load())
	if at == ttl.End || w.closed {
		return
	}
	if w.last != 0 {
		at = max(at, w.last.Add(sweepPause))
	}
	wait := max(at.Sub(s.clock.Now()), 0)
	if w.timer != nil {
		w.timer.Reset(wait)
		return
	}
	store := weak.Make(s)
	w.timer = time.AfterFunc(wait, func() {
		if s := store.Value(); s != nil {
			s.sweep()
		}
	})
}

// sweep removes what has expired, and what was invalidated if that is due.
func (s *Store[K, V]) sweep() {
	w := &s.sweeper
	w.mu.Lock()
	if w.closed || w.running {
		w.mu.Unlock()
		return
	}
	w.running, w.by, w.last = true, goroutine(), s.clock.Now()
	w.next.Store(int64(ttl.End)) // a deadline that comes from now on calls wake
	w.mu.Unlock()

	defer s.swept() // deferred, for OnRemove may end the goroutine
	s.sweepExpired()
	if s.tags.litter.begin(s.clock.Now()) {
		s.sweepInvalidated()
	}
}

func (s *Store[K, V]) sweepExpired() {
	// One chunk of each segment in turn: who waits for a lock gets it before the sweep comes to that segment again.
	chunks := 0
	for more := true; more; {
		more = false
		for i := range s.segments {
			if !s.sweepSome(&s.segments[i]) {
				continue
			}
			more = true
			chunks = pauseSweep(chunks)
		}
	}
}

// pauseSweep counts a chunk of a sweep, after some of which it sleeps.
func pauseSweep(chunks int) int {
	if chunks++; chunks%sweepChunks == 0 {
		time.Sleep(sweepBreak)
	}
	return chunks
}

// swept ends a sweep and sets the timer for the next.
func (s *Store[K, V]) swept() {
	next := s.tags.litter.next()
	for i := range s.segments {
		g := &s.segments[i]
		g.mu.Lock()
		next = min(next, g.table.dues.next())
		g.mu.Unlock()
	}
	w := &s.sweeper
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.by = false, nil
	w.next.Store(min(w.next.Load(), int64(next)))
	s.arm()
	w.idle.Broadcast()
}

// sweepSome removes a chunk of what has expired in a segment, and reports whether there may be more.
func (s *Store[K, V]) sweepSome(g *segment[K, V]) (more bool) {
	g.mu.Lock()
	if g.table.dues.next().Passed(g.now()) {
		more = g.expire(sweepChunk)
	}
	c := g.unlock()

	defer s.contain()
	s.after(context.Background(), &c)
	return more
}

// stopSweeper ends the sweeper and waits for it, unless OnRemove called Close on the sweeper's own goroutine.
func (s *Store[K, V]) stopSweeper() {
	w := &s.sweeper
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
	for w.running && !bytes.Equal(w.by, goroutine()) {
		w.idle.Wait()
	}
}

// goroutine names the calling goroutine. A Close within OnRemove must not wait for the goroutine it runs on, and
// nothing but the goroutine tells it from a Close elsewhere.
func goroutine() []byte {
	stack := make([]byte, 64) // "goroutine 42 [running]:"
	stack = stack[:runtime.Stack(stack, false)]
	name, _, _ := bytes.Cut(stack, []byte(" ["))
	return name
}
