package source_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
	"github.com/tarncache/tarn/source"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// service is a cache before a source that is spared.
type service struct {
	*table
	loader  *source.Loader[string, int]
	users   *strategies.ReadThroughCache[string, int]
	counter *observe.Counter
}

func newService(
	t *testing.T, store tarn.Store[string, int], c source.Config, opts ...strategies.ReadOption,
) *service {
	s := &service{table: newTable(nil), counter: observe.NewCounter()}
	s.loader = source.New(s.table, c)
	s.users = strategies.ReadThrough(store, s.loader, append(opts, strategies.WithObserver(s.counter))...)
	t.Cleanup(func() { require.NoError(t, s.users.Close(context.Background())) })
	return s
}

// asks has callers ask for keys for as long as it takes, all keys each time, and returns how many asked, and how many got no
// value.
func (s *service) asks(ctx context.Context, keys, callers int, every, for_ time.Duration) (asked, errs int64) {
	var failed atomic.Int64
	var all sync.WaitGroup
	for range for_ / every {
		for range callers {
			for i := range keys {
				asked++
				all.Go(func() {
					if _, err := s.users.Get(ctx, fmt.Sprint("key", i)); err != nil {
						failed.Add(1)
					}
				})
			}
		}
		time.Sleep(every)
	}
	all.Wait()
	return asked, failed.Load()
}

// A source that is down for an hour is asked by one call every ten seconds, whatever the number of keys and callers; with an
// old value nobody sees an error; and when it is back, the herd reaches it at the rate. The last row shows what it would be
// without.
func TestSourceIsDownForAnHour(t *testing.T) {
	const keys, callers = 24, 3
	spared := source.Config{
		Breaker: source.Breaker{Slow: time.Second},
		Retry:   source.Retry{Max: 2},
		Rate:    source.Rate{PerSecond: 6, Burst: 3, Wait: time.Second},
	}
	for _, tt := range []struct {
		name   string
		config source.Config
		stale  time.Duration
		spared bool
	}{
		{"spared, with old values", spared, 2 * time.Hour, true},
		{"spared, without old values", spared, 0, true},
		{"not spared", source.Config{Breaker: source.Breaker{Off: true}}, 2 * time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onStores(t, func(t *testing.T, store tarn.Store[string, int]) {
				s := newService(t, store, tt.config, strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleIfError: tt.stale}))
				_, _ = s.asks(t.Context(), keys, 1, time.Second, 20*time.Second) // all are there, at the rate
				time.Sleep(time.Minute)

				s.forget()
				s.set(func(context.Context, int) error { time.Sleep(100 * time.Millisecond); return errBroken })
				failed, shed := s.counter.Total(tarn.EventLoadFailed), s.counter.Total(tarn.EventShed)
				asked, errs := s.asks(t.Context(), keys, 1, 5*time.Second, time.Hour)
				failed, shed = s.counter.Total(tarn.EventLoadFailed)-failed, s.counter.Total(tarn.EventShed)-shed
				t.Logf("down for an hour: %d callers, %d errors; the source was called %d times, %d loads were shed",
					asked, errs, s.called(), shed)
				require.Equal(t, tt.stale > 0, errs == 0)
				require.Equal(t, tt.spared, s.called() < 3600/10+20)
				require.Greater(t, s.called(), 200, "somebody looks whether it is back")
				require.Equal(t, tt.spared, shed > 0)
				require.LessOrEqual(t, int(failed), s.called(), "what was shed is no failure of the source")

				s.forget()
				s.set(func(context.Context, int) error { time.Sleep(100 * time.Millisecond); return nil })
				_, _ = s.asks(t.Context(), keys, callers, 250*time.Millisecond, 30*time.Second)
				t.Logf("back again: %d calls, at most %d in a second", s.called(), s.busiest())
				require.Equal(t, tt.spared, s.busiest() <= 6+3)
				require.Equal(t, keys, s.called(), "each key is loaded once")
				_, errs = s.asks(t.Context(), keys, callers, time.Second, time.Second)
				require.Zero(t, errs)
			})
		})
	}
}

// A source that is up and down in turns is asked while it is up, and by few while it is down.
func TestFlappingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(nil)
		l := source.New(s, source.Config{Breaker: source.Breaker{MaxPause: 2 * time.Second}})
		ups, downs, answers := 0, 0, 0
		for second := range 600 {
			up := second/10%2 == 0
			if s.set(nil); !up {
				s.set(always(errBroken))
			}
			before := s.called()
			for range 100 {
				if load(t, l) == nil {
					answers++
				}
				time.Sleep(10 * time.Millisecond)
			}
			if up {
				ups += s.called() - before
			} else {
				downs += s.called() - before
			}
		}
		t.Logf("ten seconds up, ten down, ten minutes, 100 loads a second: %d of 30000 calls while up, %d while down", ups, downs)
		require.Equal(t, ups, answers)
		require.Greater(t, ups, 30000*8/10)
		require.Less(t, downs, 30*15)
	})
}

