package strategies_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/strategies"
)

type (
	listBatch  = strategies.Batch[string, []int]
	listDelta  = strategies.Delta[string, []int]
	listConfig = strategies.AccumulateConfig[string, []int]
	lists      = strategies.Accumulator[string, []int, []int]
)

// tally is a source of lists, to which deltas are appended. It remembers the batches that it applied, and notices whoever
// changes a batch that was sent before, or sends what it said is settled.
type tally struct {
	mu       sync.Mutex // protects all below
	rows     map[string][]int
	forgets  bool // keeps no ledger
	prunes   bool // forgets what is settled
	applied  map[string]bool
	sent     map[string]string // what each batch was when it was first sent
	settled  map[uint64]uint64 // the greatest of each epoch
	names    []string          // of the batches, in the order of their attempts
	sizes    []int
	breaches []string
	loads    int

	before func(ctx context.Context, b listBatch) error // asked before a batch is applied
	after  func(ctx context.Context, b listBatch) error // asked after it was; its error hides that
	load   func(ctx context.Context, key string) error
}

func newTally() *tally {
	return &tally{rows: map[string][]int{}, applied: map[string]bool{}, sent: map[string]string{}, settled: map[uint64]uint64{}}
}

func (s *tally) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func name(b listBatch) string { return fmt.Sprintf("%d/%d", b.Epoch, b.Seq) }

func (s *tally) write(ctx context.Context, b listBatch) error {
	s.mu.Lock()
	before, after := s.before, s.after
	s.observe(b)
	applied := s.applied[name(b)] && !s.forgets
	s.mu.Unlock()
	var err error
	if before != nil {
		err = before(ctx, b)
	}
	if applied && tarn.IsPermanent(err) { // the ledger is asked first
		err = nil
	}
	var each tarn.IndexError
	if err != nil && !errors.As(err, &each) {
		return err
	}
	s.apply(b, err)
	if after != nil && err == nil {
		return after(ctx, b)
	}
	return err
}

func (s *tally) observe(b listBatch) {
	s.names, s.sizes = append(s.names, name(b)), append(s.sizes, len(b.Deltas))
	is := fmt.Sprint(b.Deltas)
	if was, again := s.sent[name(b)]; again && was != is {
		s.breaches = append(s.breaches, fmt.Sprintf("batch %d was %s and is %s", b.Seq, was, is))
	}
	s.sent[name(b)] = is
	if b.Seq < s.settled[b.Epoch] || b.Settled > b.Seq {
		s.breaches = append(s.breaches, fmt.Sprintf("batch %d is settled: %d", b.Seq, max(s.settled[b.Epoch], b.Settled)))
	}
	if b.Epoch == 0 || b.Epoch>>63 != 0 || b.Seq == 0 || b.Seq>>63 != 0 {
		s.breaches = append(s.breaches, "a batch has no name")
	}
	s.settled[b.Epoch] = max(s.settled[b.Epoch], b.Settled)
}

func (s *tally) apply(b listBatch, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.applied[name(b)] && !s.forgets {
		return
	}
	s.applied[name(b)] = err == nil
	if s.prunes {
		maps.DeleteFunc(s.applied, func(name string, _ bool) bool {
			var epoch, seq uint64
			_, _ = fmt.Sscanf(name, "%d/%d", &epoch, &seq)
			return epoch == b.Epoch && seq < b.Settled
		})
	}
	for i, d := range b.Deltas {
		if tarn.ErrAt(err, i, len(b.Deltas)) == nil {
			s.rows[d.Key] = append(slices.Clone(s.rows[d.Key]), d.Delta...)
		}
	}
}

func (s *tally) find(ctx context.Context, key string) ([]int, error) {
	s.mu.Lock()
	load := s.load
	s.loads++
	row, ok := s.rows[key]
	s.mu.Unlock()
	if load != nil {
		if err := load(ctx, key); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, tarn.ErrNotFound
	}
	return row, nil
}

// copyWith returns the source and a journal as they are at one moment, without their faults.
func (s *tally) copyWith(j *memjournal.Journal) (*tally, *memjournal.Journal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := newTally()
	c.rows, c.applied, c.sent, c.settled = maps.Clone(s.rows), maps.Clone(s.applied), maps.Clone(s.sent), maps.Clone(s.settled)
	c.forgets, c.prunes = s.forgets, s.prunes
	return c, j.Copy()
}

// row returns what the source has.
func (s *tally) row(key string) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[key]
}

func (s *tally) attempts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.names)
}

// open returns an accumulator over the source.
func (s *tally) open(t *testing.T, config listConfig, opts ...strategies.Option) *lists {
	t.Helper()
	config.MaxDelay = cmp.Or(config.MaxDelay, 100*time.Millisecond)
	a, err := strategies.Accumulate(tarn.LoadFunc(s.find), s.write, strategies.Append[int](), config, opts...)
	require.NoError(t, err)
	return a
}

// end closes an accumulator, and asserts that the source saw nothing that it must not.
func (s *tally) end(t *testing.T, a *lists) {
	t.Helper()
	require.NoError(t, a.Close(t.Context()))
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.breaches)
}

func mustAdd(t *testing.T, a *lists, key string, deltas ...int) {
	t.Helper()
	for _, d := range deltas {
		require.NoError(t, a.Add(t.Context(), key, []int{d}))
	}
}

func requireValue(t *testing.T, a *lists, key string, want ...int) {
	t.Helper()
	got, err := a.Get(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, want, got)
}
