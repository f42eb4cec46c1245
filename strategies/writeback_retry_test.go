package strategies_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

// each fails the operations for which fail returns an error, each by itself.
func each(fail func(op wbOp) error) func(context.Context, []wbOp) error {
	return func(_ context.Context, ops []wbOp) error {
		errs := make(tarn.IndexError, len(ops))
		for i, op := range ops {
			errs[i] = fail(op)
		}
		return errs
	}
}

// A key that fails waits alone: no other write is late because of it, in the same batch or after it.
func TestWriteBackFailureDelaysItsKeyAlone(t *testing.T) {
	for name, writer := range map[string]func(*ledger) tarn.Writer[string, int]{
		"batches": (*ledger).batched, "one by one": (*ledger).single,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, wbConfig{MaxDelay: time.Second, MinBackoff: time.Hour, MaxBackoff: time.Hour}, writer)
				r.source.intercept(each(func(op wbOp) error {
					if op.Key == "bad" {
						return errSource
					}
					return nil
				}))
				r.set(t, "a", 1)
				r.set(t, "bad", 1)
				r.set(t, "b", 1)
				pass(time.Second + 1)
				require.Equal(t, map[string]int{"a": 1, "b": 1}, r.source.rows())
				r.set(t, "c", 1)
				pass(time.Second + 1)
				require.Equal(t, map[string]int{"a": 1, "b": 1, "c": 1}, r.source.rows())
				s := r.Stats()
				require.Equal(t, 1, s.Pending)
				require.Equal(t, 1, s.Retrying)
				r.reads(t, "bad", 1)
				r.source.intercept(nil)
				require.NoError(t, r.Flush(r.ctx), "a flush does not wait for the backoff")
				require.Equal(t, 1, r.source.rows()["bad"])
			})
		})
	}
}

// The waits between attempts stay below a ceiling that doubles from MinBackoff to MaxBackoff; also when newer writes
// of the key come in meanwhile.
func TestWriteBackBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MinBackoff: time.Second, MaxBackoff: 20 * time.Second}, (*ledger).batched)
		var at []time.Time
		r.source.intercept(func(context.Context, []wbOp) error {
			at = append(at, time.Now())
			return errSource
		})
		r.set(t, "a", 1)
		for range 3000 {
			pass(100 * time.Millisecond)
			r.set(t, "a", 2)
		}
		require.Less(t, len(at), 200)
		require.Greater(t, len(at), 15)
		longest := time.Duration(0)
		for i := 1; i < len(at); i++ {
			ceiling := 20 * time.Second
			if i < 6 {
				ceiling = min(ceiling, time.Second<<(i-1))
			}
			require.LessOrEqual(t, at[i].Sub(at[i-1]), ceiling, "before attempt %d", i+1)
			longest = max(longest, at[i].Sub(at[i-1]))
		}
		require.Greater(t, longest, 10*time.Second, "it does back off")
		r.source.intercept(nil)
	})
}

// A bad operation whose batch fails as a whole does not keep the others back: they are tried in smaller batches until
// it stands alone. None of the others is given up for it.
func TestWriteBackIsolatesAPoisonousWrite(t *testing.T) {
	for _, permanent := range []bool{false, true} {
		t.Run("permanent "+strconv.FormatBool(permanent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var letters []strategies.DeadLetter[string, int]
				r := newRig(t, wbConfig{MinBackoff: time.Second, MaxBackoff: time.Minute, MaxAttempts: 2,
					DeadLetter: func(_ context.Context, d strategies.DeadLetter[string, int]) { letters = append(letters, d) },
				}, (*ledger).batched)
				r.source.intercept(func(_ context.Context, ops []wbOp) error {
					for _, op := range ops {
						if op.Key == "37" && permanent {
							return tarn.Permanent(errSource)
						} else if op.Key == "37" {
							return errSource
						}
					}
					return nil
				})
				for i := range 100 {
					r.set(t, strconv.Itoa(i), i)
				}
				pass(10 * time.Minute)
				require.Len(t, r.source.rows(), 99)
				require.Len(t, letters, 1)
				require.Equal(t, "37", letters[0].Op.Key)
				require.Equal(t, "", r.leftover())
			})
		})
	}
}

// What failed together with others does not get new writes into the same trouble: a flush that tries all of them
// writes the new ones.
func TestWriteBackKeepsSuspectsApart(t *testing.T) {
	for range 20 { // in whatever order the table has them
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, wbConfig{MinBackoff: time.Hour, MaxBackoff: time.Hour, MaxDelay: time.Hour}, (*ledger).batched)
			r.source.intercept(poison("bad"))
			r.set(t, "bad", 1)
			for i := range 7 {
				r.set(t, strconv.Itoa(i), i)
			}
			require.Len(t, unwritten(t, r.Flush(r.ctx)), 8)
			for i := range 3 {
				r.set(t, "new"+strconv.Itoa(i), i)
			}
			for _, key := range unwritten(t, r.Flush(r.ctx)) {
				require.NotContains(t, key, "new")
			}
		})
	}
}

// poison fails every batch that holds key as a whole.
func poison(key string) func(context.Context, []wbOp) error {
	return func(_ context.Context, ops []wbOp) error {
		if slices.ContainsFunc(ops, func(op wbOp) bool { return op.Key == key }) {
			return errSource
		}
		return nil
	}
}

