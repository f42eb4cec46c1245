package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal"
)

// kinds returns how many records of each kind a journal has.
func kinds(j *memjournal.Journal) map[journal.Kind]int {
	n := map[journal.Kind]int{}
	for _, r := range j.Records() {
		n[r.Kind]++
	}
	return n
}

// TestAccumulateJournal is about what is durable when. Each row runs with a journal that every Add waits for.
func TestAccumulateJournal(t *testing.T) {
	for _, test := range []struct {
		rule   string
		config listConfig
		run    func(t *testing.T, s *tally, a *lists, j *memjournal.Journal)
	}{
		{"what was added is durable, and visible only then", listConfig{}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			requireValue(t, a, "k", []int(nil)...)
			gate := make(chan struct{})
			j.Before(func(context.Context, journal.Change) error { <-gate; return nil })
			added := make(chan error, 1)
			go func() { added <- a.Add(t.Context(), "k", []int{1}) }()
			synctest.Wait()
			require.Empty(t, added)
			requireValue(t, a, "k", []int(nil)...)
			require.Equal(t, 0, a.Stats().Pending)
			close(gate)
			require.NoError(t, <-added)
			requireValue(t, a, "k", 1)
			require.Equal(t, map[journal.Kind]int{journal.Delta: 1}, kinds(j))
		}},
		{"what a batch is, is durable before it is sent, and nothing else has it", listConfig{}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			s.set(func() {
				s.before = func(_ context.Context, b listBatch) error {
					records := j.Records()
					require.Len(t, records, 1)
					require.Equal(t, journal.Batch, records[0].Kind)
					require.Equal(t, b.Seq, records[0].Seq)
					require.Equal(t, b.Epoch, j.Epoch())
					return nil
				}
			})
			mustAdd(t, a, "a", 1, 2)
			mustAdd(t, a, "b", 3)
			require.NoError(t, a.Flush(t.Context()))
			require.Equal(t, 1, len(s.attempts()))
			time.Sleep(2 * time.Second)
			require.Empty(t, j.Records())
		}},
		{"a batch whose record cannot be made is not sent, and is the same later", listConfig{}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			mustAdd(t, a, "a", 1)
			j.Before(func(context.Context, journal.Change) error { return errBroken })
			require.ErrorIs(t, a.Flush(t.Context()), errBroken)
			require.Empty(t, s.attempts())
			j.Before(nil)
			mustAdd(t, a, "a", 2)
			require.NoError(t, a.Flush(t.Context()))
			require.Equal(t, []int{1, 2}, s.row("a"))
			require.Len(t, s.attempts(), 2)
		}},
		{"a batch whose record may have been made keeps its name", listConfig{}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			mustAdd(t, a, "a", 1)
			j.After(func(journal.Change) error { return errBroken })
			require.ErrorIs(t, a.Flush(t.Context()), errBroken)
			seq := j.Records()[0].Seq
			j.After(nil)
			require.NoError(t, a.Flush(t.Context()))
			require.Equal(t, []string{fmt.Sprintf("%d/%d", j.Epoch(), seq)}, s.attempts())
		}},
		{"an Add that the journal refuses has added nothing", listConfig{MaxPending: 1}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			j.Before(func(context.Context, journal.Change) error { return errBroken })
			require.ErrorIs(t, a.Add(t.Context(), "a", []int{1}), errBroken)
			j.Before(nil)
			requireValue(t, a, "a", []int(nil)...)
			require.Zero(t, a.Stats().Pending)
			mustAdd(t, a, "b", 2) // there is room
		}},
		{"many records of a key become one, in order", listConfig{MaxDelay: time.Hour}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			var want []int
			for i := range 500 {
				mustAdd(t, a, "a", i)
				want = append(want, i)
			}
			synctest.Wait()
			require.Less(t, len(j.Records()), 70)
			other := newTally()
			b := other.open(t, listConfig{Journal: j.Copy()})
			requireValue(t, b, "a", want...)
			other.end(t, b)
			require.Equal(t, want, other.row("a"))
		}},
		{"where the journal is full, who may not wait is told", listConfig{WhenFull: strategies.RefuseWhenFull}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			j.SetMaxRecords(1)
			mustAdd(t, a, "a", 1)
			require.ErrorIs(t, a.Add(t.Context(), "b", []int{2}), tarn.ErrFull)
			require.NoError(t, a.Flush(t.Context()))
			time.Sleep(2 * time.Second)
			mustAdd(t, a, "b", 2)
		}},
		{"where the journal is full, who may wait waits, and what is there leaves", listConfig{}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			j.SetMaxRecords(1)
			mustAdd(t, a, "a", 1)
			mustAdd(t, a, "b", 2)
			mustAdd(t, a, "c", 3)
			require.Equal(t, []int{1}, s.row("a"))
			require.Equal(t, []int{2}, s.row("b"))
		}},
		{"those whom a full journal turns away do not keep a batch from being recorded", listConfig{WhenFull: strategies.RefuseWhenFull}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			j.SetMaxRecords(2)
			mustAdd(t, a, "a", 1)
			mustAdd(t, a, "b", 1)
			ctx, stop := context.WithCancel(t.Context())
			for range 4 {
				go func() {
					for i := 0; ctx.Err() == nil; i++ {
						_ = a.Add(ctx, "c", []int{i})
						time.Sleep(time.Millisecond)
					}
				}()
			}
			time.Sleep(5 * time.Second)
			require.Equal(t, []int{1}, s.row("a"))
			stop()
			time.Sleep(time.Second)
		}},
		{"a batch that is parted is parted in the journal first", listConfig{}, func(t *testing.T, s *tally, a *lists, j *memjournal.Journal) {
			refuse(s, "x")
			for i, key := range []string{"a", "x", "b", "c"} {
				mustAdd(t, a, key, i)
			}
			require.Error(t, a.Flush(t.Context()))
			time.Sleep(5 * time.Second)
			require.Equal(t, map[journal.Kind]int{journal.Batch: 1}, kinds(j))
			s.set(func() { s.before = nil })
			require.NoError(t, a.Flush(t.Context()))
			require.Equal(t, []int{1}, s.row("x"))
		}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, j := newTally(), memjournal.New()
				test.config.Journal = j
				a := s.open(t, test.config)
				test.run(t, s, a, j)
				s.end(t, a)
				require.Empty(t, j.Records())
			})
		})
	}
}

