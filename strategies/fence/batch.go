package fence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
)

// together writes all operations or none.
func (w *Writer[K, V]) together(ctx context.Context, ops []tarn.Op[K, V]) error {
	b, err := w.begin(ctx, ops)
	if err != nil {
		return err
	}
	defer b.end()
	for _, op := range ops {
		if err := b.write(ctx, op); err != nil {
			return err
		}
	}
	return b.commit()
}

const (
	savepoint = "savepoint tarn_op"
	back      = "rollback to savepoint tarn_op"
	release   = "release savepoint tarn_op"
)

// hopeless is how many operations in a row may fail, from the first on, until the fault is not theirs.
const hopeless = 3

// apart writes each operation that can be written. An operation's error is its own if the transaction could go on.
func (w *Writer[K, V]) apart(ctx context.Context, ops []tarn.Op[K, V]) error {
	b, err := w.begin(ctx, ops)
	if err != nil {
		return err
	}
	defer b.end()
	errs, failed := make(tarn.IndexError, len(ops)), 0
	for i, op := range ops {
		if _, err := b.tx.ExecContext(ctx, savepoint); err != nil {
			return fmt.Errorf("fence: savepoint: %w", err)
		}
		if err := b.write(ctx, op); err != nil {
			if _, stuck := b.tx.ExecContext(ctx, back); stuck != nil {
				return errors.Join(err, fmt.Errorf("fence: rollback to savepoint: %w", stuck))
			}
			errs[i] = w.marked(err)
			if failed++; failed == hopeless && failed == i+1 && failed < len(ops) {
				return err
			}
		}
		if _, err := b.tx.ExecContext(ctx, release); err != nil {
			return fmt.Errorf("fence: release savepoint: %w", err)
		}
	}
	if err := b.commit(); err != nil {
		return err
	}
	if failed > 0 {
		return errs
	}
	return nil
}

// batch is one transaction.
type batch[K comparable, V any] struct {
	w                *Writer[K, V]
	tx               *sql.Tx
	save, remove     *sql.Stmt // nil: run as text
	applied, refused uint64
}

// begin begins a transaction, and prepares what it runs more than once.
func (w *Writer[K, V]) begin(ctx context.Context, ops []tarn.Op[K, V]) (*batch[K, V], error) {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("fence: begin: %w", err)
	}
	b := &batch[K, V]{w: w, tx: tx}
	deletes := 0
	for _, op := range ops {
		if op.Delete {
			deletes++
		}
	}
	if len(ops)-deletes > 1 {
		b.save, err = tx.PrepareContext(ctx, w.config.Statements.Save)
	}
	if err == nil && deletes > 1 {
		b.remove, err = tx.PrepareContext(ctx, w.config.Statements.Delete)
	}
	if err != nil {
		b.end()
		return nil, fmt.Errorf("fence: prepare: %w", err)
	}
	return b, nil
}

// commit commits, and counts what was written.
func (b *batch[K, V]) commit() error {
	if err := b.tx.Commit(); err != nil {
		return fmt.Errorf("fence: commit: %w", err)
	}
	b.w.applied.Add(b.applied)
	b.w.refused.Add(b.refused)
	return nil
}

// end rolls back what was not committed. The transaction closes its statements.
func (b *batch[K, V]) end() { _ = b.tx.Rollback() }

// opError is the error of one operation.
type opError struct {
	deletes bool
	err     error
}

func (e *opError) Error() string {
	if e.deletes {
		return "fence: delete: " + e.err.Error()
	}
	return "fence: save: " + e.err.Error()
}

func (e *opError) Unwrap() error { return e.err }

// write writes one operation. It returns nil only if the row has it now, or a later one.
func (b *batch[K, V]) write(ctx context.Context, op tarn.Op[K, V]) error {
	changed, err := b.run(ctx, op)
	if err != nil {
		return &opError{op.Delete, err}
	}
	if changed {
		b.applied++
	} else {
		b.refused++
	}
	return nil
}

// run runs the statement of one operation and reports whether it changed the row.
func (b *batch[K, V]) run(ctx context.Context, op tarn.Op[K, V]) (changed bool, err error) {
	rows, err := b.exec(ctx, op)
	if err != nil {
		return false, err
	}
	switch {
	case rows == 1:
		return true, nil
	case rows == 2 && b.w.config.Statements.Twice:
		return true, b.has(ctx, op, false)
	case rows == 0:
		return false, b.has(ctx, op, true)
	}
	return false, fmt.Errorf("%w: it changed %d rows", ErrUnfenced, rows)
}

// exec returns the number of rows that the statement of an operation changed.
func (b *batch[K, V]) exec(ctx context.Context, op tarn.Op[K, V]) (int64, error) {
	text, prepared := b.w.config.Statements.Save, b.save
	args := append([]any{}, b.w.config.Key(op.Key)...)
	if op.Delete {
		text, prepared = b.w.config.Statements.Delete, b.remove
	} else {
		args = append(args, b.w.config.Values(op.Value)...)
	}
	args = append(args, int64(op.Epoch), int64(op.Seq))
	var result sql.Result
	var err error
	if prepared != nil {
		result, err = prepared.ExecContext(ctx, args...)
	} else {
		result, err = b.tx.ExecContext(ctx, text, args...)
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// has returns an error unless the row of an operation has it, or a later one if that will do.
func (b *batch[K, V]) has(ctx context.Context, op tarn.Op[K, V], later bool) error {
	v, err := b.version(ctx, op.Key)
	switch {
	case err != nil:
		return err
	case !v.found:
		return fmt.Errorf("%w: it left no row of the key", ErrUnfenced)
	case v.epoch == int64(op.Epoch) && (v.seq == int64(op.Seq) || later && v.seq > int64(op.Seq)):
		return nil
	case later:
		return fmt.Errorf("%w: it did not replace an older row", ErrUnfenced)
	}
	return fmt.Errorf("%w: it changed another row", ErrUnfenced)
}

// version is what a row says of who wrote it.
type version struct {
	epoch, seq int64 // zero: null
	found      bool
}

func (b *batch[K, V]) version(ctx context.Context, key K) (version, error) {
	var epoch, seq sql.NullInt64
	err := b.tx.QueryRowContext(ctx, b.w.config.Statements.Version, b.w.config.Key(key)...).Scan(&epoch, &seq)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return version{}, nil
	case err != nil:
		return version{}, fmt.Errorf("version: %w", err)
	}
	return version{epoch.Int64, seq.Int64, true}, nil
}
