package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/breaker"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/storetest"
	"github.com/tarncache/tarn/strategies"
)

func newMemory() *memory.Store[string, string] {
	return memory.New(memory.Options[string, string]{MaxEntries: 20_000})
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(testing.TB) tarn.Store[string, string] {
		return breaker.New(newMemory(), breaker.Config{Failures: 100, Slow: time.Second}) // rows of mistakes fail often
	}, storetest.Require(storetest.All))
}

// world is a breaker in front of a store that fails on demand.
type world struct {
	mem   *memory.Store[string, string]
	store *faulty.Store[string, string]
	s     *breaker.Store[string, string]
	seen  []string     // changes of state
	mean  func() error // what a Get does first; nil: nothing
}

type meanStore struct {
	*memory.Store[string, string]
	w *world
}

func (s meanStore) Get(ctx context.Context, key string) (tarn.Entry[string], bool, error) {
	if mean := s.w.mean; mean != nil {
		if err := mean(); err != nil {
			return tarn.Entry[string]{}, false, err
		}
	}
	return s.Store.Get(ctx, key)
}

func newWorld(t *testing.T, c breaker.Config) *world {
	w := &world{mem: newMemory()}
	t.Cleanup(func() { w.mem.Close() })
	w.store = faulty.New[string, string](meanStore{w.mem, w})
	c.OnChange = func(from, to breaker.State) { w.seen = append(w.seen, fmt.Sprintf("%v to %v", from, to)) }
	w.s = breaker.New(w.store, c)
	return w
}

func (w *world) get(t *testing.T) error {
	_, _, err := w.s.Get(t.Context(), "a")
	return err
}

// open opens the breaker, and heals the store.
func (w *world) open(t *testing.T) {
	t.Helper()
	down := w.store.Inject(faulty.Fault{Kind: faulty.Fail})
	for range 5 {
		w.get(t)
	}
	down.Release()
	if w.s.State() != breaker.Open {
		t.Fatalf("the breaker is %v", w.s.State())
	}
}

func must[T any](t *testing.T, s any) T {
	t.Helper()
	c, ok := tarn.As[T](s)
	if !ok {
		t.Fatalf("not offered: %T", *new(T))
	}
	return c
}

// ops are all operations, whether they are left out while the breaker is open.
var ops = []struct {
	op      faulty.Op
	leftOut bool
	do      func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error
}{
	{faulty.Get, true, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		_, _, err := s.Get(ctx, "a")
		return err
	}},
	{faulty.GetMany, true, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.BatchStore[string, string]](t, s).GetMany(ctx, []string{"a"}, make([]tarn.Lookup[string], 1))
	}},
	{faulty.Lease, true, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.Leaser[string, string]](t, s).
			Lease(ctx, []string{"a"}, tarn.LeaseTerms{Life: time.Minute}, make([]tarn.Lease[string], 1))
	}},
	{faulty.Stands, true, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.Leaser[string, string]](t, s).Stands(ctx, []string{"a"}, make([]tarn.Token, 1), make([]bool, 1))
	}},
	{faulty.Add, true, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		_, err := must[tarn.Adder[string, string]](t, s).Add(ctx, "a", tarn.Entry[string]{})
		return err
	}},
	{faulty.Touch, true, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		_, err := must[tarn.Toucher[string, string]](t, s).Touch(ctx, "a", 0)
		return err
	}},
	{faulty.Stamp, true, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		_, err := must[tarn.Tagger](t, s).Stamp(ctx)
		return err
	}},
	{faulty.InvalidateTags, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.TagInvalidator](t, s).InvalidateTags(ctx, "tag")
	}},
	{faulty.Count, true, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		_, err := must[tarn.Scanner[string, string]](t, s).Count(ctx)
		return err
	}},
	{faulty.Scan, true, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		seq, end := must[tarn.Scanner[string, string]](t, s).Scan(ctx)
		for range seq {
		}
		return end()
	}},
	{faulty.Set, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return s.Set(ctx, "a", tarn.Entry[string]{})
	}},
	{faulty.Delete, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return s.Delete(ctx, "a")
	}},
	{faulty.SetMany, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.BatchStore[string, string]](t, s).SetMany(ctx, []string{"a"}, make([]tarn.Entry[string], 1))
	}},
	{faulty.DeleteMany, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.BatchStore[string, string]](t, s).DeleteMany(ctx, []string{"a"})
	}},
	{faulty.Clear, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.Clearer](t, s).Clear(ctx)
	}},
	{faulty.Compute, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		_, _, err := must[tarn.Computer[string, string]](t, s).Compute(ctx, "a",
			func(tarn.Entry[string], bool) (tarn.Entry[string], tarn.ComputeOp) {
				return tarn.Entry[string]{}, tarn.ComputeStore
			})
		return err
	}},
	{faulty.Fill, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.Leaser[string, string]](t, s).Fill(ctx, []tarn.Fill[string, string]{{Key: "a"}})
	}},
	{faulty.Hold, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.Holder[string, string]](t, s).Hold(ctx, []string{"b"}, time.Minute, make([]tarn.Token, 1))
	}},
	{faulty.Settle, false, func(ctx context.Context, t *testing.T, s tarn.Store[string, string]) error {
		return must[tarn.Holder[string, string]](t, s).Settle(ctx, []tarn.Settlement[string, string]{{Key: "a"}})
	}},
}

