package source_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/source"
)

func TestWhatIsAFailure(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		name string
		err  error
		is   bool
	}{
		{"any error is", errBroken, true},
		{"a time limit of the source's own is", context.DeadlineExceeded, true},
		{"an absence is an answer", fmt.Errorf("find: %w", tarn.ErrNotFound), false},
		{"what trying again will not mend says nothing", tarn.Permanent(errBroken), false},
		{"what another gate has shed says nothing", &source.ShedError{By: source.ByRate}, false},
		{"a cache that is closed says nothing", tarn.ErrClosed, false},
		{"nor does a loader that asks for its own key", tarn.ErrRecursive, false},
		{"the application may say that it is none", refused, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTable(always(tt.err))
				l := source.New(s, source.Config{
					Fault: func(err error) bool { return err != refused },
					Retry: source.Retry{Max: 1, MinBackoff: 1, MaxBackoff: 1},
				})
				for range 5 {
					if err := load(t, l); !isShed(err) || isShed(tt.err) {
						require.ErrorIs(t, err, tt.err, "it is passed on")
					}
				}
				require.Equal(t, tt.is, l.State() == source.Open)
				require.Equal(t, tt.is, l.Stats().Retries > 0, "what is no failure is not tried again")
			})
		})
	}
}

// The breaker opens after five failures in a row, lets one call through after a pause that doubles as long as the source is
// down, and says until when it lets nothing through. Each change is told.
func TestBreakerOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(nil)
		var changes []string
		l := source.New(s, source.Config{Breaker: source.Breaker{OnChange: func(from, to source.State) {
			changes = append(changes, fmt.Sprintf("%v to %v", from, to))
		}}})
		s.set(func(_ context.Context, call int) error {
			if call == 5 {
				return nil
			}
			return errBroken
		})
		for range 9 {
			require.Equal(t, source.Closed, l.State(), "four failures do not open it, nor four after a success")
			_ = load(t, l)
		}
		_ = load(t, l)
		require.Equal(t, source.Open, l.State())
		for _, pause := range []time.Duration{1, 2, 4, 8, 10, 10} {
			pause *= time.Second
			require.Equal(t, pause, shedBy(t, load(t, l), source.ByBreaker).After)
			time.Sleep(pause - 1)
			require.Equal(t, time.Duration(1), shedBy(t, load(t, l), source.ByBreaker).After)
			time.Sleep(time.Nanosecond)
			require.Equal(t, source.HalfOpen, l.State())
			require.Equal(t, errBroken, load(t, l), "one call is let through")
			require.Equal(t, source.Open, l.State())
		}
		require.Equal(t, 10+6, s.called())
		s.set(nil)
		time.Sleep(10 * time.Second)
		require.NoError(t, load(t, l))
		require.Equal(t, source.Closed, l.State())
		require.NoError(t, load(t, l))
		open(t, s, l)
		require.Equal(t, time.Second, shedBy(t, load(t, l), source.ByBreaker).After, "the pause begins anew")

		require.Equal(t, []string{"closed to open", "open to half-open", "half-open to open"}, changes[:3])
		require.Equal(t, []string{"open to half-open", "half-open to closed", "closed to open"}, changes[len(changes)-3:])
		require.Equal(t, uint64(8), l.Stats().Opened)
	})
}

// While one call finds out whether the source is back, all others are shed; however many there are.
func TestOneProbeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(nil)
		l := source.New(s, source.Config{})
		open(t, s, l)
		s.forget()
		s.set(func(context.Context, int) error { time.Sleep(time.Second); return nil })
		time.Sleep(time.Second)
		var herd sync.WaitGroup
		errs := make([]error, 1000)
		for i := range errs {
			herd.Go(func() { _, errs[i] = l.Load(t.Context(), "a") })
		}
		herd.Wait()
		require.Equal(t, 1, s.called())
		through := slices.DeleteFunc(slices.Clone(errs), isShed)
		require.Equal(t, []error{nil}, through)
		require.Equal(t, source.Closed, l.State())
		require.Equal(t, uint64(999), l.Stats().ShedByBreaker)
	})
}