func TestAccumulateJournalRestart(t *testing.T) {
	t.Run("a batch in doubt is sent again under its name, and a reader waits for it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, j := newTally(), memjournal.New()
			a := s.open(t, listConfig{Journal: j})
			mustAdd(t, a, "k", 1)
			s.set(func() { s.after = func(context.Context, listBatch) error { return errSource } })
			require.Error(t, a.Flush(t.Context()))
			mustAdd(t, a, "k", 2)
			c, crashed := s.copyWith(j)
			s.set(func() { s.after = nil })
			s.end(t, a)
			c.before = func(context.Context, listBatch) error { time.Sleep(time.Second); return nil }
			b := c.open(t, listConfig{Journal: crashed})
			require.EqualValues(t, 2, b.Stats().Replayed)
			requireValue(t, b, "k", 1, 2)
			c.end(t, b)
			require.Equal(t, []int{1, 2}, c.row("k"))
			require.Equal(t, s.attempts()[0], c.attempts()[0])
			require.Empty(t, crashed.Records())
		})
	})
	t.Run("Close leaves what it could not write to the next", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, j := newTally(), memjournal.New()
			a := s.open(t, listConfig{Journal: j})
			s.set(func() { s.before = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "k", 1)
			mustAdd(t, a, "l", 2)
			require.Error(t, a.Flush(t.Context()))
			mustAdd(t, a, "k", 3)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var unwritten *strategies.UnwrittenError[string]
			require.ErrorAs(t, a.Close(ctx), &unwritten)
			require.Len(t, unwritten.Keys, 2)
			s.set(func() { s.before = nil })
			s.end(t, s.open(t, listConfig{Journal: j}))
			require.Equal(t, []int{1, 3}, s.row("k"))
			require.Equal(t, []int{2}, s.row("l"))
			require.Empty(t, j.Records())
		})
	})
	t.Run("another strategy's journal, and damage, stop the start", func(t *testing.T) {
		for _, rec := range []journal.Record{
			{Seq: 1, Kind: journal.Save, Key: []byte("k"), Value: []byte("v")},
			{Seq: 1, Kind: journal.Delta, Key: []byte("k"), Value: []byte("v")},
			{Seq: 1, Kind: journal.Batch, Value: []byte{9}},
			{Seq: 1, Kind: journal.Batch, Value: []byte{1, 'k', 1, 'v'}},
		} {
			j := memjournal.New()
			require.NoError(t, j.Append(t.Context(), journal.Change{Put: []journal.Record{rec}, Seq: 1}))
			s := newTally()
			_, err := strategies.Accumulate(tarn.LoadFunc(s.find), s.write, strategies.Append[int](), listConfig{Journal: j})
			require.Error(t, err)
			require.Equal(t, rec.Kind != journal.Save, errors.Is(err, journal.ErrUnreadable), err)
			require.Len(t, j.Records(), 1)
		}
	})
}

func TestAccumulateBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j := newTally(), memjournal.New()
		a := s.open(t, listConfig{Journal: j, SyncEvery: time.Second, MaxDelay: time.Minute})
		mustAdd(t, a, "k", 1, 2)
		requireValue(t, a, "k", 1, 2)
		require.Empty(t, j.Records())
		for range 100 {
			mustAdd(t, a, "l", 0)
		}
		require.Equal(t, 2, a.Stats().Unsynced, "one record for each key")
		time.Sleep(1100 * time.Millisecond)
		require.Len(t, j.Records(), 2)
		require.Zero(t, a.Stats().Unsynced)
		mustAdd(t, a, "l", 1, 2)
		time.Sleep(1100 * time.Millisecond)
		require.Len(t, j.Records(), 2, "also in the journal")
		c := newTally()
		b := c.open(t, listConfig{Journal: j.Copy()})
		requireValue(t, b, "l", append(make([]int, 100), 1, 2)...)
		c.end(t, b)
		mustAdd(t, a, "k", 3) // not durable yet, and in the batch
		s.set(func() {
			s.before = func(context.Context, listBatch) error {
				require.Equal(t, map[journal.Kind]int{journal.Batch: 1}, kinds(j))
				return nil
			}
		})
		require.NoError(t, a.Flush(t.Context()))
		s.end(t, a)
		require.Equal(t, []int{1, 2, 3}, s.row("k"))
		require.Empty(t, j.Records())
	})
}

// TestAccumulateCrashes crashes a short random workload after each append to its journal, and before. Whatever was
// acknowledged is then at the source once, and in order, when another accumulator over what is left has closed. The source
// fails in all ways, keeps a ledger, and forgets what it was told is settled.
func TestAccumulateCrashes(t *testing.T) {
	for _, every := range []time.Duration{0, time.Second} {
		for seed := range uint64(8) {
			adders := 1 + int(seed%2)*3
			t.Run(fmt.Sprintf("every %v, seed %d, adders %d", every, seed, adders), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { crashEverywhere(t, every, seed, adders) })
			})
		}
	}
}

// image is what a crash leaves: the journal, the source, and what is known of both.
type image struct {
	journal *memjournal.Journal
	source  *tally
	acked   map[string][]int // durable for sure
	begun   map[string][]int // may be
}

