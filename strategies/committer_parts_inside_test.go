package strategies

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// heavy has appends take a millisecond, and refuse what is heavier than most bytes, as Record.Size counts them.
func (r *commitRig) heavy(most int) {
	r.log.Before(func(ctx context.Context, change journal.Change) error {
		_ = r.note(ctx, change)
		time.Sleep(time.Millisecond)
		total := 0
		for _, rec := range change.Put {
			total += rec.Size()
		}
		if total > most {
			return tarn.ErrTooHeavy
		}
		return nil
	})
}

// of returns a commit that saves so many bytes.
func (r *commitRig) of(size int) *commit {
	x := r.save("k")
	x.put[0].Value = make([]byte, size)
	return x
}

// Of a group that is too heavy, each commit is judged by itself where need be, and they are applied in order all the same.
func TestCommitterSplitsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, 0)
		require.NoError(t, r.do(t.Context(), r.of(1)))
		r.remove(1)
		r.heavy(1000)
		errs := make([]error, 33)
		go func() { errs[0] = r.do(context.Background(), r.of(1)) }()
		synctest.Wait() // the others gather
		for i := range errs[1:] {
			go func() {
				x := r.of(80)
				if i == 20 {
					x = r.of(2000)
				}
				errs[i+1] = r.do(context.Background(), x)
			}()
			synctest.Wait()
		}
		pass(time.Second)
		for i, err := range errs {
			require.Equal(t, i == 21, err != nil, "%d: %v", i, err)
		}
		require.ErrorIs(t, errs[21], tarn.ErrTooHeavy)
		require.Len(t, r.records(), 32)
		require.Len(t, r.applied, 33)
		require.True(t, slices.IsSorted(r.applied))
		require.Less(t, len(r.told()), 24, "not one by one")
	})
}

// What nobody waits for gets there in parts, what it replaces never before it, and what can never fit keeps nothing out.
func TestCommitterSplitsTheBuffer(t *testing.T) {
	for _, tooHeavy := range []bool{false, true} {
		t.Run(fmt.Sprint(tooHeavy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCommitRig(t, 50*time.Millisecond)
				for range 2 {
					require.NoError(t, r.do(t.Context(), r.of(1)))
				}
				require.NoError(t, r.sync(t.Context()))
				r.heavy(1000)
				r.remove(1)
				for i := range 32 {
					x := r.of(80)
					if i == 30 {
						x.replace = []uint64{2}
					}
					if tooHeavy && i == 20 {
						x = r.of(2000)
					}
					require.NoError(t, r.do(t.Context(), x))
				}
				r.log.After(func(change journal.Change) error {
					if slices.Contains(change.Remove, 2) {
						require.Contains(t, slices.Concat(r.records(), seqs(change.Put)), uint64(33))
					}
					return nil
				})
				err := r.sync(t.Context())
				require.Equal(t, tooHeavy, err != nil)
				want := append([]uint64{2}, upTo(3, 34)...)
				if !tooHeavy {
					require.Equal(t, want[1:], r.records())
					require.Zero(t, r.unsynced())
					return
				}
				require.ErrorIs(t, err, tarn.ErrTooHeavy)
				require.Equal(t, slices.DeleteFunc(want, func(seq uint64) bool { return seq == 23 }), r.records())
				require.Equal(t, 1, r.unsynced())
				r.remove(23) // the source has it
				require.NoError(t, r.sync(t.Context()))
				require.NotContains(t, r.records(), uint64(2))
				require.NoError(t, r.do(t.Context(), r.of(1)))
			})
		})
	}
}

func seqs(recs []journal.Record) (all []uint64) {
	for _, r := range recs {
		all = append(all, r.Seq)
	}
	return all
}

func upTo(from, to uint64) (all []uint64) {
	for ; from <= to; from++ {
		all = append(all, from)
	}
	return all
}

