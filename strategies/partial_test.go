package strategies_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/strategies"
)

// Of a batch that the source took in part, what it took is acknowledged only if the cache was told: otherwise a read
// would return to the past with nobody warned.
func TestPartOfABatchWhenTheCacheCannotBeTold(t *testing.T) {
	for _, row := range []struct {
		rule string
		ops  faulty.Op
		late bool // the write outlasts its holds
	}{
		{"neither held nor deleted", faulty.Hold | faulty.Delete | faulty.DeleteMany, false},
		{"held for too short a time, and not settled", faulty.Settle, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				store := faulty.New[string, int](newMemory[string, int](t))
				var seen events
				src := &table{source: newSource(map[string]int{"a": 1, "b": 1})}
				read := strategies.ReadThrough(store, src.source, strategies.WithHoldLife(time.Second))
				c := strategies.WriteThrough(read, batchTable{src}, strategies.WithObserver(&seen))
				hasValue(t, 1, <-asked(ctx, c, "a"))

				src.on(func(_ context.Context, op tarn.Op[string, int]) error {
					if row.late {
						time.Sleep(2 * time.Second)
					}
					if op.Key == "b" {
						return errBroken
					}
					return nil
				}, nil)
				fault := store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: row.ops})
				err := tarn.SetMany(ctx, c, map[string]int{"a": 2, "b": 2})
				fault.Release()

				var failed *tarn.BatchError[string]
				require.ErrorAs(t, err, &failed)
				require.Len(t, failed.Failed, 2)
				for _, f := range failed.Failed {
					require.Equal(t, f.Key == "a", errors.Is(f.Err, tarn.ErrMaybeStale), f.Key)
					require.Equal(t, f.Key == "b", errors.Is(f.Err, errBroken), f.Key)
				}
				require.Equal(t, 1, seen.count(tarn.EventWritten), "a")
				require.Equal(t, 1, seen.count(tarn.EventWriteFailed), "b")
			})
		})
	}
}

// A writer that returns an IndexError in which nothing failed has written all; one of the wrong length says nothing of
// any, and all failed.
func TestIndexErrorWithoutFailures(t *testing.T) {
	for _, row := range []struct {
		rule    string
		apply   func(ops []tarn.Op[string, int]) error
		written bool
	}{
		{"all nil", func(ops []tarn.Op[string, int]) error { return make(tarn.IndexError, len(ops)) }, true},
		{"never made", func([]tarn.Op[string, int]) error { return tarn.IndexError(nil) }, true},
		{"empty", func([]tarn.Op[string, int]) error { return tarn.IndexError{} }, true},
		{"too long", func(ops []tarn.Op[string, int]) error { return make(tarn.IndexError, len(ops)+1) }, false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				writer := tarn.WriteManyFuncs(func(_ context.Context, ops []tarn.Op[string, int]) error { return row.apply(ops) })
				check := func(err error) {
					t.Helper()
					require.Equal(t, row.written, err == nil, "%v", err)
				}
				read := strategies.LookAside(newMemory[string, int](t))
				through := strategies.WriteThrough(read, writer)
				check(through.Set(t.Context(), "a", 1))
				check(through.Delete(t.Context(), "a"))
				check(through.SetMany(t.Context(), []string{"a", "b", "a"}, []int{1, 2, 3}))
				check(tarn.SetMany(t.Context(), through, map[string]int{"a": 3, "b": 2}))
				_, err := read.Get(t.Context(), "a")
				check(err)

				back, err := strategies.WriteBack(read, writer, wbConfig{})
				require.NoError(t, err)
				require.NoError(t, back.SetMany(t.Context(), []string{"a", "b"}, []int{4, 5}))
				check(back.Flush(t.Context()))
				leaving, leave := context.WithTimeout(t.Context(), time.Second)
				defer leave()
				check(back.Close(leaving))
			})
		})
	}
}

// Of a batch of which the store heard in part, only what it did not hear of is reported and gone around.
func TestWhatTheStoreWasToldIsNotStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		mem := newMemory[string, int](t)
		store := faulty.New[string, int](mem)
		var seen events
		src := &table{source: newSource(map[string]int{})}
		read := strategies.ReadThrough(store, src.source, strategies.WithoutHolds(), strategies.WithObserver(&seen))
		c := strategies.WriteThrough(read, batchTable{src})
		store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Set, Times: 1})

		var failed tarn.IndexError
		require.ErrorAs(t, c.SetMany(ctx, []string{"a", "b"}, []int{1, 2}), &failed)
		require.ErrorIs(t, failed[0], tarn.ErrMaybeStale)
		require.NoError(t, failed[1])
		require.Equal(t, 1, seen.count(tarn.EventMaybeStale))
		loaded := src.loaded()
		hasValue(t, 2, <-asked(ctx, c, "b"))
		require.Equal(t, loaded, src.loaded(), "b is served from the cache")
		hasValue(t, 1, <-asked(ctx, c, "a"))
		require.Equal(t, loaded+1, src.loaded(), "a is not")
	})
}
