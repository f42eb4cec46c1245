// Package breaker has a store that spares its callers one that is down or slow: after a few failures it answers reads
// with [ErrOpen] at once, so that a strategy asks the source, and from time to time lets a read through to see whether the
// store is back.
//
//	users := strategies.ReadThrough(breaker.New(store, breaker.Config{}), find)
//
// With package tiered it stands around the far store, since around both it would keep back copies too:
//
//	both := tiered.New(near, breaker.New(far, breaker.Config{}))
//
// What keeps old values from being read is never left out: every hold, settle, fill and invalidation, of tags too, reaches
// the store, whatever state the breaker is in, and what may take an old value away with it, Set among them. While the
// breaker is open the following fail with ErrOpen: Get, GetMany, Lease, Stands, Add, Touch, Stamp, Count and Scan.
//
// The state machine is github.com/sony/gobreaker's.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/tarncache/tarn"
)

// ErrOpen says that the store was not asked, because it has failed, or was slow, too often of late.
var ErrOpen = errors.New("breaker: the store is not asked")

// State says whether a store is asked.
type State uint8

const (
	Closed   State = iota // it is
	HalfOpen              // a few calls are, to see whether it is back
	Open                  // it is not, but for what must never be left out
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

// Config says when a breaker opens and closes. Its zero value is a good one for a store on the same network.
type Config struct {
	// Failures is how many calls in a row have to fail for the breaker to open. Zero: 5.
	Failures int

	// Slow is how long a call may take before it counts as a failure, though its answer is passed on. A call is not cut
	// short by it: the caller's context, or the store's own time limit, does that. Zero: however long it takes, but for
	// a probe: one that has not returned after a minute has failed.
	Slow time.Duration

	// Pause is how long an open breaker waits before it lets calls through again. Zero: one second.
	Pause time.Duration

	// Probes is how many calls are let through then, and have to succeed for the breaker to close; one that fails, or
	// takes longer than Slow, even if it never ends, opens it again. Zero: 1.
	Probes int

	// OnChange is told of each change of state. It is called under the breaker's lock, so it is quick and does not
	// use the store. Where a probe takes too long it is called on a goroutine of the breaker's own, and a panic of it ends
	// there. Nil: nobody is told.
	OnChange func(from, to State)
}

// Store is a store with a breaker in front. Make one with [New]. All methods may be called by any number of goroutines.
type Store[K comparable, V any] struct {
	inner    tarn.Store[K, V]
	slow     time.Duration
	most     int64 // failures in a row
	failures atomic.Int64
	machine  *gobreaker.TwoStepCircuitBreaker[struct{}] // it is told of the last of them, and of probes
	epoch    atomic.Uint64                              // counts the changes of state; its last two bits are the state
}

var (
	_ tarn.Store[int, int] = (*Store[int, int])(nil)
	_ tarn.Wrapper         = (*Store[int, int])(nil)
)

// New returns a Store in front of inner, whose breaker is closed. It panics if inner is nil, or a field of the Config
// negative. Closing inner is the caller's.
func New[K comparable, V any](inner tarn.Store[K, V], c Config) *Store[K, V] {
	if v := reflect.ValueOf(inner); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("breaker: New: inner is nil")
	}
	c.validate()
	s := &Store[K, V]{inner: inner, slow: c.Slow, most: int64(c.Failures)}
	s.machine = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  uint32(c.Probes),
		Timeout:      c.Pause,
		ReadyToTrip:  func(gobreaker.Counts) bool { return s.failures.Load() >= s.most },
		IsSuccessful: succeeded,
		IsExcluded:   excluded,
		OnStateChange: func(_ string, from, to gobreaker.State) {
			s.changed(stateOf(to))
			if c.OnChange != nil {
				c.OnChange(stateOf(from), stateOf(to))
			}
		},
	})
	return s
}

// validate panics on what makes no sense, and sets what was left out.
func (c *Config) validate() {
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"Failures", int64(c.Failures)}, {"Slow", int64(c.Slow)}, {"Pause", int64(c.Pause)}, {"Probes", int64(c.Probes)},
	} {
		if field.value < 0 {
			panic(fmt.Sprintf("breaker: Config.%s is negative", field.name))
		}
	}
	if c.Failures == 0 {
		c.Failures = 5
	}
	if c.Pause == 0 {
		c.Pause = time.Second
	}
	if c.Probes == 0 {
		c.Probes = 1
	}
}

// State returns the state of the breaker.
func (s *Store[K, V]) State() State { return stateOf(s.machine.State()) }

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
func (s *Store[K, V]) changed(to State) {
	s.failures.Store(0)
	s.epoch.Store((s.epoch.Load()>>2+1)<<2 | uint64(to))
}

