package strategies_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

func TestLookAside(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		ctx := t.Context()
		c := strategies.LookAside(store, strategies.WithTTL(ttl.Policy{Fresh: time.Minute, Negative: time.Second}))
		_, err := c.Get(ctx, "a")
		require.Equal(t, tarn.ErrNotFound, err, "Get asks the cache alone")
		require.NoError(t, c.Set(ctx, "a", 1))
		hasValue(t, 1, <-asked(ctx, c, "a"))
		require.NoError(t, c.SetFor(ctx, "a", 2, ttl.Policy{Fresh: time.Second}))
		hasValue(t, 2, <-asked(ctx, c, "a"))
		time.Sleep(time.Second)
		require.Equal(t, tarn.ErrNotFound, (<-asked(ctx, c, "a")).err, "SetFor's life is its own")
		require.NoError(t, c.Set(ctx, "a", 3))
		time.Sleep(time.Minute - 1)
		hasValue(t, 3, <-asked(ctx, c, "a"))
		time.Sleep(time.Nanosecond)
		require.Equal(t, tarn.ErrNotFound, (<-asked(ctx, c, "a")).err)

		require.ErrorContains(t, c.SetFor(ctx, "a", 4, ttl.Policy{Fresh: -1}), "Fresh")
		require.Equal(t, tarn.ErrNotFound, (<-asked(ctx, c, "a")).err, "a policy that makes no sense sets nothing")

		require.NoError(t, c.Set(ctx, "a", 5))
		require.NoError(t, c.Delete(ctx, "a"))
		require.Equal(t, tarn.ErrNotFound, (<-asked(ctx, c, "a")).err)
		require.NoError(t, c.Close(ctx))
		require.ErrorIs(t, c.SetFor(ctx, "a", 4, ttl.Policy{}), tarn.ErrClosed)
		require.ErrorIs(t, c.Update(ctx, nil, func(context.Context) error { return nil }), tarn.ErrClosed)
		_, err = c.Fetch(ctx, "a", newSource(nil))
		require.ErrorIs(t, err, tarn.ErrClosed)
		_, err = c.FetchMany(ctx, []string{"a"}, newSource(nil))
		require.ErrorIs(t, err, tarn.ErrClosed)
	})
}

// A zero policy of SetFor is "until evicted", whatever the cache's own policy is.
func TestSetForWithoutDeadline(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		c := strategies.LookAside(store, strategies.WithTTL(ttl.Policy{Fresh: time.Minute}))
		require.NoError(t, c.SetFor(t.Context(), "a", 1, ttl.Policy{}))
		time.Sleep(1000 * time.Hour)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
	})
}

// onAddingStores runs f on the stores that can add and touch.
func onAddingStores(t *testing.T, f func(t *testing.T, store *tamper[string, int])) {
	for _, leaseless := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := newTamper(t)
			store.leaseless = leaseless
			f(t, store)
		})
	}
}

func TestAdd(t *testing.T) {
	onAddingStores(t, func(t *testing.T, store *tamper[string, int]) {
		ctx := t.Context()
		c := strategies.LookAside(store, strategies.WithTTL(ttl.Policy{Fresh: time.Minute, Negative: time.Second}))
		add := func(want bool, rule string) {
			t.Helper()
			added, err := c.Add(ctx, "a", 1)
			require.NoError(t, err)
			require.Equal(t, want, added, rule)
		}
		add(true, "nothing was there")
		add(false, "a value is there")
		time.Sleep(time.Minute)
		add(true, "it has expired")
		require.NoError(t, c.Delete(ctx, "a"))
		_, err := c.Fetch(ctx, "a", newSource(nil))
		require.Equal(t, tarn.ErrNotFound, err)
		add(false, "a remembered absence counts as a value")
		time.Sleep(time.Second)
		h, err := c.Hold(ctx, []string{"a"})
		require.NoError(t, err)
		add(false, "somebody writes the source")
		require.NoError(t, h.Settle(ctx, make([]tarn.Outcome[int], 1)))
		add(true, "and has written it")

		store.failing("add")
		added, err := c.Add(ctx, "b", 1)
		require.ErrorIs(t, err, errBroken)
		require.False(t, added)
	})
}

