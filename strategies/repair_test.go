package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

// outage is a cache over a store that can be made to refuse whatever invalidates.
type outage struct {
	mem   *memory.Store[string, int]
	store *faulty.Store[string, int]
	src   *table
	read  *strategies.ReadThroughCache[string, int]
	c     *strategies.WriteThroughCache[string, int]
}

func newOutage(t *testing.T) *outage {
	o := &outage{mem: newMemory[string, int](t), src: &table{source: newSource(map[string]int{"a": 1, "b": 1})}}
	o.store = faulty.New[string, int](o.mem)
	o.read = strategies.ReadThrough(o.store, o.src.source)
	o.c = strategies.WriteThrough(o.read, o.src)
	return o
}

// stale writes a value of which the store is not told.
func (o *outage) stale(t *testing.T, key string, v int) *faulty.Injection {
	t.Helper()
	hasValue(t, o.src.row(key), <-asked(t.Context(), o.c, key), "it is cached")
	down := o.store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Hold | faulty.Delete | faulty.Clear})
	require.ErrorIs(t, o.c.Set(t.Context(), key, v), tarn.ErrMaybeStale)
	old, found := o.mem.Value(key)
	require.True(t, found, "the store was not told")
	require.NotEqual(t, v, old)
	return down
}

func TestWhatCouldNotBeInvalidatedIsGoneAround(t *testing.T) {
	reads := map[string]func(ctx context.Context, c tarn.Cache[string, int]) (int, error){
		"Get": func(ctx context.Context, c tarn.Cache[string, int]) (int, error) { return c.Get(ctx, "a") },
		"GetMany": func(ctx context.Context, c tarn.Cache[string, int]) (int, error) {
			many, err := tarn.GetMany(ctx, c, []string{"b", "a"})
			return many["a"], err
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutage(t)
				o.stale(t, "a", 2)
				for range 3 {
					v, err := read(t.Context(), o.c)
					require.NoError(t, err)
					require.Equal(t, 2, v, "the source is asked although the store has a value")
				}
			})
		})
	}
}

func TestALoadRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t)
		o.stale(t, "a", 2)
		before := o.src.loaded()
		for range 3 {
			hasValue(t, 2, <-asked(t.Context(), o.c, "a"))
		}
		require.Equal(t, before+1, o.src.loaded(), "its fill made the key right, though nothing can be deleted")
		v, _ := o.mem.Value("a")
		require.Equal(t, 2, v)
	})
}

func TestALoadFromBeforeIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t)
		o.src.source.set(nil, takes(time.Second))
		slow := asked(t.Context(), o.c, "a")
		synctest.Wait() // it has looked at the key and read the source
		o.store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Hold | faulty.Delete})
		require.ErrorIs(t, o.c.Set(t.Context(), "a", 2), tarn.ErrMaybeStale)
		hasValue(t, 2, <-asked(t.Context(), o.c, "a"), "the lease of the load stands, but says nothing")
		hasValue(t, 1, <-slow, "it began before the write")
		hasValue(t, 2, <-asked(t.Context(), o.c, "a"), "nor is what it stored served")
	})
}

func TestTheStoreIsRepairedWithoutARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t)
		down := o.stale(t, "a", 2)
		time.Sleep(time.Hour)
		_, found := o.mem.Value("a")
		require.True(t, found)
		down.Release()
		time.Sleep(time.Minute)
		_, found = o.mem.Value("a")
		require.False(t, found, "deleted within the longest pause")
		hasValue(t, 2, <-asked(t.Context(), o.c, "a"))
		loaded := o.src.loaded()
		hasValue(t, 2, <-asked(t.Context(), o.c, "a"))
		require.Equal(t, loaded, o.src.loaded(), "it is cached again")
	})
}

// A hold that ran out before the source was written guards nothing, and then a settle that is lost leaves what a reader
// stored meanwhile.
func TestALostSettleIsGoneAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t)
		o.read = strategies.ReadThrough(o.store, o.src.source, strategies.WithHoldLife(time.Second))
		o.c = strategies.WriteThrough(o.read, o.src)
		o.src.on(func(ctx context.Context, _ tarn.Op[string, int]) error {
			time.Sleep(2 * time.Second)
			hasValue(t, 1, <-asked(context.Background(), o.read, "a"), "a reader stores the old value")
			return nil
		}, nil)
		o.store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Settle})
		require.ErrorIs(t, o.c.Set(t.Context(), "a", 2), tarn.ErrMaybeStale)
		v, _ := o.mem.Value("a")
		require.Equal(t, 1, v)
		hasValue(t, 2, <-asked(t.Context(), o.c, "a"))
	})
}

func TestAWriteRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t)
		o.stale(t, "a", 2).Release()
		require.NoError(t, o.c.Set(t.Context(), "a", 3))
		loaded := o.src.loaded()
		hasValue(t, 3, <-asked(t.Context(), o.c, "a"))
		require.Equal(t, loaded, o.src.loaded(), "from the cache")
	})
}

func TestTooManyToRepairAreAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t)
		hasValue(t, 1, <-asked(t.Context(), o.c, "a"))
		down := o.store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Hold | faulty.Delete | faulty.Clear})
		for i := range 10_000 {
			require.ErrorIs(t, o.c.Set(t.Context(), fmt.Sprint(i), 1), tarn.ErrMaybeStale)
		}
		require.ErrorIs(t, o.c.Set(t.Context(), "a", 2), tarn.ErrMaybeStale)
		hasValue(t, 2, <-asked(t.Context(), o.c, "a"), "one that found no room is gone around too")
		require.NoError(t, o.mem.Put("b", 7, 0))
		hasValue(t, 1, <-asked(t.Context(), o.c, "b"), "and so is every other")
		down.Release()
		time.Sleep(time.Minute)
		require.Zero(t, o.mem.Len(), "the store was cleared")
		hasValue(t, 2, <-asked(t.Context(), o.c, "a"))
		loaded := o.src.loaded()
		hasValue(t, 2, <-asked(t.Context(), o.c, "a"))
		require.Equal(t, loaded, o.src.loaded(), "it is cached again")
	})
}

func TestCloseRepairsOrSaysSo(t *testing.T) {
	for name, mended := range map[string]bool{"the store is back": true, "the store fails still": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutage(t)
				down := o.stale(t, "a", 2)
				if mended {
					down.Release()
				}
				err := o.c.Close(t.Context())
				_, found := o.mem.Value("a")
				require.Equal(t, !mended, found)
				require.Equal(t, !mended, errors.Is(err, tarn.ErrMaybeStale), err)
			})
		})
	}
}

// Write-back has no caller to tell: what reads see must not depend on anybody's heeding an error.
func TestWriteBackGoesAroundToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t)
		c, err := strategies.WriteBack(o.read, o.src, strategies.WriteBackConfig[string, int]{})
		require.NoError(t, err)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		down := o.store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Hold | faulty.Delete | faulty.DeleteMany})
		require.NoError(t, c.Set(t.Context(), "a", 2))
		require.NoError(t, c.Flush(t.Context()))
		v, _ := o.mem.Value("a")
		require.Equal(t, 1, v, "the store was not told")
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		down.Release()
		time.Sleep(time.Hour)
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestRepairsAreBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t)
		down := o.store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Hold | faulty.Delete | faulty.DeleteMany})
		for i := range 2500 {
			require.ErrorIs(t, o.c.Set(t.Context(), fmt.Sprint(i), 1), tarn.ErrMaybeStale)
			require.NoError(t, o.mem.Put(fmt.Sprint(i), 0, 0))
		}
		require.Equal(t, 2500, o.mem.Len())
		down.Release()
		calls := o.store.Calls(faulty.Delete | faulty.DeleteMany)
		time.Sleep(time.Minute)
		require.Zero(t, o.mem.Len())
		require.Equal(t, 3, o.store.Calls(faulty.Delete|faulty.DeleteMany)-calls)
		time.Sleep(time.Hour)
		require.Equal(t, 3, o.store.Calls(faulty.Delete|faulty.DeleteMany)-calls, "all are repaired")
	})
}

// Of a batch that could not be held, what was written is deleted in one call; what that misses, the next one
// repairs.
func TestABatchThatCouldNotBeHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fails := range []bool{false, true} {
			o := newOutage(t)
			keys, values := []string{"a", "b"}, []int{5, 6}
			_, err := tarn.GetMany(t.Context(), o.c, keys)
			require.NoError(t, err)
			o.c = strategies.WriteThrough(o.read, batchTable{o.src})
			ops := faulty.Hold
			if fails {
				ops |= faulty.DeleteMany
			}
			down := o.store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: ops})
			err = o.c.SetMany(t.Context(), keys, values)
			require.Equal(t, fails, errors.Is(err, tarn.ErrMaybeStale), "%v", err)
			require.Equal(t, 1, o.store.Calls(faulty.Delete|faulty.DeleteMany))
			down.Release()
			if fails {
				require.NoError(t, o.read.DeleteMany(t.Context(), keys))
			}
			calls := o.store.Calls(faulty.All)
			time.Sleep(time.Hour)
			require.Equal(t, calls, o.store.Calls(faulty.All), "nothing is left to repair")
			many, err := tarn.GetMany(t.Context(), o.c, keys)
			require.NoError(t, err)
			require.Equal(t, map[string]int{"a": 5, "b": 6}, many)
		}
	})
}

