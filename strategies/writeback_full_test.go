package strategies_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

// stuck makes the source wait until the function it returns is called.
func stuck(r *rig) (release func()) {
	wait := make(chan struct{})
	r.source.intercept(func(ctx context.Context, _ []wbOp) error {
		select {
		case <-wait:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return sync.OnceFunc(func() { close(wait) })
}

// Under 64 writers neither keys nor bytes ever pass their bounds, whatever is to happen at them, and what was
// accepted reaches the source.
func TestWriteBackBoundsHold(t *testing.T) {
	for _, row := range []struct {
		name string
		full strategies.WhenFull
	}{
		{"block", strategies.BlockWhenFull}, {"refuse", strategies.RefuseWhenFull},
		{"write through", strategies.WriteThroughWhenFull},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const maxKeys, maxBytes, writes = 8, 200, 15
				r := newRig(t, wbConfig{MaxPending: maxKeys, MaxPendingBytes: maxBytes, WhenFull: row.full, MaxBatch: 3,
					MaxDelay: time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond,
					Size: func(_ string, v int) int64 { return int64(v % 100) }}, (*ledger).batched)
				r.source.intercept(func(context.Context, []wbOp) error {
					time.Sleep(time.Duration(rand.N(2000)) * time.Microsecond)
					if rand.N(10) == 0 {
						return errSource
					}
					return nil
				})
				var accepted, refused, failed atomic.Uint64
				last := make([]atomic.Int64, 64) // of each writer's own key: what must be at the source
				var wg sync.WaitGroup
				for g := range 64 {
					wg.Go(func() {
						for i := range writes {
							key, v := strconv.Itoa(g), 100*i+rand.N(100)
							if i%3 == 0 {
								key = "shared"
							}
							err := r.Set(r.ctx, key, v)
							switch {
							case err == nil:
								accepted.Add(1)
								if key != "shared" {
									last[g].Store(int64(v))
								}
							case row.full == strategies.WriteThroughWhenFull:
								require.ErrorIs(t, err, errSource)
								failed.Add(1)
							default:
								require.ErrorIs(t, err, tarn.ErrFull)
								require.Equal(t, strategies.RefuseWhenFull, row.full)
								refused.Add(1)
								time.Sleep(time.Millisecond)
							}
							s := r.Stats()
							require.LessOrEqual(t, s.Pending, maxKeys)
							require.LessOrEqual(t, s.PendingBytes, int64(maxBytes))
						}
					})
				}
				wg.Wait()
				require.NoError(t, r.Close(r.ctx))
				for g := range last {
					if want := last[g].Load(); want != 0 {
						require.Equal(t, int(want), r.source.rows()[strconv.Itoa(g)])
					}
				}
				s := r.Stats()
				require.Equal(t, "", r.leftover())
				require.Equal(t, accepted.Load(), s.Flushed+s.Coalesced+s.WrittenThrough)
				if row.full == strategies.BlockWhenFull {
					require.Equal(t, uint64(64*writes), accepted.Load())
				} else {
					require.NotZero(t, refused.Load()+s.WrittenThrough, "the bound was met")
				}
			})
		})
	}
}

// A write without room waits for it, until its context ends; those who wait are served in turn, and do not wait for
// MaxDelay.
func TestWriteBackBlocksWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxPending: 1, MaxDelay: time.Hour}, (*ledger).batched)
		release := stuck(r)
		r.set(t, "a", 1)
		short, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		require.ErrorIs(t, r.Set(short, "b", 1), context.DeadlineExceeded)
		r.set(t, "a", 2) // needs no room
		release()
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() { r.set(t, strconv.Itoa(i), i) })
		}
		wg.Wait()
		require.Zero(t, time.Since(began))
		require.Equal(t, 0, r.source.rows()["b"])
	})
}

// A write without room is refused, and leaves what is pending of its key as it was.
func TestWriteBackRefusesWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxPending: 1, MaxPendingBytes: 10, Size: func(_ string, v int) int64 { return int64(v) },
			WhenFull: strategies.RefuseWhenFull}, (*ledger).batched)
		release := stuck(r)
		r.set(t, "a", 4)
		require.ErrorIs(t, r.Set(r.ctx, "b", 1), tarn.ErrFull)
		_, err := r.Get(r.ctx, "b")
		require.ErrorIs(t, err, tarn.ErrNotFound)
		pass(time.Second) // a is in flight
		r.set(t, "a", 6)  // beside the 4 in flight
		require.Equal(t, int64(10), r.Stats().PendingBytes)
		require.ErrorIs(t, r.Set(r.ctx, "a", 7), tarn.ErrFull)
		r.reads(t, "a", 6)
		require.NoError(t, r.Delete(r.ctx, "a"), "a delete has no bytes")
		require.Equal(t, int64(4), r.Stats().PendingBytes)
		err = r.Set(r.ctx, "a", 11)
		require.ErrorIs(t, err, tarn.ErrTooHeavy)
		require.ErrorContains(t, err, "MaxPendingBytes")
		release()
		require.NoError(t, r.Flush(r.ctx))
		require.Empty(t, r.source.rows())
		require.Equal(t, "", r.leftover())
	})
}