// What the machine is told of a call that has no error of its own, or not that one.
var (
	errSlow    = errors.New("breaker: slow")
	errEnded   = errors.New("breaker: the call panicked, or ended its goroutine")
	errNothing = errors.New("breaker: nothing is learnt of the call")
)

// probeTime is how long a probe may take without [Config].Slow. Without, one that never ends would keep the breaker from
// sending another.
const probeTime = time.Minute

// succeeded reports whether an answer of the store shows that it works. What the store says of an entry or a key does.
func succeeded(err error) bool {
	if err == nil {
		return true
	}
	if each := (tarn.IndexError)(nil); errors.As(err, &each) {
		for _, err := range each {
			if !succeeded(err) && !tarn.IsPermanent(err) {
				return false
			}
		}
		return true
	}
	return errors.Is(err, tarn.ErrHeld) || errors.Is(err, tarn.ErrTooHeavy) ||
		errors.Is(err, tarn.ErrTooManyHolds)
}

// excluded reports whether a call shows nothing about the store. What trying again will not mend is the key's fault or
// the value's; of a batch, that of some.
func excluded(err error) bool {
	if err == nil {
		return false
	}
	if each := (tarn.IndexError)(nil); !errors.As(err, &each) && tarn.IsPermanent(err) {
		return true
	}
	return err == errNothing || errors.Is(err, context.Canceled) || errors.Is(err, tarn.ErrClosed) ||
		errors.Is(err, errors.ErrUnsupported) || errors.Is(err, tarn.ErrTags)
}

// ask calls the store unless the breaker is open.
func (s *Store[K, V]) ask(ctx context.Context, do func() error) (err error) {
	if ctx.Err() != nil {
		return do() // it may have an answer all the same, and nothing is learnt from it
	}
	epoch := s.epoch.Load()
	if State(epoch&3) != Closed {
		return s.probe(do)
	}
	verdict, began := errEnded, time.Now()
	defer func() { s.learn(epoch, verdict) }()
	err = do()
	verdict = s.verdict(err, began)
	return err
}

// learn counts a call that began while the breaker was closed, and opens it after the last of too many failures. What
// began before the last change of state says nothing any more.
func (s *Store[K, V]) learn(epoch uint64, verdict error) {
	if excluded(verdict) || s.epoch.Load() != epoch {
		return
	}
	if succeeded(verdict) {
		if s.failures.Load() > 0 {
			s.failures.Store(0)
		}
		return
	}
	if s.failures.Add(1) < s.most {
		return
	}
	done, refused := s.machine.Allow()
	if refused != nil {
		return
	}
	if s.epoch.Load() != epoch { // it was opened meanwhile, and this is the place of a probe
		verdict = errNothing
	}
	done(verdict)
}

// probe calls the store if the machine wants to see whether it is back.
func (s *Store[K, V]) probe(do func() error) (err error) {
	done, refused := s.machine.Allow()
	if refused != nil {
		return ErrOpen
	}
	limit := s.slow
	if limit == 0 {
		limit = probeTime
	}
	verdict, began := errEnded, time.Now()
	late := time.AfterFunc(max(limit, limit+1), func() {
		defer func() { _ = recover() }() // of OnChange, which no caller could see
		done(errSlow)
	})
	defer func() {
		late.Stop()
		done(verdict) // which says nothing any more if that was too late
	}()
	err = do()
	verdict = s.verdict(err, began)
	return err
}

// tell is ask for what is never left out.
func (s *Store[K, V]) tell(ctx context.Context, do func() error) error {
	asked := false
	err := s.ask(ctx, func() error {
		asked = true
		return do()
	})
	if !asked {
		return do()
	}
	return err
}

// verdict returns what the breaker is told of a call.
func (s *Store[K, V]) verdict(err error, began time.Time) error {
	switch {
	case s.slow > 0 && time.Since(began) > s.slow:
		return errSlow
	case errors.Is(err, context.Canceled):
		return errNothing
	}
	return err
}

// Get returns the inner store's entry of key, or [ErrOpen].
func (s *Store[K, V]) Get(ctx context.Context, key K) (e tarn.Entry[V], found bool, err error) {
	err = s.ask(ctx, func() (err error) { e, found, err = s.inner.Get(ctx, key); return err })
	return e, found, err
}

// Set sets key in the inner store.
func (s *Store[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	return s.tell(ctx, func() error { return s.inner.Set(ctx, key, e) })
}

// Delete deletes key from the inner store.
func (s *Store[K, V]) Delete(ctx context.Context, key K) error {
	return s.tell(ctx, func() error { return s.inner.Delete(ctx, key) })
}
