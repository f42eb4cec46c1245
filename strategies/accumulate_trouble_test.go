package strategies_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal"
)

func TestAccumulateForgetsWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j := newTally(), memjournal.New()
		a := s.open(t, listConfig{Journal: j, MaxPending: 1})
		requireValue(t, a, "k", []int(nil)...)
		j.Before(func(context.Context, journal.Change) error { time.Sleep(2 * time.Second); return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, a.Add(ctx, "k", []int{1}), context.DeadlineExceeded)
		time.Sleep(2 * time.Second)
		j.Before(nil)
		requireValue(t, a, "k", []int(nil)...)
		mustAdd(t, a, "l", 2) // there is room
		require.NoError(t, a.Flush(t.Context()))
		time.Sleep(2 * time.Second)
		require.Empty(t, j.Records())
		require.Nil(t, s.row("k"))
		s.end(t, a)
	})
}

func TestAccumulateClosesTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j := newTally(), memjournal.New()
		a := s.open(t, listConfig{Journal: j, SyncEvery: time.Hour, MaxDelay: time.Hour})
		mustAdd(t, a, "k", 1)
		s.set(func() { s.before = func(context.Context, listBatch) error { return errSource } })
		j.Before(func(ctx context.Context, _ journal.Change) error { time.Sleep(time.Second); return ctx.Err() })
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		var unwritten *strategies.UnwrittenError[string]
		require.ErrorAs(t, a.Close(ended), &unwritten)
		j.Before(nil)
		s.set(func() { s.before = nil })
		s.end(t, s.open(t, listConfig{Journal: j}))
		require.Equal(t, []int{1}, s.row("k"))
	})
}

// slowOnce is a codec that waits once, until a channel is closed, when it is to encode a list of some length.
type slowOnce struct {
	codec.Codec[[]int]
	length int
	wait   chan struct{}
	once   *sync.Once
}

func (slowOnce) ID() byte { return 128 }

func (c slowOnce) Append(dst []byte, list []int) ([]byte, error) {
	if len(list) == c.length {
		c.once.Do(func() { <-c.wait })
	}
	return c.Codec.Append(dst, list)
}

// TestAccumulateRewritesBeforeItSends has a batch come while the records of its key are being made one: in one append with that,
// the one record would come after its removal, and count beside the batch.
func TestAccumulateRewritesBeforeItSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j := newTally(), memjournal.New()
		slow := slowOnce{codec.For[[]int](), 64, make(chan struct{}), &sync.Once{}}
		a := s.open(t, listConfig{Journal: j, MaxDelay: time.Hour, Codec: slow})
		for range 63 {
			mustAdd(t, a, "k", 1)
		}
		s.set(func() {
			s.before = func(_ context.Context, b listBatch) error {
				for _, r := range j.Records() {
					assert.NotEqual(t, "k", string(r.Key), "a delta is in its batch alone")
				}
				return nil
			}
		})
		var wg sync.WaitGroup
		wg.Go(func() { mustAdd(t, a, "k", 2) }) // begins to make the records one
		synctest.Wait()
		j.Before(func(context.Context, journal.Change) error { time.Sleep(time.Second); return nil })
		wg.Go(func() { mustAdd(t, a, "l", 3) }) // is being appended, so what comes now is appended together
		time.Sleep(time.Second / 2)
		close(slow.wait)
		synctest.Wait()
		require.NoError(t, a.Flush(t.Context()))
		wg.Wait()
		s.end(t, a)
		require.Len(t, s.row("k"), 64)
	})
}

// TestAccumulateIsContained has Merge and Fold do to their goroutine what they like.
func TestAccumulateIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var merge, fold func()
		call := func(f *func()) {
			if *f != nil {
				(*f)()
			}
		}
		list := strategies.Append[int]()
		s, j := newTally(), memjournal.New()
		a, err := strategies.Accumulate(tarn.LoadFunc(s.find), s.write, strategies.Merger[[]int, []int]{
			Merge: func(x, y []int) []int { call(&merge); return list.Merge(x, y) },
			Fold:  func(v, d []int) []int { call(&fold); return list.Fold(v, d) },
		}, listConfig{Journal: j, MaxPending: 3, MaxDelay: time.Hour})
		require.NoError(t, err)
		requireValue(t, a, "k", []int(nil)...)
		mustAdd(t, a, "k", 1)

		merge = runtime.Goexit
		j.Before(func(context.Context, journal.Change) error { time.Sleep(time.Second); return nil })
		var wg sync.WaitGroup
		wg.Go(func() { mustAdd(t, a, "first", 0) })
		synctest.Wait()
		wg.Go(func() {
			var panicked *tarn.PanicError
			require.ErrorAs(t, a.Add(t.Context(), "k", []int{2}), &panicked)
		})
		synctest.Wait()
		wg.Go(func() { mustAdd(t, a, "l", 3) }) // in the same append
		wg.Wait()
		j.Before(nil)
		merge = nil
		requireValue(t, a, "k", 1)
		mustAdd(t, a, "k", 4)

		fold = runtime.Goexit
		require.NoError(t, a.Flush(t.Context()), "the batch is confirmed, and the value is loaded anew")
		fold = nil
		requireValue(t, a, "k", 1, 4)
		require.Equal(t, []int{3}, s.row("l"))

		mustAdd(t, a, "l", 5)
		fold = runtime.Goexit
		var panicked *tarn.PanicError
		_, err = a.Get(t.Context(), "l")
		require.ErrorAs(t, err, &panicked)
		fold = nil
		requireValue(t, a, "l", 3, 5)
		s.end(t, a)
		require.Empty(t, j.Records())
	})
}

func TestAccumulateTellsOfItsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j := newTally(), memjournal.New()
		var mu sync.Mutex
		var told []tarn.Event
		observer := strategies.WithObserver(tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
			mu.Lock()
			defer mu.Unlock()
			if slices.Contains([]tarn.EventKind{tarn.EventReplayed, tarn.EventJournalFailed}, e.Kind) {
				told = append(told, e)
			}
		}))
		a := s.open(t, listConfig{Journal: j}, observer)
		mustAdd(t, a, "k", 1)
		mustAdd(t, a, "l", 2)
		mustAdd(t, a, "k", 3)
		require.Empty(t, told)
		crashed := j.Copy()
		j.Before(func(context.Context, journal.Change) error { return errBroken })
		require.ErrorIs(t, a.Add(t.Context(), "k", []int{4}), errBroken)
		require.Equal(t, tarn.EventJournalFailed, told[0].Kind)
		require.ErrorIs(t, told[0].Err, errBroken)
		require.Equal(t, 1, told[0].N)
		j.Before(nil)
		s.end(t, a)

		told = nil
		c := newTally() // with a bound below what the journal has, which holds for what comes after
		b := c.open(t, listConfig{Journal: crashed, MaxPending: 1, WhenFull: strategies.RefuseWhenFull}, observer)
		require.Equal(t, []tarn.Event{{Kind: tarn.EventReplayed, N: 3}}, told)
		require.ErrorIs(t, b.Add(t.Context(), "m", []int{5}), tarn.ErrFull)
		c.end(t, b)
		require.Equal(t, []int{1, 3}, c.row("k"))
	})
}