// A write that found no room does not leave the others waiting for their age.
func TestWriteBackFlushesWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxPending: 1, MaxDelay: time.Hour, WhenFull: strategies.RefuseWhenFull},
			(*ledger).batched)
		r.set(t, "a", 1)
		synctest.Wait()
		require.ErrorIs(t, r.Set(r.ctx, "b", 1), tarn.ErrFull)
		synctest.Wait()
		r.set(t, "b", 1)
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())
	})
}

// A write through at the bound waits for the write in flight of its key, and no reader sees it before it is written.
func TestWriteBackWritesThroughWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxPendingBytes: 10, Size: func(_ string, v int) int64 { return int64(v) },
			WhenFull: strategies.WriteThroughWhenFull}, (*ledger).batched)
		writing := make(chan int)
		proceed := make(chan error)
		r.source.intercept(func(_ context.Context, ops []wbOp) error {
			writing <- ops[0].Value
			return <-proceed
		})
		through := func(key string, v int) chan error {
			done := make(chan error, 1)
			go func() { done <- r.Set(r.ctx, key, v) }()
			return done
		}
		none := func() {
			t.Helper()
			synctest.Wait()
			select {
			case v := <-writing:
				t.Fatalf("two are in flight: %d", v)
			default:
			}
		}
		r.set(t, "a", 6)
		require.Equal(t, 6, <-writing)
		done := through("a", 7) // too much beside the one in flight
		none()
		r.reads(t, "a", 6)
		proceed <- nil
		synctest.Wait()
		require.NoError(t, <-done, "there was room in the end")
		require.Equal(t, 7, <-writing)
		proceed <- nil
		require.NoError(t, r.Flush(r.ctx))

		done = through("a", 11) // above the bound by itself
		require.Equal(t, 11, <-writing)
		r.set(t, "a", 1) // pending behind it
		r.reads(t, "a", 1)
		none()
		proceed <- nil
		require.NoError(t, <-done)
		require.Equal(t, 1, <-writing)
		proceed <- nil
		require.NoError(t, r.Flush(r.ctx))

		done = through("b", 11)
		require.Equal(t, 11, <-writing)
		_, err := r.Get(r.ctx, "b")
		require.ErrorIs(t, err, tarn.ErrNotFound, "it is not written yet")
		proceed <- nil
		require.NoError(t, <-done)
		r.reads(t, "b", 11)
		require.Equal(t, uint64(2), r.Stats().WrittenThrough)
		require.Len(t, r.events.of(tarn.EventWritten), 2)

		r.set(t, "c", 1) // pending, then replaced by a write through
		done = through("c", 12)
		require.Equal(t, 12, <-writing)
		r.reads(t, "c", 1)
		proceed <- errSource
		require.ErrorIs(t, <-done, errSource)
		r.reads(t, "c", 1)
		done = through("c", 13)
		require.Equal(t, 13, <-writing)
		proceed <- nil
		require.NoError(t, <-done)
		r.reads(t, "c", 13)
		require.Equal(t, "", r.leftover())
		require.Equal(t, map[string]int{"a": 1, "b": 11, "c": 13}, r.source.rows())
	})
}

// Who waits for a key's turn to write through leaves with its context, or when the cache closes.
func TestWriteBackWriteThroughLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxPending: 1, MaxPendingBytes: 1, WhenFull: strategies.WriteThroughWhenFull,
			Size: func(string, int) int64 { return 1 }}, (*ledger).batched)
		release := stuck(r)
		r.set(t, "a", 1)
		pass(time.Second)
		short, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		require.ErrorIs(t, r.Set(short, "a", 2), context.DeadlineExceeded)
		left := make(chan error, 1)
		go func() { left <- r.Set(r.ctx, "a", 3) }()
		pass(time.Second)
		done := make(chan error)
		go func() { done <- r.Close(r.ctx) }()
		began := time.Now()
		require.ErrorIs(t, <-left, tarn.ErrClosed)
		require.Zero(t, time.Since(began))
		release()
		require.NoError(t, <-done)
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())
	})
}

// brokenContext panics where it is asked for its deadline.
type brokenContext struct{ context.Context }

func (brokenContext) Deadline() (time.Time, bool) { panic("context") }

// A write-through that panics in its caller leaves the key to others, and Close does not wait for it.
func TestWriteBackWriteThroughThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxPendingBytes: 1, WhenFull: strategies.WriteThroughWhenFull,
			Size: func(string, int) int64 { return 2 }}, (*ledger).batched)
		require.PanicsWithValue(t, "context", func() { _ = r.Set(brokenContext{r.ctx}, "a", 1) })
		short, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		require.NoError(t, r.Set(short, "a", 2))
		require.NoError(t, r.Close(short))
		require.Equal(t, map[string]int{"a": 2}, r.source.rows())
	})
}

// Sums of bytes near the greatest number do not wrap.
func TestWriteBackHugeSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxDelay: time.Hour, MaxPendingBytes: math.MaxInt64, WhenFull: strategies.RefuseWhenFull,
			Size: func(string, int) int64 { return math.MaxInt64/2 + 1 }}, (*ledger).batched)
		require.NoError(t, r.Pause(r.ctx)) // a refusal has what is pending be written at once
		r.set(t, "a", 1)
		require.ErrorIs(t, r.Set(r.ctx, "b", 1), tarn.ErrFull)
		r.set(t, "a", 2)
		require.Equal(t, int64(math.MaxInt64/2+1), r.Stats().PendingBytes)
	})
}