func TestWhatIsLeftOut(t *testing.T) {
	all := faulty.Op(0)
	for _, o := range ops {
		all |= o.op
		t.Run(o.op.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, breaker.Config{Probes: 2})
				if err := o.do(t.Context(), t, w.s); err != nil || w.store.Calls(o.op) != 1 {
					t.Fatalf("closed: %v, %d calls", err, w.store.Calls(o.op))
				}
				w.open(t)
				before := w.store.Calls(o.op)
				err := o.do(t.Context(), t, w.s)
				if errors.Is(err, breaker.ErrOpen) != o.leftOut || !o.leftOut && err != nil {
					t.Errorf("open: %v", err)
				}
				if called := w.store.Calls(o.op) > before; called == o.leftOut {
					t.Errorf("open: the store was called: %t", called)
				}
				if w.s.State() != breaker.Open {
					t.Error("what is never left out does not close the breaker")
				}
			})
		})
	}
	if all != faulty.All {
		t.Errorf("not in the table: %v", faulty.All&^all)
	}
}

func TestOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{})
		down := w.store.Inject(faulty.Fault{Kind: faulty.Fail})
		for range 4 {
			w.get(t)
		}
		down.Release()
		w.get(t)
		w.open(t) // five in a row, after one that went well
		if err := w.get(t); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("open: %v", err)
		}
		down = w.store.Inject(faulty.Fault{Kind: faulty.Fail})
		time.Sleep(time.Second + 1)
		if err := w.get(t); !errors.Is(err, faulty.ErrInjected) {
			t.Errorf("the probe: %v", err)
		}
		if err := w.get(t); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("after a probe that failed: %v", err)
		}
		down.Release()
		time.Sleep(time.Second + 1)
		for range 2 {
			if err := w.get(t); err != nil {
				t.Errorf("after the pause: %v", err)
			}
		}
		want := "closed to open, open to half-open, half-open to open, open to half-open, half-open to closed"
		if got := strings.Join(w.seen, ", "); got != want {
			t.Errorf("states: %s", got)
		}
	})
}

func TestOneProbeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{})
		w.open(t)
		time.Sleep(time.Second + 1)
		stalls := w.store.Inject(faulty.Fault{Kind: faulty.Stall, Ops: faulty.Get})
		done := make(chan error)
		go func() { done <- w.get(t) }()
		synctest.Wait()
		if err := w.get(t); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("beside a probe: %v", err)
		}
		if err := w.s.Delete(t.Context(), "a"); err != nil {
			t.Errorf("a delete beside a probe: %v", err)
		}
		stalls.Release()
		if err := <-done; err != nil || w.s.State() != breaker.Closed {
			t.Errorf("the probe: %v, %v", err, w.s.State())
		}
	})
}