// A bad write stands alone soon also when an outage before it has let the batches of suspects grow, and no jitter
// parts it from the others.
func TestWriteBackIsolatesAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxBatch: 16, Concurrency: 1, MinBackoff: 1, MaxBackoff: 1}, (*ledger).batched)
		r.source.intercept(func(context.Context, []wbOp) error {
			time.Sleep(time.Millisecond)
			return errSource
		})
		for i := range 80 {
			r.set(t, strconv.Itoa(i), i)
		}
		pass(time.Second)
		r.source.intercept(nil)
		pass(time.Second)
		require.Len(t, r.source.rows(), 80)

		r.source.intercept(func(ctx context.Context, ops []wbOp) error {
			time.Sleep(time.Millisecond)
			return poison("bad")(ctx, ops)
		})
		r.set(t, "bad", 1)
		for i := range 15 {
			r.set(t, strconv.Itoa(i), -1)
		}
		pass(time.Second)
		require.Len(t, r.source.rows(), 80)
		for i := range 15 {
			require.Equal(t, -1, r.source.rows()[strconv.Itoa(i)])
		}
		require.NoError(t, r.Delete(r.ctx, "bad"))
		r.source.intercept(nil)
	})
}

// After an outage, batches grow again: what is pending is not written one by one.
func TestWriteBackRecoversInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxBatch: 64, Concurrency: 1, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond},
			(*ledger).batched)
		r.source.intercept(func(context.Context, []wbOp) error {
			time.Sleep(time.Millisecond)
			return errSource
		})
		for i := range 300 {
			r.set(t, strconv.Itoa(i), i)
		}
		pass(time.Second)
		r.source.intercept(nil)
		pass(time.Minute)
		require.Len(t, r.source.rows(), 300)
		require.Less(t, len(r.source.sizes()), 20)
	})
}

// What is permanent, or was tried MaxAttempts times, goes to the dead-letter handler, once, with its value.
func TestWriteBackDeadLetters(t *testing.T) {
	for _, row := range []struct {
		rule     string
		err      error
		attempts int
	}{
		{"a permanent error is not retried", tarn.Permanent(errSource), 1},
		{"attempts are counted", errSource, 3},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var letters []strategies.DeadLetter[string, int]
				r := newRig(t, wbConfig{MaxAttempts: 3,
					DeadLetter: func(ctx context.Context, d strategies.DeadLetter[string, int]) {
						_, bounded := ctx.Deadline()
						require.True(t, bounded)
						letters = append(letters, d)
					}}, (*ledger).batched)
				r.source.table["a"] = 1
				r.source.intercept(each(func(op wbOp) error {
					if op.Key == "a" {
						return row.err
					}
					return nil
				}))
				r.set(t, "a", 2)
				r.set(t, "b", 2)
				pass(time.Minute)
				require.Len(t, letters, 1)
				require.Equal(t, row.attempts, letters[0].Attempts)
				require.Equal(t, wbOp{Key: "a", Value: 2, Epoch: letters[0].Op.Epoch, Seq: 1}, letters[0].Op)
				require.ErrorIs(t, letters[0].Err, errSource)
				require.Equal(t, "", r.leftover())
				require.Equal(t, uint64(1), r.Stats().DeadLettered)
				require.Len(t, r.events.of(tarn.EventDeadLettered), 1)
				require.Equal(t, row.attempts, r.events.of(tarn.EventDeadLettered)[0].Attempt)
				require.Len(t, r.events.of(tarn.EventRetried), row.attempts-1)
				r.reads(t, "a", 1) // what the source has
			})
		})
	}
}

// A write that a newer one of its key replaced is not handed to the dead-letter handler.
func TestWriteBackSupersededIsNotDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters []strategies.DeadLetter[string, int]
		r := newRig(t, wbConfig{
			DeadLetter: func(_ context.Context, d strategies.DeadLetter[string, int]) { letters = append(letters, d) },
		}, (*ledger).batched)
		r.source.intercept(each(func(op wbOp) error {
			if op.Value == 1 {
				r.set(t, "a", 2)
				return tarn.Permanent(errSource)
			}
			return nil
		}))
		r.set(t, "a", 1)
		pass(time.Minute)
		require.Empty(t, letters)
		require.Equal(t, map[string]int{"a": 2}, r.source.rows())
		require.Equal(t, uint64(1), r.Stats().Coalesced)
		require.Equal(t, "", r.leftover())
	})
}

// Without a handler nothing is given up: what is permanent is tried every MaxBackoff.
func TestWriteBackWithoutHandlerKeepsTrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxBackoff: time.Minute}, (*ledger).batched)
		r.source.intercept(func(context.Context, []wbOp) error { return tarn.Permanent(errSource) })
		r.set(t, "a", 1)
		pass(10*time.Minute + time.Second)
		require.Equal(t, 11, r.source.tried())
		r.reads(t, "a", 1)
		r.source.intercept(nil)
		pass(time.Minute)
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())
	})
}

// A handler that panics has not taken the write: it stays.
func TestWriteBackHandlerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := newRig(t, wbConfig{MaxAttempts: 1, MaxBackoff: time.Second,
			DeadLetter: func(context.Context, strategies.DeadLetter[string, int]) {
				if calls++; calls == 1 {
					panic("handler")
				}
			}}, (*ledger).batched)
		r.source.intercept(func(context.Context, []wbOp) error { return errSource })
		r.set(t, "a", 1)
		pass(100*time.Millisecond + 1)
		require.Equal(t, 1, r.Stats().Pending)
		require.Len(t, r.events.of(tarn.EventPanicked), 1)
		pass(time.Minute)
		require.Equal(t, 2, calls)
		require.Equal(t, "", r.leftover())
	})
}

// Errors and events name no key or value in their text.
func TestWriteBackErrorsNameNoKeys(t *testing.T) {
	err := error(&strategies.UnwrittenError[string]{Keys: []string{"secret"}, Err: errSource})
	require.Equal(t, "tarn: keys not written: 1: the source is away", err.Error())
	require.True(t, errors.Is(err, errSource))
}
