package strategies_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// fleet is what n processes have in common: each has its own store before the one that they share, and a cache on it.
type fleet struct {
	*source
	far    *farstore.Far[string, int] // nil: the store is in memory, and they are caches of one process
	stores []tarn.Store[string, int]
	caches []*strategies.ReadThroughCache[string, int]
	seen   *events
}

// onFleets runs f in a bubble for caches on one store in memory, and for processes with near stores before a far one.
func onFleets(t *testing.T, n int, opts []strategies.ReadOption, f func(t *testing.T, fl *fleet)) {
	for _, kind := range []string{"memory", "tiers"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fl := &fleet{source: newSource(map[string]int{"a": 1}), seen: new(events)}
				shared := newMemory[string, int](t)
				if kind == "tiers" {
					fl.far = farstore.New(shared)
				}
				for range n {
					store := tarn.Store[string, int](shared)
					if fl.far != nil {
						both := tiered.New(newMemory[string, int](t), fl.far.View())
						t.Cleanup(func() { require.NoError(t, both.Close()) })
						store = both
						synctest.Wait() // copies are trusted
					}
					all := append([]strategies.ReadOption{strategies.WithObserver(fl.seen)}, opts...)
					fl.stores = append(fl.stores, store)
					fl.caches = append(fl.caches, strategies.ReadThrough(store, fl.source, all...))
				}
				f(t, fl)
				for _, c := range fl.caches {
					require.NoError(t, c.Close(t.Context()))
				}
			})
		})
	}
}

func policy(p ttl.Policy) strategies.ReadOption { return strategies.WithTTL(p) }

func TestOneOfAFleetRevalidates(t *testing.T) {
	opts := []strategies.ReadOption{policy(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Minute})}
	onFleets(t, 3, opts, func(t *testing.T, fl *fleet) {
		for _, c := range fl.caches {
			hasValue(t, 1, <-asked(t.Context(), c, "a"))
		}
		require.NoError(t, fl.Save(t.Context(), "a", 2))
		fl.set(takes(time.Second), nil)
		time.Sleep(time.Minute)
		start := time.Now()
		for range 10 {
			for _, c := range fl.caches {
				r := <-asked(t.Context(), c, "a")
				hasValue(t, 1, r)
				require.Equal(t, start, r.at, "nobody waits")
			}
		}
		require.Equal(t, 30, fl.seen.count(tarn.EventStaleHit))
		time.Sleep(1100 * time.Millisecond)
		for _, c := range fl.caches {
			hasValue(t, 2, <-asked(t.Context(), c, "a"))
		}
		synctest.Wait()
		require.Equal(t, 2, fl.loaded(), "one load for all")
	})
}