// A probe that never says how it went does not keep the breaker from sending another.
func TestProbesThatSayNothing(t *testing.T) {
	stuck := func(release <-chan struct{}) { <-release }
	for _, tt := range []struct {
		name  string
		slow  time.Duration
		get   func(release <-chan struct{})
		takes time.Duration // for longer it is not waited for
	}{
		{"it hangs", 0, stuck, time.Minute},
		{"it hangs longer than a call may take", 2 * time.Second, stuck, 2 * time.Second},
		{"it ends its goroutine", 0, func(<-chan struct{}) { runtime.Goexit() }, 0},
		{"it panics", 0, func(<-chan struct{}) { panic("oh") }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, breaker.Config{Slow: tt.slow})
				w.open(t)
				time.Sleep(time.Second + 1)
				release, ended := make(chan struct{}), make(chan struct{})
				giveUp := sync.OnceFunc(func() { close(release) })
				defer giveUp()
				w.mean = func() error { tt.get(release); return nil }
				go func() {
					defer close(ended)
					defer func() { _ = recover() }()
					_ = w.get(t)
				}()
				synctest.Wait()
				w.mean = nil
				if tt.takes > 0 {
					time.Sleep(tt.takes)
					synctest.Wait()
					if err := w.get(t); !errors.Is(err, breaker.ErrOpen) || w.s.State() != breaker.HalfOpen {
						t.Fatalf("beside the probe: %v, %v", err, w.s.State())
					}
					time.Sleep(time.Nanosecond)
					synctest.Wait()
				}
				if state := w.s.State(); state != breaker.Open {
					t.Fatalf("after the probe: %v", state)
				}
				time.Sleep(time.Second + 1)
				if err := w.get(t); err != nil || w.s.State() != breaker.Closed {
					t.Errorf("the next probe: %v, %v", err, w.s.State())
				}
				giveUp()
				<-ended
				if state := w.s.State(); state != breaker.Closed {
					t.Errorf("when the first probe came back: %v", state)
				}
			})
		})
	}
}

// What began before the breaker opened says nothing, whether it ends while one tries whether the store is back, or when it is.
func TestStragglersSayNothing(t *testing.T) {
	broken := errors.New("broken")
	for _, late := range []error{nil, broken} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, breaker.Config{Failures: 2})
			end, ended := make(chan struct{}), make(chan error)
			w.mean = func() error { <-end; return late }
			for range 2 {
				go func() { ended <- w.get(t) }()
			}
			synctest.Wait()
			straggle := func(want breaker.State) {
				t.Helper()
				end <- struct{}{}
				if err := <-ended; err != late {
					t.Errorf("its answer: %v", err)
				}
				if state := w.s.State(); state != want {
					t.Errorf("when it came back: %v, want %v", state, want)
				}
			}
			w.mean = nil
			w.open(t)
			time.Sleep(time.Second + 1)
			if state := w.s.State(); state != breaker.HalfOpen {
				t.Errorf("after the pause: %v", state)
			}
			straggle(breaker.HalfOpen)
			if err := w.get(t); err != nil || w.s.State() != breaker.Closed {
				t.Errorf("the probe: %v, %v", err, w.s.State())
			}
			w.mean = func() error { return broken }
			_ = w.get(t)
			straggle(breaker.Closed) // no second in a row, nor a success after the first
			if _ = w.get(t); w.s.State() != breaker.Open {
				t.Errorf("after the second: %v", w.s.State())
			}
		})
	}
}

// Failures that others come between are none in a row, however they come.
func TestOnlyFailuresInARowCount(t *testing.T) {
	w := newWorld(t, breaker.Config{})
	for _, fails := range []bool{true, true, true, true, false, true, true, true, true, false, false, true, true, true, true} {
		w.store.Heal()
		if fails {
			w.store.Inject(faulty.Fault{Kind: faulty.Fail})
		}
		if err := w.get(t); (err != nil) != fails || w.s.State() != breaker.Closed {
			t.Fatalf("%v, %v", err, w.s.State())
		}
	}
}

