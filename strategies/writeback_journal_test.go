package strategies_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal"
)

// away is a source that is away.
func away(context.Context, []wbOp) error { return errSource }

// recordKinds returns what a journal has, as kinds by key.
func recordKinds(j *memjournal.Journal) map[string][]journal.Kind {
	of := map[string][]journal.Kind{}
	for _, r := range j.Records() {
		of[string(r.Key)] = append(of[string(r.Key)], r.Kind)
	}
	return of
}

// crash has another process start on what the journal of a rig has now; the rig goes on, as its source does not.
func (r *rig) crash(t *testing.T, j *memjournal.Journal, config wbConfig) *rig {
	t.Helper()
	config.Journal = j.Copy()
	return newRig(t, config, (*ledger).batched)
}

// What was acknowledged is in the journal, and goes from there when the source has it.
func TestWriteBackJournals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, MaxDelay: time.Second}, (*ledger).batched)
		r.set(t, "a", 1)
		require.NoError(t, r.Delete(r.ctx, "b"))
		require.NoError(t, tarn.SetMany(r.ctx, r.wbCache, map[string]int{"c": 3, "d": 4}))
		require.Equal(t, map[string][]journal.Kind{
			"a": {journal.Save}, "b": {journal.Delete}, "c": {journal.Save}, "d": {journal.Save},
		}, recordKinds(j))
		require.Equal(t, 4, j.Appends(), "the numbers' start, and one for each call")

		next := r.crash(t, j, wbConfig{})
		next.reads(t, "a", 1) // before it is written
		require.EqualValues(t, 4, next.Stats().Replayed)
		require.Equal(t, 4, next.events.of(tarn.EventReplayed)[0].N)
		require.NoError(t, next.Flush(r.ctx))
		require.Equal(t, map[string]int{"a": 1, "c": 3, "d": 4}, next.source.rows())
		require.Equal(t, j.Epoch(), next.source.batches[0][0].Epoch)

		r.set(t, "a", 2)
		require.NoError(t, r.Flush(r.ctx))
		pass(2 * time.Second)
		require.Empty(t, j.Records())
	})
}

// What the journal does not take was not accepted.
func TestWriteBackAcceptsNothingThatIsNotDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, MaxPending: 1}, (*ledger).batched)
		boom := errors.New("boom")
		j.Before(func(context.Context, journal.Change) error { return boom })
		for range 3 { // its place is given back
			require.ErrorIs(t, r.Set(r.ctx, "a", 1), boom)
		}
		require.Error(t, tarn.SetMany(r.ctx, r.wbCache, map[string]int{"a": 3}))
		_, err := r.Get(r.ctx, "a")
		require.ErrorIs(t, err, tarn.ErrNotFound)
		require.Zero(t, r.Stats().Pending)
		require.EqualValues(t, 4, r.Stats().Refused)
		require.NotEmpty(t, r.events.of(tarn.EventJournalFailed))
		j.Before(nil)
		r.set(t, "a", 1)
		r.reads(t, "a", 1)
	})
}

// Bounds are exact: those on their way into the journal have their places.
func TestWriteBackReservesPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, MaxPending: 2, WhenFull: strategies.RefuseWhenFull}, (*ledger).batched)
		r.source.intercept(away)
		r.set(t, "a", 1)
		j.Before(func(context.Context, journal.Change) error { time.Sleep(time.Millisecond); return nil })
		errs := make(chan error, 10)
		for i := range 10 {
			key := []string{"a", "b", "c"}[min(i, 2)]
			go func() { errs <- r.Set(r.ctx, key, i) }()
			if i < 2 {
				synctest.Wait()
			}
		}
		refused := 0
		for range 10 {
			if err := <-errs; err != nil {
				require.ErrorIs(t, err, tarn.ErrFull)
				refused++
			}
		}
		require.Equal(t, 8, refused)
		require.Equal(t, 2, r.Stats().Pending)
		r.source.intercept(nil)
		require.NoError(t, r.Flush(r.ctx))
		r.set(t, "c", 1)
		r.set(t, "d", 1)
	})
}