func crashEverywhere(t *testing.T, every time.Duration, seed uint64, adders int) {
	r := rand.New(rand.NewPCG(seed, 7))
	s, j := newTally(), memjournal.New()
	s.prunes = true
	var mu sync.Mutex // protects all below
	acked, begun := map[string][]int{}, map[string][]int{}
	var images []image
	crash := func() {
		mu.Lock()
		defer mu.Unlock()
		source, left := s.copyWith(j)
		at := image{journal: left, source: source, acked: map[string][]int{}, begun: map[string][]int{}}
		for key := range begun {
			at.acked[key], at.begun[key] = slices.Clone(acked[key]), slices.Clone(begun[key])
		}
		images = append(images, at)
	}
	j.Before(func(context.Context, journal.Change) error { crash(); return nil })
	j.After(func(journal.Change) error { crash(); return nil })
	draw := func(n int) int { mu.Lock(); defer mu.Unlock(); return r.IntN(n) }
	chance := func(n int) bool { return draw(n) == 0 }
	s.before = func(_ context.Context, b listBatch) error {
		crash()
		switch {
		case chance(4):
			return errSource
		case chance(6) && slices.ContainsFunc(b.Deltas, func(d listDelta) bool { return d.Key == "c" }):
			return tarn.Permanent(errSource)
		}
		return nil
	}
	s.after = func(context.Context, listBatch) error {
		crash()
		if chance(4) {
			return errSource
		}
		return nil
	}
	a := s.open(t, listConfig{Journal: j, SyncEvery: every, MaxBatch: 3, MaxBackoff: time.Second})
	var wg sync.WaitGroup
	for adder := range adders {
		wg.Go(func() {
			for i := range 60 / adders {
				key, item := []string{"a", "b", "c", "d", "e"}[draw(5)], adder*perAdder+i
				mu.Lock()
				begun[key] = append(begun[key], item)
				mu.Unlock()
				if err := a.Add(t.Context(), key, []int{item}); err != nil {
					t.Error(err)
				}
				if every == 0 {
					mu.Lock()
					acked[key] = append(acked[key], item)
					mu.Unlock()
				}
				if chance(3) {
					time.Sleep(time.Duration(draw(200)) * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	s.set(func() { s.before = nil })
	require.NoError(t, a.Close(t.Context()))
	for key, want := range begun {
		requireOnce(t, s.row(key), want, want)
	}
	require.Empty(t, s.breaches)
	crash()
	for i := range images {
		if i%3 == int(seed%3) {
			images[i].recover(t, every)
		}
	}
}

// recover starts another accumulator, and asserts what it brings about.
func (at image) recover(t *testing.T, every time.Duration) {
	t.Helper()
	a := at.source.open(t, listConfig{Journal: at.journal, SyncEvery: every, MaxBatch: 3})
	seen := map[string][]int{}
	for key := range at.begun {
		got, err := a.Get(t.Context(), key)
		require.NoError(t, err)
		seen[key] = got
	}
	at.source.end(t, a)
	require.Empty(t, at.journal.Records())
	for key, begun := range at.begun {
		got := at.source.row(key)
		require.Equal(t, seen[key], got, "what a reader saw is what the source has in the end")
		requireOnce(t, got, at.acked[key], begun)
	}
}

const perAdder = 1000

// requireOnce asserts that of each adder there is what was acknowledged, and perhaps what it had begun after that, in
// order, and nothing twice.
func requireOnce(t *testing.T, got, acked, begun []int) {
	t.Helper()
	of := func(items []int, adder int) (mine []int) {
		for _, item := range items {
			if item/perAdder == adder {
				mine = append(mine, item)
			}
		}
		return mine
	}
	for adder := range 4 {
		got, acked, begun := of(got, adder), of(acked, adder), of(begun, adder)
		require.GreaterOrEqual(t, len(got), len(acked), "acknowledged: %v of %v", got, acked)
		require.LessOrEqual(t, len(got), len(begun), "twice: %v of %v", got, begun)
		require.True(t, slices.Equal(got, begun[:len(got)]), "%v of %v", got, begun)
	}
}
