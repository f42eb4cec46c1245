package strategies_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// wells is a source of numbers that loads many at once. Multiples of 7 are not there.
type wells struct {
	mu            sync.Mutex
	batches       [][]int         // protected by mu, as are the others
	at            []time.Duration // when each was asked for
	running, peak int
	start         time.Time
	fails         func(key int) error // nil: none
	takes         time.Duration
}

func newWells() *wells { return &wells{start: time.Now()} }

func (w *wells) Load(ctx context.Context, key int) (int, error) {
	into := make([]tarn.Loaded[int], 1)
	err := w.LoadMany(ctx, []int{key}, into)
	return into[0].Value, errors.Join(err, into[0].Err)
}

func (w *wells) LoadMany(ctx context.Context, keys []int, into []tarn.Loaded[int]) error {
	w.mu.Lock()
	w.batches = append(w.batches, append([]int(nil), keys...))
	w.at = append(w.at, time.Since(w.start))
	w.running++
	w.peak = max(w.peak, w.running)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.running--
		w.mu.Unlock()
	}()
	select {
	case <-time.After(w.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	for i, k := range keys {
		into[i].Value, into[i].Err = -k, nil
		if w.fails != nil {
			into[i].Err = w.fails(k)
		}
		if k%7 == 0 {
			into[i].Err = tarn.ErrNotFound
		}
	}
	return nil
}

func (w *wells) loaded() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.batches {
		n += len(b)
	}
	return n
}

func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for k := 1; k <= n; k++ {
			if !yield(k) {
				return
			}
		}
	}
}

func fails(keys ...int) func(int) error {
	return func(k int) error {
		for _, bad := range keys {
			if k == bad {
				return errBroken
			}
		}
		return nil
	}
}

// What is there is skipped, what is stale or missing is loaded in batches, what fails is counted and named, and the rest is
// loaded nevertheless.
func TestWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, seen := newWells(), new(events)
		c := strategies.ReadThrough(newMemory[int, int](t), tarn.Loader[int, int](src), strategies.WithObserver(seen),
			strategies.WithTTL(ttl.Policy{Fresh: time.Minute, Negative: time.Hour, StaleWhileRevalidate: time.Hour}))
		_, err := tarn.GetMany(t.Context(), c, []int{1, 2, 7})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute) // 1 and 2 are stale
		require.NoError(t, c.Set(t.Context(), 3, 33))
		src.batches, seen.all = nil, nil
		src.fails = fails(5, 12)
		var told []strategies.WarmUpProgress
		p, err := c.WarmUp(t.Context(), upTo(25), strategies.WarmUpConfig{
			Batch: 10, Progress: func(p strategies.WarmUpProgress) { told = append(told, p) },
		})
		require.Equal(t, [][]int{
			{1, 2, 4, 5, 6, 8, 9, 10}, {11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, {21, 22, 23, 24, 25},
		}, src.batches)
		require.Equal(t, strategies.WarmUpProgress{Loaded: 19, Absent: 2, Skipped: 2, Failed: 2}, p)
		require.Equal(t, 25, p.Done())
		var failed *strategies.WarmUpError
		require.ErrorAs(t, err, &failed)
		require.ErrorIs(t, err, errBroken)
		require.Equal(t, 2, failed.Failed)
		require.Len(t, told, 3)
		require.Equal(t, 10, told[0].Done())
		require.Equal(t, 20, told[1].Done())
		var batch *tarn.BatchError[int]
		require.ErrorAs(t, told[1].Err, &batch)
		require.Equal(t, 12, batch.Failed[0].Key)
		require.NoError(t, told[2].Err)
		for _, kind := range []tarn.EventKind{tarn.EventHit, tarn.EventMiss, tarn.EventStaleHit} {
			for _, e := range seen.all {
				require.NotEqual(t, kind, e.Kind, "warming up is no use of the cache")
			}
		}

		v, err := c.Get(t.Context(), 3)
		require.NoError(t, err)
		require.Equal(t, 33, v)
		n := src.loaded()
		p, err = c.WarmUp(t.Context(), upTo(4), strategies.WarmUpConfig{})
		require.NoError(t, err)
		require.Equal(t, strategies.WarmUpProgress{Skipped: 4}, p)
		require.Equal(t, n, src.loaded())
		require.NoError(t, c.Close(t.Context()))
		_, err = c.WarmUp(t.Context(), upTo(4), strategies.WarmUpConfig{})
		require.ErrorIs(t, err, tarn.ErrClosed)
	})
}

