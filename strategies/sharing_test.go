package strategies_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

func TestColdKeyIsLoadedOnce(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(takes(time.Second), nil)
		c := strategies.ReadThrough(store, src)
		replies := make([]<-chan reply, 1000)
		for i := range replies {
			replies[i] = asked(t.Context(), c, "a")
		}
		for _, r := range replies {
			hasValue(t, 1, <-r)
		}
		require.Equal(t, 1, src.loaded())
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.Equal(t, 1, src.loaded(), "what was loaded is kept")
	})
}

func TestEachWaiterLeavesOnItsOwnContext(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(takes(10*time.Second), nil)
		c := strategies.ReadThrough(store, src)
		start := time.Now()

		cancelled, cancel := context.WithCancel(t.Context())
		first := asked(cancelled, c, "a")
		synctest.Wait()
		hurried, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		second := asked(hurried, c, "a")
		third := asked(t.Context(), c, "a")
		synctest.Wait()

		cancel()
		r := <-first
		require.ErrorIs(t, r.err, context.Canceled)
		require.Equal(t, start, r.at, "a waiter leaves at once")
		r = <-second
		require.ErrorIs(t, r.err, context.DeadlineExceeded)
		require.Equal(t, start.Add(time.Second), r.at)
		r = <-third
		hasValue(t, 1, r, "the first caller's cancellation is nobody else's")
		require.Equal(t, start.Add(10*time.Second), r.at)
		require.Equal(t, 1, src.loaded())
	})
}

func TestLastToLeaveCancelsTheLoad(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		var loadCtx context.Context
		src.set(func(ctx context.Context, _ string) error {
			loadCtx = ctx
			time.Sleep(5 * time.Second) // it does not obey
			return ctx.Err()
		}, nil)
		c := strategies.ReadThrough(store, src)
		one, leaveOne := context.WithCancel(t.Context())
		two, leaveTwo := context.WithCancel(t.Context())
		first := asked(one, c, "a")
		synctest.Wait() // the load runs, so who comes now shares it
		second := asked(two, c, "a")
		synctest.Wait()

		leaveOne()
		require.ErrorIs(t, (<-first).err, context.Canceled)
		synctest.Wait()
		require.NoError(t, loadCtx.Err(), "one is still waiting")
		leaveTwo()
		require.ErrorIs(t, (<-second).err, context.Canceled)
		synctest.Wait()
		require.ErrorIs(t, loadCtx.Err(), context.Canceled, "nobody is waiting any more")

		late := asked(t.Context(), c, "a")
		require.True(t, pending(late), "of one key one load runs at a time")
		require.Equal(t, 1, src.loaded())
		src.set(nil, nil)
		hasValue(t, 1, <-late, "who came after the last had left is not given the cancelled load's end")
		require.Equal(t, 2, src.loaded())
	})
}

// Where any load may be shared, one that was cancelled may not.
func TestCancelledLoadIsNotSharedBlindly(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(func(ctx context.Context, _ string) error {
			time.Sleep(5 * time.Second) // it does not obey at once
			return ctx.Err()
		}, nil)
		c := strategies.ReadThrough(store, src, strategies.WithBlindFills())
		leaving, leave := context.WithCancel(t.Context())
		first := asked(leaving, c, "a")
		synctest.Wait()
		leave()
		require.ErrorIs(t, (<-first).err, context.Canceled)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.Equal(t, 2, src.loaded())
	})
}

// A waiter for the next load that leaves before it begins takes it with it.
func TestLastToLeaveBeforeTheLoadBegins(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(ignores(5*time.Second), nil)
		c := strategies.ReadThrough(store, src)
		first := asked(t.Context(), c, "a")
		synctest.Wait()
		require.NoError(t, c.Delete(t.Context(), "a"))
		leaving, leave := context.WithCancel(t.Context())
		second := asked(leaving, c, "a")
		require.True(t, pending(second))
		leave()
		require.ErrorIs(t, (<-second).err, context.Canceled)
		hasValue(t, 1, <-first)
		synctest.Wait()
		require.Equal(t, 1, src.loaded(), "nobody wants the second load")
	})
}

type ctxKey string

