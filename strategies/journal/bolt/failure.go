package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/tarncache/tarn/strategies/journal"
)

// fatalError is one whose outcome is unknown: nothing may be tried again.
type fatalError struct {
	error
	panicked bool
}

func (e *fatalError) Unwrap() error { return e.error }

func isFatal(err error) bool {
	var fatal *fatalError
	return errors.As(err, &fatal)
}

func panicked(err error) bool {
	var fatal *fatalError
	return errors.As(err, &fatal) && fatal.panicked
}

// errOutcome tells an error from a commit by what has happened: nothing at all, or perhaps something. tx is the
// number of the transaction.
func (j *Journal) errOutcome(tx int, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, journal.ErrFull), errors.Is(err, berrors.ErrMaxSizeReached):
		return errFull(err)
	case beforeSync(err) && j.newestTx() < tx:
		return errFull(err)
	default:
		return &fatalError{error: err, panicked: panicked(err)}
	}
}

func errFull(err error) error {
	if errors.Is(err, journal.ErrFull) {
		return err
	}
	return fmt.Errorf("%w: %w", journal.ErrFull, err)
}

// beforeSync reports whether there was no room for what was to be written. An fsync may say so, too; that is another
// matter, and a bare number with bbolt, where a write's error names the file.
func beforeSync(err error) bool {
	var write *fs.PathError
	if errors.As(err, &write) {
		return write.Op == "write" && noRoom(err)
	}
	// bbolt keeps the text alone if a file could not be made longer.
	text, ok := strings.CutPrefix(err.Error(), "file resize error: ")
	return ok && (strings.HasSuffix(text, syscall.ENOSPC.Error()) || strings.HasSuffix(text, syscall.EDQUOT.Error()) ||
		strings.HasSuffix(text, syscall.EFBIG.Error()))
}

// newestTx asks the file, not the map of it.
func (j *Journal) newestTx() int {
	info, err := j.file.Stat()
	if err != nil {
		return int(^uint(0) >> 1)
	}
	m, err := newestMeta(j.file, info.Size())
	if err != nil {
		return int(^uint(0) >> 1)
	}
	return int(m.tx)
}