// A source that fails for an hour fails nobody, is asked once in a while for each key by all processes together, and is
// not overrun when it is back.
func TestSourceIsDownForAnHour(t *testing.T) {
	const keys, processes, every = 5, 3, 500 * time.Millisecond
	opts := []strategies.ReadOption{policy(ttl.Policy{Fresh: time.Minute, StaleIfError: 2 * time.Hour, Jitter: 0.1})}
	onFleets(t, processes, opts, func(t *testing.T, fl *fleet) {
		names, rows := numbered(keys)
		for k, v := range rows {
			require.NoError(t, fl.Save(t.Context(), k, v))
		}
		var errs, waited, asks atomic.Int64
		round := func() {
			for _, c := range fl.caches {
				for _, k := range names {
					go func() {
						start := time.Now()
						if _, err := c.Get(t.Context(), k); err != nil {
							errs.Add(1)
						}
						if time.Since(start) > 0 {
							waited.Add(1)
						}
						asks.Add(1)
					}()
				}
			}
			time.Sleep(every)
		}
		for _, c := range fl.caches {
			_, err := tarn.GetMany(t.Context(), c, names)
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		loads := fl.loaded()
		fl.set(func(ctx context.Context, key string) error {
			time.Sleep(100 * time.Millisecond)
			return errBroken
		}, nil)
		for range int(time.Hour / every) {
			round()
		}
		tries := fl.loaded() - loads
		t.Logf("an hour without a source: %d callers, %d saw an error, %d waited; the source was asked %d times",
			asks.Load(), errs.Load(), waited.Load(), tries)
		require.Zero(t, errs.Load())
		require.Less(t, tries, keys*int(time.Hour/(4*time.Second)))
		require.LessOrEqual(t, int(waited.Load()), tries+2*keys, "who tries, and at the start who finds that out")

		fl.set(takes(100*time.Millisecond), nil)
		most, sum := 0, 0
		for range 10 {
			before := fl.loaded()
			round()
			round()
			most, sum = max(most, fl.loaded()-before), sum+fl.loaded()-before
		}
		t.Logf("back again: at most %d loads in a second, %d in ten", most, sum)
		require.LessOrEqual(t, most, keys)
		require.Equal(t, keys, sum, "one for each key")
		require.Zero(t, errs.Load())
	})
}

// A source that fails for an hour within StaleWhileRevalidate is asked once for each throttle by all processes together,
// nobody waits, and the window does not grow: when it is over, the error is told.
func TestRevalidatingWhileTheSourceIsDown(t *testing.T) {
	for name, p := range map[string]ttl.Policy{
		"by itself":                 {Fresh: time.Minute, StaleWhileRevalidate: 2 * time.Hour, Throttle: 10 * time.Second},
		"with a rescue as short":    {Fresh: time.Minute, StaleWhileRevalidate: 2 * time.Hour, StaleIfError: time.Second, Throttle: 10 * time.Second},
		"and a load that times out": {Fresh: time.Minute, StaleWhileRevalidate: 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			opts := []strategies.ReadOption{policy(p), strategies.WithLoadTimeout(time.Second)}
			onFleets(t, 2, opts, func(t *testing.T, fl *fleet) {
				hasValue(t, 1, <-asked(t.Context(), fl.caches[0], "a"))
				stored := time.Now()
				before, _, _ := fl.stores[0].Get(t.Context(), "a")
				every := p.Throttle
				fl.set(func(context.Context, string) error { return errBroken }, nil)
				if p.Throttle == 0 {
					every = ttl.DefaultThrottle
					fl.set(ignores(3*time.Second), nil)
				}
				time.Sleep(time.Minute)
				loads := fl.loaded()
				for range int(time.Hour / time.Second) {
					for _, c := range fl.caches {
						start := time.Now()
						r := <-asked(t.Context(), c, "a")
						hasValue(t, 1, r)
						require.Equal(t, start, r.at, "nobody waits")
						synctest.Wait()
					}
					time.Sleep(time.Second)
				}
				tries := fl.loaded() - loads
				t.Logf("%d tries in an hour", tries)
				require.LessOrEqual(t, tries, int(time.Hour/every))
				require.GreaterOrEqual(t, tries, int(time.Hour/(every+3*time.Second)))
				after, found, err := fl.stores[1].Get(t.Context(), "a")
				require.NoError(t, err)
				require.True(t, found && after.Rescued, "it is told from a fresh one: %+v", after)
				require.Equal(t, before.Expires, after.Expires, "the window does not grow")

				time.Sleep(time.Until(stored.Add(time.Minute + 2*time.Hour - 1)))
				hasValue(t, 1, <-asked(t.Context(), fl.caches[0], "a"), "to the window's last instant")
				time.Sleep(4 * time.Second)
				fl.set(func(context.Context, string) error { return errBroken }, nil)
				require.ErrorIs(t, (<-asked(t.Context(), fl.caches[0], "a")).err, errBroken, "and not after it")
			})
		})
	}
}