func TestTouch(t *testing.T) {
	onAddingStores(t, func(t *testing.T, store *tamper[string, int]) {
		ctx := t.Context()
		c := strategies.LookAside(store, strategies.WithTTL(ttl.Policy{Fresh: time.Minute}))
		touch := func(want bool, rule string) {
			t.Helper()
			touched, err := c.Touch(ctx, "a")
			require.NoError(t, err)
			require.Equal(t, want, touched, rule)
		}
		touch(false, "nothing is there")
		require.NoError(t, c.Set(ctx, "a", 1))
		time.Sleep(59 * time.Second)
		touch(true, "a value is there")
		time.Sleep(time.Minute - 1)
		hasValue(t, 1, <-asked(ctx, c, "a"), "a new life, as if it were set when it was touched")
		time.Sleep(time.Nanosecond)
		touch(false, "it is gone")
		require.NoError(t, c.Set(ctx, "a", 1))
		_, err := c.Hold(ctx, []string{"a"})
		require.NoError(t, err)
		touch(false, "a held key has no value")
	})
}

func TestWhatTheStoreCannot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strategies.LookAside[string, int](plain[string, int]{newMemory[string, int](t)})
		_, err := c.Add(t.Context(), "a", 1)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = c.Touch(t.Context(), "a")
		require.ErrorIs(t, err, errors.ErrUnsupported)
	})
}

// An error of the store says what was being done, and what the cache itself says stays as it is.
func TestErrorsNameTheOperation(t *testing.T) {
	keys := []string{"a", "b"}
	for _, tt := range []struct {
		op    string
		names string // what the store calls it
		call  func(ctx context.Context, c *strategies.LookAsideCache[string, int]) error
	}{
		{"get", "get", func(ctx context.Context, c *strategies.LookAsideCache[string, int]) error {
			_, err := c.Get(ctx, "a")
			return err
		}},
		{"get", "getmany", func(ctx context.Context, c *strategies.LookAsideCache[string, int]) error {
			return c.GetMany(ctx, keys, make([]tarn.Result[int], 2))
		}},
		{"set", "set", func(ctx context.Context, c *strategies.LookAsideCache[string, int]) error {
			return c.Set(ctx, "a", 1)
		}},
		{"set", "setmany", func(ctx context.Context, c *strategies.LookAsideCache[string, int]) error {
			return c.SetMany(ctx, keys, []int{1, 2})
		}},
		{"delete", "delete", func(ctx context.Context, c *strategies.LookAsideCache[string, int]) error {
			return c.Delete(ctx, "a")
		}},
		{"delete", "deletemany", func(ctx context.Context, c *strategies.LookAsideCache[string, int]) error {
			return c.DeleteMany(ctx, keys)
		}},
		{"add", "add", func(ctx context.Context, c *strategies.LookAsideCache[string, int]) error {
			_, err := c.Add(ctx, "a", 1)
			return err
		}},
		{"touch", "touch", func(ctx context.Context, c *strategies.LookAsideCache[string, int]) error {
			_, err := c.Touch(ctx, "a")
			return err
		}},
	} {
		t.Run(tt.names, func(t *testing.T) {
			store := newTamper(t)
			c := strategies.LookAside(store)
			var fails error
			store.on(func(_ context.Context, op string) error {
				if op == tt.names {
					return fails
				}
				return nil
			})
			want := "tarn: " + tt.op + ": broken"
			fails = errBroken
			require.EqualError(t, tt.call(t.Context(), c), want)
			if strings.HasSuffix(tt.names, "many") && tt.op != "get" {
				fails = tarn.IndexError{nil, errBroken}
				err := tt.call(t.Context(), c)
				require.NoError(t, tarn.ErrAt(err, 0, 2))
				require.EqualError(t, tarn.ErrAt(err, 1, 2), want)
			}
			fails = tarn.ErrClosed
			require.Equal(t, tarn.ErrClosed, tt.call(t.Context(), c))
			store.on(nil)
			require.NoError(t, c.Delete(t.Context(), "a"))
			require.NoError(t, c.Delete(t.Context(), "b"))
			require.NoError(t, c.Close(t.Context()))
		})
	}
}