// A call that panics, or ends its goroutine, has failed.
func TestCallsThatDoNotReturn(t *testing.T) {
	for name, end := range map[string]func(){"panics": func() { panic("oh") }, "ends its goroutine": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, breaker.Config{})
			w.mean = func() error { end(); return nil }
			for range 5 {
				if state := w.s.State(); state != breaker.Closed {
					t.Fatalf("too early: %v", state)
				}
				ended := make(chan any)
				go func() {
					defer func() { ended <- recover() }()
					_ = w.get(t)
				}()
				if p := <-ended; p != nil && p != "oh" {
					t.Errorf("another panic: %v", p)
				}
			}
			if state := w.s.State(); state != breaker.Open {
				t.Errorf("after five: %v", state)
			}
		})
	}
}

func TestWhatIsAFailure(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		is   bool
	}{
		{"any error", errors.New("broken"), true},
		{"a deadline", context.DeadlineExceeded, true},
		{"a batch of which one failed", tarn.IndexError{nil, errors.New("broken")}, true},
		{"a held key", tarn.ErrHeld, false},
		{"an entry too heavy", fmt.Errorf("set: %w", tarn.ErrTooHeavy), false},
		{"too many holds", tarn.ErrTooManyHolds, false},
		{"a caller who gave up", fmt.Errorf("get: %w", context.Canceled), false},
		{"a batch of held keys", tarn.IndexError{nil, tarn.ErrHeld}, false},
		{"a key that has no name", fmt.Errorf("get: %w", tarn.Permanent(errors.New("no name"))), false},
		{"a batch with such a key", fmt.Errorf("get: %w", tarn.IndexError{nil, tarn.Permanent(errors.New("no name"))}), false},
		{"a batch with such a key, of which one failed",
			fmt.Errorf("get: %w", tarn.IndexError{tarn.Permanent(errors.New("no name")), errors.New("broken")}), true},
		{"a closed store", tarn.ErrClosed, false},
		{"tags that make no sense", fmt.Errorf("set: %w", tarn.ErrTags), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, breaker.Config{})
				w.store.Inject(faulty.Fault{Kind: faulty.Fail, Err: tt.err})
				for range 5 {
					if err := w.get(t); !errors.Is(err, tt.err) && err.Error() != tt.err.Error() {
						t.Errorf("passed on: %v", err)
					}
				}
				if open := w.s.State() == breaker.Open; open != tt.is {
					t.Errorf("open: %t", open)
				}
			})
		})
	}
}

// A probe that the store answers by its key alone says nothing: the next call is the probe.
func TestKeyWithoutNameIsNoProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{})
		w.store.Inject(faulty.Fault{Kind: faulty.Fail})
		for range 5 {
			_ = w.get(t)
		}
		time.Sleep(time.Second + 1)
		w.store.Heal()
		w.store.Inject(faulty.Fault{Kind: faulty.Fail, Err: tarn.Permanent(errors.New("no name"))})
		_ = w.get(t)
		if state := w.s.State(); state != breaker.HalfOpen {
			t.Errorf("after a key without a name: %v", state)
		}
		w.store.Heal()
		if err := w.get(t); err != nil || w.s.State() != breaker.Closed {
			t.Errorf("the probe: %v, %v", err, w.s.State())
		}
	})
}

// stalling is a store whose Gets take some time.
type stalling struct {
	tarn.Store[string, string]
	takes time.Duration
}

func (s *stalling) Get(ctx context.Context, key string) (tarn.Entry[string], bool, error) {
	time.Sleep(s.takes)
	return s.Store.Get(ctx, key)
}

// TestPanicOfOnChange ends where no caller could see it: while a probe hangs, the breaker opens on a goroutine of its own.
func TestPanicOfOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{OnChange: func(from, _ breaker.State) {
			if from == breaker.HalfOpen {
				panic("oh")
			}
		}})
		w.open(t)
		time.Sleep(time.Second + 1)
		release := make(chan struct{})
		w.mean = func() error { <-release; return nil }
		go func() { _ = w.get(t) }()
		time.Sleep(time.Minute + 1)
		synctest.Wait()
		if state := w.s.State(); state != breaker.Open {
			t.Errorf("after the probe: %v", state)
		}
		close(release)
		synctest.Wait()
	})
}