// A rescued value is told from a fresh one, is left alone until the throttle ends, when one caller tries again while the
// others are served at once, and is gone when it was to be gone.
func TestRescuedValueIsRearmed(t *testing.T) {
	life := ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour, Throttle: 10 * time.Second}
	onFleets(t, 2, []strategies.ReadOption{policy(life)}, func(t *testing.T, fl *fleet) {
		a, b := fl.caches[0], fl.caches[1]
		hasValue(t, 1, <-asked(t.Context(), a, "a"))
		before, _, _ := fl.stores[0].Get(t.Context(), "a")
		fl.set(func(context.Context, string) error { time.Sleep(time.Second); return errBroken }, nil)
		time.Sleep(time.Minute)
		start := time.Now()
		r := <-asked(t.Context(), a, "a")
		hasValue(t, 1, r)
		require.Equal(t, time.Second, r.at.Sub(start), "the first waits for the source's error")
		require.Equal(t, 1, fl.seen.count(tarn.EventRescued))
		after, found, err := fl.stores[1].Get(t.Context(), "a")
		require.NoError(t, err)
		require.True(t, found && after.Rescued && !after.Stale, "the store has it for all: %+v", after)
		require.Equal(t, before.Expires, after.Expires, "the window does not grow")
		require.Equal(t, before.Expires.Add(11*time.Second-time.Hour), after.Fresh, "until the throttle ends")
		time.Sleep(10*time.Second - 1)
		for _, c := range fl.caches {
			start := time.Now()
			answer, err := c.Answer(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, strategies.HowRescued, answer.How)
			require.Equal(t, -11*time.Second+1, answer.FreshFor)
			require.Equal(t, start, time.Now())
		}
		require.Equal(t, 2, fl.loaded(), "nobody asks the source")
		require.Equal(t, 3, fl.seen.count(tarn.EventRescued))
		require.Zero(t, fl.seen.count(tarn.EventHit), "rescued is not fresh")

		time.Sleep(time.Nanosecond)
		start = time.Now()
		trier := asked(t.Context(), a, "a")
		synctest.Wait()
		for range 5 {
			r := <-asked(t.Context(), a, "a")
			hasValue(t, 1, r)
			require.Equal(t, start, r.at, "the others do not wait for who tries")
		}
		require.True(t, pending(trier))
		hasValue(t, 1, <-trier)
		require.Equal(t, 3, fl.loaded())
		hasValue(t, 1, <-asked(t.Context(), b, "a"))

		for range int(time.Hour / (11 * time.Second)) {
			time.Sleep(11 * time.Second)
			r := <-asked(t.Context(), b, "a")
			if time.Now().Before(start.Add(time.Hour - 12*time.Second)) {
				hasValue(t, 1, r)
			}
		}
		time.Sleep(time.Until(start.Add(time.Hour)))
		require.ErrorIs(t, (<-asked(t.Context(), b, "a")).err, errBroken, "beyond the window the error is told")
		fl.set(nil, nil)
		hasValue(t, 1, <-asked(t.Context(), b, "a"))
	})
}

// Whatever removes the old value while the source is being asked, its failure brings nothing back.
func TestRearmingBringsNothingBack(t *testing.T) {
	for name, life := range map[string]ttl.Policy{
		"rescued":     {Fresh: time.Minute, StaleIfError: time.Hour, StaleWhileRevalidate: time.Second},
		"revalidated": {Fresh: time.Minute, StaleWhileRevalidate: time.Hour},
	} {
		t.Run(name, func(t *testing.T) { testRearmingBringsNothingBack(t, life) })
	}
}

