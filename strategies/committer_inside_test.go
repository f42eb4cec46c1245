package strategies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/strategies/journal"
)

// commitRig is a committer over a journal that fails on purpose, and what it appended and applied.
type commitRig struct {
	*committer
	log     *memjournal.Journal
	mu      sync.Mutex // protects all below
	changes []journal.Change
	applied []uint64
	failed  []error
}

func newCommitRig(t *testing.T, every time.Duration) *commitRig {
	t.Helper()
	r := &commitRig{log: memjournal.New()}
	r.log.Before(r.note)
	r.committer = newCommitter(r.log, every, func(err error, _ int) { r.failed = append(r.failed, err) })
	t.Cleanup(func() {
		r.log.Before(nil)
		_ = r.close(context.Background())
	})
	return r
}

func (r *commitRig) note(_ context.Context, change journal.Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, change)
	return nil
}

// told returns the changes that were appended, or tried.
func (r *commitRig) told() []journal.Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.changes)
}

// slow has each append take so long, and end with the error that there is for it.
func (r *commitRig) slow(d time.Duration, errs ...error) {
	r.log.Before(func(ctx context.Context, change journal.Change) error {
		_ = r.note(ctx, change)
		time.Sleep(d)
		if len(errs) == 0 {
			return nil
		}
		err := errs[0]
		errs = errs[1:]
		return err
	})
}

// save returns a commit that saves a key.
func (r *commitRig) save(key string) *commit {
	x := &commit{put: []journal.Record{{Kind: journal.Save, Key: []byte(key)}}}
	x.apply = func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err == nil {
			r.applied = append(r.applied, x.put[0].Seq)
		}
	}
	return x
}

// records returns the numbers of what is in the journal.
func (r *commitRig) records() (seqs []uint64) {
	for _, rec := range r.log.Records() {
		seqs = append(seqs, rec.Seq)
	}
	return seqs
}

// commitEach starts n commits that are done at once.
func (r *commitRig) commitEach(n int) (errs chan error) {
	errs = make(chan error, n)
	for i := range n {
		go func() { errs <- r.do(context.Background(), r.save(fmt.Sprint(i))) }()
	}
	return errs
}

func TestCommitterAppendsInGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 0)
		r.slow(time.Millisecond)
		errs := r.commitEach(1)
		synctest.Wait()
		rest := r.commitEach(255)
		require.NoError(t, <-errs)
		for range 255 {
			require.NoError(t, <-rest)
		}
		require.Len(t, r.told(), 2)
		require.Len(t, r.told()[1].Put, 255)
		require.True(t, slices.IsSorted(r.applied), "applied in the order of the numbers")
		require.Len(t, r.applied, 256)
	})
}

// Those who were woken together come together again, although one of them is first.
func TestCommitterWaitsForTheCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 0)
		r.slow(8 * time.Millisecond)
		const callers, rounds = 64, 20
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for range rounds {
					require.NoError(t, r.do(t.Context(), r.save("a")))
					time.Sleep(time.Duration(i) * 10 * time.Microsecond) // some are slower
				}
			})
		}
		wg.Wait()
		require.LessOrEqual(t, len(r.told()), rounds+3)
	})
}

// One caller alone waits for nobody, also after others have gone.
func TestCommitterKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 0)
		r.slow(8 * time.Millisecond)
		errs := r.commitEach(64)
		for range 64 {
			require.NoError(t, <-errs)
		}
		for range 3 {
			require.NoError(t, r.do(t.Context(), r.save("a")))
		}
		began := time.Now()
		for range 10 {
			require.NoError(t, r.do(t.Context(), r.save("a")))
		}
		require.Equal(t, 80*time.Millisecond, time.Since(began))
	})
}

// A removal is never durable before one that was asked for earlier, whatever fails.
func TestCommitterRemovesInOrder(t *testing.T) {
	for _, every := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCommitRig(t, every)
				errs := r.commitEach(8)
				for range 8 {
					require.NoError(t, <-errs)
				}
				require.NoError(t, r.sync(t.Context()))
				boom := errors.New("boom")
				r.slow(time.Millisecond, nil, boom, journal.ErrFull, boom, nil)
				last := uint64(0)
				r.log.After(func(change journal.Change) error {
					for _, seq := range change.Remove {
						require.Greater(t, seq, last)
						last = seq
					}
					return nil
				})
				for seq := range uint64(8) {
					r.remove(seq + 1)
					time.Sleep(500 * time.Microsecond)
					go func() { _ = r.sync(context.Background()) }()
				}
				pass(10 * time.Second)
				require.Empty(t, r.records())
				require.EqualValues(t, 8, last)
				require.Len(t, r.failed, 3)
			})
		})
	}
}

