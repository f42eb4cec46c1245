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

// Replay hands out every record that was there when it began. It reads some at a time and holds nothing while each
// runs: each may call Append, and take long. Records that are put meanwhile under greater numbers are not handed out;
// of those removed before their turn, a few may be.
func (j *Journal) Replay(ctx context.Context, each func(rec journal.Record) error) (journal.Position, error) {
	p, err := j.replay(ctx, each)
	if err != nil {
		return p, fmt.Errorf("replay the journal: %w", err)
	}
	return p, nil
}

func (j *Journal) replay(ctx context.Context, each func(rec journal.Record) error) (journal.Position, error) {
	p, err := j.begin(ctx)
	if err != nil {
		return p, err
	}
	r := reader{j: j, last: p.Seq, each: each}
	for next := uint64(1); next != 0; {
		if next, err = r.some(ctx, next); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (j *Journal) begin(ctx context.Context) (journal.Position, error) {
	if err := j.take(ctx); err != nil {
		return journal.Position{}, err
	}
	defer j.give()
	if j.dead != nil {
		return journal.Position{}, j.refusal()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.replayed {
		return journal.Position{}, errReplayedTwice
	}
	j.replayed = true
	return journal.Position{Epoch: j.state.epoch, Seq: j.state.seq}, nil
}

// reader reads some records at a time: while a transaction of bbolt reads, no page can be used again, and a file that
// grows may have to wait for it.
type reader struct {
	j    *Journal
	last uint64 // none with a greater number is read
	each func(journal.Record) error

	seqs []uint64
	ends []int
	data []byte
}

const (
	chunkRecords = 1024
	chunkBytes   = 256 << 10
)

// some hands out records from a number on and returns the next number, or 0 if there is none.
func (r *reader) some(ctx context.Context, from uint64) (next uint64, err error) {
	if next, err = r.read(from); err != nil {
		return 0, err
	}
	start := 0
	for i, seq := range r.seqs {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := r.handOut(ctx, seq, r.data[start:r.ends[i]]); err != nil {
			return 0, err
		}
		start = r.ends[i]
	}
	return next, nil
}

func (r *reader) read(from uint64) (next uint64, err error) {
	r.seqs, r.ends, r.data = r.seqs[:0], r.ends[:0], r.data[:0]
	r.j.using.RLock()
	defer r.j.using.RUnlock()
	if r.j.db == nil {
		return 0, tarn.ErrClosed
	}
	err = contained(func() error { return r.j.db.View(func(tx *bbolt.Tx) error { next = r.copy(tx, from); return nil }) })
	return next, err
}

func (r *reader) copy(tx *bbolt.Tx, from uint64) (next uint64) {
	cursor := tx.Bucket(recordsBucket).Cursor()
	for k, v := cursor.Seek(binary.BigEndian.AppendUint64(nil, from)); k != nil; k, v = cursor.Next() {
		seq := binary.BigEndian.Uint64(k)
		if seq > r.last {
			return 0
		}
		if len(r.seqs) == chunkRecords || len(r.data) > 0 && len(r.data)+len(v) > chunkBytes {
			return seq
		}
		r.seqs = append(r.seqs, seq)
		r.data = append(r.data, v...)
		r.ends = append(r.ends, len(r.data))
	}
	return 0
}

func (r *reader) handOut(ctx context.Context, seq uint64, data []byte) error {
	rec, err := journal.Parse(data, r.j.epoch, seq)
	if err == nil {
		err = r.each(rec)
	}
	switch {
	case err == nil:
		r.j.tell(func(s *journal.Stats) { s.Replayed++ })
		return nil
	case !errors.Is(err, journal.ErrUnreadable):
		return err
	case r.j.options.Quarantine != "":
		return r.j.quarantine(ctx, seq, data)
	default:
		return &journal.DamageError{Seq: seq, Err: err}
	}
}