func TestLoadContext(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		var got context.Context
		load := tarn.LoadFunc(func(ctx context.Context, _ string) (int, error) {
			got = ctx
			return 1, ctx.Err()
		})
		ctx := context.WithValue(t.Context(), ctxKey("user"), "ada")
		ctx = context.WithValue(ctx, ctxKey("secret"), "s")
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()

		_, err := strategies.ReadThrough(store, load).Get(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, "ada", got.Value(ctxKey("user")), "values are kept")
		deadline, _ := got.Deadline()
		require.Equal(t, time.Now().Add(30*time.Second), deadline, "the caller's deadline is not the load's")

		chosen := strategies.WithLoadContext(func(ctx context.Context) context.Context {
			require.Nil(t, ctx.Done(), "f is given a context that no caller ends")
			user := ctx.Value(ctxKey("user"))
			short, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
			cancel()
			return context.WithValue(short, ctxKey("user"), user)
		})
		_, err = strategies.ReadThrough(store, load, chosen).Get(ctx, "b")
		require.NoError(t, err, "nor does a context that f ended")
		require.Equal(t, "ada", got.Value(ctxKey("user")), "f chose to keep this one")
		require.Nil(t, got.Value(ctxKey("secret")), "and not this one")
	})
}

func TestLoadTimeLimit(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		stall func(d time.Duration) func(ctx context.Context, key string) error
	}{
		{"a loader that obeys its context", takes},
		{"a loader that ignores it", ignores},
		{"a loader that has an error of its own for it", func(d time.Duration) func(context.Context, string) error {
			return func(ctx context.Context, key string) error {
				if takes(d)(ctx, key) != nil {
					return errBroken
				}
				return nil
			}
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1})
				src.set(nil, tt.stall(time.Minute)) // the row is read at once
				c := strategies.ReadThrough(store, src, strategies.WithLoadTimeout(2*time.Second))
				start := time.Now()
				r := <-asked(t.Context(), c, "a")
				require.ErrorIs(t, r.err, tarn.ErrLoadTimeout)
				require.Equal(t, start.Add(2*time.Second), r.at, "at the limit")

				require.NoError(t, src.Save(t.Context(), "a", 2))
				src.set(nil, nil)
				r = <-asked(t.Context(), c, "a")
				hasValue(t, 2, r, "the key can be loaded again, while the first load may still run")
				require.Equal(t, start.Add(2*time.Second), r.at, "at once")
				time.Sleep(2 * time.Minute) // by now the first load has returned
				hasValue(t, 2, <-asked(t.Context(), c, "a"), "a late result is stored over no newer one")
				require.Equal(t, 2, src.loaded())
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// A load that ended late must not bring back what was invalidated after its limit either.
func TestLateResultIsNotStored(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(nil, ignores(time.Minute))
		c := strategies.ReadThrough(store, src, strategies.WithLoadTimeout(2*time.Second))
		require.ErrorIs(t, (<-asked(t.Context(), c, "a")).err, tarn.ErrLoadTimeout)
		require.NoError(t, src.Save(t.Context(), "a", 2))
		require.NoError(t, c.Delete(t.Context(), "a"))
		time.Sleep(2 * time.Minute)
		src.set(nil, nil)
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
	})
}

func TestJoiningALoad(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		write func(t *testing.T, c *strategies.ReadThroughCache[string, int], src *source) (settle func())
		loads int // in all
	}{
		{"an invalidation", func(t *testing.T, c *strategies.ReadThroughCache[string, int], src *source) func() {
			require.NoError(t, src.Save(t.Context(), "a", 2))
			require.NoError(t, c.Delete(t.Context(), "a"))
			return func() {}
		}, 2},
		{"a hold", func(t *testing.T, c *strategies.ReadThroughCache[string, int], src *source) func() {
			h, err := c.Hold(t.Context(), []string{"a"})
			require.NoError(t, err)
			require.NoError(t, src.Save(t.Context(), "a", 2))
			return func() { require.NoError(t, h.Settle(t.Context(), make([]tarn.Outcome[int], 1))) }
		}, 3},
		{"a hold that was settled", func(t *testing.T, c *strategies.ReadThroughCache[string, int], src *source) func() {
			h, err := c.Hold(t.Context(), []string{"a"})
			require.NoError(t, err)
			require.NoError(t, src.Save(t.Context(), "a", 2))
			require.NoError(t, h.Settle(t.Context(), make([]tarn.Outcome[int], 1)))
			return func() {}
		}, 2},
		{"a value set and expired", func(t *testing.T, c *strategies.ReadThroughCache[string, int], src *source) func() {
			require.NoError(t, src.Save(t.Context(), "a", 2))
			require.NoError(t, c.Set(t.Context(), "a", 2))
			time.Sleep(time.Second)
			return func() {}
		}, 2},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				seen := new(events)
				src := newSource(map[string]int{"a": 1})
				src.set(nil, ignores(5*time.Second))
				c := strategies.ReadThrough(store, src, strategies.WithObserver(seen),
					strategies.WithTTL(ttl.Policy{Fresh: time.Second}))
				before := asked(t.Context(), c, "a")
				synctest.Wait() // the old row was read
				settle := tt.write(t, c, src)
				after := []<-chan reply{asked(t.Context(), c, "a"), asked(t.Context(), c, "a")}
				require.True(t, pending(after[0]) && pending(after[1]))
				require.Equal(t, 1, src.loaded(), "of one key at most one load runs")

				hasValue(t, 1, <-before, "it began before the write")
				time.Sleep(2 * time.Second)
				after = append(after, asked(t.Context(), c, "a"))
				synctest.Wait()
				settle()
				for _, r := range after[:2] {
					hasValue(t, 2, <-r, "who came after the write does not share a load from before it")
				}
				hasValue(t, 2, <-after[2])
				require.NotZero(t, seen.count(tarn.EventFillDropped), "the first load stored nothing")
				src.set(nil, nil)
				hasValue(t, 2, <-asked(t.Context(), c, "a"))
				require.Equal(t, tt.loads, src.loaded(), "each load serves all who came while the one before it ran")
			})
		})
	}
}