func TestSlowIsAFailure(t *testing.T) {
	for _, over := range []time.Duration{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			mem := newMemory()
			defer mem.Close()
			mem.Set(t.Context(), "a", tarn.Entry[string]{Value: "v"})
			s := breaker.New(&stalling{mem, 50*time.Millisecond + over}, breaker.Config{Slow: 50 * time.Millisecond})
			for range 5 {
				if e, found, err := s.Get(t.Context(), "a"); e.Value != "v" || !found || err != nil {
					t.Errorf("a slow answer is an answer: %v, %t, %v", e, found, err)
				}
			}
			if open := s.State() == breaker.Open; open != (over > 0) {
				t.Errorf("%v too slow, open: %t", over, open)
			}
		})
	}
}

// Behind a strategy nobody notices: the source answers, writes are invalidated, and the store is used again.
func TestBehindAStrategy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{})
		rows := map[string]string{"a": "1"}
		load := tarn.LoadFunc(func(_ context.Context, key string) (string, error) { return rows[key], nil })
		save := tarn.WriteFuncs(func(_ context.Context, key, v string) error { rows[key] = v; return nil },
			func(context.Context, string) error { return nil })
		c := strategies.WriteThrough(strategies.ReadThrough(w.s, load), save)
		want := func(v string) {
			t.Helper()
			if got, err := c.Get(t.Context(), "a"); got != v || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, v)
			}
		}
		want("1")
		w.open(t)
		want("1")
		if err := c.Set(t.Context(), "a", "2"); err != nil {
			t.Errorf("a write while the breaker is open: %v", err)
		}
		want("2")
		if v, _ := w.mem.Value("a"); v != "2" {
			t.Errorf("the hold and the settle reached the store: %q", v)
		}
		time.Sleep(time.Second + 1)
		want("2")
		if w.s.State() != breaker.Closed {
			t.Errorf("the breaker is %v", w.s.State())
		}
	})
}

func TestOffersWhatTheStoreOffers(t *testing.T) {
	mem := newMemory()
	defer mem.Close()
	if _, ok := tarn.As[io.Closer](breaker.New(mem, breaker.Config{})); !ok {
		t.Error("Close is not offered")
	}
	bare := breaker.New[string, string](&stalling{Store: mem}, breaker.Config{})
	_, batch := tarn.As[tarn.BatchStore[string, string]](bare)
	_, leaser := tarn.LeaserOf(bare)
	_, hitter := tarn.As[tarn.Hitter[string, string]](bare)
	_, tagger := tarn.As[tarn.Tagger](bare)
	_, invalidator := tarn.As[tarn.TagInvalidator](bare)
	if batch || leaser || hitter || tagger || invalidator {
		t.Error("it offers what the store lacks")
	}
}

func TestAHitAllocatesNothing(t *testing.T) {
	mem := newMemory()
	defer mem.Close()
	s := breaker.New(mem, breaker.Config{Slow: time.Second})
	ctx := context.Background()
	mem.Set(ctx, "a", tarn.Entry[string]{Value: "v"})
	if n := testing.AllocsPerRun(1000, func() { s.Get(ctx, "a") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestConfigsThatMakeNoSense(t *testing.T) {
	mem := newMemory()
	defer mem.Close()
	for field, do := range map[string]func(){
		"inner":           func() { breaker.New[string, string](nil, breaker.Config{}) },
		"Config.Failures": func() { breaker.New(mem, breaker.Config{Failures: -1}) },
		"Config.Slow":     func() { breaker.New(mem, breaker.Config{Slow: -1}) },
		"Config.Pause":    func() { breaker.New(mem, breaker.Config{Pause: -1}) },
		"Config.Probes":   func() { breaker.New(mem, breaker.Config{Probes: -1}) },
	} {
		t.Run(field, func(t *testing.T) {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, field) {
					t.Errorf("got the panic %q, want one that names %s", p, field)
				}
			}()
			do()
		})
	}
}