// The rate holds for what is loaded, over the whole and within each second but for a batch; what is skipped takes no time.
func TestWarmUpRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newWells()
		c := strategies.ReadThrough(newMemory[int, int](t), tarn.Loader[int, int](src))
		src.takes = 10 * time.Millisecond
		start := time.Now()
		_, err := c.WarmUp(t.Context(), upTo(5000), strategies.WarmUpConfig{PerSecond: 500, Parallel: 4})
		require.NoError(t, err)
		require.InDelta(t, 9.9, time.Since(start).Seconds(), 0.2)
		most, first := 0, 0
		for last := range src.at {
			for src.at[last]-src.at[first] >= time.Second {
				first++
			}
			n := 0
			for _, b := range src.batches[first : last+1] {
				n += len(b)
			}
			most = max(most, n)
		}
		t.Logf("5,000 keys at 500 a second: %v, at most %d in a second, batches of %d",
			time.Since(start).Round(time.Millisecond), most, len(src.batches[0]))
		require.LessOrEqual(t, most, 550)
		require.Len(t, src.batches[0], 50)
		start = time.Now()
		p, err := c.WarmUp(t.Context(), func(yield func(int) bool) {
			for k := range upTo(5000) {
				if k%7 != 0 && !yield(k) {
					return
				}
			}
		}, strategies.WarmUpConfig{PerSecond: 1})
		require.NoError(t, err)
		require.Equal(t, p.Done(), p.Skipped)
		require.Equal(t, start, time.Now())
		require.NoError(t, c.Close(t.Context()))
	})
}

// No more than Parallel batches run at once, and no more keys are taken from the sequence than are worked on.
func TestWarmUpIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newWells()
		src.takes = time.Second
		c := strategies.ReadThrough(memory.New(memory.Options[int, int]{MaxEntries: 1000}), tarn.Loader[int, int](src))
		taken, ahead := 0, 0
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second+time.Second/2)
		defer cancel()
		endless := func(yield func(int) bool) {
			for k := 1; ; k++ {
				taken++
				if !yield(k) {
					return
				}
			}
		}
		p, err := c.WarmUp(ctx, endless, strategies.WarmUpConfig{Batch: 10, Parallel: 3,
			Progress: func(p strategies.WarmUpProgress) { ahead = max(ahead, taken-p.Done()) }})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3, src.peak)
		require.LessOrEqual(t, ahead, 10*(3+1))
		require.Equal(t, 3*10*100, p.Done(), "what was under way counts as nothing")
		require.Zero(t, p.Failed)
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestWarmUpStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newWells()
		src.fails = fails(15)
		c := strategies.ReadThrough(newMemory[int, int](t), tarn.Loader[int, int](src))
		p, err := c.WarmUp(t.Context(), upTo(1000), strategies.WarmUpConfig{Batch: 10, StopAtError: true})
		require.ErrorIs(t, err, errBroken)
		require.Equal(t, 1, p.Failed)
		require.Len(t, src.batches, 2, "and none after that")
		src.fails = func(int) error { return errBroken }
		p, err = c.WarmUp(t.Context(), upTo(100_000), strategies.WarmUpConfig{})
		var failed *strategies.WarmUpError
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed.Errs, 8, "an error of bounded size")
		require.Equal(t, p.Failed, failed.Failed)
		require.NoError(t, c.Close(t.Context()))
	})
}

// A store that cannot be read fails its keys: the source is not asked for what could not be kept.
func TestWarmUpOfAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, seen := newWells(), new(events)
		store := faulty.New(newMemory[int, int](t))
		c := strategies.LookAside(store, strategies.WithObserver(seen))
		store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.GetMany})
		p, err := c.WarmUp(t.Context(), upTo(200), tarn.Loader[int, int](src), strategies.WarmUpConfig{PerSecond: 100})
		require.ErrorIs(t, err, faulty.ErrInjected)
		require.Equal(t, 200, p.Failed)
		require.Zero(t, src.loaded())
		require.Equal(t, 200, seen.count(tarn.EventStoreFailed))
		require.NoError(t, c.Close(t.Context()))
	})
}

// What the store could not be told to forget is not taken for warm.
func TestWarmUpGoesAroundWhatIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newWells()
		store := faulty.New(newMemory[int, int](t))
		c := strategies.ReadThrough(store, tarn.Loader[int, int](src))
		_, err := tarn.GetMany(t.Context(), c, []int{1, 2})
		require.NoError(t, err)
		store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Delete | faulty.DeleteMany})
		require.Error(t, c.Delete(t.Context(), 1))
		p, err := c.WarmUp(t.Context(), upTo(2), strategies.WarmUpConfig{})
		require.NoError(t, err)
		require.Equal(t, strategies.WarmUpProgress{Loaded: 1, Skipped: 1}, p)
		require.NoError(t, c.Close(t.Context()))
	})
}