// A journal that has no room for what is to be kept instead of what goes takes the line in parts, from its beginning, and no
// removal without what belongs to it.
func TestCommitterDividesTheLine(t *testing.T) {
	for _, tt := range []struct {
		rule string
		fits func(change journal.Change) bool
		left []uint64
	}{
		{"what stands before goes alone", func(c journal.Change) bool { return len(c.Put) == 0 }, upTo(4, 8)},
		{"what belongs together goes alone", func(c journal.Change) bool { return len(c.Put) == 0 || len(c.Remove) < 2 }, []uint64{1}},
		{"what stands behind makes room", func(c journal.Change) bool { return len(c.Put) == 0 || len(c.Remove) == 5 }, []uint64{1}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCommitRig(t, 0)
				for range 8 {
					require.NoError(t, r.do(t.Context(), r.save("a")))
				}
				r.log.Before(func(ctx context.Context, change journal.Change) error {
					_ = r.note(ctx, change)
					if !tt.fits(change) {
						return journal.ErrFull
					}
					return nil
				})
				last := uint64(0)
				r.log.After(func(change journal.Change) error {
					for _, seq := range change.Remove {
						require.Greater(t, seq, last, "in order")
						last = seq
					}
					if slices.Contains(change.Remove, 4) {
						require.Contains(t, seqs(change.Put), uint64(1))
					}
					return nil
				})
				r.remove(1) // in favour of 4
				r.remove(2)
				r.remove(3)
				r.renew(4, journal.Record{Seq: 1, Kind: journal.Save, Key: []byte("a")})
				for seq := range upTo(5, 8) {
					r.remove(uint64(seq + 5))
				}
				err := r.sync(t.Context())
				require.Equal(t, len(tt.left) > 1, err != nil)
				require.Equal(t, tt.left, r.records())
				r.log.Before(nil)
				require.NoError(t, r.sync(t.Context()))
				require.Equal(t, []uint64{1}, r.records())
			})
		})
	}
}

// With every, what an earlier commit has is durable before that goes which it stands for, also in parts.
func TestCommitterDividesTheBufferedLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, time.Second)
		for range 8 {
			require.NoError(t, r.do(t.Context(), r.save("a")))
		}
		require.NoError(t, r.sync(t.Context()))
		room := false
		r.log.Before(func(_ context.Context, change journal.Change) error {
			time.Sleep(time.Millisecond)
			if len(change.Put) > 1 || len(change.Put) > 0 && !room {
				return journal.ErrFull
			}
			return nil
		})
		require.NoError(t, r.do(t.Context(), &commit{renew: []journal.Record{{Seq: 8, Kind: journal.Dead}}}))
		r.remove(1)
		merged := &commit{renew: []journal.Record{{Seq: 4, Kind: journal.Delta}}, remove: []uint64{2, 3}}
		require.NoError(t, r.do(t.Context(), merged))
		r.remove(5)
		synced := make(chan error, 1)
		go func() { synced <- r.sync(context.Background()) }()
		synctest.Wait()
		later := &commit{renew: []journal.Record{{Seq: 7, Kind: journal.Delta}}, remove: []uint64{6}}
		require.NoError(t, r.do(t.Context(), later))
		require.ErrorIs(t, <-synced, journal.ErrFull)
		require.Equal(t, upTo(2, 8), r.records())
		room = true
		require.NoError(t, r.sync(t.Context()))
		require.Equal(t, []uint64{4, 7, 8}, r.records())
		require.Equal(t, journal.Delta, r.log.Records()[0].Kind)
		require.Equal(t, journal.Delta, r.log.Records()[1].Kind)
		require.Equal(t, journal.Dead, r.log.Records()[2].Kind)
	})
}

// A key that is written over and over takes few places, however long nothing is appended.
func TestCommitterForgetsPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCommitRig(t, time.Hour)
		first := r.save("first")
		require.NoError(t, r.do(t.Context(), first))
		last := uint64(0)
		for range 10_000 {
			x := r.save("k")
			require.NoError(t, r.do(t.Context(), x))
			if last != 0 {
				r.remove(last)
			}
			last = x.put[0].Seq
		}
		require.LessOrEqual(t, cap(r.next.put), 1024)
		require.Equal(t, 2, r.unsynced())
		require.NoError(t, r.sync(t.Context()))
		require.Equal(t, []uint64{1, last}, r.records())
	})
}
