package strategies_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// ways are the ways to read a key: by itself, in a batch, and through an observer, which takes another path.
var ways = []struct {
	name string
	opts []strategies.ReadOption
	get  func(ctx context.Context, c *strategies.ReadThroughCache[string, int], key string) (int, error)
}{
	{"Get", nil, func(ctx context.Context, c *strategies.ReadThroughCache[string, int], key string) (int, error) {
		return c.Get(ctx, key)
	}},
	{"GetMany", nil, oneOfMany},
	{"GetMany, observed", []strategies.ReadOption{strategies.WithObserver(new(events))}, oneOfMany},
}

func oneOfMany(ctx context.Context, c *strategies.ReadThroughCache[string, int], key string) (int, error) {
	into := make([]tarn.Result[int], 1)
	if err := c.GetMany(ctx, []string{key}, into); err != nil {
		return 0, err
	}
	return into[0].Value, into[0].Err
}

// However many stale values are asked for at the same instant, no more than 256 are loaded in the background.
func TestBoundOnBackgroundLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, rows := numbered(300)
		src := newSource(rows)
		gate := make(chan struct{})
		close(gate)
		c := strategies.ReadThrough(newMemory[string, int](t), src,
			strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}),
			strategies.WithLoadContext(func(ctx context.Context) context.Context {
				<-gate // between finding that there is room and beginning
				return ctx
			}))
		_, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		gate = make(chan struct{})
		src.set(takes(time.Second), nil)
		replies := make([]<-chan reply, len(keys))
		for i, key := range keys {
			replies[i] = asked(t.Context(), c, key)
		}
		synctest.Wait()
		close(gate)
		for i, r := range replies {
			hasValue(t, i, <-r)
		}
		time.Sleep(2 * time.Second)
		require.Equal(t, 256, src.peaked())
		require.Equal(t, 300+256, src.loaded())
		_, err = tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		require.Equal(t, 600, src.loaded(), "the others when there is room again")
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestStaleWhileRevalidate(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1})
				opts := append(way.opts, strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Minute}))
				c := strategies.ReadThrough(store, src, opts...)
				get := func() reply { return <-calls(func() (int, error) { return way.get(t.Context(), c, "a") }) }
				hasValue(t, 1, get())
				require.NoError(t, src.Save(t.Context(), "a", 2))
				src.set(takes(time.Second), nil)
				time.Sleep(time.Minute)
				start := time.Now()
				for range 10 {
					r := get()
					hasValue(t, 1, r, "the old value")
					require.Equal(t, start, r.at, "at once")
				}
				synctest.Wait()
				require.Equal(t, 2, src.loaded(), "and one load in the background")
				time.Sleep(2 * time.Second)
				hasValue(t, 2, get())
				require.Equal(t, 2, src.loaded())

				// Beyond the window the old value is not served.
				require.NoError(t, src.Save(t.Context(), "a", 3))
				time.Sleep(2*time.Minute + time.Second)
				start = time.Now()
				r := get()
				hasValue(t, 3, r)
				require.Equal(t, time.Second, r.at.Sub(start))

				// A caller that has gone is answered, and begins nothing.
				time.Sleep(time.Minute)
				cancelled, cancel := context.WithCancel(t.Context())
				cancel()
				loads := src.loaded()
				v, err := way.get(cancelled, c, "a")
				require.NoError(t, err)
				require.Equal(t, 3, v)
				synctest.Wait()
				require.Equal(t, loads, src.loaded())
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// A background load that fails leaves the old value, and the source alone: for the time of the throttle nobody asks it,
// and then one caller does.
func TestRevalidationFails(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(store, src,
			strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Minute}))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		time.Sleep(time.Minute)
		for _, fault := range []func(){func() {}, func() { panic("boom") }} {
			loads := src.loaded()
			src.set(nil, func(context.Context, string) error { fault(); return errBroken })
			for range 100 {
				hasValue(t, 1, <-asked(t.Context(), c, "a"))
				synctest.Wait()
			}
			require.Equal(t, loads+1, src.loaded())
			time.Sleep(ttl.DefaultThrottle)
		}
		src.set(nil, nil)
		require.NoError(t, src.Save(t.Context(), "a", 2))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		synctest.Wait()
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestStaleIfError(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1})
				opts := append(way.opts, strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour}),
					strategies.WithLoadTimeout(time.Second))
				c := strategies.ReadThrough(store, src, opts...)
				get := func(ctx context.Context) reply {
					return <-calls(func() (int, error) { return way.get(ctx, c, "a") })
				}
				hasValue(t, 1, get(t.Context()))
				time.Sleep(time.Minute)
				for rule, stall := range map[string]func(context.Context, string) error{
					"the source fails":          func(context.Context, string) error { return errBroken },
					"the source panics":         func(context.Context, string) error { panic("boom") },
					"the source takes too long": ignores(time.Hour / 10),
				} {
					src.set(stall, nil)
					hasValue(t, 1, get(t.Context()), rule)
					loads := src.loaded()
					hasValue(t, 1, get(t.Context()), rule)
					require.Equal(t, loads, src.loaded(), "%s, and is left alone for a while", rule)
					time.Sleep(ttl.DefaultThrottle)
				}
				src.set(takes(time.Second/2), nil)
				hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				require.ErrorIs(t, get(hurried).err, context.DeadlineExceeded, "the caller's end is no failure of the source")

				require.NoError(t, src.Save(t.Context(), "a", 2))
				src.set(nil, nil)
				hasValue(t, 2, get(t.Context()), "the source answers again")
				require.NoError(t, src.Delete(t.Context(), "a"))
				time.Sleep(time.Minute)
				require.Equal(t, tarn.ErrNotFound, get(t.Context()).err, "absence is an answer, not a failure")

				require.NoError(t, src.Save(t.Context(), "a", 3))
				hasValue(t, 3, get(t.Context()))
				src.set(func(context.Context, string) error { return errBroken }, nil)
				time.Sleep(time.Minute + time.Hour - 1)
				hasValue(t, 3, get(t.Context()), "to the window's last instant")
				time.Sleep(time.Nanosecond)
				require.ErrorIs(t, get(t.Context()).err, errBroken, "and not after it")
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// The source says there is no such key any more: the stale value is not to come back.
func TestRevalidatedAbsence(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(store, src,
			strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour}))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.NoError(t, src.Delete(t.Context(), "a"))
		time.Sleep(time.Minute)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		synctest.Wait()
		require.Equal(t, tarn.ErrNotFound, (<-asked(t.Context(), c, "a")).err, "a reload found that it is gone")
	})
}