// A panic of the sequence, or of Progress, is the caller's, and leaves nothing running; one behind the loads fails the keys.
func TestWarmUpPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newWells()
		src.takes = time.Hour
		c := strategies.ReadThrough(newMemory[int, int](t), tarn.Loader[int, int](src), strategies.WithLoadTimeout(2*time.Hour))
		start := time.Now()
		require.PanicsWithValue(t, "oh", func() {
			_, _ = c.WarmUp(t.Context(), func(yield func(int) bool) {
				for k := range upTo(20) {
					yield(k)
				}
				synctest.Wait()
				panic("oh")
			}, strategies.WarmUpConfig{Batch: 10, Parallel: 3})
		})
		synctest.Wait()
		require.Zero(t, src.running)
		require.Equal(t, start, time.Now())
		src.takes = 0
		require.PanicsWithValue(t, "ah", func() {
			_, _ = c.WarmUp(t.Context(), upTo(10), strategies.WarmUpConfig{
				Progress: func(strategies.WarmUpProgress) { panic("ah") },
			})
		})
		src.fails = func(int) error { panic("of the loader") }
		p, err := c.WarmUp(t.Context(), upTo(100), strategies.WarmUpConfig{Batch: 3})
		var panicked *tarn.PanicError
		require.ErrorAs(t, err, &panicked)
		require.Equal(t, 100, p.Done())
		require.NoError(t, c.Close(t.Context()))
	})
}

// What the application has run beside its loader may panic too, or take its time: the keys fail, and WarmUp does not return
// before it is over.
func TestWarmUpWaitsForWhatItBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f func(ctx context.Context) context.Context
		c := strategies.ReadThrough(newMemory[int, int](t), tarn.Loader[int, int](newWells()),
			strategies.WithLoadContext(func(ctx context.Context) context.Context { return f(ctx) }))
		f = func(context.Context) context.Context { panic("oh") }
		p, err := c.WarmUp(t.Context(), upTo(10), strategies.WarmUpConfig{})
		var panicked *tarn.PanicError
		require.ErrorAs(t, err, &panicked)
		require.Equal(t, 10, p.Failed)

		f = func(ctx context.Context) context.Context { time.Sleep(time.Second); return ctx }
		start := time.Now()
		require.PanicsWithValue(t, "ah", func() {
			_, _ = c.WarmUp(t.Context(), func(yield func(int) bool) {
				yield(1)
				synctest.Wait() // it has begun
				panic("ah")
			}, strategies.WarmUpConfig{Batch: 1})
		})
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, c.Close(t.Context()))
	})
}

// Keys that come twice, or equal nothing, are harmless.
func TestWarmUpOfOddKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := tarn.LoadFunc(func(_ context.Context, key float64) (int, error) { return 1, nil })
		store := newMemory[float64, int](t)
		c := strategies.ReadThrough(store, load)
		keys := func(yield func(float64) bool) {
			_ = yield(1) && yield(math.NaN()) && yield(1) && yield(math.NaN()) && yield(2) && yield(1)
		}
		p, err := c.WarmUp(t.Context(), keys, strategies.WarmUpConfig{Batch: 4})
		require.NoError(t, err)
		require.Equal(t, strategies.WarmUpProgress{Loaded: 5, Skipped: 1}, p)
		require.Equal(t, 2, store.Len())
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestWarmUpRefuses(t *testing.T) {
	c := strategies.ReadThrough(newMemory[int, int](t), tarn.Loader[int, int](newWells()))
	for says, config := range map[string]strategies.WarmUpConfig{
		"WarmUpConfig.PerSecond is negative":               {PerSecond: -1},
		"WarmUpConfig.PerSecond is negative, or no number": {PerSecond: math.NaN()},
		"WarmUpConfig.Batch is negative":                   {Batch: -1},
		"WarmUpConfig.Parallel is negative":                {Parallel: -1},
		"WarmUpConfig.Parallel is above 10000":             {Parallel: 10_001},
		"above 10000":                                      {Parallel: math.MaxInt},
	} {
		_, err := c.WarmUp(t.Context(), upTo(1), config)
		require.ErrorContains(t, err, says)
	}
	_, err := c.WarmUp(t.Context(), upTo(1), strategies.WarmUpConfig{Batch: math.MaxInt, Parallel: 10_000})
	require.NoError(t, err)
	_, err = c.WarmUp(t.Context(), nil, strategies.WarmUpConfig{})
	require.ErrorContains(t, err, "keys is nil")
	_, err = strategies.LookAside(newMemory[int, int](t)).WarmUp(t.Context(), upTo(1), nil, strategies.WarmUpConfig{})
	require.ErrorContains(t, err, "loader is nil")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := c.WarmUp(ctx, upTo(1), strategies.WarmUpConfig{})
	require.Equal(t, context.Canceled, err)
	require.Zero(t, p)
	require.NoError(t, c.Close(t.Context()))
}