// A call that is let through to see whether the source is back, and says nothing or never ends, does not keep the breaker
// from asking another one.
func TestNoProbeHoldsTheBreakerUp(t *testing.T) {
	after := func(d time.Duration) func(*testing.T) (context.Context, context.CancelFunc) {
		return func(t *testing.T) (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), d) }
	}
	left := func(t *testing.T) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		return ctx, cancel
	}
	for _, tt := range []struct {
		name   string
		slow   time.Duration
		ctx    func(*testing.T) (context.Context, context.CancelFunc)
		answer func(release <-chan struct{}) func(context.Context, int) error
		takes  time.Duration // until the probe is given up
		state  source.State  // then
	}{
		{"it hangs beyond its context's deadline", 0, after(3 * time.Second), stuck, 3 * time.Second, source.Open},
		{"it hangs longer than a call may take", 2 * time.Second, after(time.Hour), stuck, 2*time.Second + 1, source.Open},
		{"it hangs, and nothing bounds it", 0, func(t *testing.T) (context.Context, context.CancelFunc) {
			return t.Context(), func() {}
		}, stuck, time.Minute + 1, source.Open},
		{"its callers leave", 0, left, func(<-chan struct{}) func(context.Context, int) error {
			return func(ctx context.Context, _ int) error { <-ctx.Done(); return errBroken }
		}, time.Second, source.HalfOpen},
		{"its callers leave, and it takes a while to notice", 0, left, func(<-chan struct{}) func(context.Context, int) error {
			return func(context.Context, int) error { time.Sleep(1500 * time.Millisecond); return errBroken }
		}, 1500 * time.Millisecond, source.HalfOpen},
		{"its callers leave, and it answers", 0, left, func(<-chan struct{}) func(context.Context, int) error {
			return func(context.Context, int) error { time.Sleep(1500 * time.Millisecond); return nil }
		}, 1500 * time.Millisecond, source.Closed},
		{"its callers leave, and it hangs for a pause", 0, left, stuck, 2 * time.Second, source.Open},
		{"its callers leave, it hangs for a pause, and may be slow", math.MaxInt64, left, stuck, 2 * time.Second, source.Open},
		{"its callers leave, and it is too slow", 1500 * time.Millisecond, left, stuck, 1500*time.Millisecond + 1, source.Open},
		{"it panics", 0, after(time.Hour), func(<-chan struct{}) func(context.Context, int) error {
			return func(context.Context, int) error { panic("oh") }
		}, 0, source.Open},
		{"it ends its goroutine", 0, after(time.Hour), func(<-chan struct{}) func(context.Context, int) error {
			return func(context.Context, int) error { runtime.Goexit(); return nil }
		}, 0, source.Open},
		{"it says nothing about the source", 0, after(time.Hour), func(<-chan struct{}) func(context.Context, int) error {
			return always(tarn.Permanent(errBroken))
		}, 0, source.HalfOpen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTable(nil)
				l := source.New(s, source.Config{Breaker: source.Breaker{Slow: tt.slow, Pause: time.Second}})
				open(t, s, l)
				time.Sleep(time.Second)
				release := make(chan struct{})
				s.set(tt.answer(release))
				ctx, cancel := tt.ctx(t)
				defer cancel()
				go func() {
					defer func() { _ = recover() }()
					_, _ = l.Load(ctx, "a")
				}()
				synctest.Wait()
				if tt.takes > 0 {
					time.Sleep(tt.takes - 1)
					synctest.Wait()
					shedBy(t, load(t, l), source.ByBreaker)
					time.Sleep(time.Nanosecond)
					synctest.Wait()
				}
				require.Equal(t, tt.state, l.State())
				if tt.state == source.Open {
					require.Equal(t, uint64(2), l.Stats().Opened)
					require.Equal(t, 2*time.Second, shedBy(t, load(t, l), source.ByBreaker).After)
					time.Sleep(2 * time.Second)
				}
				s.set(nil)
				require.NoError(t, load(t, l))
				require.Equal(t, source.Closed, l.State())
				close(release)
			})
		})
	}
}

// However often callers leave, no more calls are at the source than a breaker lets through to see whether it is back: one that
// goes on although its callers have left is one of them.
func TestProbesOfThoseWhoLeave(t *testing.T) {
	for _, probes := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := newTable(nil)
			l := source.New(s, source.Config{Breaker: source.Breaker{Probes: probes, Pause: time.Second}})
			open(t, s, l)
			time.Sleep(time.Second)
			s.forget()
			s.set(func(context.Context, int) error { time.Sleep(900 * time.Millisecond); return errBroken })
			for range 50 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				go func() { _, _ = l.Load(ctx, "a") }()
				time.Sleep(10 * time.Millisecond)
				cancel()
				synctest.Wait()
			}
			require.Equal(t, probes, s.called())
			require.Equal(t, uint64(50-probes), l.Stats().ShedByBreaker)
			time.Sleep(time.Second)
			require.Equal(t, source.HalfOpen, l.State(), "they have said nothing about the source")
			require.Equal(t, uint64(1), l.Stats().Opened)
			s.set(nil)
			for range probes {
				require.NoError(t, load(t, l))
			}
			require.Equal(t, source.Closed, l.State())
		})
	}
}

// A pause that is as long as can be is not over at once.
func TestPausesWithoutEnd(t *testing.T) {
	for _, pause := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64/2 + 1} {
		synctest.Test(t, func(t *testing.T) {
			s := newTable(nil)
			l := source.New(s, source.Config{Breaker: source.Breaker{Pause: pause, MaxPause: math.MaxInt64}})
			time.Sleep(time.Minute)
			open(t, s, l)
			for range 3 {
				require.Greater(t, shedBy(t, load(t, l), source.ByBreaker).After, 100*365*24*time.Hour)
				time.Sleep(24 * time.Hour)
				require.Equal(t, source.Open, l.State())
			}
			require.Equal(t, 5, s.called())
		})
	}
}

