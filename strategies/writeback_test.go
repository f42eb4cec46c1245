package strategies_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

var (
	_ tarn.Cache[string, int]      = (*strategies.WriteBackCache[string, int])(nil)
	_ tarn.BatchCache[string, int] = (*strategies.WriteBackCache[string, int])(nil)
)

func TestWriteBackIsNotGuarded(t *testing.T) {
	_, guarded := any((*wbCache)(nil)).(tarn.Guarded[string, int])
	require.False(t, guarded, "a write strategy inside another must not compile")
}

func TestWriteBackRefusesBadInput(t *testing.T) {
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1})
	defer mem.Close()
	l := newLedger()
	good := strategies.ReadThrough(mem, tarn.LoadFunc(l.find))
	var nilInner *strategies.ReadThroughCache[string, int]
	size := func(string, int) int64 { return 1 }
	for _, row := range []struct {
		names  string
		inner  tarn.Guarded[string, int]
		writer tarn.Writer[string, int]
		config wbConfig
		opts   []strategies.WriteOption
	}{
		{names: "inner is nil", writer: l.batched()},
		{names: "inner is nil", inner: nilInner, writer: l.batched()},
		{names: "writer is nil", inner: good},
		{names: "MaxBatch", inner: good, writer: l.batched(), config: wbConfig{MaxBatch: -1}},
		{names: "MaxDelay", inner: good, writer: l.batched(), config: wbConfig{MaxDelay: -1}},
		{names: "Concurrency", inner: good, writer: l.batched(), config: wbConfig{Concurrency: -1}},
		{names: "MaxPending", inner: good, writer: l.batched(), config: wbConfig{MaxPending: -1}},
		{names: "MaxPendingBytes", inner: good, writer: l.batched(), config: wbConfig{MaxPendingBytes: -1, Size: size}},
		{names: "Size", inner: good, writer: l.batched(), config: wbConfig{MaxPendingBytes: 1}},
		{names: "WhenFull", inner: good, writer: l.batched(), config: wbConfig{WhenFull: 3}},
		{names: "MinBackoff", inner: good, writer: l.batched(), config: wbConfig{MinBackoff: -1}},
		{names: "MaxBackoff", inner: good, writer: l.batched(), config: wbConfig{MaxBackoff: -1}},
		{names: "MinBackoff", inner: good, writer: l.batched(), config: wbConfig{MinBackoff: 2, MaxBackoff: 1}},
		{names: "MaxAttempts", inner: good, writer: l.batched(), config: wbConfig{MaxAttempts: -1}},
		{names: "DeadLetter", inner: good, writer: l.batched(), config: wbConfig{MaxAttempts: 1}},
		{names: "WriteTimeout", inner: good, writer: l.batched(), config: wbConfig{WriteTimeout: -1}},
		{names: "option 0", inner: good, writer: l.batched(), opts: []strategies.WriteOption{nil}},
	} {
		c, err := strategies.WriteBack(row.inner, row.writer, row.config, row.opts...)
		require.ErrorContains(t, err, row.names)
		require.Nil(t, c)
	}
}

// A read that starts after a write was accepted sees it, wherever that is on its way to the source.
func TestWriteBackReadsItsWrites(t *testing.T) {
	for name, writer := range map[string]func(*ledger) tarn.Writer[string, int]{
		"batches": (*ledger).batched, "one by one": (*ledger).single,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, wbConfig{MaxDelay: time.Second}, writer)
				applying, proceed := make(chan struct{}), make(chan struct{})
				r.source.intercept(func(context.Context, []wbOp) error {
					applying <- struct{}{}
					<-proceed
					return nil
				})
				r.source.table["gone"] = 7
				r.reads(t, "gone", 7)

				r.set(t, "a", 1)
				require.NoError(t, r.Delete(r.ctx, "gone"))
				check := func() {
					r.reads(t, "a", 1)
					_, err := r.Get(r.ctx, "gone")
					require.ErrorIs(t, err, tarn.ErrNotFound)
					got, err := tarn.GetMany(r.ctx, r.wbCache, []string{"a", "gone", "never"})
					require.NoError(t, err)
					require.Equal(t, map[string]int{"a": 1}, got)
				}
				check() // pending
				require.Equal(t, map[string]int{"gone": 7}, r.source.rows())
				<-applying
				check() // in flight
				close(proceed)
				if name == "one by one" {
					<-applying
				}
				require.NoError(t, r.Flush(r.ctx))
				require.Equal(t, map[string]int{"a": 1}, r.source.rows())
				check() // from the cache
				require.Zero(t, r.Stats().Pending)
			})
		})
	}
}