func testRearmingBringsNothingBack(t *testing.T, life ttl.Policy) {
	for rule, change := range map[string]func(fl *fleet) error{
		"a delete": func(fl *fleet) error { return fl.caches[1].Delete(context.Background(), "a") },
		"a write": func(fl *fleet) error {
			return strategies.WriteThrough(fl.caches[1], fl.source).Set(context.Background(), "a", 2)
		},
		"a write around": func(fl *fleet) error {
			return strategies.WriteAround(fl.caches[1], fl.source).Set(context.Background(), "a", 2)
		},
		"a hold": func(fl *fleet) error {
			_, err := fl.caches[1].Hold(context.Background(), []string{"a"})
			return err
		},
	} {
		for way, stall := range map[string]func(context.Context, string) error{
			"the load fails": func(context.Context, string) error { time.Sleep(time.Second); return errBroken },
			"it takes too long": func(ctx context.Context, key string) error {
				return takes(time.Hour)(ctx, key)
			},
			"it ignores that it takes too long": ignores(time.Minute / 2),
		} {
			t.Run(rule+", "+way, func(t *testing.T) {
				opts := []strategies.ReadOption{policy(life), strategies.WithLoadTimeout(2 * time.Second)}
				onFleets(t, 2, opts, func(t *testing.T, fl *fleet) {
					hasValue(t, 1, <-asked(t.Context(), fl.caches[0], "a"))
					time.Sleep(2 * time.Minute)
					fl.set(stall, nil)
					r := asked(t.Context(), fl.caches[0], "a")
					synctest.Wait()
					require.NoError(t, change(fl))
					hasValue(t, 1, <-r, "who asked before is served")
					time.Sleep(2 * time.Second) // a load in the background ends, too
					synctest.Wait()
					fl.set(func(context.Context, string) error { return errBroken }, nil)
					for _, c := range fl.caches {
						r := <-asked(t.Context(), c, "a")
						require.True(t, r.err != nil || r.v == 2, "the old value is back: %+v", r)
					}
				})
			})
		}
	}
}

// A source that hangs costs the callers of an hour nothing but the first one's patience each time that it is tried.
func TestSoftTimeout(t *testing.T) {
	life := ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour, Throttle: 10 * time.Second}
	opts := []strategies.ReadOption{policy(life), strategies.WithSoftTimeout(100 * time.Millisecond),
		strategies.WithLoadTimeout(20 * time.Second)}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			onFleets(t, 1, opts, func(t *testing.T, fl *fleet) {
				c := fl.caches[0]
				get := func() reply { return <-calls(func() (int, error) { return way.get(t.Context(), c, "a") }) }
				start := time.Now()
				fl.set(takes(time.Second), nil)
				hasValue(t, 1, get())
				require.Equal(t, time.Second, time.Since(start), "with nothing to serve, it waits")

				time.Sleep(time.Minute)
				require.NoError(t, fl.Save(t.Context(), "a", 2))
				fl.set(takes(5*time.Second), nil)
				start = time.Now()
				r := get()
				hasValue(t, 1, r)
				require.Equal(t, 100*time.Millisecond, r.at.Sub(start), "with an old value, no longer than it should")
				for range 3 {
					r := get()
					hasValue(t, 1, r)
					require.Equal(t, 100*time.Millisecond, r.at.Sub(start), "nor do others who come then")
				}
				require.Equal(t, 4, fl.seen.count(tarn.EventRescued))
				require.Equal(t, 2, fl.loaded())
				time.Sleep(5 * time.Second)
				hasValue(t, 2, get(), "the load went on, and was stored")
				require.Equal(t, 2, fl.loaded())

				// It hangs, and does not mind its context.
				time.Sleep(time.Minute)
				fl.set(ignores(25*time.Second), nil)
				hasValue(t, 2, get())
				time.Sleep(20 * time.Second)
				start = time.Now()
				r = get()
				hasValue(t, 2, r)
				require.Equal(t, start, r.at, "at its time limit it is given up, and left alone for a while")
				require.Equal(t, 3, fl.loaded())
				time.Sleep(time.Minute)
			})
		})
	}
}