// After a write no stale value is served, however wide the windows are.
func TestNoStaleValueAfterAWrite(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(store, src, strategies.WithTTL(ttl.Policy{
			Fresh: time.Minute, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour, EarlyRefresh: 1,
		}))
		for name, w := range map[string]tarn.Cache[string, int]{
			"write-through": strategies.WriteThrough(c, src),
			"write-around":  strategies.WriteAround(c, src),
		} {
			require.NoError(t, w.Set(t.Context(), "a", 1))
			hasValue(t, 1, <-asked(t.Context(), c, "a"))
			time.Sleep(2 * time.Minute)

			// A background load that began before the write brings nothing back.
			src.set(nil, ignores(time.Minute))
			hasValue(t, 1, <-asked(t.Context(), c, "a"), name)
			synctest.Wait()
			require.NoError(t, w.Set(t.Context(), "a", 2))
			src.set(nil, nil)
			hasValue(t, 2, <-asked(t.Context(), w, "a"), name)
			time.Sleep(3 * time.Minute)
			hasValue(t, 2, <-asked(t.Context(), w, "a"), name)
			synctest.Wait()

			// Nor is the old value served when the source fails.
			require.NoError(t, w.Set(t.Context(), "a", 3))
			hasValue(t, 3, <-asked(t.Context(), w, "a"), name)
			require.NoError(t, w.Delete(t.Context(), "a"))
			src.set(func(context.Context, string) error { return errBroken }, nil)
			require.ErrorIs(t, (<-asked(t.Context(), w, "a")).err, errBroken, name)
			src.set(nil, nil)
		}
		require.NoError(t, c.Close(t.Context()))
	})
}

