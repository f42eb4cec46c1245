package strategies_test

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

// Flush tries what was pending once more, whatever its backoff, and names what failed and nothing else.
func TestWriteBackFlushIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MinBackoff: time.Hour, MaxBackoff: time.Hour, MaxDelay: time.Hour}, (*ledger).batched)
		r.source.intercept(each(func(op wbOp) error {
			if op.Value < 0 {
				return errSource
			}
			return nil
		}))
		r.set(t, "a", 1)
		r.set(t, "b", -1)
		r.set(t, "c", -1)
		for range 2 {
			err := r.Flush(r.ctx)
			require.ErrorIs(t, err, errSource)
			require.ElementsMatch(t, []string{"b", "c"}, unwritten(t, err))
		}
		require.Equal(t, 2, r.source.tried())
		r.set(t, "b", 2)
		err := r.Flush(r.ctx)
		require.Equal(t, []string{"c"}, unwritten(t, err))
		require.NoError(t, r.Delete(r.ctx, "c"))
		require.NoError(t, r.Flush(r.ctx))
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, map[string]int{"a": 1, "b": 2}, r.source.rows())
	})
}

// A Flush that comes while the key is in flight waits for what was accepted before it, not for what comes later; an
// attempt that began before it and failed does not count.
func TestWriteBackFlushDuringAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxDelay: time.Second, MinBackoff: time.Hour, MaxBackoff: time.Hour},
			(*ledger).batched)
		answers := make(chan error)
		r.source.intercept(func(context.Context, []wbOp) error { return <-answers })
		flush := func() chan error {
			done := make(chan error, 1)
			go func() { done <- r.Flush(r.ctx) }()
			synctest.Wait()
			return done
		}
		r.set(t, "a", 1)
		pass(time.Second) // in flight
		r.set(t, "a", 2)
		done := flush()
		r.set(t, "a", 3)
		answers <- nil // 1
		began := time.Now()
		synctest.Wait()
		require.Empty(t, done, "2 was accepted before the flush")
		answers <- nil // 3, which replaced 2
		require.NoError(t, <-done)

		r.set(t, "a", 4)
		pass(time.Second)
		done = flush()
		answers <- errSource // it began before the flush
		synctest.Wait()
		require.Empty(t, done)
		answers <- nil
		require.NoError(t, <-done)
		require.Equal(t, time.Second, time.Since(began), "neither age nor backoff is waited for")

		r.set(t, "a", 5)
		pass(time.Second)
		done = flush()
		r.set(t, "b", 1) // later than the flush
		pass(time.Second)
		require.Equal(t, 2, r.Stats().InFlight)
		answers <- nil
		answers <- nil
		require.NoError(t, <-done)
	})
}

// A Flush whose context ends names what it has not heard of, and leaves nothing behind at the keys.
func TestWriteBackFlushLeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{}, (*ledger).batched)
		hang := make(chan struct{})
		r.source.intercept(func(context.Context, []wbOp) error { <-hang; return nil })
		r.set(t, "a", 1)
		r.set(t, "b", 1)
		for range 3 {
			short, cancel := context.WithTimeout(r.ctx, time.Second)
			began := time.Now()
			err := r.Flush(short)
			require.Equal(t, time.Second, time.Since(began))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ElementsMatch(t, []string{"a", "b"}, unwritten(t, err))
			cancel()
		}
		require.Equal(t, 1, r.source.tried())
		close(hang)
		require.NoError(t, r.Flush(r.ctx))
	})
}

// Close writes everything, with backoff where it fails, and ends every goroutine.
func TestWriteBackCloseWritesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxDelay: time.Hour}, (*ledger).batched)
		fails := 3
		r.source.intercept(func(context.Context, []wbOp) error {
			if fails--; fails >= 0 {
				return errSource
			}
			return nil
		})
		r.set(t, "a", 1)
		require.NoError(t, r.Delete(r.ctx, "b"))
		require.NoError(t, r.Close(r.ctx))
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())
		require.Negative(t, fails)

		_, err := r.Get(r.ctx, "a")
		require.ErrorIs(t, err, tarn.ErrClosed)
		require.ErrorIs(t, r.GetMany(r.ctx, []string{"a"}, make([]tarn.Result[int], 1)), tarn.ErrClosed)
		require.ErrorIs(t, r.Set(r.ctx, "a", 1), tarn.ErrClosed)
		require.ErrorIs(t, r.Delete(r.ctx, "a"), tarn.ErrClosed)
		require.ErrorIs(t, r.SetMany(r.ctx, []string{"a"}, []int{1}), tarn.ErrClosed)
		require.ErrorIs(t, r.DeleteMany(r.ctx, []string{"a"}), tarn.ErrClosed)
		require.ErrorIs(t, r.Flush(r.ctx), tarn.ErrClosed)
		require.NoError(t, r.Close(r.ctx), "again")
	})
}