// Callers with nothing old to be given are told of it apart, and loads that nobody waits for are bounded.
func TestSoftTimeoutIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, rows := numbered(300)
		src := newSource(rows)
		c := strategies.ReadThrough(newMemory[string, int](t), src, policy(ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour}),
			strategies.WithSoftTimeout(100*time.Millisecond))
		_, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		src.set(takes(time.Second), nil)
		replies := make([]<-chan reply, len(keys))
		for i, key := range keys {
			replies[i] = asked(t.Context(), c, key)
		}
		for i, r := range replies {
			hasValue(t, i, <-r)
		}
		synctest.Wait()
		src.mu.Lock()
		running := src.running
		src.mu.Unlock()
		require.Equal(t, 256, running, "no more go on by themselves")
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestFlappingSource(t *testing.T) {
	opts := []strategies.ReadOption{policy(ttl.Policy{Fresh: 10 * time.Second, StaleIfError: time.Hour, Throttle: time.Second})}
	onFleets(t, 2, opts, func(t *testing.T, fl *fleet) {
		hasValue(t, 1, <-asked(t.Context(), fl.caches[0], "a"))
		n := 0
		fl.set(func(context.Context, string) error { // one at a time, so nothing is shared
			if n++; n%2 == 1 {
				return errBroken
			}
			return nil
		}, nil)
		for i := range 1000 {
			require.NoError(t, fl.Save(t.Context(), "a", i))
			r := <-asked(t.Context(), fl.caches[i%2], "a")
			require.NoError(t, r.err)
			require.LessOrEqual(t, i-r.v, 12, "older than a life, a throttle and a second")
			time.Sleep(time.Second)
		}
		require.InDelta(t, 2*1000/11, fl.loaded(), 20, "in a life, one that fails and one that does not")
	})
}

func TestAnswer(t *testing.T) {
	life := ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Minute, StaleIfError: time.Hour, Negative: time.Minute}
	synctest.Test(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		store := newMemory[string, int](t)
		c := strategies.ReadThrough(store, src, policy(life))
		aside := strategies.LookAside(store, policy(life))
		for _, step := range []struct {
			sleep time.Duration
			stall func(context.Context, string) error
			key   string
			err   error
			want  strategies.Answer[int]
		}{
			{0, nil, "a", nil, strategies.Answer[int]{Value: 1, How: strategies.HowLoaded}},
			{time.Second, nil, "a", nil, strategies.Answer[int]{Value: 1, How: strategies.HowFresh,
				FreshFor: 59 * time.Second, ExpiresIn: time.Hour + 59*time.Second}},
			{0, nil, "none", tarn.ErrNotFound, strategies.Answer[int]{How: strategies.HowLoaded}},
			{time.Second, nil, "none", tarn.ErrNotFound, strategies.Answer[int]{How: strategies.HowNegative,
				FreshFor: 59 * time.Second, ExpiresIn: 59 * time.Second}},
			{time.Minute, failing, "a", nil, strategies.Answer[int]{Value: 1, How: strategies.HowStale,
				FreshFor: -2 * time.Second, ExpiresIn: time.Hour - 2*time.Second}},
			{2 * time.Minute, failing, "a", nil, strategies.Answer[int]{Value: 1, How: strategies.HowRescued,
				FreshFor: -2*time.Minute - 2*time.Second, ExpiresIn: time.Hour - 2*time.Minute - 2*time.Second}},
			{time.Second, failing, "a", nil, strategies.Answer[int]{Value: 1, How: strategies.HowRescued,
				FreshFor: -2*time.Minute - 3*time.Second, ExpiresIn: time.Hour - 2*time.Minute - 3*time.Second}},
			{0, failing, "b", errBroken, strategies.Answer[int]{}},
		} {
			time.Sleep(step.sleep)
			src.set(step.stall, nil)
			got, err := c.Answer(t.Context(), step.key)
			if step.want.How == strategies.HowFresh {
				again, err := aside.Answer(t.Context(), step.key, nil)
				require.NoError(t, err)
				require.Equal(t, step.want, again)
				again, err = aside.Answer(t.Context(), step.key, src)
				require.NoError(t, err)
				require.Equal(t, step.want, again)
			}
			synctest.Wait()
			require.ErrorIs(t, err, step.err)
			require.Equal(t, step.want, got, got.How.String())
		}
		_, err := aside.Answer(t.Context(), "b", nil)
		require.ErrorIs(t, err, tarn.ErrNotFound)
		require.NoError(t, c.Close(t.Context()))
	})
}

