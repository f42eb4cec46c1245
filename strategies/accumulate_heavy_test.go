package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal"
)

// heavy has a journal refuse records above a size.
func heavy(j *memjournal.Journal, size int) {
	j.Before(func(_ context.Context, change journal.Change) error {
		for _, r := range change.Put {
			if r.Size() > size {
				return fmt.Errorf("append: %w", tarn.ErrTooHeavy)
			}
		}
		return nil
	})
}

// TestAccumulateTooHeavy is about batches of which the journal cannot hold a record.
func TestAccumulateTooHeavy(t *testing.T) {
	for _, test := range []struct {
		rule   string
		config listConfig
		run    func(t *testing.T, s *tally, a *lists, j *memjournal.Journal)
	}{
		{"a batch too heavy for the journal is parted, and arrives once", listConfig{}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			for i := range 100 {
				mustAdd(t, a, fmt.Sprint("key", i), i, i, i) // three records of each
			}
			heavy(j, 200)
			require.NoError(t, a.Flush(t.Context()))
			require.Greater(t, len(s.attempts()), 4)
			time.Sleep(2 * time.Second) // so that the journal has forgotten them
			var last listBatch
			s.set(func() { s.before = func(_ context.Context, b listBatch) error { last = b; return nil } })
			mustAdd(t, a, "last", 1)
			require.NoError(t, a.Flush(t.Context()))
			require.Equal(t, last.Seq, last.Settled, "no name is left that was never used")
			for i := range 100 {
				require.Equal(t, []int{i, i, i}, s.row(fmt.Sprint("key", i)))
			}
		}},
		{"a part takes along the records of its own deltas alone", listConfig{Concurrency: 1}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			for i := range 100 {
				for range i%3 + 1 {
					mustAdd(t, a, fmt.Sprint("key", i), i)
				}
			}
			heavy(j, 200)
			var crashed []*memjournal.Journal
			var left []*tally
			s.before = func(context.Context, listBatch) error {
				source, copied := s.copyWith(j)
				crashed, left = append(crashed, copied), append(left, source)
				return nil
			}
			require.NoError(t, a.Flush(t.Context()))
			for n, at := range crashed {
				left[n].end(t, left[n].open(t, listConfig{Journal: at}))
				for i := range 100 {
					require.Len(t, left[n].row(fmt.Sprint("key", i)), i%3+1)
				}
			}
		}},
		{"a delta that has become too heavy alone is tried later, and holds up no other", listConfig{MaxBackoff: time.Second}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			heavy(j, 60)
			mustAdd(t, a, "a", 1)
			mustAdd(t, a, "heavy", make([]int, 50)...)
			mustAdd(t, a, "b", 2)
			require.ErrorIs(t, a.Flush(t.Context()), tarn.ErrTooHeavy)
			require.Equal(t, []int{1}, s.row("a"))
			require.Equal(t, []int{2}, s.row("b"))
			require.Nil(t, s.row("heavy"))
			require.Equal(t, 1, a.Stats().Pending)
			mustAdd(t, a, "heavy", 1)
			j.Before(nil)
			require.NoError(t, a.Flush(t.Context()))
			require.NoError(t, a.Flush(t.Context()))
			require.Len(t, s.row("heavy"), 51)
		}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, j := newTally(), memjournal.New()
				test.config.Journal, test.config.MaxDelay = j, time.Hour
				a := s.open(t, test.config)
				test.run(t, s, a, j)
				s.end(t, a)
				require.Empty(t, j.Records())
			})
		})
	}
}

// TestAccumulateTooHeavyIsGivenUp: what the journal cannot hold, the dead-letter handler may have.
func TestAccumulateTooHeavyIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j := newTally(), memjournal.New()
		var letters []strategies.DeadDelta[string, []int]
		a := s.open(t, listConfig{Journal: j, MaxDelay: time.Hour, DeadLetter: func(_ context.Context, l strategies.DeadDelta[string, []int]) {
			letters = append(letters, l)
		}})
		heavy(j, 60)
		mustAdd(t, a, "a", 1)
		mustAdd(t, a, "heavy", make([]int, 50)...)
		require.NoError(t, a.Flush(t.Context()))
		require.Len(t, letters, 1)
		require.Equal(t, "heavy", letters[0].Key)
		require.Len(t, letters[0].Delta.Delta, 50)
		require.True(t, errors.Is(letters[0].Err, tarn.ErrTooHeavy))
		require.Equal(t, []int{1}, s.row("a"))
		requireValue(t, a, "heavy", []int(nil)...)
		s.end(t, a)
		require.Empty(t, j.Records())
	})
}

func TestAccumulateNilPointerIsNoJournal(t *testing.T) {
	s := newTally()
	var none *memjournal.Journal
	_, err := strategies.Accumulate(tarn.LoadFunc(s.find), s.write, strategies.Append[int](), listConfig{Journal: none})
	require.ErrorContains(t, err, "AccumulateConfig.Journal is a nil pointer")
}