// Who asks while a refresh runs that began before a write is not given its value.
func TestRefreshIsSharedOnlyWithProof(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(store, src,
			strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		time.Sleep(time.Minute)
		src.set(nil, ignores(10*time.Second))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		synctest.Wait()
		require.NoError(t, src.Save(t.Context(), "a", 2))
		require.NoError(t, c.Delete(t.Context(), "a"))
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestBackgroundLoadsAreBounded(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		keys, rows := numbered(400)
		src := newSource(rows)
		c := strategies.ReadThrough(store, src,
			strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}))
		_, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		loads := src.loaded()
		src.set(takes(time.Second), nil)
		found, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		require.Equal(t, rows, found)
		synctest.Wait()
		require.Equal(t, 256, src.loaded()-loads)
		time.Sleep(2 * time.Second)
		_, err = tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 400, src.loaded()-loads, "when those have ended there is room for the others")
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestSliding(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			for _, leaseless := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					store := newTamper(t)
					store.leaseless = leaseless
					src := newSource(map[string]int{"a": 1})
					opts := append(way.opts, strategies.WithTTL(ttl.Policy{Sliding: time.Minute, Fresh: 3 * time.Minute}))
					c := strategies.ReadThrough(store, src, opts...)
					get := func() reply { return <-calls(func() (int, error) { return way.get(t.Context(), c, "a") }) }
					hasValue(t, 1, get())
					require.NoError(t, src.Save(t.Context(), "a", 2))
					start := time.Now()
					for range 3 {
						time.Sleep(50 * time.Second)
						hasValue(t, 1, get(), "use prolongs the life")
					}
					time.Sleep(time.Until(start.Add(3*time.Minute - 1)))
					hasValue(t, 1, get())
					time.Sleep(time.Nanosecond)
					hasValue(t, 2, get(), "up to the cap")

					require.NoError(t, src.Save(t.Context(), "a", 3))
					time.Sleep(time.Minute - 1)
					hasValue(t, 2, get())
					time.Sleep(time.Minute)
					hasValue(t, 3, get(), "unused it ends")
				})
			}
		})
	}
}

func TestSlidingWhenTouchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		seen := new(events)
		c := strategies.ReadThrough(store, newSource(map[string]int{"a": 1}),
			strategies.WithTTL(ttl.Policy{Sliding: time.Minute}), strategies.WithObserver(seen))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		store.failing("touch")
		time.Sleep(time.Second) // there is a life to prolong
		hasValue(t, 1, <-asked(t.Context(), c, "a"), "a hit stays a hit")
		require.Equal(t, 1, seen.count(tarn.EventStoreFailed))
	})
}

func TestEarlyRefresh(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1})
				src.set(takes(time.Second/8), nil)
				opts := append(way.opts, strategies.WithTTL(ttl.Policy{Fresh: time.Minute, EarlyRefresh: 1}))
				c := strategies.ReadThrough(store, src, opts...)
				get := func() reply { return <-calls(func() (int, error) { return way.get(t.Context(), c, "a") }) }
				hasValue(t, 1, get())
				slept := 56 * time.Second // a load's cost is an eighth of a second: the chance is exp(-32)
				time.Sleep(slept)
				hasValue(t, 1, get())
				synctest.Wait()
				require.Equal(t, 1, src.loaded(), "not long before")
				time.Sleep(2 * time.Second)
				slept += 2 * time.Second
				for src.loaded() == 1 && slept < time.Minute-time.Millisecond {
					hasValue(t, 1, get())
					synctest.Wait()
					time.Sleep(time.Millisecond)
					slept += time.Millisecond
				}
				require.Equal(t, 2, src.loaded(), "it is reloaded before it is stale: the chance that it never is so small")
				require.NoError(t, src.Save(t.Context(), "a", 2))
				time.Sleep(time.Second)
				start := time.Now()
				r := get()
				hasValue(t, 2, r)
				require.Equal(t, start, r.at)
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// A value that was stored with windows of its own is reloaded and replaced like any other when it is stale.
func TestStaleValueIsReplaced(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 2})
		c := strategies.LookAside(store)
		require.NoError(t, c.SetFor(t.Context(), "a", 1, ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour}))
		time.Sleep(time.Minute)
		for range 3 {
			v, err := c.Fetch(t.Context(), "a", src)
			require.NoError(t, err)
			require.Equal(t, 2, v)
		}
		require.Equal(t, 1, src.loaded(), "the new value is kept")
	})
}