// Close returns when its context ends and names what is unwritten; Pending still has the operations.
func TestWriteBackCloseSaysWhatIsLeft(t *testing.T) {
	unbounded := func() (context.Context, context.CancelFunc) { return context.Background(), func() {} }
	second := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), time.Second)
	}
	cancelled := func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		return ctx, cancel
	}
	failing := func(ctx context.Context, stop chan struct{}) error { return errSource }
	obedient := func(ctx context.Context, stop chan struct{}) error { <-ctx.Done(); return ctx.Err() }
	hanging := func(ctx context.Context, stop chan struct{}) error { <-stop; return errSource }
	panicking := func(ctx context.Context, stop chan struct{}) error { panic("writer") }
	exiting := func(ctx context.Context, stop chan struct{}) error { runtime.Goexit(); return nil }
	for _, row := range []struct {
		rule  string
		ctx   func() (context.Context, context.CancelFunc)
		apply func(ctx context.Context, stop chan struct{}) error
		takes time.Duration // 0: a little before a second
		is    []error
	}{
		{"a failing writer: by the deadline", second, failing, 0, []error{errSource, context.DeadlineExceeded}},
		{"a failing writer: until cancelled", cancelled, failing, time.Second, []error{errSource, context.Canceled}},
		{"no deadline: 30 seconds", unbounded, failing, 29 * time.Second, []error{errSource, context.DeadlineExceeded}},
		{"a slow writer is recalled before the deadline", second, obedient, 0, []error{context.DeadlineExceeded}},
		{"a hanging writer is not waited for", second, hanging, time.Second, []error{context.DeadlineExceeded}},
		{"nor if cancelled", cancelled, hanging, time.Second, []error{context.Canceled}},
		{"a panicking writer", second, panicking, 0, []error{context.DeadlineExceeded}},
		{"a writer that ends its goroutine", second, exiting, 0, []error{context.DeadlineExceeded}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, wbConfig{}, (*ledger).batched)
				stop := make(chan struct{})
				r.source.intercept(func(ctx context.Context, ops []wbOp) error {
					if ops[0].Key == "good" {
						return nil
					}
					return row.apply(ctx, stop)
				})
				r.set(t, "good", 1)
				require.NoError(t, r.Flush(r.ctx))
				r.set(t, "a", 1)
				r.set(t, "a", 2)
				require.NoError(t, r.Delete(r.ctx, "b"))
				ctx, cancel := row.ctx()
				defer cancel()
				began := time.Now()
				err := r.Close(ctx)
				took := time.Since(began)
				if row.takes == 0 {
					require.InDelta(t, time.Second, took, float64(100*time.Millisecond))
				} else {
					require.Equal(t, row.takes, took)
				}
				require.ElementsMatch(t, []string{"a", "b"}, unwritten(t, err))
				for _, is := range row.is {
					require.ErrorIs(t, err, is)
				}
				left := map[string]wbOp{}
				for op := range r.Pending() {
					require.NotZero(t, op.Seq)
					op.Seq, op.Epoch = 0, 0
					left[op.Key] = op
				}
				require.Equal(t, map[string]wbOp{"a": {Key: "a", Value: 2}, "b": {Key: "b", Delete: true}}, left)
				require.Equal(t, err, r.Close(r.ctx), "the same answer")
				close(stop)
			})
		})
	}
}