// What does not fit among the pending at the start waits for the source, and not for ever.
func TestWriteBackReplaysMoreThanMayBePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j}, (*ledger).batched)
		r.source.intercept(away)
		for i := range 100 {
			r.set(t, string(rune('a'+i%50)), i)
		}
		next := r.crash(t, j, wbConfig{MaxPending: 3, MaxBatch: 2})
		require.NoError(t, next.Flush(r.ctx))
		require.Len(t, next.source.rows(), 50)
		for key, v := range next.source.rows() {
			require.Equal(t, 50+int([]rune(key)[0]-'a'), v)
		}

		mem := memory.New(memory.Options[string, int]{MaxEntries: 10})
		defer mem.Close()
		began := time.Now()
		inner := strategies.ReadThrough(mem, tarn.LoadFunc(next.source.find))
		c, err := strategies.WriteBack(inner, tarn.WriteManyFuncs(away),
			wbConfig{Journal: j.Copy(), MaxPending: 3, StartTimeout: time.Second})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Nil(t, c)
		require.InDelta(t, time.Second, time.Since(began), float64(time.Second/10))
	})
}

// A record that cannot be read stops the start, and says where it is.
func TestWriteBackStopsAtWhatItCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j}, (*ledger).batched)
		r.source.intercept(away)
		r.set(t, "a", 1)
		r.set(t, "b", 2)
		second := j.Records()[1].Seq
		foreign := j.Copy()
		require.NoError(t, foreign.Append(r.ctx, journal.Change{Put: []journal.Record{{Seq: second, Kind: journal.Batch}}}))
		damaged := j.Copy()
		damaged.Damage(second)
		for name, row := range map[string]struct {
			config wbConfig
			places bool
		}{
			"a damaged record":      {wbConfig{Journal: damaged}, true},
			"another codec":         {wbConfig{Journal: j.Copy(), Layers: []codec.Layer{codec.Compressed(codec.CompressionOptions{})}}, true},
			"a codec that panics":   {wbConfig{Journal: j.Copy(), Codec: panicky{}}, true},
			"another strategy's":    {wbConfig{Journal: foreign}, false},
			"a key that is no key":  {wbConfig{Journal: j.Copy(), AppendKey: appendKey, ParseKey: noKey}, true},
			"no way back to keys":   {wbConfig{Journal: j.Copy(), AppendKey: appendKey}, false},
			"a limit that is wrong": {wbConfig{Journal: j.Copy(), MaxValue: -1}, false},
		} {
			mem := memory.New(memory.Options[string, int]{MaxEntries: 10})
			_, err := strategies.WriteBack(strategies.ReadThrough(mem, tarn.LoadFunc(r.source.find)),
				tarn.WriteManyFuncs(away), row.config)
			require.Error(t, err, name)
			var place *journal.DamageError
			require.Equal(t, row.places, errors.As(err, &place), "%s: %v", name, err)
			if name == "a damaged record" {
				require.Equal(t, second, place.Seq)
			}
			require.NoError(t, mem.Close())
		}
	})
}

func appendKey(dst []byte, key string) ([]byte, error) {
	if key == "bad" {
		return dst, errors.New("no bytes")
	}
	return append(dst, key...), nil
}
func noKey([]byte) (string, error) { return "", errors.New("no key") }

// panicky is a codec that panics.
type panicky struct{ codec.JSON[int] }

func (panicky) ID() byte                           { return 200 }
func (panicky) Append([]byte, int) ([]byte, error) { panic("boom") }
func (panicky) Decode([]byte) (int, error)         { panic("boom") }

// What has no bytes is refused, takes no place, and keeps nobody from the key.
func TestWriteBackRefusesWhatHasNoBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parse := func(src []byte) (string, error) { return string(src), nil }
		r := newRig(t, wbConfig{Journal: memjournal.New(), AppendKey: appendKey, ParseKey: parse, MaxPending: 1, MaxValue: 3},
			(*ledger).batched)
		require.True(t, tarn.IsPermanent(r.Set(r.ctx, "bad", 1)))
		require.ErrorIs(t, r.Set(r.ctx, "a", 12345), tarn.ErrTooHeavy)
		err := r.SetMany(r.ctx, []string{"a", "bad", "a"}, []int{1, 2, 3})
		require.NoError(t, tarn.ErrAt(err, 0, 3))
		require.True(t, tarn.IsPermanent(tarn.ErrAt(err, 1, 3)))
		require.NoError(t, tarn.ErrAt(err, 2, 3))
		r.reads(t, "a", 3)

		p := newRig(t, wbConfig{Journal: memjournal.New(), Codec: panicky{}, MaxPending: 1}, (*ledger).batched)
		require.Panics(t, func() { _ = p.Set(p.ctx, "a", 1) })
		require.NoError(t, p.Delete(p.ctx, "b"))
		require.Equal(t, 1, p.Stats().Pending)
	})
}

