package fence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/tarncache/tarn"
)

// Ledger is a table of the batches that were applied. What a batch changes, and its row in the ledger, are one
// transaction, so a batch that is sent again changes nothing: it counts exactly once.
type Ledger struct {
	create, insert, floor, prune string
	begin                        *sql.TxOptions
}

// Batch is the number of a batch of merged writes.
type Batch struct {
	Epoch uint64 // of the journal
	Seq   uint64 // of the batch; the same when it is sent again

	// Settled is such that all batches of the epoch below it are confirmed and not sent again. The ledger forgets
	// them, and takes whatever comes of them all the same, such as an attempt that was given up long ago, for
	// applied. Zero: it forgets none.
	Settled uint64
}

// NewLedger returns a ledger in a table, which holds nothing else; [Ledger.Schema] makes it. The name is the
// program's own, and of the form that [Table] tells. It panics if it is not, or if the dialect is unknown.
func NewLedger(dialect Dialect, table string) *Ledger {
	dialect.validate("NewLedger: dialect")
	validTable("NewLedger: table", table)
	insert := "insert into %s (epoch, seq, settled) values (%s, %s, %s) on conflict do nothing"
	if dialect == MySQL {
		insert = "insert ignore into %s (epoch, seq, settled) values (%s, %s, %s)"
	}
	var begin *sql.TxOptions
	if dialect == Postgres {
		begin = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return &Ledger{
		begin: begin,
		create: fmt.Sprintf("create table if not exists %s "+
			"(epoch bigint not null, seq bigint not null, settled bigint not null, primary key (epoch, seq))", table),
		insert: fmt.Sprintf(insert, table, dialect.mark(1), dialect.mark(2), dialect.mark(3)),
		floor:  fmt.Sprintf("select max(settled) from %s where epoch = %s", table, dialect.mark(1)),
		prune:  fmt.Sprintf("delete from %s where epoch = %s and seq < %s", table, dialect.mark(1), dialect.mark(2)),
	}
}

// Schema returns the statement that makes the table if it is not there.
func (l *Ledger) Schema() string { return l.create }

// Do calls write in a transaction of db if the batch was not applied before, and commits. It returns nil if the batch
// has been applied, now or before. Any error of write rolls back, and is returned; one that is a [tarn.IndexError] as one
// that concerns the whole batch, since nothing of it was applied. In PostgreSQL the transaction is read committed, which
// Once needs, whatever the database's default is; in the others it has the default.
func (l *Ledger) Do(ctx context.Context, db *sql.DB, batch Batch, write func(tx *sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, l.begin)
	if err != nil {
		return fmt.Errorf("fence: ledger: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	first, err := l.Once(ctx, tx, batch)
	if err != nil || !first {
		return err
	}
	if err := write(tx); err != nil {
		return whole(err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("fence: ledger: commit: %w", err)
	}
	return nil
}

// whole makes of errors that concern some operations one that concerns all: a transaction that is rolled back has applied
// none, also not those that an [tarn.IndexError] says nothing of.
func whole(err error) error {
	var each tarn.IndexError
	if errors.As(err, &each) {
		return fmt.Errorf("fence: ledger: rolled back: %w", errors.Join(each...))
	}
	return err
}

// Once records a batch in a transaction of the caller, of which it is the first statement, and reports whether the
// batch is to be applied. If so, the caller applies it in the same transaction, and commits; if not, it was applied
// already, and the caller rolls back. While another transaction has recorded the batch and not ended, Once waits for
// its end.
//
// In PostgreSQL the transaction has to be READ COMMITTED, which is the default. One of a higher level goes on seeing what
// was there before it waited, so a late attempt would not find that its batch was settled and forgotten meanwhile, and
// would count again. In MySQL and SQLite the default will do as well.
func (l *Ledger) Once(ctx context.Context, tx *sql.Tx, batch Batch) (first bool, err error) {
	switch {
	case batch.Epoch == 0 || batch.Seq == 0:
		return false, fmt.Errorf("fence: ledger: %w", ErrUnnumbered)
	case batch.Epoch > math.MaxInt64 || batch.Seq > math.MaxInt64:
		return false, errors.New("fence: ledger: the epoch or sequence of a batch does not fit a signed column")
	case batch.Settled > batch.Seq:
		return false, errors.New("fence: ledger: the batch is settled already")
	}
	first, err = l.record(ctx, tx, batch)
	if err != nil {
		return false, fmt.Errorf("fence: ledger: record: %w", err)
	}
	if first && batch.Settled > 0 {
		if _, err := tx.ExecContext(ctx, l.prune, int64(batch.Epoch), int64(batch.Settled)); err != nil {
			return false, fmt.Errorf("fence: ledger: prune: %w", err)
		}
	}
	return first, nil
}

// record reports whether a batch is neither in the ledger nor forgotten by it. It asks for the latter once its own row
// stands, for which it may have waited until another transaction had forgotten the batch.
//
// The greatest settled of an epoch is never forgotten: a row's is at most its own seq, and a row is forgotten by one
// whose settled is greater than that.
func (l *Ledger) record(ctx context.Context, tx *sql.Tx, batch Batch) (first bool, err error) {
	result, err := tx.ExecContext(ctx, l.insert, int64(batch.Epoch), int64(batch.Seq), int64(batch.Settled))
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	if err != nil || rows == 0 {
		return false, err
	}
	var floor int64
	err = tx.QueryRowContext(ctx, l.floor, int64(batch.Epoch)).Scan(&floor)
	return int64(batch.Seq) >= floor, err
}