func failing(context.Context, string) error { return errBroken }

// A store that takes too long has failed: the source answers. What tells it of a write is not cut short.
func TestStoreTimeout(t *testing.T) {
	for _, limit := range []time.Duration{0, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			inner := newMemory[string, int](t)
			far := farstore.New(inner)
			seen := new(events)
			opts := []strategies.ReadOption{strategies.WithObserver(seen)}
			if limit > 0 {
				opts = append(opts, strategies.WithStoreTimeout(limit))
			}
			src := newSource(map[string]int{"a": 1})
			c := strategies.ReadThrough(far.View(), src, opts...)
			hasValue(t, 1, <-asked(t.Context(), c, "a"))
			far.Slow(time.Second)
			for _, way := range ways[:2] {
				start := time.Now()
				r := <-calls(func() (int, error) { return way.get(t.Context(), c, "a") })
				hasValue(t, 1, r)
				if limit == 0 {
					require.Equal(t, 2*time.Second, r.at.Sub(start))
					continue
				}
				require.Equal(t, 2*limit, r.at.Sub(start), "a read, and a lease")
				for _, e := range seen.all {
					if e.Kind == tarn.EventStoreFailed {
						require.ErrorIs(t, e.Err, tarn.ErrStoreTimeout)
						require.ErrorIs(t, e.Err, context.DeadlineExceeded)
					}
				}
				require.NotZero(t, seen.count(tarn.EventStoreFailed))
			}
			if limit > 0 {
				failures := seen.count(tarn.EventStoreFailed)
				hurried, cancel := context.WithTimeout(t.Context(), limit/2)
				defer cancel()
				_, err := c.Get(hurried, "a")
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, tarn.ErrStoreTimeout)
				synctest.Wait()
				require.Equal(t, failures, seen.count(tarn.EventStoreFailed), "a caller in a hurry is no failure of the store")
			}
			require.NoError(t, src.Save(t.Context(), "a", 2))
			start := time.Now()
			require.NoError(t, c.Delete(t.Context(), "a"))
			require.Equal(t, 2*time.Second, time.Since(start), "an invalidation is waited for")
			far.Slow(0)
			hasValue(t, 2, <-asked(t.Context(), c, "a"))
			require.NoError(t, c.Close(t.Context()))
		})
	}
}

