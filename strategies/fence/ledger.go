package fence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
)

// Ledger is a table of the batches that were applied. What a batch changes, and its row in the ledger, are one
// transaction, so a batch that is sent again changes nothing: it counts exactly once.
type Ledger struct {
	create, insert, prune string
}

// Batch is the number of a batch of merged writes.
type Batch struct {
	Epoch uint64 // of the journal
	Seq   uint64 // of the batch; the same when it is sent again

	// Settled is such that all batches of the epoch below it are confirmed and will not be sent again, so that the ledger
	// forgets them. Zero: it forgets none.
	Settled uint64
}

// NewLedger returns a ledger in a table, which holds nothing else; [Ledger.Schema] makes it. The name is the program's own, and
// of the form that [Table] tells. It panics if it is not, or if the dialect is unknown.
func NewLedger(dialect Dialect, table string) *Ledger {
	dialect.validate("NewLedger: dialect")
	validTable("NewLedger: table", table)
	insert := "insert into %s (epoch, seq) values (%s, %s) on conflict do nothing"
	if dialect == MySQL {
		insert = "insert ignore into %s (epoch, seq) values (%s, %s)"
	}
	return &Ledger{
		create: fmt.Sprintf("create table if not exists %s "+
			"(epoch bigint not null, seq bigint not null, primary key (epoch, seq))", table),
		insert: fmt.Sprintf(insert, table, dialect.mark(1), dialect.mark(2)),
		prune:  fmt.Sprintf("delete from %s where epoch = %s and seq < %s", table, dialect.mark(1), dialect.mark(2)),
	}
}

// Schema returns the statement that makes the table if it is not there.
func (l *Ledger) Schema() string { return l.create }

// Do calls write in a transaction of db if the batch was not applied before, and commits. It returns nil if the batch has
// been applied, now or before. Any error of write rolls back, and is returned.
func (l *Ledger) Do(ctx context.Context, db *sql.DB, batch Batch, write func(tx *sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("fence: ledger: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	first, err := l.Once(ctx, tx, batch)
	if err != nil || !first {
		return err
	}
	if err := write(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("fence: ledger: commit: %w", err)
	}
	return nil
}

// Once records a batch in a transaction of the caller, and reports whether it is the first time. If it is, the caller
// applies the batch in the same transaction, and commits; if not, it was applied already, and the caller rolls back. While another
// transaction has recorded the batch and not ended, Once waits for its end.
func (l *Ledger) Once(ctx context.Context, tx *sql.Tx, batch Batch) (first bool, err error) {
	switch {
	case batch.Epoch == 0 || batch.Seq == 0:
		return false, fmt.Errorf("fence: ledger: %w", ErrUnnumbered)
	case batch.Epoch > math.MaxInt64 || batch.Seq > math.MaxInt64:
		return false, errors.New("fence: ledger: the epoch or sequence of a batch does not fit a signed column")
	case batch.Settled > batch.Seq:
		return false, errors.New("fence: ledger: the batch is settled already")
	}
	result, err := tx.ExecContext(ctx, l.insert, int64(batch.Epoch), int64(batch.Seq))
	if err != nil {
		return false, fmt.Errorf("fence: ledger: record: %w", err)
	}
	rows, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("fence: ledger: record: %w", err)
	}
	if rows == 0 {
		return false, nil
	}
	if batch.Settled > 0 {
		if _, err := tx.ExecContext(ctx, l.prune, int64(batch.Epoch), int64(batch.Settled)); err != nil {
			return false, fmt.Errorf("fence: ledger: prune: %w", err)
		}
	}
	return true, nil
}
