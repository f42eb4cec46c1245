package strategies_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

// A reader that began before the Set, and read the old value from the source, must not leave it in the cache:
//
//	reader: nothing pending, miss, load the old value, wait
//	writer: Set, flush
//	reader: fill
func TestWriteBackHoldsWhileItFlushes(t *testing.T) {
	for _, row := range []struct {
		rule string
		fill func(r *rig, let func()) // lets the reader fill at some point of the flush
	}{
		{"before the source is written", func(r *rig, let func()) {
			r.source.intercept(func(context.Context, []wbOp) error { let(); return nil })
		}},
		{"before the settle", func(r *rig, let func()) {
			r.inner.settle = func(context.Context, []tarn.Outcome[int]) error { let(); return nil }
		}},
		{"after the flush", func(r *rig, let func()) {}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLedger()
				l.table["a"] = 1
				loaded, fill := make(chan struct{}), make(chan struct{})
				slow := true
				find := tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
					v, err := l.find(ctx, key)
					if slow {
						slow = false
						close(loaded)
						<-fill
					}
					return v, err
				})
				mem := memory.New(memory.Options[string, int]{MaxEntries: 10})
				defer mem.Close()
				r := &rig{source: l, inner: &sabotage{Guarded: strategies.ReadThrough(mem, find)}, ctx: context.Background()}
				let := func() {
					select {
					case <-fill:
					default:
						close(fill)
						time.Sleep(time.Second) // by then the reader is through
					}
				}
				row.fill(r, let)
				var err error
				r.wbCache, err = strategies.WriteBack(r.inner, l.batched(), wbConfig{})
				require.NoError(t, err)
				defer r.Close(r.ctx)

				read := make(chan int)
				go func() {
					v, _ := r.Get(r.ctx, "a")
					read <- v
				}()
				<-loaded
				r.set(t, "a", 2)
				go func() { require.Equal(t, 1, <-read, "it began before the Set") }()
				require.NoError(t, r.Flush(r.ctx))
				let()
				r.reads(t, "a", 2)
				require.NoError(t, r.inner.Delete(r.ctx, "b"))
				v, err := r.inner.Get(r.ctx, "a")
				require.NoError(t, err)
				require.Equal(t, 2, v)
			})
		})
	}
}

// The pending write is dropped only after the cache was told: a read at that moment is not sent to the source.
func TestWriteBackSettlesBeforeItDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{}, (*ledger).batched)
		settling := 0
		r.inner.settle = func(_ context.Context, outcomes []tarn.Outcome[int]) error {
			settling++
			require.Equal(t, []tarn.Outcome[int]{{Kind: tarn.Stored, Value: 1}}, outcomes)
			require.Equal(t, 1, r.Stats().Pending)
			r.reads(t, "a", 1)
			require.Len(t, r.events.of(tarn.EventHit), 1)
			return nil
		}
		r.set(t, "a", 1)
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, 1, settling)
	})
}

// The cache is told what became of each key: stored, removed, or unknown.
func TestWriteBackOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{Concurrency: 1, MinBackoff: time.Hour, MaxBackoff: time.Hour}, (*ledger).batched)
		kinds := map[tarn.OutcomeKind]int{}
		r.inner.settle = func(_ context.Context, outcomes []tarn.Outcome[int]) error {
			for _, o := range outcomes {
				kinds[o.Kind]++
			}
			return nil
		}
		r.source.intercept(func(_ context.Context, ops []wbOp) error {
			errs := make(tarn.IndexError, len(ops))
			for i, op := range ops {
				if op.Key == "bad" {
					errs[i] = errSource
				}
			}
			return errs
		})
		r.set(t, "a", 1)
		r.set(t, "bad", 1)
		require.NoError(t, r.Delete(r.ctx, "gone"))
		err := r.Flush(r.ctx)
		require.ErrorIs(t, err, errSource)
		require.Equal(t, []string{"bad"}, unwritten(t, err))
		require.Equal(t, map[tarn.OutcomeKind]int{tarn.Stored: 1, tarn.Removed: 1, tarn.Unknown: 1}, kinds)
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())
	})
}