// Writes of one key between two flushes reach the source once, with the last value.
func TestWriteBackCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{}, (*ledger).batched)
		for v := range 100 {
			r.set(t, "a", v)
		}
		r.set(t, "b", 1)
		require.NoError(t, r.Delete(r.ctx, "b"))
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, []int{2}, r.source.sizes())
		require.Equal(t, map[string]int{"a": 99}, r.source.rows())
		s := r.Stats()
		require.Equal(t, uint64(100), s.Coalesced)
		require.Equal(t, uint64(2), s.Flushed)
		require.Len(t, r.events.of(tarn.EventCoalesced), 100)
		require.Equal(t, "a", r.events.of(tarn.EventCoalesced)[0].Key)
	})
}

// A batch is due when it is full, or when its oldest write is MaxDelay old; a later write of the key does not make it
// younger.
func TestWriteBackBatchesBySizeAndAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxBatch: 3, MaxDelay: time.Second}, (*ledger).batched)
		r.set(t, "a", 1)
		r.set(t, "b", 1)
		pass(time.Second - 1)
		require.Empty(t, r.source.sizes())
		r.set(t, "a", 2)
		pass(1)
		require.Equal(t, []int{2}, r.source.sizes(), "the oldest is old enough")
		for i := range 7 {
			r.set(t, strconv.Itoa(i), i)
			synctest.Wait()
		}
		synctest.Wait()
		require.Equal(t, []int{2, 3, 3}, r.source.sizes(), "full batches do not wait")
		require.Equal(t, 1, r.Stats().Pending)
		pass(500 * time.Millisecond)
		require.Equal(t, 500*time.Millisecond, r.Stats().OldestPending)
	})
}

// One write of a key is in flight at a time. What comes meanwhile becomes one successor, whose own age counts.
func TestWriteBackOneInFlightPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxBatch: 1, MaxDelay: time.Second, Concurrency: 8}, (*ledger).batched)
		r.source.intercept(func(context.Context, []wbOp) error {
			time.Sleep(10 * time.Second)
			return nil
		})
		r.set(t, "a", 1)
		synctest.Wait()
		require.Equal(t, 1, r.Stats().InFlight)
		for v := 2; v < 6; v++ {
			r.set(t, "a", v)
		}
		r.set(t, "b", 1)
		pass(5 * time.Second)
		require.Equal(t, 2, r.source.tried(), "another key is not held up, the same is")
		r.reads(t, "a", 5)
		pass(16 * time.Second)
		require.Equal(t, map[string]int{"a": 5, "b": 1}, r.source.rows())
		require.Equal(t, 3, r.source.tried())
		require.Equal(t, uint64(3), r.Stats().Coalesced)
	})
}

// What was accepted while its key was in flight is due by its own age, whatever else came meanwhile.
func TestWriteBackSuccessorIsDueByItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxDelay: time.Minute}, (*ledger).batched)
		r.source.intercept(func(context.Context, []wbOp) error {
			time.Sleep(50 * time.Second)
			return nil
		})
		r.set(t, "a", 1)
		pass(61 * time.Second) // in flight for a second
		r.set(t, "a", 2)
		pass(30 * time.Second)
		r.set(t, "b", 1)
		pass(30*time.Second - 1)
		require.Equal(t, 1, r.source.tried())
		pass(1)
		require.Equal(t, 2, r.source.tried())
	})
}

// With as many writers and flushes as there may be, each key's writes reach the source in their order.
func TestWriteBackKeepsTheOrderOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxBatch: 4, MaxDelay: time.Millisecond, Concurrency: 8, MinBackoff: 1, MaxBackoff: 1},
			(*ledger).batched)
		n := 0
		r.source.intercept(func(context.Context, []wbOp) error {
			time.Sleep(time.Millisecond)
			r.source.mu.Lock()
			defer r.source.mu.Unlock()
			if n++; n%5 == 0 {
				return errSource
			}
			return nil
		})
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for v := range 200 {
					r.set(t, strconv.Itoa(g), v)
					if v%3 == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, r.Close(r.ctx))
		for g := range 16 {
			require.Equal(t, 199, r.source.rows()[strconv.Itoa(g)])
		}
		s := r.Stats()
		require.Equal(t, uint64(16*200), s.Flushed+s.Coalesced, "every write is accounted for")
		require.Equal(t, "", r.leftover())
	})
}