// From its share of a life on, whoever uses a value has it reloaded, once for all, and is served as if nothing were.
func TestRefreshAfter(t *testing.T) {
	for name, life := range map[string]ttl.Policy{
		"alone":        {Fresh: 100 * time.Second, RefreshAfter: 0.8},
		"with windows": {Fresh: 100 * time.Second, RefreshAfter: 0.8, StaleIfError: time.Hour, StaleWhileRevalidate: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			onFleets(t, 2, []strategies.ReadOption{policy(life)}, func(t *testing.T, fl *fleet) {
				for _, c := range fl.caches {
					hasValue(t, 1, <-asked(t.Context(), c, "a"))
				}
				fl.set(takes(time.Second), nil)
				require.NoError(t, fl.Save(t.Context(), "a", 2))
				time.Sleep(80*time.Second - 1)
				for range 5 {
					hasValue(t, 1, <-asked(t.Context(), fl.caches[0], "a"))
				}
				synctest.Wait()
				require.Equal(t, 1, fl.loaded(), "not before")
				time.Sleep(time.Nanosecond)
				for range 5 {
					for _, c := range fl.caches {
						start := time.Now()
						got, err := c.Answer(t.Context(), "a")
						require.NoError(t, err)
						require.Equal(t, start, time.Now(), "nobody waits")
						require.Equal(t, 1, got.Value)
						require.Equal(t, strategies.HowFresh, got.How)
						require.Equal(t, 20*time.Second, got.FreshFor)
					}
				}
				require.Zero(t, fl.seen.count(tarn.EventStaleHit))
				time.Sleep(1100 * time.Millisecond)
				require.Equal(t, 2, fl.loaded(), "one load of all")
				for _, c := range fl.caches {
					hasValue(t, 2, <-asked(t.Context(), c, "a"))
				}

				fl.set(failing, nil)
				time.Sleep(80 * time.Second)
				for range 5 {
					for _, c := range fl.caches {
						hasValue(t, 2, <-asked(t.Context(), c, "a"))
						synctest.Wait()
					}
				}
				require.Equal(t, 3, fl.loaded(), "a source that fails is left alone for a while")
				require.Zero(t, fl.seen.count(tarn.EventRescued), "and the value is as fresh as it was")
				time.Sleep(ttl.DefaultThrottle)
				hasValue(t, 2, <-asked(t.Context(), fl.caches[1], "a"))
				synctest.Wait()
				require.Equal(t, 4, fl.loaded())
				time.Sleep(20 * time.Second)
				if r := <-asked(t.Context(), fl.caches[1], "a"); life.StaleIfError == 0 {
					require.ErrorIs(t, r.err, errBroken, "its life is no longer for that")
				} else {
					hasValue(t, 2, r)
				}
			})
		})
	}
}

// A life that the loader chose has its share too.
func TestRefreshAfterOfAChosenLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loads := 0
		load := tarn.LoadEntryFunc(func(context.Context, string) (tarn.Loaded[int], error) {
			loads++
			return tarn.Loaded[int]{Value: loads, Policy: &ttl.Policy{Fresh: 10 * time.Second}}, nil
		})
		c := strategies.ReadThrough(newMemory[string, int](t), load, policy(ttl.Policy{Fresh: time.Hour, RefreshAfter: 0.5}))
		for range 100 {
			_, err := c.Get(t.Context(), "a")
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.Equal(t, 1+99/5, loads)
		require.NoError(t, c.Close(t.Context()))
	})
}

// Keys that are due within a moment are loaded by one call.
func TestRefreshGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, rows := numbered(50)
		var calls []int // how many keys each had
		var mu sync.Mutex
		one := func(_ context.Context, key string) (int, error) { t.Error("one by one"); return rows[key], nil }
		many := func(_ context.Context, keys []string) (map[string]int, error) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, len(keys))
			found := make(map[string]int)
			for _, k := range keys {
				found[k] = rows[k]
			}
			return found, nil
		}
		called := func() []int {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(calls)
		}
		c := strategies.ReadThrough(newMemory[string, int](t), tarn.LoadManyFunc(one, many),
			policy(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}),
			strategies.WithRefreshGather(10*time.Millisecond), strategies.WithMaxBatch(40))
		_, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		require.Equal(t, []int{40, 10}, called())
		time.Sleep(time.Minute)
		for i, key := range keys {
			for range 2 {
				hasValue(t, i, <-asked(t.Context(), c, key))
			}
			if i == 20 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		synctest.Wait()
		require.Equal(t, []int{40, 10, 40}, called(), "a full one departs at once")
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, []int{40, 10, 40, 10}, called())

		time.Sleep(2 * time.Minute)
		hasValue(t, 0, <-asked(t.Context(), c, keys[0]))
		require.NoError(t, c.Close(t.Context()))
		time.Sleep(time.Second)
		require.Len(t, called(), 4, "what is being gathered when the cache closes is not loaded")
	})
}

// hitsOnly is a store that fails a test which asks it for more than hits.
type hitsOnly struct {
	*memory.Store[string, int]
	gets atomic.Int64
}

func (s *hitsOnly) Get(ctx context.Context, key string) (tarn.Entry[int], bool, error) {
	s.gets.Add(1)
	return s.Store.Get(ctx, key)
}