// A cache that cannot hold, or cannot be told, keeps no write from the source.
func TestWriteBackCacheFailures(t *testing.T) {
	errCache := errors.New("the cache is away")
	for _, row := range []struct {
		rule   string
		break_ func(s *sabotage)
		want   map[tarn.EventKind]int
		stale  bool
	}{
		{"a failed hold: written without, then deleted from the cache",
			func(s *sabotage) { s.hold = func(context.Context) error { return errCache } },
			map[tarn.EventKind]int{tarn.EventStoreFailed: 1, tarn.EventMaybeStale: 0}, false},
		{"a hold that panics is one that failed",
			func(s *sabotage) { s.hold = func(context.Context) error { panic("hold") } },
			map[tarn.EventKind]int{tarn.EventStoreFailed: 1, tarn.EventMaybeStale: 0}, false},
		{"a hold that hangs ends by its own time limit",
			func(s *sabotage) { s.hold = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() } },
			map[tarn.EventKind]int{tarn.EventStoreFailed: 1, tarn.EventMaybeStale: 0}, false},
		{"neither hold nor delete: an event says so",
			func(s *sabotage) {
				s.hold = func(context.Context) error { return errCache }
				s.remove = func() error { return errCache }
			},
			map[tarn.EventKind]int{tarn.EventStoreFailed: 1, tarn.EventMaybeStale: 1}, true},
		{"a failed settle: an event says so",
			func(s *sabotage) { s.settle = func(context.Context, []tarn.Outcome[int]) error { return errCache } },
			map[tarn.EventKind]int{tarn.EventStoreFailed: 0, tarn.EventMaybeStale: 1}, true},
		{"a settle that panics is one that failed",
			func(s *sabotage) { s.settle = func(context.Context, []tarn.Outcome[int]) error { panic("settle") } },
			map[tarn.EventKind]int{tarn.EventStoreFailed: 0, tarn.EventMaybeStale: 1}, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, wbConfig{}, (*ledger).batched)
				r.source.table["a"] = 1
				r.reads(t, "a", 1) // cached
				row.break_(r.inner)
				r.set(t, "a", 2)
				require.NoError(t, r.Flush(r.ctx))
				require.Equal(t, map[string]int{"a": 2}, r.source.rows())
				require.Equal(t, "", r.leftover())
				for kind, n := range row.want {
					require.Len(t, r.events.of(kind), n, "%v", kind)
				}
				for _, e := range r.events.of(tarn.EventMaybeStale) {
					require.ErrorIs(t, e.Err, tarn.ErrMaybeStale)
				}
				if !row.stale {
					r.reads(t, "a", 2)
				}
			})
		})
	}
}

// A Writer that panics or ends its goroutine has failed once; nothing is lost, and nothing hangs.
func TestWriteBackWriterPanics(t *testing.T) {
	for name, writer := range map[string]func(*ledger) tarn.Writer[string, int]{
		"batches": (*ledger).batched, "one by one": (*ledger).single,
	} {
		for how, crash := range map[string]func(){"panic": func() { panic(errSource) }, "Goexit": runtime.Goexit} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, wbConfig{Concurrency: 1}, writer)
					crashes := 1
					r.source.intercept(func(context.Context, []wbOp) error {
						if crashes > 0 {
							crashes--
							crash()
						}
						return nil
					})
					for _, key := range []string{"a", "b", "c"} {
						r.set(t, key, 1)
					}
					synctest.Wait()
					require.Empty(t, r.events.of(tarn.EventPanicked))
					pass(100 * time.Millisecond)
					require.Len(t, r.events.of(tarn.EventPanicked), 1)
					pass(time.Second)
					require.Equal(t, map[string]int{"a": 1, "b": 1, "c": 1}, r.source.rows())
					var p *tarn.PanicError
					require.ErrorAs(t, r.events.of(tarn.EventRetried)[0].Err, &p)
					require.Equal(t, how == "panic", errors.Is(p, errSource))
				})
			})
		}
	}
}

// An observer that panics or ends its goroutine where nobody could recover loses nothing and leaves nothing held. It
// is told of that.
func TestWriteBackObserverPanics(t *testing.T) {
	for how, crash := range map[string]func(){"panic": func() { panic("observer") }, "Goexit": runtime.Goexit} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, wbConfig{}, (*ledger).batched)
				tries := 0
				r.source.intercept(func(context.Context, []wbOp) error {
					switch tries++; tries {
					case 1:
						panic(errSource)
					case 2:
						return errSource
					}
					return nil
				})
				r.inner.hold = func(context.Context) error { return errors.New("the cache is away") }
				letters, told := 0, new(eventLog)
				c, err := strategies.WriteBack[string, int](r.inner, r.source.batched(), wbConfig{
					MaxAttempts: 2, DeadLetter: func(context.Context, strategies.DeadLetter[string, int]) { letters++ },
				}, strategies.WithObserver(tarn.ObserverFunc(func(ctx context.Context, e tarn.Event) {
					if told.Observe(ctx, e); e.Kind != tarn.EventHit {
						crash()
					}
				})))
				require.NoError(t, err)
				require.NoError(t, c.Set(r.ctx, "a", 1))
				require.ErrorIs(t, c.Flush(r.ctx), errSource)
				require.NoError(t, c.Flush(r.ctx), "the second failure makes it a dead letter")
				require.Equal(t, 1, letters)
				r.inner.hold = nil
				require.NoError(t, c.Set(r.ctx, "a", 2))
				require.NoError(t, c.Flush(r.ctx))
				require.Equal(t, map[string]int{"a": 2}, r.source.rows())
				for range 3 {
					v, err := r.inner.Get(r.ctx, "a")
					require.NoError(t, err)
					require.Equal(t, 2, v)
				}
				require.NoError(t, c.Close(r.ctx))
				for _, kind := range []tarn.EventKind{tarn.EventStoreFailed, tarn.EventWriteFailed, tarn.EventRetried,
					tarn.EventDeadLettered, tarn.EventFlushed} {
					require.NotEmpty(t, told.of(kind), kind)
				}
				require.Greater(t, len(told.of(tarn.EventPanicked)), len(told.of(tarn.EventFlushed)))
			})
		})
	}
}