// leftover says what a cache that is empty still has.
func (r *rig) leftover() string {
	s := r.Stats()
	if s.Pending != 0 || s.PendingBytes != 0 || s.InFlight != 0 || s.Retrying != 0 || s.OldestPending != 0 {
		return "stats"
	}
	for range r.Pending() {
		return "pending"
	}
	return ""
}

// A context that is done hinders no read of what is pending, and lets nothing be written.
func TestWriteBackCancelledContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{}, (*ledger).batched)
		r.set(t, "a", 1)
		done, cancel := context.WithCancel(r.ctx)
		cancel()
		v, err := r.Get(done, "a")
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.ErrorIs(t, r.Set(done, "a", 2), context.Canceled)
		require.ErrorIs(t, r.Delete(done, "a"), context.Canceled)
		require.ErrorIs(t, r.SetMany(done, []string{"a"}, []int{2}), context.Canceled)
		require.ErrorIs(t, r.DeleteMany(done, []string{"a"}), context.Canceled)
		r.reads(t, "a", 1)
		err = r.Flush(done)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, []string{"a"}, unwritten(t, err))
		synctest.Wait()
		require.Zero(t, r.source.tried())
	})
}

// Batches do for each key what the single forms do.
func TestWriteBackBatchForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxPending: 3, WhenFull: strategies.RefuseWhenFull, MaxDelay: time.Hour},
			(*ledger).batched)
		hold := make(chan struct{})
		r.source.intercept(func(context.Context, []wbOp) error { <-hold; return nil })
		err := r.SetMany(r.ctx, []string{"a", "b", "a", "c", "d"}, []int{1, 2, 3, 4, 5})
		var each tarn.IndexError
		require.ErrorAs(t, err, &each)
		require.Equal(t, tarn.IndexError{4: tarn.ErrFull}, each)
		require.NoError(t, r.DeleteMany(r.ctx, []string{"b"}))
		into := make([]tarn.Result[int], 4)
		require.NoError(t, r.GetMany(r.ctx, []string{"a", "b", "x", "a"}, into))
		require.Equal(t, []tarn.Result[int]{{Value: 3}, {Err: tarn.ErrNotFound}, {Err: tarn.ErrNotFound}, {Value: 3}}, into)
		require.Error(t, r.SetMany(r.ctx, []string{"a"}, nil))
		require.Error(t, r.GetMany(r.ctx, []string{"a"}, nil))
		close(hold)
	})
}

// A key that no table finds again is written at once, and leaves nothing behind.
func TestWriteBackNaN(t *testing.T) {
	mem := memory.New(memory.Options[float64, int]{MaxEntries: 10})
	defer mem.Close()
	var saved []int
	fail := error(nil)
	writer := tarn.WriteFuncs(
		func(_ context.Context, _ float64, v int) error { saved = append(saved, v); return fail },
		func(context.Context, float64) error { saved = append(saved, -1); return fail })
	find := tarn.LoadFunc(func(context.Context, float64) (int, error) { return 0, tarn.ErrNotFound })
	c, err := strategies.WriteBack(strategies.ReadThrough(mem, find), writer, strategies.WriteBackConfig[float64, int]{})
	require.NoError(t, err)
	nan := math.NaN()
	ctx := context.Background()
	require.NoError(t, c.Set(ctx, nan, 1))
	require.NoError(t, c.Delete(ctx, nan))
	require.Equal(t, []int{1, -1}, saved)
	require.Zero(t, c.Stats().Pending)
	_, err = c.Get(ctx, nan)
	require.ErrorIs(t, err, tarn.ErrNotFound)
	fail = errSource
	require.ErrorIs(t, c.Set(ctx, nan, 1), errSource)
	require.NoError(t, c.Close(ctx))
	require.ErrorIs(t, c.Set(ctx, nan, 1), tarn.ErrClosed)
}