// A key that does not equal itself goes to the source at once, and into no journal.
func TestWriteBackJournalsNoNaN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		mem := memory.New(memory.Options[float64, int]{MaxEntries: 10})
		defer mem.Close()
		saved := 0
		save := tarn.WriteFuncs(func(context.Context, float64, int) error { saved++; return nil },
			func(context.Context, float64) error { return nil })
		find := tarn.LoadFunc(func(context.Context, float64) (int, error) { return 0, tarn.ErrNotFound })
		c, err := strategies.WriteBack(strategies.ReadThrough(mem, find), save, strategies.WriteBackConfig[float64, int]{
			Journal:   j,
			AppendKey: func(dst []byte, _ float64) ([]byte, error) { return append(dst, 'x'), nil },
			ParseKey:  func([]byte) (float64, error) { return math.NaN(), nil },
		})
		require.NoError(t, err)
		require.NoError(t, c.Set(t.Context(), math.NaN(), 1))
		require.NoError(t, c.SetMany(t.Context(), []float64{math.NaN(), math.NaN()}, []int{1, 2}))
		require.Equal(t, 3, saved)
		require.Empty(t, j.Records())
		require.NoError(t, c.Close(t.Context()))
	})
}

// What is written through, for want of room, is in the journal alone of its key while the source is written, and not if
// the source refuses it.
func TestWriteBackJournalsWhatItWritesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		size := func(_ string, v int) int64 { return int64(v) }
		r := newRig(t, wbConfig{Journal: j, MaxPendingBytes: 10, Size: size, WhenFull: strategies.WriteThroughWhenFull,
			MaxDelay: time.Hour}, (*ledger).batched)
		r.set(t, "a", 7)
		older := j.Records()[0].Seq
		var during []journal.Record
		fails := error(errSource)
		r.source.intercept(func(context.Context, []wbOp) error {
			during = j.Records()
			return fails
		})
		require.ErrorIs(t, r.Set(r.ctx, "a", 11), errSource)
		require.Len(t, during, 1)
		require.Greater(t, during[0].Seq, older)
		require.Equal(t, []uint64{older}, []uint64{j.Records()[0].Seq}, "durable before the error is returned")
		require.Len(t, j.Records(), 1)
		r.reads(t, "a", 7)

		fails = nil
		require.NoError(t, r.Set(r.ctx, "a", 11))
		pass(2 * time.Second)
		require.Empty(t, j.Records())
		require.Equal(t, map[string]int{"a": 11}, r.source.rows())
	})
}

// Dead letters are in the journal: they are listed, retried and dropped, also by the next process.
func TestWriteBackKeepsDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, MaxAttempts: 2, MaxBackoff: 100 * time.Millisecond, MaxDeadLetters: 3},
			(*ledger).batched)
		r.source.intercept(func(_ context.Context, ops []wbOp) error {
			if ops[0].Delete {
				return tarn.Permanent(errSource)
			}
			return errSource
		})
		for i, key := range []string{"a", "b", "c", "d"} {
			r.set(t, key, i)
			pass(time.Second)
		}
		require.Equal(t, 3, r.Stats().DeadLetters)
		require.Equal(t, 1, r.Stats().Pending, "there is no room for the fourth")
		require.Equal(t, journal.Dead, recordKinds(j)["a"][0])
		require.NoError(t, r.Delete(r.ctx, "a")) // makes the older one obsolete
		pass(2 * time.Second)
		n, err := r.RetryDeadLetters(r.ctx, "never")
		require.NoError(t, err)
		require.Zero(t, n)

		next := r.crash(t, j, wbConfig{MaxDelay: time.Hour})
		letters := slices.Collect(next.DeadLetters())
		require.Len(t, letters, 3)
		for _, l := range letters {
			require.EqualError(t, l.Err, errSource.Error())
			require.GreaterOrEqual(t, l.Attempts, map[bool]int{true: 1, false: 2}[l.Op.Delete])
		}
		require.Equal(t, map[string]int{}, next.source.rows())
		n, err = next.DropDeadLetters(r.ctx) // of none
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = next.DropDeadLetters(r.ctx, "c")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		n, err = next.RetryDeadLetters(r.ctx)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.NoError(t, next.Flush(r.ctx))
		require.Equal(t, map[string]int{"b": 1, "d": 3}, next.source.rows())
		require.Zero(t, next.Stats().DeadLetters)
	})
}