// Under load, with a source that fails at times and a deadline that comes too soon, what Close names as unwritten is
// exactly what was accepted and is not at the source.
func TestWriteBackCloseUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxBatch: 5, MaxPending: 60, MaxDelay: time.Millisecond, MaxBackoff: time.Second},
			(*ledger).batched)
		var n int
		r.source.intercept(func(ctx context.Context, ops []wbOp) error {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
			r.source.mu.Lock()
			defer r.source.mu.Unlock()
			if n++; n%3 == 0 {
				return errSource
			}
			return nil
		})
		accepted := make([]map[string]int, 32)
		var wg sync.WaitGroup
		for g := range accepted {
			accepted[g] = map[string]int{}
			wg.Go(func() {
				for v := 1; ; v++ {
					key := strconv.Itoa(g) + "/" + strconv.Itoa(v%7)
					if err := r.Set(r.ctx, key, v); err != nil {
						require.ErrorIs(t, err, tarn.ErrClosed)
						return
					}
					accepted[g][key] = v
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(r.ctx, 100*time.Millisecond)
		defer cancel()
		err := r.Close(ctx)
		wg.Wait()
		var want []string
		rows := r.source.rows()
		for _, keys := range accepted {
			for key, v := range keys {
				if rows[key] != v {
					want = append(want, key)
				}
			}
		}
		got := unwritten(t, err)
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got)
		require.NotEmpty(t, want)
	})
}

// A write that succeeds after Close gave up on it is pending no longer.
func TestWriteBackLateSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{}, (*ledger).batched)
		hang := make(chan struct{})
		r.source.intercept(func(context.Context, []wbOp) error { <-hang; return nil })
		r.set(t, "a", 1)
		pass(time.Second)
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		require.Equal(t, []string{"a"}, unwritten(t, r.Close(ctx)))
		require.Equal(t, 1, r.Stats().Pending)
		close(hang)
		synctest.Wait()
		require.Equal(t, "", r.leftover())
	})
}

// A write that was on its way when Close began is refused, not lost.
func TestWriteBackCloseDuringASet(t *testing.T) {
	for _, full := range []strategies.WhenFull{strategies.BlockWhenFull, strategies.WriteThroughWhenFull} {
		synctest.Test(t, func(t *testing.T) {
			sizing, sized := make(chan struct{}), make(chan struct{})
			r := newRig(t, wbConfig{MaxPendingBytes: 10, WhenFull: full, Size: func(_ string, v int) int64 {
				close(sizing)
				<-sized
				return int64(v)
			}}, (*ledger).batched)
			v := 1
			if full == strategies.WriteThroughWhenFull {
				v = 11 // is written through
			}
			done := make(chan error)
			go func() { done <- r.Set(r.ctx, "a", v) }()
			<-sizing
			require.NoError(t, r.Close(r.ctx))
			close(sized)
			require.ErrorIs(t, <-done, tarn.ErrClosed)
			require.Empty(t, r.source.rows())
			require.Equal(t, "", r.leftover())
		})
	}
}

// The cache is told of what was in flight even when its write was recalled.
func TestWriteBackCloseSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxAttempts: 1, DeadLetter: func(context.Context, strategies.DeadLetter[string, int]) {
			t.Error("what was recalled has not failed")
		}}, (*ledger).batched)
		r.source.intercept(func(ctx context.Context, _ []wbOp) error { <-ctx.Done(); return ctx.Err() })
		settled := 0
		r.inner.settle = func(ctx context.Context, outcomes []tarn.Outcome[int]) error {
			settled++
			require.NoError(t, ctx.Err())
			_, bounded := ctx.Deadline()
			require.True(t, bounded)
			require.Equal(t, []tarn.Outcome[int]{{Kind: tarn.Unknown}}, outcomes)
			return nil
		}
		r.set(t, "a", 1)
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		require.Equal(t, []string{"a"}, unwritten(t, r.Close(ctx)))
		require.Equal(t, 1, settled)
	})
}

// Close wakes who waits for room, and closes the inner cache.
func TestWriteBackCloseWakesAndClosesInner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxPending: 1}, (*ledger).batched)
		release := stuck(r)
		r.set(t, "a", 1)
		woken := make(chan error)
		go func() { woken <- r.Set(r.ctx, "b", 1) }()
		pass(time.Second)
		done := make(chan error)
		go func() { done <- r.Close(r.ctx) }()
		require.ErrorIs(t, <-woken, tarn.ErrClosed)
		r.reads(t, "a", 1) // until all is written
		another, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		require.ErrorIs(t, r.Close(another), context.DeadlineExceeded, "it waits for the first one")
		release()
		require.NoError(t, <-done)
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())

		l := newLedger()
		inner := &closable{r.inner, make(chan struct{})}
		c, err := strategies.WriteBack(inner, l.batched(), wbConfig{})
		require.NoError(t, err)
		err = c.Close(r.ctx)
		require.ErrorIs(t, err, errSource)
		<-inner.closed
	})
}

type closable struct {
	tarn.Guarded[string, int]
	closed chan struct{}
}

func (c *closable) Close(context.Context) error {
	close(c.closed)
	return errSource
}
