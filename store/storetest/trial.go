package storetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// long is a life that no row waits for.
const long = time.Hour

type (
	entry     = tarn.Entry[string]
	computing = func(old entry, found bool) (entry, tarn.ComputeOp)
)

// trial is one row run on one store. Its methods are steps: each does one thing with the store and returns an error
// if the answer is not the one expected, so that a row is a list of steps for [all].
type trial struct {
	*abilities
	ctx    context.Context
	clock  ttl.Clock
	unit   time.Duration // lives that a row waits for
	waits  bool          // the row may wait by the real clock
	fake   bool          // time stands still until everybody waits
	seed   uint64
	replay bool
	closed bool
}

// notApplicable is returned by a row that finds nothing to check.
type notApplicable string

func (n notApplicable) Error() string { return string(n) }

// attempt runs a row once, on a new store. A unit of zero is for synctest's time.
func (c *config) attempt(t *testing.T, r row, seed uint64, unit time.Duration) (err error) {
	store := c.makeStore(t)
	if store == nil {
		return errors.New("newStore returned nil")
	}
	x := &trial{abilities: probe(store), unit: unit, waits: r.waits, seed: seed, replay: c.replay}
	patience := time.Minute
	if unit == 0 {
		x.fake, x.unit, patience = true, time.Minute, 10_000*time.Hour
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	x.ctx = ctx
	if x.clock = ttl.NewClock(); x.clocker != nil {
		x.clock = x.clocker.Clock()
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if cerr := x.shut(); err == nil {
			err = cerr
		}
	}()
	return r.check(x)
}

// makeStore calls newStore, one caller at a time.
func (c *config) makeStore(t *testing.T) tarn.Store[string, string] {
	c.making.Lock()
	defer c.making.Unlock()
	return c.newStore(t)
}

// shut closes the store, if it can be closed and is not.
func (x *trial) shut() error {
	if x.close == nil || x.closed {
		return nil
	}
	x.closed = true
	if err := x.close(x.ctx); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// all returns the first error of steps that were done in order.
func all(steps ...error) error {
	for _, err := range steps {
		if err != nil {
			return err
		}
	}
	return nil
}

// wrong returns an error that names the row's line, which is the first caller outside this file.
func wrong(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if base := filepath.Base(f.File); base != "trial.go" && base != "guarded.go" {
			return fmt.Errorf("%s:%d: %w", base, f.Line, err)
		}
		if !more {
			return err
		}
	}
}

// did is the step of a call that should succeed.
func did(what string, err error) error {
	if err != nil {
		return wrong("%s: %w", what, err)
	}
	return nil
}

// fails is the step of a call that should return an error like want.
func fails(what string, err, want error) error {
	if !errors.Is(err, want) {
		return wrong("%s: got error %v, want %v", what, err, want)
	}
	return nil
}

// is is the step that compares an answer.
func is[T comparable](what string, got, want T) error {
	if got != want {
		return wrong("%s: got %v, want %v", what, got, want)
	}
	return nil
}

// in returns the instant that is d away by the store's clock.
func (x *trial) in(d time.Duration) ttl.Time { return x.clock.Now().Add(d) }

// wait lets time pass, in a row that says that it waits.
func (x *trial) wait(d time.Duration) error {
	if !x.waits && !x.fake {
		return wrong("this row waits, and storetest does not know")
	}
	time.Sleep(d)
	return nil
}

func plain(v string) entry { return entry{Value: v} }

func until(v string, expires ttl.Time) entry {
	return entry{Value: v, Expires: expires}
}

func (x *trial) set(key, value string) error {
	return did("Set", x.store.Set(x.ctx, key, plain(value)))
}

func (x *trial) setEntry(key string, e entry) error {
	return did("Set", x.store.Set(x.ctx, key, e))
}

func (x *trial) del(key string) error { return did("Delete", x.store.Delete(x.ctx, key)) }

// has expects a value under key.
func (x *trial) has(key, value string) error {
	e, found, err := x.store.Get(x.ctx, key)
	switch {
	case err != nil:
		return wrong("Get(%s): %w", clip(key), err)
	case !found:
		return wrong("Get(%s): found nothing, want %s", clip(key), clip(value))
	case e.Negative:
		return wrong("Get(%s): got a negative entry, want %s", clip(key), clip(value))
	case e.Value != value:
		return wrong("Get(%s): got %s, want %s", clip(key), clip(e.Value), clip(value))
	}
	return nil
}

// misses expects nothing under the keys.
func (x *trial) misses(keys ...string) error {
	for _, key := range keys {
		e, found, err := x.store.Get(x.ctx, key)
		if err != nil {
			return wrong("Get(%s), which is not there: %w", clip(key), err)
		}
		if found {
			return wrong("Get(%s): found %+v, want nothing", clip(key), e)
		}
	}
	return nil
}

// hits expects Hit to say value, or nothing, which is always its right.
func (x *trial) hits(key, value string) error {
	if got, ok := x.hitter.Hit(key); ok && got != value {
		return wrong("Hit(%s): got %s, want %s or nothing", clip(key), clip(got), clip(value))
	}
	return nil
}

// noHit expects Hit to say nothing of the keys.
func (x *trial) noHit(keys ...string) error {
	for _, key := range keys {
		if got, ok := x.hitter.Hit(key); ok {
			return wrong("Hit(%s): got %s, want nothing", clip(key), clip(got))
		}
	}
	return nil
}

// sees expects the whole entry under key, as it was given to Set.
func (x *trial) sees(key string, want entry) error {
	e, found, err := x.store.Get(x.ctx, key)
	if err != nil {
		return wrong("Get(%s): %w", clip(key), err)
	}
	if !found {
		return wrong("Get(%s): found nothing, want %+v", clip(key), want)
	}
	return x.same("Get", e, want)
}

// same compares an entry that a store returned with the one it was given.
func (x *trial) same(what string, got, want entry) error {
	now := x.clock.Now()
	if got.Negative != want.Negative || !want.Negative && got.Value != want.Value {
		return wrong("%s: got %+v, want %+v", what, got, want)
	}
	if !x.near(now, got.Fresh, want.Fresh) {
		return wrong("%s: Fresh is %d, want %d", what, got.Fresh, want.Fresh)
	}
	if !x.near(now, got.Expires, want.Expires) {
		return wrong("%s: Expires is %d, want %d", what, got.Expires, want.Expires)
	}
	if err := sameTags(got.Tags, want.Tags); err != nil {
		return wrong("%s: %w", what, err)
	}
	if stale := want.Fresh.Passed(now); got.Stale != stale && (x.fake || !x.near(now, now, want.Fresh)) {
		return wrong("%s: Stale is %v, with Fresh %v away", what, got.Stale, want.Fresh.Sub(now))
	}
	return nil
}

// near reports whether a deadline came back as it was given: exactly so in fake time; in real time to half a unit,
// and shortened to no less than an hour if it was none.
func (x *trial) near(now, got, want ttl.Time) bool {
	if want == ttl.End {
		want = 0
	}
	if got == ttl.End {
		got = 0
	}
	if x.fake || got == want {
		return got == want
	}
	if want == 0 || want.Sub(now) > long {
		return got.Sub(now) > long-time.Minute
	}
	return max(got.Sub(want), want.Sub(got)) <= x.unit/2
}

// ended returns the contexts that are over: one cancelled, and one whose deadline has passed.
func (x *trial) ended() []context.Context {
	cancelled, cancel := context.WithCancel(x.ctx)
	cancel()
	late, cancel := context.WithDeadline(x.ctx, time.Now().Add(-time.Second))
	cancel()
	return []context.Context{cancelled, late}
}

// clip quotes s, shortened.
func clip(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%q and %d bytes more", s[:40], len(s)-40)
	}
	return fmt.Sprintf("%q", s)
}

// names returns n different keys.
func names(prefix string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return keys
}

// scribble overwrites the caller's slice, as a caller may once a call has returned.
func scribble[T any](s []T, junk T) {
	for i := range s {
		s[i] = junk
	}
}

var longKey = strings.Repeat("long", 24)

// lookups expects GetMany to find the values; "" stands for a key that is not there.
func (x *trial) lookups(keys, values []string) error {
	into := make([]tarn.Lookup[string], len(keys))
	scribble(into, tarn.Lookup[string]{Entry: plain("left over"), Found: true})
	if err := x.batch.GetMany(x.ctx, keys, into); err != nil {
		return wrong("GetMany: %w", err)
	}
	for i, l := range into {
		if l.Found != (values[i] != "") || l.Found && l.Entry.Value != values[i] {
			return wrong("GetMany of %d, item %d: got %+v, want %s", len(keys), i, l, clip(values[i]))
		}
	}
	return nil
}

// refused expects an error, and no panic.
func refused(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = wrong("%s: panic: %v", what, p)
		}
	}()
	if f() == nil {
		return wrong("%s: no error", what)
	}
	return nil
}