func TestFetch(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		ctx := t.Context()
		src := newSource(map[string]int{"a": 1, "b": 2})
		c := strategies.LookAside(store, strategies.WithTTL(ttl.Policy{Negative: time.Minute}))
		fetch := func(key string) reply { return <-calls(func() (int, error) { return c.Fetch(ctx, key, src) }) }
		hasValue(t, 1, fetch("a"))
		hasValue(t, 1, fetch("a"))
		require.Equal(t, 1, src.loaded(), "it was stored")
		require.Equal(t, tarn.ErrNotFound, fetch("none").err)
		require.Equal(t, tarn.ErrNotFound, (<-asked(ctx, c, "none")).err)
		require.Equal(t, tarn.ErrNotFound, fetch("none").err)
		require.Equal(t, 2, src.loaded(), "absence is remembered")

		found, err := c.FetchMany(ctx, []string{"a", "b", "none", "b"}, src)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"a": 1, "b": 2}, found)
		require.Equal(t, 3, src.loaded())

		_, err = c.Fetch(ctx, "c", nil)
		require.ErrorContains(t, err, "loader is nil")
		_, err = c.FetchMany(ctx, []string{"c"}, nil)
		require.ErrorContains(t, err, "loader is nil")
		var none *source
		_, err = c.Fetch(ctx, "c", none)
		require.EqualError(t, err, "tarn: fetch: loader is nil")
		_, err = c.FetchMany(ctx, []string{"c"}, none)
		require.ErrorContains(t, err, "tarn: fetch: loader is nil")

		// Fetches of one key share a load, whichever loader they brought.
		require.NoError(t, c.Delete(ctx, "a"))
		src.set(takes(time.Second), nil)
		first := calls(func() (int, error) { return c.Fetch(ctx, "a", src) })
		synctest.Wait()
		second := calls(func() (int, error) { return c.Fetch(ctx, "a", newSource(map[string]int{"a": 9})) })
		hasValue(t, 1, <-first)
		hasValue(t, 1, <-second)
	})
}

func TestUpdate(t *testing.T) {
	for _, tt := range []struct {
		rule string
		end  func() error
		want func(t *testing.T, err error)
	}{
		{"it succeeds", func() error { return nil }, func(t *testing.T, err error) { require.NoError(t, err) }},
		{"it fails", func() error { return errBroken }, func(t *testing.T, err error) {
			require.Equal(t, errBroken, err, "the error of write as it is")
		}},
		{"it panics", func() error { panic("boom") }, nil},
		{"it ends its goroutine", func() error { runtime.Goexit(); return nil }, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				ctx := t.Context()
				src := newSource(map[string]int{"a": 1, "b": 1, "c": 1})
				c := strategies.LookAside(store)
				keys := []string{"a", "b", "a", "c"}
				_, err := c.FetchMany(ctx, keys, src)
				require.NoError(t, err)
				done := make(chan struct{})
				returned := false
				go func() {
					defer close(done)
					defer func() { recover() }()
					err := c.Update(ctx, keys, func(context.Context) error {
						time.Sleep(time.Second)
						for _, k := range keys {
							src.Save(ctx, k, 2)
						}
						time.Sleep(time.Second)
						return tt.end()
					})
					returned = true
					tt.want(t, err)
				}()
				synctest.Wait()
				loads := src.loaded()
				for range 2 { // readers go to the source and keep nothing
					hasValue(t, 1, <-calls(func() (int, error) { return c.Fetch(ctx, "a", src) }))
				}
				require.Equal(t, tarn.ErrNotFound, (<-asked(ctx, c, "b")).err)
				require.Equal(t, loads+2, src.loaded())
				require.ErrorIs(t, c.Set(ctx, "a", 7), tarn.ErrHeld)
				require.ErrorIs(t, c.SetFor(ctx, "a", 7, ttl.Policy{}), tarn.ErrHeld)
				src.set(nil, ignores(1500*time.Millisecond))
				crossing := calls(func() (int, error) { return c.Fetch(ctx, "c", src) }) // reads the old row, returns after the end
				<-done
				require.Equal(t, tt.want != nil, returned)
				hasValue(t, 1, <-crossing)
				src.set(nil, nil)
				require.Equal(t, tarn.ErrNotFound, (<-asked(ctx, c, "c")).err, "the crossing load stored nothing")
				loads = src.loaded()
				for range 2 {
					for _, k := range keys {
						hasValue(t, 2, <-calls(func() (int, error) { return c.Fetch(ctx, k, src) }))
					}
				}
				require.Equal(t, loads+3, src.loaded(), "the holds are settled: values are kept again")
			})
		})
	}
}