// A source that does badly for ten minutes fails nobody who has an old value, keeps nobody waiting for longer than it takes, is
// asked by few, and when it does well again has each key loaded.
func TestSourceDoesBadly(t *testing.T) {
	const keys, lasts, slow, turn = 24, 10 * time.Minute, 2 * time.Second, 7 * time.Second
	var began time.Time
	for _, tt := range []struct {
		name    string
		answer  func(ctx context.Context, call int) error
		calls   int           // at most: five until the breaker opens, and those that look whether it is back
		longest time.Duration // that a caller waits
	}{
		{"fails", always(errBroken), 5 + int(lasts/(5*time.Second)), 0},
		{"is slow", func(context.Context, int) error { time.Sleep(slow); return nil }, keys + int(lasts/(5*time.Second)), slow},
		{"flaps", func(context.Context, int) error {
			if int(time.Since(began)/turn)%2 == 0 {
				return nil
			}
			return errBroken
		}, int(lasts/time.Minute+1)*keys + 5*int(lasts/(2*turn)+1), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onStores(t, func(t *testing.T, store tarn.Store[string, int]) {
				s := newService(t, store, source.Config{Breaker: source.Breaker{Slow: time.Second}},
					strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour, Throttle: time.Second}))
				_, errs := s.asks(t.Context(), keys, 1, time.Second, time.Second)
				require.Zero(t, errs)
				time.Sleep(time.Minute)

				s.forget()
				began = time.Now()
				s.set(tt.answer)
				var longest atomic.Int64
				var all sync.WaitGroup
				for range lasts / time.Second {
					for i := range keys {
						all.Go(func() {
							start := time.Now()
							_, err := s.users.Get(t.Context(), fmt.Sprint("key", i))
							require.NoError(t, err)
							longest.Store(max(longest.Load(), int64(time.Since(start))))
						})
					}
					time.Sleep(time.Second)
				}
				all.Wait()
				t.Logf("%d calls in %v; a caller waited %v at most", s.called(), lasts, time.Duration(longest.Load()))
				require.LessOrEqual(t, s.called(), tt.calls)
				require.Greater(t, s.called(), int(lasts/time.Minute), "somebody looks whether it is back")
				require.LessOrEqual(t, time.Duration(longest.Load()), tt.longest)

				s.set(nil)
				time.Sleep(time.Minute)
				_, errs = s.asks(t.Context(), keys, 3, time.Second, 10*time.Second)
				require.Zero(t, errs)
				for i := range keys {
					a, err := s.users.Answer(t.Context(), fmt.Sprint("key", i))
					require.NoError(t, err)
					require.Equal(t, strategies.HowFresh, a.How)
				}
			})
		})
	}
}

// A source that hangs is found out while the first callers still wait, and hangs nobody any more.
func TestSourceHangs(t *testing.T) {
	onStores(t, func(t *testing.T, store tarn.Store[string, int]) {
		s := newService(t, store, source.Config{Breaker: source.Breaker{Slow: time.Second}},
			strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour}),
			strategies.WithLoadTimeout(5*time.Second))
		_, err := s.users.Get(t.Context(), "old")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		release := make(chan struct{})
		s.set(stuck(release)) // ignores its context
		var longest atomic.Int64
		var all sync.WaitGroup
		for i := range 100 {
			if i == 10 {
				synctest.Wait() // who comes now finds loads that run, and shares them
			}
			all.Go(func() {
				start := time.Now()
				_, err := s.users.Get(t.Context(), fmt.Sprint("key", i%10)) // ten keys
				require.Error(t, err)
				longest.Store(max(longest.Load(), int64(time.Since(start))))
			})
		}
		time.Sleep(2 * time.Second)
		require.Equal(t, source.Open, s.loader.State())
		start := time.Now()
		_, err = s.users.Get(t.Context(), "another")
		shedBy(t, err, source.ByBreaker)
		a, err := s.users.Answer(t.Context(), "old")
		require.NoError(t, err)
		require.Equal(t, strategies.HowRescued, a.How)
		require.Equal(t, start, time.Now(), "nobody waits any more")
		all.Wait()
		require.Equal(t, int64(5*time.Second), longest.Load(), "the time limit of a load")
		close(release)
	})
}

// A load that is shed is like one that failed for an old value: it is served, left alone for the time of Throttle, and then
// one caller tries.
func TestShedLoadsAreRearmed(t *testing.T) {
	onStores(t, func(t *testing.T, store tarn.Store[string, int]) {
		s := newService(t, store, source.Config{Rate: source.Rate{PerSecond: 1e-6, Burst: 1}},
			strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour, Throttle: 10 * time.Second}))
		_, err := s.users.Get(t.Context(), "a")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		for range 30 {
			a, err := s.users.Answer(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, strategies.HowRescued, a.How)
			time.Sleep(time.Second)
		}
		require.Equal(t, uint64(3), s.counter.Total(tarn.EventShed), "once in ten seconds")
		require.Zero(t, s.counter.Total(tarn.EventLoadFailed))
		require.Equal(t, 1, s.called())

		_, err = s.users.Get(t.Context(), "b")
		shedBy(t, err, source.ByRate)
		_, err = tarn.GetMany(t.Context(), s.users, []string{"c", "d"})
		require.ErrorIs(t, err, tarn.ErrShed)
	})
}
