// Package journal is what write-back keeps of what it accepted until its source has it, so that a crash loses nothing.
//
// A [Journal] is a list of numbered records. It knows nothing of caches: which records there are, and when one may go, is
// the affair of package strategies. Package bolt beside this one keeps one in a file.
package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
)

// fullError is a tarn.ErrFull of a journal.
type fullError struct{}

func (fullError) Error() string { return "journal: full" }
func (fullError) Unwrap() error { return tarn.ErrFull }

// Journal keeps records until they are removed. One process has a journal open at a time.
type Journal interface {
	// Epoch returns Position.Epoch. It is known before the replay: what Replay tells of may be written to the source, with
	// the epoch, while Replay runs.
	Epoch() uint64

	// Replay calls each for every record, in the order of their numbers, and says where numbering stands. It is called
	// once, before anything is appended from outside; each may call Append. What rec points to is valid until each returns.
	//
	// If a record is damaged, or each returns an error that is [ErrUnreadable], Replay ends with a [*DamageError] that
	// tells where, unless the journal was told to put such records aside. Any other error of each ends Replay and is
	// returned. The memory that Replay needs does not grow with the number of records.
	Replay(ctx context.Context, each func(rec Record) error) (Position, error)

	// Append carries out a change, as a whole or not at all, and returns when that is durable. An error that is
	// [ErrFull] says that nothing has happened and that a later try may work; one that is [ErrPoisoned], that the
	// outcome is unknown and that nothing works any more until the journal is opened anew. It keeps nothing of what
	// it is given. Any number of goroutines may call it at once. If there is no room even for that, a change that only
	// removes may be carried out in parts, the first numbers first. An error that is
	// [tarn.ErrTooHeavy] says that nothing has happened, and that this change never works, though parts of it may; see
	// [Limiter] for single records.
	Append(ctx context.Context, change Change) error

	// Close gives the journal up to others. It keeps all records.
	Close() error
}

// Position is where a journal stands.
type Position struct {
	Epoch uint64 // of all records; random, new with each journal, never zero, and fits a signed 64-bit column
	Seq   uint64 // the greatest that a Change ever told
}

// Change is what one Append does: first it removes, then it puts.
type Change struct {
	Remove []uint64 // numbers of records; one that is not there is passed over
	Put    []Record // one with the number of another replaces it
	Seq    uint64   // the greatest number given out so far, kept if it is greater than the one known
}

// Record is one thing that a journal keeps.
type Record struct {
	Seq   uint64 // its number: not zero, and greater the later it was made
	Kind  Kind
	Key   []byte
	Value []byte
	Note  []byte // what Kind needs besides
}

// Kind says what a record is.
type Kind uint8

// The kinds of records. A journal keeps those that it does not know as well.
const (
	Save   Kind = iota + 1 // Value is to be saved under Key
	Delete                 // Key is to be deleted
	Dead                   // a write that was given up
	Delta                  // Value is to be merged into what Key has
	Batch                  // deltas that are sent as one
)

var (
	// ErrFull says that there is no room, in the file or on the disk.
	ErrFull error = fullError{}

	// ErrPoisoned says that what was appended may or may not be on the disk, and that nothing is accepted any more.
	ErrPoisoned = errors.New("journal: its last write may be lost, so it takes no other")

	// ErrLocked says that another process has the journal open.
	ErrLocked = errors.New("journal: another process has it open")

	// ErrVersion says that a newer program has written the journal.
	ErrVersion = errors.New("journal: written by a newer version")

	// ErrUnreadable says that a record cannot be read.
	ErrUnreadable = errors.New("journal: unreadable record")
)

// DamageError says where a record is that cannot be read. It is [ErrUnreadable].
type DamageError struct {
	Seq uint64 // the record's number; 0: it is not one record that is damaged, but what holds them
	Err error  // why
}

// Error tells the place, and nothing of what is there.
func (e *DamageError) Error() string {
	if e.Seq == 0 {
		return fmt.Sprintf("journal: damaged: %v", e.Err)
	}
	return fmt.Sprintf("journal: record %d: %v", e.Seq, e.Err)
}

// Is reports whether target is ErrUnreadable.
func (e *DamageError) Is(target error) bool { return target == ErrUnreadable }

// Unwrap returns the reason.
func (e *DamageError) Unwrap() error { return e.Err }