// Under a hold each load serves all who came while the one before it ran.
func TestNoStampedeUnderAHold(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(takes(time.Second), nil)
		c := strategies.ReadThrough(store, src)
		h, err := c.Hold(t.Context(), []string{"a"})
		require.NoError(t, err)
		var replies []<-chan reply
		for range 10 {
			for range 100 {
				replies = append(replies, asked(t.Context(), c, "a"))
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, r := range replies {
			hasValue(t, 1, <-r)
		}
		require.LessOrEqual(t, src.loaded(), 3)
		require.Equal(t, 1, src.peaked(), "one at a time")
		require.NoError(t, h.Settle(t.Context(), make([]tarn.Outcome[int], 1)))
		loads := src.loaded()
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.Equal(t, loads+1, src.loaded(), "nothing was kept")
	})
}

func TestOneLoadRunsAndOneWaits(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(takes(time.Second), nil)
		c := strategies.ReadThrough(store, src)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 37 * time.Millisecond)
				if i%3 == 0 {
					if c.Delete(t.Context(), "a") != nil {
						t.Error("delete failed")
					}
				}
				if v, err := c.Get(t.Context(), "a"); v != 1 || err != nil {
					t.Errorf("got %v, %v", v, err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, src.peaked())
	})
}

// Whoever waited has gone when a load has ended, and what it held on to as well: a key that is invalidated all the
// time chains load to load.
func TestLoadsInARowAreLetGo(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(takes(time.Second), nil)
		c := strategies.ReadThrough(store, src)
		var gone atomic.Int64
		ask := func() <-chan reply {
			value := new([1024]byte)
			runtime.AddCleanup(value, func(struct{}) { gone.Add(1) }, struct{}{})
			return asked(context.WithValue(t.Context(), ctxKey("x"), value), c, "a")
		}
		const rounds = 20
		running := ask()
		for range rounds {
			synctest.Wait()
			require.NoError(t, c.Delete(t.Context(), "a"))
			next := ask()
			hasValue(t, 1, <-running)
			running = next
		}
		synctest.Wait()
		for range 100 {
			if runtime.GC(); gone.Load() > rounds/2 {
				break
			}
		}
		require.Greater(t, gone.Load(), int64(rounds/2), "loads that have ended are not kept by the one that runs")
		hasValue(t, 1, <-running)
	})
}

func TestKeysThatEqualNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory[float64, int](t)
		var loads atomic.Int64
		c := strategies.ReadThrough[float64, int](store, tarn.LoadFunc(func(context.Context, float64) (int, error) {
			loads.Add(1)
			return 1, nil
		}))
		nan := 0.0
		nan /= nan
		for range 100 {
			v, err := c.Get(t.Context(), nan)
			require.NoError(t, err)
			require.Equal(t, 1, v)
		}
		require.EqualValues(t, 100, loads.Load(), "each is another key")
		require.Zero(t, store.Len())
		into := make([]tarn.Result[int], 3)
		require.NoError(t, c.GetMany(t.Context(), []float64{nan, 1, nan}, into))
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 1}, {Value: 1}}, into)
		require.Equal(t, 1, store.Len())

		w := strategies.WriteThrough(c, tarn.WriteManyFuncs(func(context.Context, []tarn.Op[float64, int]) error {
			return nil
		}))
		require.NoError(t, w.Set(t.Context(), nan, 1))
		require.NoError(t, w.SetMany(t.Context(), []float64{nan, nan, 2}, []int{1, 2, 3}))
		require.NoError(t, w.DeleteMany(t.Context(), []float64{nan, nan}))
		require.NoError(t, w.Delete(t.Context(), nan))
		require.Equal(t, 2, store.Len())
		require.NoError(t, c.Close(t.Context()))
	})
}
