package strategies

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/keybytes"
	"github.com/tarncache/tarn/internal/payload"
	"github.com/tarncache/tarn/strategies/journal"
)

// recordForm makes records of operations, and operations of records.
type recordForm[K comparable, V any] struct {
	keys   keybytes.Form[K]
	values *payload.Form[V]
	limit  int // of a record's size
}

// spareRecord is how much smaller than the greatest record of a journal one is that is accepted, so that a dead letter or a
// batch of it alone fits as well.
const spareRecord = 32

// newRecordForm returns an error that names the field that makes no sense.
func newRecordForm[K comparable, V any](config *WriteBackConfig[K, V]) (f *recordForm[K, V], err error) {
	defer func() {
		if text, ok := recover().(string); ok {
			f, err = nil, errors.New(strings.TrimPrefix(text, "strategies: "))
		}
	}()
	f = &recordForm[K, V]{
		limit: journal.Limit(config.Journal),
		keys: keybytes.New(keybytes.Options[K]{
			Append: config.AppendKey, Parse: config.ParseKey,
			Package: "strategies", Config: "WriteBackConfig",
		}),
		values: payload.New(payload.Options[V]{
			Codec: config.Codec, Layers: config.Layers, MaxValue: config.MaxValue,
			Bound:   "tarn write-back\x00",
			Package: "strategies", Config: "WriteBackConfig", Undecodable: journal.ErrUnreadable,
		}),
	}
	if !f.keys.Parses() {
		return nil, errors.New("WriteBackConfig.ParseKey is nil, and there is no other way from bytes to keys")
	}
	return f, nil
}

// record returns the record of an operation. It has no number yet. One that no journal has room for is refused here: later,
// those that go with it would have to bear it, and with SyncEvery nobody could be told.
func (f *recordForm[K, V]) record(op tarn.Op[K, V]) (rec journal.Record, err error) {
	if rec.Key, err = f.keys.Append(nil, op.Key); err != nil {
		return rec, err
	}
	if op.Delete {
		rec.Kind = journal.Delete
		return rec, fits(rec, f.limit)
	}
	rec.Kind = journal.Save
	if rec.Value, err = f.values.Append(nil, op.Value, rec.Key); err != nil {
		return rec, err
	}
	return rec, fits(rec, f.limit)
}

// fits refuses a record that is too heavy for a journal whose greatest has the size of limit.
func fits(rec journal.Record, limit int) error {
	if rec.Size() > limit-spareRecord {
		return fmt.Errorf("strategies: a record of the journal: %w", bare(tarn.ErrTooHeavy))
	}
	return nil
}

// op returns the operation of a record.
func (f *recordForm[K, V]) op(rec journal.Record, deleted bool) (op tarn.Op[K, V], err error) {
	op.Seq, op.Delete = rec.Seq, deleted
	if op.Key, err = f.keys.Parse(string(rec.Key)); err != nil {
		return op, fmt.Errorf("%w: %w", journal.ErrUnreadable, bare(err))
	}
	if op.Key != op.Key {
		return op, fmt.Errorf("%w: its key does not equal itself", journal.ErrUnreadable)
	}
	if deleted {
		return op, nil
	}
	parts, ok := payload.Cut(rec.Value)
	if !ok {
		return op, fmt.Errorf("%w: its value is too short", journal.ErrUnreadable)
	}
	op.Value, err = f.values.Decode(parts, rec.Key)
	return op, err
}

// The note of a dead letter is
//
//	1 byte   deadVersion
//	1 byte   the kind of the operation
//	uvarint  attempts
//	the rest the text of the error
const (
	deadVersion  = 1
	maxDeadError = 4096 // bytes
)

// dead returns the record of a dead letter, which has the number of its operation.
func (f *recordForm[K, V]) dead(letter DeadLetter[K, V]) (journal.Record, error) {
	rec, err := f.record(letter.Op)
	if err != nil {
		return rec, err
	}
	rec.Note = binary.AppendUvarint([]byte{deadVersion, byte(rec.Kind)}, uint64(letter.Attempts))
	text, room := letter.Err.Error(), max(f.limit-rec.Size()-2, 0) // two bytes more may tell how long the note is
	rec.Note = append(rec.Note, text[:min(len(text), maxDeadError, room)]...)
	rec.Kind, rec.Seq = journal.Dead, letter.Op.Seq
	return rec, nil
}

// letter returns the dead letter of a record.
func (f *recordForm[K, V]) letter(rec journal.Record) (*DeadLetter[K, V], error) {
	note := rec.Note
	if len(note) < 2 || note[0] != deadVersion {
		return nil, fmt.Errorf("%w: a dead letter of another form", journal.ErrUnreadable)
	}
	attempts, n := binary.Uvarint(note[2:])
	if n <= 0 {
		return nil, fmt.Errorf("%w: a dead letter of another form", journal.ErrUnreadable)
	}
	op, err := f.op(rec, journal.Kind(note[1]) == journal.Delete)
	if err != nil {
		return nil, err
	}
	return &DeadLetter[K, V]{Op: op, Err: errors.New(string(note[2+n:])), Attempts: int(attempts)}, nil
}