// A removal goes with the next append, or after a second by itself.
func TestCommitterRemovesSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 0)
		require.NoError(t, r.do(t.Context(), r.save("a")))
		r.remove(1)
		pass(removalDelay - 1)
		require.Equal(t, []uint64{1}, r.records())
		pass(1)
		require.Empty(t, r.records())

		require.NoError(t, r.do(t.Context(), r.save("a")))
		r.remove(2)
		require.NoError(t, r.do(t.Context(), r.save("b")))
		require.Equal(t, []uint64{3}, r.records())
	})
}

// What cannot be made durable was not taken, and later tries may work.
func TestCommitterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 0)
		boom := errors.New("boom")
		r.slow(0, boom)
		require.ErrorIs(t, r.do(t.Context(), r.save("a")), boom)
		require.Empty(t, r.applied)
		require.NoError(t, r.do(t.Context(), r.save("a")))
		require.Equal(t, []uint64{2}, r.applied)
		require.Equal(t, []uint64{1}, r.told()[1].Remove, "it may be there all the same")
	})
}

// Where there is no room for a group, what is to be removed makes some.
func TestCommitterMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 0)
		require.NoError(t, r.do(t.Context(), r.save("a")))
		r.remove(1)
		r.slow(0, journal.ErrFull)
		require.NoError(t, r.do(t.Context(), r.save("b")))
		require.Equal(t, []uint64{2}, r.records())
		require.Len(t, r.told(), 4)
		require.Empty(t, r.told()[2].Put)
	})
}

// After an append whose outcome is unknown nothing is taken any more, and nobody waits for ever.
func TestCommitterIsPoisoned(t *testing.T) {
	for _, every := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCommitRig(t, every)
				r.slow(time.Millisecond, journal.ErrPoisoned)
				first := r.commitEach(1)
				pass(every)
				second := r.commitEach(1)
				pass(time.Millisecond)
				if every == 0 {
					require.ErrorIs(t, <-first, journal.ErrPoisoned)
					require.ErrorIs(t, <-second, journal.ErrPoisoned)
				}
				require.ErrorIs(t, r.do(t.Context(), r.save("c")), journal.ErrPoisoned)
				require.ErrorIs(t, r.sync(t.Context()), journal.ErrPoisoned)
				r.remove(1)
				pass(time.Minute)
				require.Len(t, r.told(), 1, "an fsync that failed is not tried again")
			})
		})
	}
	t.Run("a journal that panics", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newCommitRig(t, 0)
			r.log.Before(func(context.Context, journal.Change) error { panic("boom") })
			var panicked *tarn.PanicError
			err := r.do(t.Context(), r.save("a"))
			require.ErrorIs(t, err, journal.ErrPoisoned)
			require.ErrorAs(t, err, &panicked)
		})
	})
}

// A caller leaves on its own context, and what it brought goes on.
func TestCommitterLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 0)
		r.slow(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, r.do(ctx, r.save("a")), context.DeadlineExceeded)
		pass(time.Second)
		require.Equal(t, []uint64{1}, r.applied)
		require.Equal(t, []uint64{1}, r.records())
	})
}

// With every, a commit is applied at once, and durable soon; what was removed before never gets there.
func TestCommitterBuffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 50*time.Millisecond)
		for _, key := range []string{"a", "b", "c"} {
			require.NoError(t, r.do(t.Context(), r.save(key)))
		}
		require.Equal(t, []uint64{1, 2, 3}, r.applied)
		require.Equal(t, 3, r.unsynced())
		r.remove(2)
		require.Equal(t, 2, r.unsynced())
		pass(50*time.Millisecond - 1)
		require.Empty(t, r.told())
		pass(1)
		require.Equal(t, []uint64{1, 3}, r.records())
		require.Empty(t, r.told()[0].Remove)
		require.EqualValues(t, 3, r.log.Position().Seq)
		require.Zero(t, r.unsynced())
	})
}

// What a failed append held is tried again with what came since, without what was removed meanwhile.
func TestCommitterKeepsTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 50*time.Millisecond)
		boom := errors.New("boom")
		r.slow(time.Millisecond, boom)
		require.NoError(t, r.do(t.Context(), r.save("a")))
		require.NoError(t, r.do(t.Context(), r.save("b")))
		pass(50 * time.Millisecond)
		r.remove(1) // while the append runs that fails
		require.NoError(t, r.do(t.Context(), r.save("c")))
		require.Equal(t, 3, r.unsynced())
		pass(time.Second)
		require.Equal(t, []uint64{2, 3}, r.records())
		require.Equal(t, []uint64{1}, r.told()[1].Remove)
	})
}