func (s *hitsOnly) GetMany(ctx context.Context, keys []string, into []tarn.Lookup[int]) error {
	s.gets.Add(int64(len(keys)))
	return s.Store.GetMany(ctx, keys, into)
}

// Hits that an observer is told of take the same way as those of which nobody is.
func TestObservedHitsTakeTheShortWay(t *testing.T) {
	seen := new(events)
	store := &hitsOnly{Store: newMemory[string, int](t)}
	c := strategies.ReadThrough(store, newSource(nil), strategies.WithObserver(seen))
	require.NoError(t, c.Set(t.Context(), "a", 1))
	for _, way := range ways[:2] {
		v, err := way.get(t.Context(), c, "a")
		require.NoError(t, err)
		require.Equal(t, 1, v)
	}
	require.Zero(t, store.gets.Load())
	require.Equal(t, 2, seen.count(tarn.EventHit))
	require.NoError(t, c.Close(t.Context()))
	_, err := c.Get(t.Context(), "a")
	require.ErrorIs(t, err, tarn.ErrClosed)
}

// A value that another process has refreshed early is not loaded once more, although a copy says that it is due.
func TestEarlyRefreshOfAFleet(t *testing.T) {
	opts := []strategies.ReadOption{policy(ttl.Policy{Fresh: time.Minute, EarlyRefresh: 1000})} // due as soon as it is loaded
	onFleets(t, 3, opts, func(t *testing.T, fl *fleet) {
		fl.set(takes(time.Second), nil)
		hasValue(t, 1, <-asked(t.Context(), fl.caches[0], "a"))
		for range 5 {
			for _, c := range fl.caches {
				hasValue(t, 1, <-asked(t.Context(), c, "a"))
			}
			synctest.Wait()
		}
		require.LessOrEqual(t, fl.loaded(), 2, "one at a time, of all")
		time.Sleep(10 * time.Second)
	})
}

// xfetch has callers ask for one key at random, for so many lives of it, and returns how many of them waited, and how
// often it was loaded.
func xfetch(t *testing.T, p ttl.Policy, callers, cycles int) (waited, loads int64) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		src.set(takes(time.Second), nil)
		c := strategies.ReadThrough(newMemory[string, int](t), src, policy(p))
		_, err := c.Get(t.Context(), "a")
		require.NoError(t, err)
		end := time.Now().Add(time.Duration(cycles) * p.Fresh)
		var n atomic.Int64
		var all sync.WaitGroup
		for i := range callers {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			all.Go(func() {
				for {
					time.Sleep(time.Duration(rng.ExpFloat64() * float64(p.Fresh)))
					start := time.Now()
					if start.After(end) {
						return
					}
					_, _ = c.Get(t.Context(), "a")
					if time.Since(start) > 0 {
						n.Add(1)
					}
				}
			})
		}
		all.Wait()
		waited, loads = n.Load(), int64(src.loaded())
		require.NoError(t, c.Close(t.Context()))
	})
	return waited, loads
}

// With XFetch hardly anybody waits at the end of a life, for a few loads more. TARN_SOAK runs it as long as it takes to
// count those who do.
func TestSoakXFetch(t *testing.T) {
	cycles := 20
	if os.Getenv("TARN_SOAK") != "" {
		cycles = 10_000
	}
	const callers = 1000
	life := ttl.Policy{Fresh: time.Minute}
	plainWaited, plainLoads := xfetch(t, life, callers, cycles)
	life.EarlyRefresh = 1
	waited, loads := xfetch(t, life, callers, cycles)
	t.Logf("%d callers, %d lives: plain expiry: %d waited, %d loads; XFetch: %d waited, %d loads",
		callers, cycles, plainWaited, plainLoads, waited, loads)
	require.Less(t, waited*10, plainWaited)
	require.Less(t, loads, 2*plainLoads)
}
