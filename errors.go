package tarn

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that neither the cache nor the source has the key.
	ErrNotFound = errors.New("tarn: not found")

	// ErrClosed says that the store or the strategy was used after its Close.
	ErrClosed = errors.New("tarn: closed")

	// ErrHeld says that a key's source is being written, so that a plain Set cannot know whether its value is the
	// newer one. Nothing was changed. Try again, or write through a strategy.
	ErrHeld = errors.New("tarn: key is held by a writer")

	// ErrTooHeavy says that an entry alone is above a limit. A store did not store it, and nothing is left under its
	// key; write-back did not accept it, and what was there before still is.
	ErrTooHeavy = errors.New("tarn: entry is heavier than the limit")

	// ErrFull says that a bound is reached and the strategy was told to refuse rather than to wait, as write-back is by
	// RefuseWhenFull.
	ErrFull = errors.New("tarn: full")

	// ErrMaybeStale says that the source was written, but the store could not be told and may keep an older value. The
	// cache that returns it goes around the store for the key until it has repaired it; other caches on that store may
	// answer with the older value until then, or until it expires. Writing or deleting the key again mends it too.
	ErrMaybeStale = errors.New("tarn: written, but the cache may be stale")

	// ErrRecursive says that a loader asked for the key it was loading, or a writer wrote the key it was writing,
	// through the same cache: it would have waited for itself.
	ErrRecursive = errors.New("tarn: recursive use of a key")

	// ErrLoadTimeout says that a load did not return within its time limit.
	ErrLoadTimeout = errors.New("tarn: load exceeded its time limit")

	// ErrStoreTimeout says that the store did not answer within its time limit; see strategies.WithStoreTimeout.
	ErrStoreTimeout = errors.New("tarn: the store exceeded its time limit")

	// ErrShed says that a load was not let through to the source, to spare it. The source was not asked, so this is no
	// error of its own; an old value may be served instead as if it had failed. See module source, whose ShedError says
	// by what, and when to try again.
	ErrShed = errors.New("tarn: load shed")

	// ErrTooManyHolds says that a key is held by more writers than a store keeps apart. Nothing was changed.
	ErrTooManyHolds = errors.New("tarn: too many writers hold the key")
)

// Permanent marks err as one that trying again will not mend, such as a violated constraint. Write-back does not
// retry it. A store marks with it what it says of a key under which it can keep nothing, such as one that it has no bytes
// for: a strategy that could not invalidate such a key has nothing to repair. errors.Is and errors.As see through it. A nil
// err stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err, or an error it wraps, was marked by [Permanent].
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// IndexError is the error of a batch in which some items failed: an error for each item, in the order of the call,
// nil for those that succeeded.
type IndexError []error

// Error counts the failures and quotes the first.
func (e IndexError) Error() string {
	n, first := 0, error(nil)
	for _, err := range e {
		if err != nil {
			if n == 0 {
				first = err
			}
			n++
		}
	}
	return fmt.Sprintf("tarn: %d of %d failed, the first: %v", n, len(e), first)
}

// Unwrap returns the failures.
func (e IndexError) Unwrap() []error {
	var errs []error
	for _, err := range e {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// ErrAt returns the error of item i of a batch whose error was err: its own if err holds an [IndexError] of n
// items, err itself otherwise.
func ErrAt(err error, i, n int) error {
	var ie IndexError
	if errors.As(err, &ie) && len(ie) == n {
		return ie[i]
	}
	return err
}

// BatchError is the error of [GetMany], [SetMany] and [DeleteMany] where some keys failed. The text names no key.
type BatchError[K comparable] struct {
	Op     string        // "get", "set" or "delete"
	Failed []KeyError[K] // never empty
}

// KeyError is what went wrong with one key of a batch.
type KeyError[K comparable] struct {
	Key K
	Err error
}

func (e *BatchError[K]) Error() string {
	return fmt.Sprintf("tarn: %s: failed keys: %d, the first: %v", e.Op, len(e.Failed), e.Failed[0].Err)
}

// Unwrap returns the errors of the keys.
func (e *BatchError[K]) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}

// PanicError is what callers get of a function of the application, such as a loader or a writer, that panicked or
// ended its goroutine while it ran on one of tarn's own.
type PanicError struct {
	Value any    // what was passed to panic; nil if the function called runtime.Goexit
	Stack []byte // where it happened
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return "tarn: a function called by the cache ended its goroutine with runtime.Goexit"
	}
	return fmt.Sprintf("tarn: a function called by the cache panicked: %v", e.Value)
}

// Unwrap returns the value passed to panic if that was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