// A dead letter never comes back over a newer write, wherever that is.
func TestWriteBackRetriesNoObsoleteLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, MaxDelay: time.Millisecond}, (*ledger).batched)
		r.source.intercept(func(context.Context, []wbOp) error { return tarn.Permanent(errSource) })
		r.set(t, "a", 1)
		pass(time.Second)
		require.Equal(t, 1, r.Stats().DeadLetters)
		r.source.intercept(nil)
		j.Before(func(context.Context, journal.Change) error { time.Sleep(time.Second); return nil })
		done := make(chan error)
		go func() { done <- r.Set(r.ctx, "a", 2) }() // on its way into the journal
		synctest.Wait()
		n, err := r.RetryDeadLetters(r.ctx, "a")
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, <-done)
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, map[string]int{"a": 2}, r.source.rows())
		require.Zero(t, r.Stats().DeadLetters)
	})
}

// What the bounds of an earlier process let in is taken in again under narrower ones, and keeps nobody waiting.
func TestWriteBackRetriesALetterAboveTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j}, (*ledger).batched)
		r.source.intercept(func(context.Context, []wbOp) error { return tarn.Permanent(errSource) })
		r.set(t, "a", 20)
		pass(time.Second)
		require.Equal(t, 1, r.Stats().DeadLetters)

		size := func(_ string, v int) int64 { return int64(v) }
		next := r.crash(t, j, wbConfig{MaxPendingBytes: 10, Size: size})
		ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
		defer cancel()
		n, err := next.RetryDeadLetters(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.EqualValues(t, 10, next.Stats().PendingBytes)
		require.NoError(t, next.Set(ctx, "b", 1))
		require.NoError(t, next.Flush(ctx))
		require.Equal(t, map[string]int{"a": 20, "b": 1}, next.source.rows())
		require.Zero(t, next.Stats().PendingBytes)
	})
}

// With SyncEvery a write returns at once, what the source has by then is never in the journal, and nothing is written to the
// source before the journal has it.
func TestWriteBackBuffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, SyncEvery: 50 * time.Millisecond, MaxDelay: time.Hour}, (*ledger).batched)
		for v := range 10 {
			r.set(t, "a", v)
		}
		require.Equal(t, 1, r.Stats().Unsynced)
		require.Empty(t, j.Records())
		pass(50 * time.Millisecond)
		require.Len(t, j.Records(), 1)
		require.Zero(t, r.Stats().Unsynced)
		r.set(t, "b", 1)
		r.source.intercept(func(context.Context, []wbOp) error {
			require.Len(t, j.Records(), 2)
			return nil
		})
		require.NoError(t, r.Flush(r.ctx))
	})
}

// A poisoned journal takes nothing; what is pending is written all the same.
func TestWriteBackIsPoisoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, MaxDelay: time.Hour}, (*ledger).batched)
		r.set(t, "a", 1)
		j.Before(func(context.Context, journal.Change) error { return journal.ErrPoisoned })
		require.ErrorIs(t, r.Set(r.ctx, "a", 2), journal.ErrPoisoned)
		require.ErrorIs(t, r.Set(r.ctx, "b", 2), journal.ErrPoisoned)
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())
		require.ErrorIs(t, r.Close(r.ctx), journal.ErrPoisoned)
	})
}

// A journal without room has writes wait for it, or refuses them.
func TestWriteBackWaitsForRoomInTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, when := range []strategies.WhenFull{strategies.BlockWhenFull, strategies.RefuseWhenFull} {
			j := memjournal.New()
			j.SetMaxRecords(2)
			r := newRig(t, wbConfig{Journal: j, MaxDelay: time.Hour, WhenFull: when, MinBackoff: time.Second}, (*ledger).batched)
			r.source.intercept(away)
			r.set(t, "a", 1)
			r.set(t, "b", 1)
			if when == strategies.RefuseWhenFull {
				require.ErrorIs(t, r.Set(r.ctx, "c", 1), journal.ErrFull)
				r.source.intercept(nil)
				continue
			}
			ctx, cancel := context.WithTimeout(r.ctx, time.Second)
			require.ErrorIs(t, r.Set(ctx, "c", 1), context.DeadlineExceeded)
			cancel()
			done := make(chan error)
			go func() { done <- r.Set(r.ctx, "c", 1) }()
			synctest.Wait()
			require.Equal(t, 1, r.Stats().Waiting)
			r.source.intercept(nil)
			require.NoError(t, <-done)
			require.NotEmpty(t, r.events.of(tarn.EventBlocked))
			require.Positive(t, r.Stats().BlockedFor)
		}
	})
}

