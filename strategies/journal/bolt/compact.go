package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/tarncache/tarn/strategies/journal"
)

const leastToCompact = 4 << 20 // bytes of a file that Open compacts

// mostlyFree reports whether less than a quarter of the file is used, and it is worth the trouble.
func (j *Journal) mostlyFree() bool {
	s := j.Stats()
	return s.Bytes >= leastToCompact && s.Bytes-s.FreeBytes < s.Bytes/4
}

// Compact gives back to the disk what is free in the file. It copies all records into a new file beside the journal,
// syncs that, and puts it in the journal's place; until then nothing has changed, whatever happens. Appends wait
// meanwhile.
func (j *Journal) Compact(ctx context.Context) error {
	if err := j.take(ctx); err != nil {
		return err
	}
	defer j.give()
	if j.dead != nil {
		return fmt.Errorf("compact the journal: %w", j.refusal())
	}
	if err := j.compact(ctx); err != nil {
		return fmt.Errorf("compact the journal: %w", err)
	}
	return nil
}

// compact needs the turn.
func (j *Journal) compact(ctx context.Context) error {
	temporary := j.path + unfinished
	f, err := j.options.openUnfinished(j.path)
	if err != nil {
		return err
	}
	db, err := j.options.initialize(f, j.state)
	if err != nil {
		return errors.Join(err, remove(temporary), f.Close())
	}
	err = contained(func() error { return j.copyTo(ctx, db) })
	if err == nil {
		err = rename(temporary, j.path)
	}
	if err != nil {
		return errors.Join(err, remove(temporary), db.Close())
	}
	if err := syncFolder(j.path); err != nil {
		// The name may lead to either file after a crash. Both are whole, but an Append would be in one of them alone.
		j.dead = &fatalError{error: err}
	}
	return j.replace(db, f)
}

// replace goes on with another file. It is there already under the journal's name.
func (j *Journal) replace(db *bbolt.DB, f *os.File) error {
	j.using.Lock()
	old := j.db
	j.db, j.file = db, f
	j.using.Unlock()
	j.tell(func(s *journal.Stats) { s.Compactions++ })
	if j.dead != nil {
		return errors.Join(j.refusal(), old.Close())
	}
	return errors.Join(old.Close(), contained(j.measure))
}

// copyTo copies all records as they are, in several transactions, of which only the end is synced.
func (j *Journal) copyTo(ctx context.Context, to *bbolt.DB) error {
	to.NoSync, to.NoGrowSync = true, true
	defer func() { to.NoSync, to.NoGrowSync = false, false }()
	r := reader{j: j, last: ^uint64(0)}
	for next := uint64(1); next != 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if next, err = r.read(next); err != nil {
			return err
		}
		if err := to.Update(r.put); err != nil {
			return err
		}
	}
	if err := to.Update(func(*bbolt.Tx) error { return nil }); err != nil {
		return err
	}
	return to.Sync()
}

// put puts what was read last.
func (r *reader) put(tx *bbolt.Tx) error {
	records := tx.Bucket(recordsBucket)
	records.FillPercent = 1
	start := 0
	for i, seq := range r.seqs {
		if err := records.Put(binary.BigEndian.AppendUint64(nil, seq), r.data[start:r.ends[i]]); err != nil {
			return err
		}
		start = r.ends[i]
	}
	return nil
}