// Epochs differ between caches and fit a signed column, and the sequence grows with each write of a key.
func TestWriteBackEpochAndSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ops []wbOp
		for range 2 {
			r := newRig(t, wbConfig{}, (*ledger).batched)
			for v := range 3 {
				r.set(t, "a", v)
				require.NoError(t, r.Flush(r.ctx))
			}
			for _, batch := range r.source.batches {
				ops = append(ops, batch...)
			}
		}
		require.Len(t, ops, 6)
		require.NotEqual(t, ops[0].Epoch, ops[3].Epoch)
		for i, op := range ops {
			require.Equal(t, ops[i/3*3].Epoch, op.Epoch)
			require.NotZero(t, op.Epoch)
			require.LessOrEqual(t, op.Epoch, uint64(math.MaxInt64))
		}
		require.True(t, slices.IsSortedFunc(ops[:3], func(a, b wbOp) int { return int(a.Seq) - int(b.Seq) }))
		require.Less(t, ops[0].Seq, ops[1].Seq)
	})
}

// Reads tell the observer whether what is pending answered them.
func TestWriteBackReadEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{}, (*ledger).batched)
		r.set(t, "a", 1)
		require.NoError(t, r.Delete(r.ctx, "b"))
		r.reads(t, "a", 1)
		_, err := r.Get(r.ctx, "b")
		require.ErrorIs(t, err, tarn.ErrNotFound)
		require.Equal(t, []tarn.Event{{Kind: tarn.EventHit, N: 1, Key: "a"}}, r.events.of(tarn.EventHit))
		require.Equal(t, []tarn.Event{{Kind: tarn.EventNegativeHit, N: 1, Key: "b"}}, r.events.of(tarn.EventNegativeHit))
	})
}

// A read allocates nothing, whether nothing is pending, another key is, or its own.
func TestWriteBackGetAllocatesNothing(t *testing.T) {
	mem := memory.New(memory.Options[string, int]{MaxEntries: 10})
	defer mem.Close()
	l := newLedger()
	c, err := strategies.WriteBack(strategies.ReadThrough(mem, tarn.LoadFunc(l.find)), l.batched(),
		wbConfig{MaxDelay: time.Hour})
	require.NoError(t, err)
	ctx := context.Background()
	get := func(key string) float64 {
		return testing.AllocsPerRun(100, func() {
			if _, err := c.Get(ctx, key); err != nil {
				t.Error(err)
			}
		})
	}
	l.table["cached"] = 1
	_, err = c.Get(ctx, "cached")
	require.NoError(t, err)
	require.Zero(t, get("cached"))
	require.NoError(t, c.Set(ctx, "pending", 1))
	require.Zero(t, get("pending"))
	require.Zero(t, get("cached"))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := c.Set(ctx, "pending", 2); err != nil {
			t.Error(err)
		}
	}), "a write that coalesces")
	require.NoError(t, c.Close(ctx))
}

// The inner cache's batch form is used for what is not pending, in one call.
func TestWriteBackGetManyAsksTheInnerCacheOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(memory.Options[string, int]{MaxEntries: 10})
		defer mem.Close()
		l := newLedger()
		loads := [][]string{}
		find := tarn.LoadManyFunc(l.find, func(_ context.Context, keys []string) (map[string]int, error) {
			loads = append(loads, slices.Clone(keys))
			return map[string]int{"x": 1, "y": 2}, nil
		})
		c, err := strategies.WriteBack(strategies.ReadThrough(mem, find), l.batched(), wbConfig{MaxDelay: time.Hour})
		require.NoError(t, err)
		defer c.Close(context.Background())
		ctx := context.Background()
		require.NoError(t, c.Set(ctx, "p", 9))
		into := make([]tarn.Result[int], 3)
		require.NoError(t, c.GetMany(ctx, []string{"x", "p", "y"}, into))
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 9}, {Value: 2}}, into)
		require.Equal(t, [][]string{{"x", "y"}}, loads)
		done, cancel := context.WithCancel(ctx)
		cancel()
		require.NoError(t, c.GetMany(done, []string{"p", "z"}, into[:2]))
		require.Equal(t, 9, into[0].Value)
		require.True(t, errors.Is(into[1].Err, context.Canceled))
	})
}