func TestUpdateRefusesToBegin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		c := strategies.LookAside(store)
		require.NoError(t, c.Set(t.Context(), "a", 1))
		require.ErrorContains(t, c.Update(t.Context(), []string{"a"}, nil), "write is nil")
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, c.Update(cancelled, []string{"a"}, func(context.Context) error {
			t.Error("nothing is written")
			return nil
		}), context.Canceled)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		ran := false
		require.NoError(t, c.Update(t.Context(), nil, func(context.Context) error { ran = true; return nil }))
		require.True(t, ran, "no keys are keys")
	})
}

func TestUpdateCancelledMidway(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.LookAside(store)
		require.NoError(t, c.Set(t.Context(), "a", 1))
		ctx, cancel := context.WithCancel(t.Context())
		err := c.Update(ctx, []string{"a"}, func(ctx context.Context) error {
			src.Save(ctx, "a", 2)
			cancel()
			return ctx.Err() // it has written all the same
		})
		require.ErrorIs(t, err, context.Canceled)
		for range 2 {
			v, err := c.Fetch(t.Context(), "a", src)
			require.NoError(t, err)
			require.Equal(t, 2, v)
		}
		require.Equal(t, 1, src.loaded(), "the hold was settled although the context had ended")
	})
}

func TestUpdateWithinUpdate(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		ctx := t.Context()
		src := newSource(map[string]int{"a": 1, "b": 1})
		c := strategies.LookAside(store)
		start := time.Now()
		require.NoError(t, c.Update(ctx, []string{"a"}, func(ctx context.Context) error {
			err := c.Update(ctx, []string{"a", "b"}, func(ctx context.Context) error {
				return src.Save(ctx, "b", 2)
			})
			v, ferr := c.Fetch(ctx, "b", src)
			require.NoError(t, ferr)
			require.Equal(t, 2, v)
			v, ferr = c.Fetch(ctx, "a", src)
			require.NoError(t, ferr)
			require.Equal(t, 1, v, "read, but not kept: a is held still")
			return errors.Join(err, src.Save(ctx, "a", 2))
		}))
		require.Equal(t, start, time.Now(), "nothing waited")
		v, err := c.Fetch(ctx, "a", src)
		require.NoError(t, err)
		require.Equal(t, 2, v)
	})
}

