package source

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// State says whether a source is asked.
type State int8

const (
	Closed   State = iota // it is
	HalfOpen              // a few calls are let through, to see whether it is back
	Open                  // it is not
)

// String returns the state in words.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	}
	return "unknown state"
}

// probeTime is how long a call may take that is to show whether the source is back, if nothing else bounds it. Without, one
// that never ends would keep the breaker from asking another.
const probeTime = time.Minute

// What the breaker is told of a call that was no success.
var (
	errFailed  = errors.New("source: failed")
	errNothing = errors.New("source: nothing is learnt of it")
)

// breaker is gobreaker's state machine, with pauses that grow.
type breaker struct {
	config  Breaker
	machine *gobreaker.TwoStepCircuitBreaker[struct{}]
	start   time.Time

	// They change under the machine's lock.
	state  atomic.Int32
	until  atomic.Int64  // since start: nothing is let through before; 0 while it is closed
	epoch  atomic.Uint64 // counts the changes of state
	pause  time.Duration // how long it will be open next
	opened atomic.Uint64
}

func newBreaker(c Breaker) *breaker {
	b := &breaker{config: c, start: time.Now(), pause: c.Pause}
	b.machine = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:   uint32(min(int64(c.Probes), math.MaxUint32)),
		Timeout:       max(c.Pause-1, 1), // it waits for longer than that, and the first call is to be let through after Pause
		ReadyToTrip:   func(n gobreaker.Counts) bool { return int64(n.ConsecutiveFailures) >= int64(c.Failures) },
		IsSuccessful:  func(err error) bool { return err == nil },
		IsExcluded:    func(err error) bool { return err == errNothing },
		OnStateChange: func(_ string, from, to gobreaker.State) { b.changed(stateOf(from), stateOf(to)) },
	})
	return b
}

func stateOf(s gobreaker.State) State {
	switch s {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	}
	return Closed
}

// changed is called by the machine, under its lock.
func (b *breaker) changed(from, to State) {
	switch to {
	case Open:
		b.until.Store(until(time.Since(b.start), b.pause))
		if b.pause *= 2; b.pause > b.config.MaxPause || b.pause < 0 {
			b.pause = b.config.MaxPause
		}
		b.opened.Add(1)
	case Closed:
		b.until.Store(0)
		b.pause = b.config.Pause
	}
	b.state.Store(int32(to))
	b.epoch.Add(1)
	if b.config.OnChange != nil {
		b.config.OnChange(from, to)
	}
}

// until returns the end of a pause that begins now: at least 1, and at most the last moment there is.
func until(now, pause time.Duration) int64 {
	if pause > math.MaxInt64-now {
		return math.MaxInt64
	}
	return max(1, int64(now+pause))
}

// now returns the state as a call would find it.
func (b *breaker) now() State {
	state := State(b.state.Load())
	switch {
	case state == Closed:
		return Closed
	case b.closedFor() > 0:
		return Open
	}
	return HalfOpen
}

// closedFor returns for how long nothing is let through; not positive: a call may be.
func (b *breaker) closedFor() time.Duration {
	until := b.until.Load()
	if until == 0 {
		return 0
	}
	return time.Duration(until) - time.Since(b.start)
}

// enter returns a ticket for one call, or the error that says that there is none.
func (b *breaker) enter() (*ticket, error) {
	if wait := b.closedFor(); wait > 0 {
		return nil, &ShedError{ByBreaker, wait}
	}
	done, err := b.machine.Allow()
	if err != nil { // others are finding out
		return nil, &ShedError{ByBreaker, max(b.closedFor(), b.config.Pause)}
	}
	return &ticket{breaker: b, done: done, epoch: b.epoch.Load(), probe: State(b.state.Load()) == HalfOpen}, nil
}

// ticket is a call's right to reach the source, and its duty to tell the breaker how that went. It tells once: after a time
// that is too long, when the context ends, or when the call does. A probe that is cancelled is waited for a little longer:
// it is still at the source, and told of at once, it would make room for the next one.
type ticket struct {
	breaker  *breaker // nil: there is none
	done     func(error)
	epoch    uint64
	probe    bool // it is to show whether the source is back
	told     atomic.Bool
	failures *atomic.Uint64

	began  time.Time
	timer  *time.Timer // nil: none
	unhook func() bool // of the context; nil: not hooked
}

// begin starts to watch the call.
func (t *ticket) begin(ctx context.Context) {
	if t.breaker == nil {
		return
	}
	t.began = time.Now()
	limit := t.breaker.config.Slow
	if limit == 0 && t.probe {
		limit = probeTime
	}
	if limit > 0 {
		limit = max(limit, limit+1)
		t.timer = time.AfterFunc(limit, func() { t.tell(errFailed) })
	}
	t.unhook = context.AfterFunc(ctx, func() {
		switch {
		case ctx.Err() != context.Canceled:
			t.tell(errFailed)
		case !t.probe:
			t.tell(errNothing)
		case !t.told.Load():
			t.timer.Reset(min(t.breaker.config.Pause, limit-time.Since(t.began)))
		}
	})
}

// end is tell for a call that is over.
func (t *ticket) end(err error) {
	if t.timer != nil {
		t.timer.Stop()
	}
	if t.unhook != nil {
		t.unhook()
	}
	if t.breaker != nil && t.breaker.config.Slow > 0 && time.Since(t.began) > t.breaker.config.Slow {
		err = errFailed
	}
	t.tell(err)
}

// tell tells the breaker how the call went, unless it was told before. What began before the last change of state
// says nothing any more.
func (t *ticket) tell(err error) {
	if !t.told.CompareAndSwap(false, true) {
		return
	}
	if err == errFailed {
		t.failures.Add(1)
	}
	if t.breaker != nil && t.epoch == t.breaker.epoch.Load() {
		t.done(err)
	}
}