// With holds required nothing is written that could not be held, whoever writes, and nothing is to be repaired.
func TestHoldsRequired(t *testing.T) {
	var back *strategies.WriteBackCache[string, int]
	for name, write := range map[string]func(ctx context.Context, o *outage) error{
		"write-through": func(ctx context.Context, o *outage) error { return o.c.Set(ctx, "a", 2) },
		"write-around": func(ctx context.Context, o *outage) error {
			return strategies.WriteAround(o.read, o.src).Set(ctx, "a", 2)
		},
		"update": func(ctx context.Context, o *outage) error {
			c := strategies.LookAside(o.store, strategies.WithHoldsRequired())
			return c.Update(ctx, []string{"a"}, func(ctx context.Context) error { return o.src.Save(ctx, "a", 2) })
		},
		"write-back": func(ctx context.Context, o *outage) error {
			back, _ = strategies.WriteBack(o.read, o.src, strategies.WriteBackConfig[string, int]{})
			if err := back.Set(ctx, "a", 2); err != nil {
				return nil
			}
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return back.Flush(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutage(t)
				o.read = strategies.ReadThrough(o.store, o.src.source, strategies.WithHoldsRequired())
				o.c = strategies.WriteThrough(o.read, o.src)
				back = nil
				down := o.store.Inject(faulty.Fault{Kind: faulty.Fail})
				hasValue(t, 1, <-asked(t.Context(), o.c, "a"), "reads are answered by the source")
				require.Error(t, write(t.Context(), o))
				require.Equal(t, 1, o.src.row("a"), "the source was not written")
				deletes := o.store.Calls(faulty.Delete | faulty.DeleteMany)
				require.Zero(t, deletes, "nothing is to be repaired")
				down.Release()
				if back != nil {
					require.NoError(t, back.Close(t.Context()))
					require.Equal(t, 2, o.src.row("a"), "it was kept, and tried again")
					return
				}
				require.NoError(t, write(t.Context(), o))
				require.Equal(t, 2, o.src.row("a"))
			})
		})
	}
	t.Run("the error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOutage(t)
			c := strategies.WriteThrough(strategies.ReadThrough(o.store, o.src.source, strategies.WithHoldsRequired()), o.src)
			o.store.Inject(faulty.Fault{Kind: faulty.Fail})
			err := c.Set(t.Context(), "a", 2)
			require.ErrorIs(t, err, faulty.ErrInjected)
			require.ErrorContains(t, err, "tarn: write: the store cannot hold the key")
			require.NotErrorIs(t, err, tarn.ErrMaybeStale)
		})
	})
	require.PanicsWithValue(t, "strategies: WithoutHolds and WithHoldsRequired exclude each other", func() {
		strategies.LookAside(newMemory[string, int](t), strategies.WithoutHolds(), strategies.WithHoldsRequired())
	})
}

// A process may have a copy of the value that the store has lost since, and of a fill where nothing was nobody is told.
func TestAFillWhereNothingWasRepairsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage(t)
		down := o.stale(t, "a", 2)
		require.NoError(t, o.mem.Delete(t.Context(), "a"), "as if it was evicted")
		hasValue(t, 2, <-asked(t.Context(), o.c, "a"))
		_, found := o.mem.Value("a")
		require.True(t, found, "it is filled")
		down.Release()
		time.Sleep(time.Minute)
		_, found = o.mem.Value("a")
		require.False(t, found, "the invalidation has arrived all the same")
	})
}

// What the store can keep nothing under cannot be stale there.
func TestAKeyThatTheStoreCannotKeepNeedsNoRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &table{source: newSource(map[string]int{"a": 1, "b": 1})}
		store := &tamper[string, int]{inner: newMemory[string, int](t)}
		store.on(func(context.Context, string) error { return tarn.Permanent(errors.New("no bytes for the key")) })
		read := strategies.ReadThrough(store, src.source)
		c := strategies.WriteThrough(read, src)
		require.NoError(t, c.Set(t.Context(), "a", 2))
		require.Equal(t, 2, src.row("a"))
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		tried := store.called("delete")
		require.Positive(t, tried)
		time.Sleep(time.Hour)
		require.Equal(t, tried, store.called("delete"), "nothing is repaired")

		require.Error(t, tarn.DeleteMany(t.Context(), read, []string{"a", "b"}))
		batches := store.called("deletemany")
		time.Sleep(time.Hour)
		require.Greater(t, store.called("deletemany"), batches, "of a whole batch it says nothing about single keys")
	})
}