// What Close returns is what is unwritten, and the next process writes it.
func TestWriteBackClosesOverAJournal(t *testing.T) {
	for _, every := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			j := memjournal.New()
			r := newRig(t, wbConfig{Journal: j, SyncEvery: every}, (*ledger).batched)
			r.source.intercept(func(_ context.Context, ops []wbOp) error {
				each := make(tarn.IndexError, len(ops))
				for i, op := range ops {
					if op.Value >= 5 {
						each[i] = errSource
					}
				}
				return each
			})
			for i, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
				r.set(t, key, i)
			}
			ended, cancel := context.WithTimeout(r.ctx, time.Second)
			defer cancel()
			require.ElementsMatch(t, []string{"f", "g", "h"}, unwritten(t, r.Close(ended)))
			require.Len(t, j.Records(), 3)
			next := r.crash(t, j, wbConfig{})
			require.NoError(t, next.Close(r.ctx))
			require.Equal(t, map[string]int{"f": 5, "g": 6, "h": 7}, next.source.rows())
		})
	}
}

// A Close that has no time left loses nothing that SyncEvery had not brought into the journal yet.
func TestWriteBackClosesWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, SyncEvery: time.Hour, MaxDelay: time.Hour}, (*ledger).batched)
		r.source.intercept(away)
		r.set(t, "a", 1)
		ended, cancel := context.WithCancel(r.ctx)
		cancel()
		require.Equal(t, []string{"a"}, unwritten(t, r.Close(ended)))
		require.Len(t, j.Records(), 1)
	})
}

// A context that is done changes nothing.
func TestWriteBackWithAJournalHeedsTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j}, (*ledger).batched)
		ended, cancel := context.WithCancel(r.ctx)
		cancel()
		require.ErrorIs(t, r.Set(ended, "a", 1), context.Canceled)
		require.ErrorIs(t, r.Pause(ended), context.Canceled)
		_, err := r.RetryDeadLetters(ended)
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, j.Records())
	})
}

// During a pause nothing reaches the source, and everything after it.
func TestWriteBackPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, wbConfig{MaxDelay: time.Millisecond, MaxPending: 1, WhenFull: strategies.WriteThroughWhenFull},
			(*ledger).batched)
		applying, proceed := make(chan struct{}), make(chan struct{})
		r.source.intercept(func(context.Context, []wbOp) error {
			applying <- struct{}{}
			<-proceed
			return nil
		})
		r.set(t, "a", 1)
		<-applying
		paused := make(chan error, 1)
		go func() { paused <- r.Pause(r.ctx) }()
		synctest.Wait()
		require.Empty(t, paused, "it waits for what is in flight")
		close(proceed)
		require.NoError(t, <-paused)
		r.source.intercept(nil)
		require.NoError(t, r.Flush(r.ctx), "nothing is pending")
		r.set(t, "b", 2)
		through := make(chan error, 1)
		go func() { through <- r.Set(r.ctx, "c", 3) }()
		pass(time.Minute)
		require.Empty(t, through)
		require.True(t, r.Stats().Paused)
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())
		require.ErrorIs(t, r.Flush(r.ctx), strategies.ErrPaused)
		r.Resume()
		require.NoError(t, <-through)
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, map[string]int{"a": 1, "b": 2, "c": 3}, r.source.rows())

		require.NoError(t, r.Pause(r.ctx))
		r.set(t, "d", 4)
		require.NoError(t, r.Close(r.ctx), "Close ends a pause")
		require.Equal(t, 4, r.source.rows()["d"])
		require.ErrorIs(t, r.Pause(r.ctx), tarn.ErrClosed)
	})
}

// Over a store that others share, write-back asks to be told that this is meant.
func TestWriteBackOverASharedStore(t *testing.T) {
	far := farstore.New[string, int](memory.New(memory.Options[string, int]{MaxEntries: 10})).View()
	find := tarn.LoadFunc(func(context.Context, string) (int, error) { return 0, tarn.ErrNotFound })
	save := newLedger().batched()
	for name, inner := range map[string]tarn.Guarded[string, int]{
		"read-through": strategies.ReadThrough[string, int](far, find), "look-aside": strategies.LookAside[string, int](far),
	} {
		_, err := strategies.WriteBack(inner, save, wbConfig{})
		require.ErrorContains(t, err, "WithSharedStore", name)
		c, err := strategies.WriteBack(inner, save, wbConfig{}, strategies.WithSharedStore())
		require.NoError(t, err)
		require.NoError(t, c.Close(t.Context()))
	}
}