// What is too slow is a failure as soon as it is, while it still hangs; its answer is passed on.
func TestSlowIsAFailure(t *testing.T) {
	for _, over := range []time.Duration{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			s := newTable(func(context.Context, int) error { time.Sleep(time.Second + over); return nil })
			l := source.New(s, source.Config{Breaker: source.Breaker{Slow: time.Second}})
			for range 5 {
				require.NoError(t, load(t, l))
			}
			synctest.Wait() // the watch over a call may be telling of it as it ends
			require.Equal(t, over > 0, l.State() == source.Open)
			require.Equal(t, 5*uint64(over), l.Stats().Failures)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newTable(stuck(release))
		l := source.New(s, source.Config{Breaker: source.Breaker{Slow: time.Second}})
		for range 5 {
			go func() { _, _ = l.Load(t.Context(), "a") }()
		}
		time.Sleep(time.Second + 2)
		synctest.Wait()
		require.Equal(t, source.Open, l.State(), "while all of them hang")
		close(release)
	})
}

// A load that nobody waits for any more says nothing about the source, however often that happens.
func TestCancelledLoadsSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(func(ctx context.Context, _ int) error { <-ctx.Done(); return errBroken })
		l := source.New(s, source.Config{})
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			_, err := l.Load(ctx, "a")
			require.Equal(t, errBroken, err)
		}
		require.Equal(t, source.Closed, l.State())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := l.Load(ctx, "a")
		require.Equal(t, context.Canceled, err)
		require.Equal(t, 20, s.called())

		for range 200 { // the loader may be quicker to notice than the breaker
			ctx, cancel := context.WithCancel(t.Context())
			s.set(func(context.Context, int) error { cancel(); return errBroken })
			_, _ = l.Load(ctx, "a")
		}
		require.Equal(t, source.Closed, l.State())
	})
}

// Panics and runtime.Goexit pass on, and count.
func TestPanicsPassOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(func(context.Context, int) error { panic("oh") })
		l := source.New(s, source.Config{})
		for range 5 {
			require.PanicsWithValue(t, "oh", func() { _, _ = l.Load(t.Context(), "a") })
		}
		require.Equal(t, source.Open, l.State())

		s = newTable(func(context.Context, int) error { runtime.Goexit(); return nil })
		l = source.New(s, source.Config{})
		for range 5 {
			done := make(chan bool)
			go func() {
				went := true
				defer func() { done <- went }()
				_, _ = l.Load(t.Context(), "a")
				went = false
			}()
			require.True(t, <-done)
		}
		require.Equal(t, source.Open, l.State())
		require.Equal(t, uint64(5), l.Stats().Failures)
	})
}

// What began before the breaker opened, and ends long after, neither closes it nor counts as its probe.
func TestStragglersSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newTable(stuck(release))
		var told []string
		l := source.New(s, source.Config{Breaker: source.Breaker{
			OnChange: func(from, to source.State) { told = append(told, to.String()) },
		}})
		var late sync.WaitGroup
		for range 10 {
			late.Go(func() { _, _ = l.Load(t.Context(), "a") })
		}
		synctest.Wait()
		open(t, s, l)
		time.Sleep(time.Second)
		s.set(always(errBroken))
		require.Equal(t, errBroken, load(t, l)) // opens it for two seconds
		time.Sleep(1500 * time.Millisecond)
		close(release)
		late.Wait()
		require.Equal(t, source.Open, l.State())
		require.Equal(t, "open half-open open", strings.Join(told, " "))
	})
}

// A load that asks for others through the same gate passes once: alone as the probe, and in a rate that has no second turn.
func TestNestedLoadsPassTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := source.NewGate(source.Config{
			Rate:  source.Rate{PerSecond: 1, Burst: 1},
			Retry: source.Retry{Max: 1},
		})
		inner := newTable(nil)
		one := source.Behind(gate, inner)
		two := source.Behind(gate, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
			v, err := one.Load(ctx, key)
			return 10 * v, err
		}))
		for range 3 {
			v, err := two.Load(t.Context(), "abc")
			require.NoError(t, err)
			require.Equal(t, 30, v)
			time.Sleep(time.Second)
		}
		inner.set(always(errBroken))
		for range 5 {
			_, err := two.Load(t.Context(), "abc")
			require.ErrorIs(t, err, errBroken)
			time.Sleep(time.Second)
		}
		inner.set(nil)
		time.Sleep(time.Minute)
		_, err := two.Load(t.Context(), "abc")
		require.NoError(t, err, "the probe is not stopped half-way")
		require.Equal(t, source.Closed, gate.State())
	})
}

// Several loaders behind one gate share its breaker.
func TestOneGateForASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := source.NewGate(source.Config{})
		s := newTable(nil)
		a, b := source.Behind(gate, s), source.Behind(gate, tarn.LoadFunc(func(context.Context, int64) (string, error) {
			return "", nil
		}))
		open(t, s, a)
		_, err := b.Load(t.Context(), 1)
		shedBy(t, err, source.ByBreaker)
		require.Equal(t, gate.Stats(), b.Stats())
	})
}