// With every, a journal that fails for too long refuses what is new: a crash would lose ever more.
func TestCommitterRefusesWhatItCannotKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 50*time.Millisecond)
		r.slow(0, slices.Repeat([]error{journal.ErrFull}, 8)...)
		began := time.Now()
		var err error
		for err == nil {
			err = r.do(t.Context(), r.save("a"))
			time.Sleep(10 * time.Millisecond)
		}
		require.ErrorIs(t, err, journal.ErrFull)
		require.InDelta(t, 200*time.Millisecond, time.Since(began), float64(30*time.Millisecond))
		pass(10 * time.Second)
		require.NoError(t, r.do(t.Context(), r.save("a")), "it works again")
	})
}

// What replaces a record that was there is not appended once that was removed.
func TestCommitterReplaces(t *testing.T) {
	for _, every := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCommitRig(t, every)
				require.NoError(t, r.do(t.Context(), r.save("a")))
				require.NoError(t, r.do(t.Context(), r.save("b")))
				require.NoError(t, r.sync(t.Context()))
				r.slow(time.Second)
				done := r.commitEach(1) // is under way meanwhile
				synctest.Wait()
				synced := make(chan error, 1)
				go func() { synced <- r.sync(t.Context()) }()
				synctest.Wait()
				dead := func(seq uint64) *commit {
					return &commit{renew: []journal.Record{{Seq: seq, Kind: journal.Dead}}, remove: []uint64{3 - seq}}
				}
				go func() { _ = r.do(t.Context(), dead(1)) }()
				synctest.Wait()
				r.remove(1)
				require.NoError(t, <-done)
				require.NoError(t, <-synced)
				require.NoError(t, r.sync(t.Context()))
				require.Equal(t, []uint64{3}, r.records())
			})
		})
	}
}

// Numbers that were given out and never became durable are not given out again.
// What a record stands for stays as long as that record has found no room: who removes it first loses it in a crash.
func TestCommitterKeepsWhatIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, time.Second)
		old, gone := r.save("old"), r.save("gone")
		require.NoError(t, r.do(t.Context(), old))
		require.NoError(t, r.do(t.Context(), gone))
		require.NoError(t, r.sync(t.Context()))
		r.log.SetMaxRecords(2)
		whole := r.save("whole")
		whole.replace = []uint64{old.put[0].Seq}
		require.NoError(t, r.do(t.Context(), whole))
		require.NoError(t, r.do(t.Context(), r.save("more")))
		require.NoError(t, r.do(t.Context(), r.save("most")))
		r.remove(gone.put[0].Seq)
		require.ErrorIs(t, r.sync(t.Context()), journal.ErrFull)
		require.Equal(t, []uint64{old.put[0].Seq}, r.records())
		r.log.SetMaxRecords(0)
		require.NoError(t, r.sync(t.Context()))
		require.Len(t, r.records(), 3)
		require.NotContains(t, r.records(), old.put[0].Seq)
	})
}

func TestCommitterNumbersAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 0)
		require.NoError(t, r.begin(t.Context(), 0))
		r.slow(0, journal.ErrFull)
		require.Error(t, r.do(t.Context(), r.save("a")))
		again := newCommitter(r.log.Copy(), 0, nil)
		require.NoError(t, again.begin(t.Context(), again.journal.(*memjournal.Journal).Position().Seq))
		x := r.save("a")
		require.NoError(t, again.do(t.Context(), x))
		require.Equal(t, uint64(2<<40+1), x.put[0].Seq)
		require.NoError(t, again.close(t.Context()))
		require.Error(t, again.begin(t.Context(), 1<<63-1))
	})
}

// Close appends what is left, and then nothing is taken.
func TestCommitterCloses(t *testing.T) {
	for _, every := range []time.Duration{0, time.Hour} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCommitRig(t, every)
				require.NoError(t, r.do(t.Context(), r.save("a")))
				require.NoError(t, r.do(t.Context(), r.save("b")))
				r.remove(1)
				require.NoError(t, r.close(t.Context()))
				require.Equal(t, []uint64{2}, r.records())
				require.ErrorIs(t, r.do(t.Context(), r.save("c")), tarn.ErrClosed)
			})
		})
	}
	t.Run("a journal that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newCommitRig(t, 0)
			r.log.Before(func(ctx context.Context, _ journal.Change) error {
				<-ctx.Done()
				return ctx.Err()
			})
			errs := r.commitEach(2)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.ErrorIs(t, r.close(ctx), context.DeadlineExceeded)
			require.Error(t, <-errs)
			require.Error(t, <-errs)
		})
	})
}

// pass lets time pass, and all that is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