// What a failing store makes of an Update.
func TestUpdateWhenTheStoreFails(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		failing []string
		takes   time.Duration // the write
		want    error
		events  map[tarn.EventKind]int
	}{
		{"the hold fails: the write goes on, and the key is deleted", []string{"hold"}, 0, nil, nil},
		{"hold and delete fail: the cache may be stale", []string{"hold", "delete"}, 0, tarn.ErrMaybeStale,
			map[tarn.EventKind]int{tarn.EventMaybeStale: 1}},
		{"the settle fails within the hold's life: its end cleans up", []string{"settle"}, time.Minute - 1, nil,
			map[tarn.EventKind]int{tarn.EventStoreFailed: 1}},
		{"the settle fails after the hold's life", []string{"settle"}, time.Minute, tarn.ErrMaybeStale,
			map[tarn.EventKind]int{tarn.EventStoreFailed: 1, tarn.EventMaybeStale: 1}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newTamper(t)
				seen := new(events)
				src := newSource(map[string]int{"a": 1})
				c := strategies.LookAside(store, strategies.WithObserver(seen))
				require.NoError(t, c.Set(t.Context(), "a", 1))
				store.failing(tt.failing...)
				err := c.Update(t.Context(), []string{"a"}, func(ctx context.Context) error {
					time.Sleep(tt.takes)
					return src.Save(ctx, "a", 2)
				})
				if tt.want == nil {
					require.NoError(t, err)
				}
				require.ErrorIs(t, err, tt.want)
				require.Equal(t, 2, src.row("a"), "an outage of the cache is none of the source")
				for kind, n := range tt.events {
					require.Equal(t, n, seen.count(kind), kind)
				}
				store.on(nil)
				if tt.want == nil {
					v, err := c.Fetch(t.Context(), "a", src)
					require.NoError(t, err)
					require.Equal(t, 2, v)
				}
			})
		})
	}
}

func TestWithoutHolds(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		ctx := t.Context()
		src := newSource(map[string]int{"a": 1})
		c := strategies.LookAside(store, strategies.WithoutHolds())
		require.NoError(t, c.Set(ctx, "a", 1))
		require.NoError(t, c.Update(ctx, []string{"a"}, func(ctx context.Context) error {
			hasValue(t, 1, <-asked(ctx, c, "a"), "nothing is held")
			return src.Save(ctx, "a", 2)
		}))
		require.Equal(t, tarn.ErrNotFound, (<-asked(ctx, c, "a")).err, "but it is invalidated afterwards")
	})
}

// A hold that nobody settles ends by itself, and leaves an empty key.
func TestHoldEnds(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(store, src, strategies.WithHoldLife(5*time.Second))
		require.NoError(t, c.Set(t.Context(), "a", 9))
		_, err := c.Hold(t.Context(), []string{"a"})
		require.NoError(t, err)
		time.Sleep(5*time.Second - 1)
		require.ErrorIs(t, c.Set(t.Context(), "a", 9), tarn.ErrHeld)
		time.Sleep(time.Nanosecond)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.Equal(t, 1, src.loaded(), "values are kept again")
	})
}

func TestHoldSettledAfterItsLife(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(store, src, strategies.WithHoldLife(time.Second))
		h, err := c.Hold(t.Context(), []string{"a"})
		require.NoError(t, err)
		time.Sleep(time.Second)
		hasValue(t, 1, <-asked(t.Context(), c, "a")) // kept, and older than what is written now
		require.NoError(t, src.Save(t.Context(), "a", 2))
		require.NoError(t, h.Settle(t.Context(), []tarn.Outcome[int]{{Kind: tarn.Stored, Value: 2}}))
		hasValue(t, 2, <-asked(t.Context(), c, "a"), "what was kept meanwhile is gone")
		require.Error(t, h.Settle(t.Context(), nil), "outcomes and keys differ in number")
	})
}

func TestTooManyHolds(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1, "b": 1})
		c := strategies.LookAside(store)
		for range 1024 {
			_, err := c.Hold(t.Context(), []string{"a"})
			require.NoError(t, err)
		}
		require.NoError(t, c.Set(t.Context(), "b", 1))
		require.ErrorIs(t, c.Update(t.Context(), []string{"b", "a"}, func(context.Context) error {
			t.Error("written without a hold")
			return nil
		}), tarn.ErrTooManyHolds)
		require.NoError(t, c.Set(t.Context(), "b", 2), "b is not held: if Hold fails, nothing is")
		time.Sleep(time.Minute)
		v, err := c.Fetch(t.Context(), "a", src)
		require.NoError(t, err)
		require.Equal(t, 1, v)
	})
}