// WriteTimeout ends one write's context. What a Writer that works one by one did not get to is written in the next
// batch, without a failure of its own.
func TestWriteBackWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{WriteTimeout: time.Second, Concurrency: 1, MinBackoff: time.Hour, MaxBackoff: time.Hour},
			(*ledger).single)
		r.source.intercept(func(ctx context.Context, ops []wbOp) error {
			if ops[0].Key != "slow" {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		r.set(t, "slow", 1)
		pass(time.Millisecond)
		r.set(t, "a", 1)
		r.set(t, "b", 1)
		pass(1200 * time.Millisecond)
		require.Equal(t, map[string]int{"a": 1, "b": 1}, r.source.rows())
		retried := r.events.of(tarn.EventRetried)
		require.Len(t, retried, 1)
		require.Equal(t, "slow", retried[0].Key)
		require.ErrorIs(t, retried[0].Err, context.DeadlineExceeded)
		r.source.intercept(nil)
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, "", r.leftover())
	})
}

// A batch that works one by one is cut short once it took as long as one write may, so that what it has done is
// settled in time.
func TestWriteBackCutsASlowBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{WriteTimeout: time.Second, Concurrency: 1}, (*ledger).single)
		r.source.intercept(func(context.Context, []wbOp) error {
			time.Sleep(400 * time.Millisecond)
			return nil
		})
		for _, key := range []string{"a", "b", "c", "d"} {
			r.set(t, key, 1)
		}
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, []tarn.Event{
			{Kind: tarn.EventFlushed, N: 3, Duration: 1200 * time.Millisecond, Age: 1200 * time.Millisecond},
			{Kind: tarn.EventFlushed, N: 1, Duration: 400 * time.Millisecond, Age: 1600 * time.Millisecond},
		}, r.events.of(tarn.EventFlushed))
		require.Zero(t, r.Stats().Retried)
	})
}

// A Writer may use the cache it writes for.
func TestWriteBackWriterUsesItsCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxPending: 2, WriteTimeout: time.Second, Concurrency: 1, MinBackoff: time.Hour,
			MaxBackoff: time.Hour}, (*ledger).batched)
		var another error
		r.source.intercept(func(ctx context.Context, ops []wbOp) error {
			if ops[0].Value == 1 {
				r.reads(t, "a", 1)
				require.NoError(t, r.Set(ctx, "a", 2), "the key in flight")
				require.NoError(t, r.Set(ctx, "b", 2), "room for another")
				another = r.Set(ctx, "c", 2)
			}
			return nil
		})
		r.set(t, "a", 1)
		pass(10 * time.Second)
		require.ErrorIs(t, another, context.DeadlineExceeded, "at the bound it waits no longer than its context")
		require.Equal(t, map[string]int{"a": 2, "b": 2}, r.source.rows())
	})
}

// A Writer may sort its operations: the cache is told of each key's own value all the same.
func TestWriteBackWriterSortsItsOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{}, (*ledger).batched)
		r.source.intercept(func(_ context.Context, ops []wbOp) error {
			slices.SortFunc(ops, func(a, b wbOp) int { return b.Value - a.Value })
			return nil
		})
		r.set(t, "a", 1)
		r.set(t, "b", 2)
		r.set(t, "c", 3)
		require.NoError(t, r.Flush(r.ctx))
		r.reads(t, "a", 1)
		r.reads(t, "b", 2)
		r.reads(t, "c", 3)
	})
}

// EventFlushed counts the operations of a batch that were written, and how long the source took.
func TestWriteBackFlushedEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{}, (*ledger).batched)
		r.source.intercept(func(context.Context, []wbOp) error {
			time.Sleep(time.Second)
			return nil
		})
		r.set(t, "a", 1)
		r.set(t, "b", 1)
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, []tarn.Event{{Kind: tarn.EventFlushed, N: 2, Duration: time.Second, Age: time.Second}},
			r.events.of(tarn.EventFlushed))
	})
}
