// Package memjournal is a journal in memory that fails on purpose, for tests. What a crash would leave is a [Journal.Copy].
package memjournal

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/tarncache/tarn/strategies/journal"
)

// Journal is a [journal.Journal] in memory. Its methods may be called at once by any number of goroutines.
type Journal struct {
	mu       sync.Mutex // protects all below
	position journal.Position
	records  map[uint64]journal.Record
	before   func(ctx context.Context, change journal.Change) error
	after    func(change journal.Change) error
	max      int
	heaviest int // of a record's size; 0: there is no bound
	appends  int
	poisoned bool
	closed   bool
}

var (
	_ journal.Journal = (*Journal)(nil)
	_ journal.Limiter = (*Journal)(nil)
)

// New returns an empty journal.
func New() *Journal {
	return &Journal{
		position: journal.Position{Epoch: 1 + rand.Uint64N(1<<63-1)},
		records:  map[uint64]journal.Record{},
	}
}

// Copy returns a journal with what this one has now, as one finds it that is opened after a crash: without its faults.
func (j *Journal) Copy() *Journal {
	j.mu.Lock()
	defer j.mu.Unlock()
	return &Journal{position: j.position, records: maps.Clone(j.records), max: j.max, heaviest: j.heaviest}
}

// Before has f called before each Append; it may wait, and if it returns an error, that is Append's and nothing has
// happened. After an error that is [journal.ErrPoisoned] nothing works any more. A nil f is not called.
func (j *Journal) Before(f func(ctx context.Context, change journal.Change) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.before = f
}

// After has f called after each Append that was carried out; if it returns an error, that is Append's all the same. A nil
// f is not called.
func (j *Journal) After(f func(change journal.Change) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.after = f
}

// SetMaxRecords has an Append that would leave more records fail with [journal.ErrFull]. Zero: there is no bound.
func (j *Journal) SetMaxRecords(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.max = n
}

// SetMaxRecord has the journal hold no record of more bytes, as [journal.Record.Size] counts: it is set before a strategy has
// the journal. Zero: there is no bound.
func (j *Journal) SetMaxRecord(size int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.heaviest = size
}

// MaxRecord implements [journal.Limiter].
func (j *Journal) MaxRecord() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return cmp.Or(j.heaviest, journal.MaxRecord)
}

// Damage has Replay take a record for a damaged one.
func (j *Journal) Damage(seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.records[seq]
	r.Kind = 0
	j.records[seq] = r
}

// Records returns what the journal has, in the order of the numbers.
func (j *Journal) Records() []journal.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]journal.Record, 0, len(j.records))
	for _, r := range j.records {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b journal.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// Appends returns how many appends were carried out.
func (j *Journal) Appends() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appends
}

// Position returns where the journal stands.
func (j *Journal) Position() journal.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.position
}

// Epoch implements [journal.Journal].
func (j *Journal) Epoch() uint64 { return j.Position().Epoch }

// Replay implements [journal.Journal].
func (j *Journal) Replay(ctx context.Context, each func(rec journal.Record) error) (journal.Position, error) {
	for _, r := range j.Records() {
		if err := ctx.Err(); err != nil {
			return journal.Position{}, err
		}
		err := error(nil)
		if r.Kind == 0 {
			err = journal.ErrUnreadable
		} else {
			err = each(r)
		}
		if err != nil {
			return journal.Position{}, place(r.Seq, err)
		}
	}
	return j.Position(), nil
}

// Append implements [journal.Journal].
func (j *Journal) Append(ctx context.Context, change journal.Change) error {
	before, after, err := j.hooks()
	if err != nil {
		return err
	}
	if before != nil {
		if err := before(ctx, change); err != nil {
			return j.failed(err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := j.carryOut(change); err != nil {
		return err
	}
	if after != nil {
		return j.failed(after(change))
	}
	return nil
}

// Close implements [journal.Journal].
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	return nil
}
