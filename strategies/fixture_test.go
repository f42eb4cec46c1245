package strategies_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

var errBroken = errors.New("broken")

// plain hides all but a store's three methods.
type plain[K comparable, V any] struct{ inner tarn.Store[K, V] }

func (p plain[K, V]) Get(ctx context.Context, key K) (tarn.Entry[V], bool, error) {
	return p.inner.Get(ctx, key)
}

func (p plain[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	return p.inner.Set(ctx, key, e)
}

func (p plain[K, V]) Delete(ctx context.Context, key K) error { return p.inner.Delete(ctx, key) }

// tamper passes operations on, unless before says otherwise; it can stall there, fail, or panic. It offers what its
// inner store offers, without leases and holds if leaseless.
type tamper[K comparable, V any] struct {
	inner     *memory.Store[K, V]
	leaseless bool

	mu     sync.Mutex
	before func(ctx context.Context, op string) error // nil: nothing; protected by mu
	calls  map[string]int                             // protected by mu
}

// on has f run before every operation.
func (s *tamper[K, V]) on(f func(ctx context.Context, op string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// failing has the named operations fail.
func (s *tamper[K, V]) failing(ops ...string) {
	s.on(func(_ context.Context, op string) error {
		for _, o := range ops {
			if op == o {
				return errBroken
			}
		}
		return nil
	})
}

func (s *tamper[K, V]) called(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

func (s *tamper[K, V]) run(ctx context.Context, op string) error {
	s.mu.Lock()
	f := s.before
	if s.calls == nil {
		s.calls = make(map[string]int)
	}
	s.calls[op]++
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx, op)
}

func (s *tamper[K, V]) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Leaser[K, V]:
		if s.leaseless {
			return false
		}
		*t = s
	case *tarn.Holder[K, V]:
		if s.leaseless {
			return false
		}
		*t = s
	case *tarn.BatchStore[K, V]:
		*t = s
	case *tarn.Adder[K, V]:
		*t = s
	case *tarn.Toucher[K, V]:
		*t = s
	case *tarn.Tagger:
		*t = s
	case *tarn.Clocker:
		*t = s.inner
	default:
		return false
	}
	return true
}

func (s *tamper[K, V]) Get(ctx context.Context, key K) (tarn.Entry[V], bool, error) {
	if err := s.run(ctx, "get"); err != nil {
		return tarn.Entry[V]{}, false, err
	}
	return s.inner.Get(ctx, key)
}

func (s *tamper[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	if err := s.run(ctx, "set"); err != nil {
		return err
	}
	return s.inner.Set(ctx, key, e)
}

func (s *tamper[K, V]) Delete(ctx context.Context, key K) error {
	if err := s.run(ctx, "delete"); err != nil {
		return err
	}
	return s.inner.Delete(ctx, key)
}

func (s *tamper[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Lookup[V]) error {
	if err := s.run(ctx, "getmany"); err != nil {
		return err
	}
	return s.inner.GetMany(ctx, keys, into)
}

func (s *tamper[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	if err := s.run(ctx, "setmany"); err != nil {
		return err
	}
	return s.inner.SetMany(ctx, keys, entries)
}

func (s *tamper[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	if err := s.run(ctx, "deletemany"); err != nil {
		return err
	}
	return s.inner.DeleteMany(ctx, keys)
}

func (s *tamper[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (bool, error) {
	if err := s.run(ctx, "add"); err != nil {
		return false, err
	}
	return s.inner.Add(ctx, key, e)
}

func (s *tamper[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (bool, error) {
	if err := s.run(ctx, "touch"); err != nil {
		return false, err
	}
	return s.inner.Touch(ctx, key, expires)
}

func (s *tamper[K, V]) Lease(ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V]) error {
	distinct(keys)
	if err := s.run(ctx, "lease"); err != nil {
		return err
	}
	return s.inner.Lease(ctx, keys, terms, into)
}

func (s *tamper[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	if err := s.run(ctx, "fill"); err != nil {
		return err
	}
	return s.inner.Fill(ctx, fills)
}

func (s *tamper[K, V]) Stands(ctx context.Context, keys []K, tokens []tarn.Token, into []bool) error {
	if err := s.run(ctx, "stands"); err != nil {
		return err
	}
	return s.inner.Stands(ctx, keys, tokens, into)
}

func (s *tamper[K, V]) Hold(ctx context.Context, keys []K, life time.Duration, tokens []tarn.Token) error {
	distinct(keys)
	if err := s.run(ctx, "hold"); err != nil {
		return err
	}
	return s.inner.Hold(ctx, keys, life, tokens)
}

func (s *tamper[K, V]) Settle(ctx context.Context, settlements []tarn.Settlement[K, V]) error {
	if err := s.run(ctx, "settle"); err != nil {
		return err
	}
	return s.inner.Settle(ctx, settlements)
}

func (s *tamper[K, V]) Stamp(ctx context.Context) (tarn.Stamp, error) {
	if err := s.run(ctx, "stamp"); err != nil {
		return 0, err
	}
	return s.inner.Stamp(ctx)
}

func (s *tamper[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	if err := s.run(ctx, "invalidate"); err != nil {
		return err
	}
	return s.inner.InvalidateTags(ctx, tags...)
}

// distinct panics if a key comes twice where tarn.Leaser and tarn.Holder promise that none does.
func distinct[K comparable](keys []K) {
	seen := make(map[K]bool, len(keys))
	for _, k := range keys {
		if seen[k] {
			panic("a store was given a key twice")
		}
		seen[k] = true
	}
}

// newMemory returns a store that is closed with the test.
func newMemory[K comparable, V any](t *testing.T) *memory.Store[K, V] {
	s := memory.New(memory.Options[K, V]{MaxEntries: 10_000})
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func newTamper(t *testing.T) *tamper[string, int] {
	return &tamper[string, int]{inner: newMemory[string, int](t)}
}

// onEveryStore runs f in a bubble for each kind of store: with leases and holds of its own, also behind a wrapper
// that offers what the store does; without them; and with nothing but Get, Set and Delete, where a table in the
// strategy stands in.
func onEveryStore(t *testing.T, f func(t *testing.T, store tarn.Store[string, int])) {
	for _, kind := range []struct {
		name string
		make func(*memory.Store[string, int]) tarn.Store[string, int]
	}{
		{"memory", func(m *memory.Store[string, int]) tarn.Store[string, int] { return m }},
		{"watched", func(m *memory.Store[string, int]) tarn.Store[string, int] {
			return &tamper[string, int]{inner: m}
		}},
		{"without leases", func(m *memory.Store[string, int]) tarn.Store[string, int] {
			return &tamper[string, int]{inner: m, leaseless: true}
		}},
		{"plain", func(m *memory.Store[string, int]) tarn.Store[string, int] { return plain[string, int]{m} }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, kind.make(newMemory[string, int](t))) })
		})
	}
}

// events count what an observer is told.
type events struct {
	mu   sync.Mutex
	n    map[tarn.EventKind]int
	all  []tarn.Event
	hook func(tarn.Event)
}

func (e *events) Observe(_ context.Context, ev tarn.Event) {
	e.mu.Lock()
	if e.n == nil {
		e.n = make(map[tarn.EventKind]int)
	}
	e.n[ev.Kind] += ev.N
	e.all = append(e.all, ev)
	hook := e.hook
	e.mu.Unlock()
	if hook != nil {
		hook(ev)
	}
}

// on has f run on every event.
func (e *events) on(f func(tarn.Event)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hook = f
}

func (e *events) count(kind tarn.EventKind) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n[kind]
}

// source is a table with one number under each key. What stall says happens before a row is read, on the loader's
// goroutine; then the row is read, and then after happens.
type source struct {
	mu      sync.Mutex
	rows    map[string]int // protected by mu, as all below
	loads   int
	running int
	peak    int // how many loads ran at once
	stall   func(ctx context.Context, key string) error
	after   func(ctx context.Context, key string) error
}

func newSource(rows map[string]int) *source { return &source{rows: rows} }

func (s *source) Load(ctx context.Context, key string) (int, error) {
	s.mu.Lock()
	s.loads++
	s.running++
	s.peak = max(s.peak, s.running)
	stall, after := s.stall, s.after
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if stall != nil {
		if err := stall(ctx, key); err != nil {
			return 0, err
		}
	}
	s.mu.Lock()
	v, ok := s.rows[key]
	s.mu.Unlock()
	if after != nil {
		if err := after(ctx, key); err != nil {
			return 0, err
		}
	}
	if !ok {
		return 0, tarn.ErrNotFound
	}
	return v, nil
}

func (s *source) Save(_ context.Context, key string, v int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[key] = v
	return nil
}

func (s *source) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, key)
	return nil
}

func (s *source) row(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[key]
}

func (s *source) loaded() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}

func (s *source) peaked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peak
}

func (s *source) set(stall, after func(ctx context.Context, key string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stall, s.after = stall, after
}

// takes is a stall of some time that ends early with the load's context.
func takes(d time.Duration) func(ctx context.Context, key string) error {
	return func(ctx context.Context, _ string) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ignores is a stall of some time whatever the load's context says.
func ignores(d time.Duration) func(ctx context.Context, key string) error {
	return func(context.Context, string) error {
		time.Sleep(d)
		return nil
	}
}

// reply is what a call on another goroutine returned, and when.
type reply struct {
	v   int
	err error
	at  time.Time
}

// asked runs a Get on a goroutine of its own.
func asked(ctx context.Context, c tarn.Cache[string, int], key string) <-chan reply {
	return calls(func() (int, error) { return c.Get(ctx, key) })
}

// calls runs f on a goroutine of its own.
func calls(f func() (int, error)) <-chan reply {
	ch := make(chan reply, 1)
	go func() {
		v, err := f()
		ch <- reply{v, err, time.Now()}
	}()
	return ch
}

// pending reports whether no reply has come although nothing can go on without time passing.
func pending(ch <-chan reply) bool {
	synctest.Wait()
	return len(ch) == 0
}

func hasValue(t *testing.T, want int, r reply, rule ...any) {
	t.Helper()
	require.NoError(t, r.err, rule...)
	require.Equal(t, want, r.v, rule...)
}
