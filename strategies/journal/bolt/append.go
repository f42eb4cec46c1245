package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// Append carries out a change in one transaction. A change that only removes may, if there is no room for it at once,
// become durable in parts, the first numbers first; each part is whole. It waits for its turn until ctx ends, and from
// then on for the disk. A change whose records have more than half of MaxBytes, or one of them more than a quarter, is
// [tarn.ErrTooHeavy].
func (j *Journal) Append(ctx context.Context, change journal.Change) error {
	if err := j.check(change); err != nil {
		return fmt.Errorf("append to the journal: %w", err)
	}
	if err := j.take(ctx); err != nil {
		return err
	}
	defer j.give()
	if err := j.apply(change); err != nil {
		return fmt.Errorf("append to the journal: %w", err)
	}
	return nil
}

// check refuses what no journal may be asked for, or this one can never hold.
func (j *Journal) check(change journal.Change) error {
	j.mu.Lock()
	replayed := j.replayed
	j.mu.Unlock()
	if !replayed {
		return errNotReplayed
	}
	total := 0
	for _, r := range change.Put {
		size := r.Size()
		total += size
		if r.Seq == 0 {
			return errors.New("a record has no number")
		}
		if size > j.MaxRecord() || int64(total) > j.options.MaxBytes/2 {
			return tarn.ErrTooHeavy
		}
	}
	return nil
}

// MaxRecord implements [journal.Limiter]: it is a quarter of MaxBytes.
func (j *Journal) MaxRecord() int { return int(min(j.options.MaxBytes/4, journal.MaxRecord)) }

// apply needs the turn.
func (j *Journal) apply(change journal.Change) error {
	if j.dead != nil {
		return j.refusal()
	}
	err := j.commit(change)
	if errors.Is(err, journal.ErrFull) && len(change.Put) == 0 {
		err = j.removeInParts(change)
	}
	if isFatal(err) {
		j.dead = err
		return j.refusal()
	}
	return err
}

func (j *Journal) refusal() error {
	if errors.Is(j.dead, tarn.ErrClosed) {
		return tarn.ErrClosed
	}
	return fmt.Errorf("%w: %w", journal.ErrPoisoned, j.dead)
}

// removeInParts removes ever fewer records at once until there is room for that.
func (j *Journal) removeInParts(change journal.Change) error {
	part := max(len(change.Remove)/2, 1)
	for rest := change.Remove; len(rest) > 0; {
		part = min(part, len(rest))
		err := j.commit(journal.Change{Remove: rest[:part], Seq: change.Seq})
		switch {
		case err == nil:
			rest = rest[part:]
		case part > 1 && errors.Is(err, journal.ErrFull):
			part /= 2
		default:
			return err
		}
	}
	return nil
}

// commit makes one transaction of a change.
func (j *Journal) commit(change journal.Change) error {
	next, tx := j.state, 0
	err := contained(func() error {
		return j.db.Update(func(t *bbolt.Tx) error {
			tx = t.ID()
			if err := j.makeRoom(t, change); err != nil {
				return err
			}
			var err error
			next, err = j.write(t, change)
			return err
		})
	})
	if err != nil {
		return j.errOutcome(tx, err)
	}
	j.state, j.wrote = next, true
	j.tell(func(s *journal.Stats) { s.Appends++ })
	if err := contained(j.measure); err != nil {
		j.dead = err // what was asked for is done; the next one is told
	}
	return nil
}

// write puts a change into a transaction and returns what the journal is after it.
func (j *Journal) write(tx *bbolt.Tx, change journal.Change) (state, error) {
	s := j.state
	s.seq = max(s.seq, change.Seq)
	records, about := tx.Bucket(recordsBucket), tx.Bucket(aboutBucket)
	records.FillPercent = 1 // records are put at the end
	var key [8]byte
	for _, seq := range change.Remove {
		binary.BigEndian.PutUint64(key[:], seq)
		old := records.Get(key[:])
		if old == nil {
			continue
		}
		s.count--
		s.sum -= mark(seq, journal.Checksum(old))
		if err := records.Delete(key[:]); err != nil {
			return s, err
		}
	}
	encoded, known := j.encode(change.Put), j.state.seq // of no greater number there is a record
	for _, r := range change.Put {
		value := encoded[:r.Size():r.Size()]
		encoded = encoded[len(value):]
		binary.BigEndian.PutUint64(key[:], r.Seq)
		if r.Seq <= known {
			if old := records.Get(key[:]); old != nil {
				s.count--
				s.sum -= mark(r.Seq, journal.Checksum(old))
			}
		}
		if err := records.Put(key[:], value); err != nil {
			return s, err
		}
		known = max(known, r.Seq)
		s.count++
		s.sum += mark(r.Seq, journal.Checksum(value))
	}
	s.seq = max(s.seq, known)
	return s, about.Put(stateKey, s.append(nil))
}

// encode returns all records, one after the other, as they are kept. They are valid until the next call.
func (j *Journal) encode(records []journal.Record) []byte {
	const keep = 1 << 20
	size := 0
	for _, r := range records {
		size += r.Size()
	}
	if cap(j.buf) < size {
		j.buf = make([]byte, 0, size)
	}
	encoded := j.buf[:0]
	for _, r := range records {
		encoded = r.Append(encoded, j.epoch)
	}
	if cap(j.buf) > keep {
		j.buf = nil
	}
	return encoded
}
