package fence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/tarncache/tarn"
)

var (
	// ErrUnfenced says that a statement did what no fence does: it changed no row although the row is older or is not
	// there, or several rows, or it did not refuse what is old. What it did was rolled back.
	ErrUnfenced = errors.New("fence: the statement does not fence")

	// ErrUnnumbered says that a write has no Epoch and Seq to be ordered by, since it does not come from write-back.
	ErrUnnumbered = errors.New("fence: the write has no epoch and sequence")
)

// Statements are what a [Writer] runs. [Table] writes them for a table of its own form. Whoever writes them by hand
// counts on arguments in this order, from $1 on, or one for each question mark:
//
//	Save     the key's, the value's, epoch, seq
//	Delete   the key's, epoch, seq
//	Version  the key's
type Statements struct {
	// Save inserts or replaces the row of a key, tombstones included, unless the row has the epoch of the write and
	// a seq that is not less.
	Save string

	// Delete makes a tombstone of the row of a key, also where there is no row, unless as above.
	Delete string

	// Version returns the epoch and seq of the row of a key, tombstones included, and no row if there is none. It
	// runs in the transaction of the others.
	Version string

	// Twice says that the database counts a row that was replaced as two, as MySQL does after ON DUPLICATE KEY UPDATE.
	// Such an update is asked for its Version, since it is also what a conflict of any other unique key makes.
	Twice bool
}

// Config says how a [Writer] writes. Statements and Values are needed.
type Config[K comparable, V any] struct {
	Statements Statements

	// Values returns the arguments of a value, one for each column. A value whose bytes may fail to be made is a
	// [database/sql/driver.Valuer]. It is called once or more for each write.
	Values func(value V) []any

	// Key returns the arguments of a key. Nil: the key itself is the only one.
	Key func(key K) []any

	// Permanent says of the error of one operation that trying it again will not mend it, and so that write-back
	// shall give it up: the database refuses its value, for instance. A missing row of another table may come, if
	// that is written back, too. Nil: no error is permanent.
	Permanent func(err error) bool

	// Untried leaves out the trial. Otherwise the first batch is preceded by a transaction that is always rolled
	// back. It runs the statements on the first row of the batch, with late and repeated writes, and if they do not
	// refuse these, or if a Delete leaves no tombstone, the batch fails with [ErrUnfenced]: a condition that was
	// forgotten would not show otherwise until it has done harm. It takes some twenty statements, once, and triggers
	// see them.
	Untried bool
}

// Writer writes batches of write-back to a database. It is a [tarn.Writer] and a [tarn.BatchWriter], and may be used
// by any number of goroutines.
type Writer[K comparable, V any] struct {
	db     *sql.DB
	config Config[K, V]

	triedSave, triedDelete   atomic.Bool
	applied, refused, singly atomic.Uint64
}

// New returns a Writer to db, which stays the caller's to close. It panics if db is nil or the config makes no sense.
func New[K comparable, V any](db *sql.DB, config Config[K, V]) *Writer[K, V] {
	switch {
	case db == nil:
		panic("fence: New: db is nil")
	case config.Statements.Save == "":
		panic("fence: Config.Statements.Save is empty")
	case config.Statements.Delete == "":
		panic("fence: Config.Statements.Delete is empty")
	case config.Statements.Version == "":
		panic("fence: Config.Statements.Version is empty")
	case config.Values == nil:
		panic("fence: Config.Values is nil")
	}
	if config.Key == nil {
		config.Key = func(key K) []any { return []any{key} }
	}
	return &Writer[K, V]{db: db, config: config}
}

// Apply writes the operations in one transaction, each by a statement that is prepared once.
//
// If one of them fails, the transaction is rolled back, and a second one takes each between savepoints: those that
// fail alone get an error each, in a [tarn.IndexError], and the others are written. Where not even that is possible,
// since the connection or the commit failed or nothing can be written at all, nothing is known to have arrived; a
// batch like that is what write-back tries again, and halves.
func (w *Writer[K, V]) Apply(ctx context.Context, ops []tarn.Op[K, V]) error {
	if err := ctx.Err(); err != nil || len(ops) == 0 {
		return err
	}
	for _, op := range ops {
		if err := numbered(op.Epoch, op.Seq); err != nil {
			return err
		}
	}
	if err := w.try(ctx, ops); err != nil {
		return err
	}
	err := w.together(ctx, ops)
	var own *opError
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case len(ops) == 1:
		return w.marked(err)
	case errors.As(err, &own):
		w.singly.Add(1)
		return w.apart(ctx, ops)
	}
	return err
}

// numbered returns an error if these are not numbers of write-back, or do not fit a signed column.
func numbered(epoch, seq uint64) error {
	switch {
	case epoch == 0 || seq == 0:
		return ErrUnnumbered
	case epoch > math.MaxInt64 || seq > math.MaxInt64:
		return errors.New("fence: the epoch or sequence of a write does not fit a signed column")
	}
	return nil
}

// marked marks the error of one operation if it is permanent.
func (w *Writer[K, V]) marked(err error) error {
	if w.config.Permanent != nil && w.config.Permanent(err) {
		return tarn.Permanent(err)
	}
	return err
}

// Save returns ErrUnnumbered: a write without numbers cannot be ordered. Write-back calls Apply.
func (w *Writer[K, V]) Save(context.Context, K, V) error {
	return fmt.Errorf("fence: save: %w", ErrUnnumbered)
}

// Delete returns ErrUnnumbered, as Save does.
func (w *Writer[K, V]) Delete(context.Context, K) error {
	return fmt.Errorf("fence: delete: %w", ErrUnnumbered)
}

// Stats are counts since New.
type Stats struct {
	Applied uint64 // operations that changed their row
	Refused uint64 // operations whose row had them already, or a later one
	Singly  uint64 // batches that were tried again between savepoints
}

// Stats returns the counts.
func (w *Writer[K, V]) Stats() Stats {
	return Stats{Applied: w.applied.Load(), Refused: w.refused.Load(), Singly: w.singly.Load()}
}
