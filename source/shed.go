package source

import (
	"fmt"
	"time"

	"github.com/tarncache/tarn"
)

// ShedError says that a load was not let through to the source. It is [tarn.ErrShed].
type ShedError struct {
	By Reason

	// After is how long to wait before it makes sense to ask again: until an open breaker looks whether the source is back,
	// or the next free turn. It is an estimate where others are about to find out or wait for their turns.
	After time.Duration
}

// Reason says what kept a load from the source.
type Reason uint8

const (
	ByBreaker Reason = iota + 1 // the source has failed too often of late
	ByRate                      // there are more loads than it is to be asked for
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case ByBreaker:
		return "the breaker is open"
	case ByRate:
		return "the rate is reached"
	}
	return "unknown reason"
}

func (e *ShedError) Error() string {
	return fmt.Sprintf("%v: %v; try again after %v", tarn.ErrShed, e.By, e.After.Round(time.Millisecond))
}

// Unwrap returns [tarn.ErrShed].
func (e *ShedError) Unwrap() error { return tarn.ErrShed }
