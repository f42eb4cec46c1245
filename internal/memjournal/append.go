package memjournal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// hooks returns what is called around an Append, or why there is none.
func (j *Journal) hooks() (
	before func(context.Context, journal.Change) error, after func(journal.Change) error, err error,
) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return nil, nil, tarn.ErrClosed
	case j.poisoned:
		return nil, nil, journal.ErrPoisoned
	}
	return j.before, j.after, nil
}

// failed notes what becomes of the journal after an error.
func (j *Journal) failed(err error) error {
	if errors.Is(err, journal.ErrPoisoned) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.poisoned = true
	}
	return err
}

// carryOut does what a change says.
func (j *Journal) carryOut(change journal.Change) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	left := maps.Clone(j.records)
	for _, seq := range change.Remove {
		delete(left, seq)
	}
	for _, r := range change.Put {
		if r.Seq == 0 || r.Kind == 0 {
			return fmt.Errorf("memjournal: a record without a number or a kind")
		}
		if j.heaviest > 0 && r.Size() > j.heaviest {
			return fmt.Errorf("memjournal: %w", tarn.ErrTooHeavy)
		}
		r.Key, r.Value, r.Note = bytes.Clone(r.Key), bytes.Clone(r.Value), bytes.Clone(r.Note)
		left[r.Seq] = r
	}
	if j.max > 0 && len(left) > j.max && len(change.Put) > 0 {
		return fmt.Errorf("memjournal: %w", journal.ErrFull)
	}
	j.records = left
	j.appends++
	j.position.Seq = max(j.position.Seq, change.Seq)
	return nil
}

// place adds to an error of a record where that is, if it is unreadable.
func place(seq uint64, err error) error {
	if errors.Is(err, journal.ErrUnreadable) {
		return &journal.DamageError{Seq: seq, Err: err}
	}
	return err
}
