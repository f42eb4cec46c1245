// Package ttl says how long a cached value lives.
//
// It is pure arithmetic: nothing here waits, reads a clock of its own accord or keeps state, so every rule can be
// tested by giving it an instant. Overflow saturates: a life too long for the calendar is a life without end,
// never one that has ended.
package ttl

import (
	"math"
	"time"
)

// Time is an instant in nanoseconds since the Unix epoch, as a [Clock] tells it. The zero Time is no instant:
// as a deadline it means "never". An int64 of nanoseconds ends in the year 2262; what would lie beyond is [End].
type Time int64

// End is the last instant there is. A deadline of End is never reached.
const End Time = math.MaxInt64

// Forever, as Policy.Fresh, keeps a value for ever, even in a store that otherwise caps the lives of its entries.
const Forever time.Duration = math.MaxInt64

// Add returns t+d. It saturates: beyond the last instant it returns [End], and before the first instant it returns
// that one. A sum of zero, which as a deadline would mean "never", becomes one nanosecond.
func (t Time) Add(d time.Duration) Time {
	sum := t + Time(d)
	switch {
	case d > 0 && sum < t:
		return End
	case d < 0 && sum > t:
		return math.MinInt64
	case sum == 0:
		return 1
	}
	return sum
}

// Sub returns the time from u to t. It saturates at the longest and the shortest [time.Duration].
func (t Time) Sub(u Time) time.Duration {
	d := time.Duration(t - u)
	switch {
	case t > u && d < 0:
		return math.MaxInt64
	case t < u && d > 0:
		return math.MinInt64
	}
	return d
}

// Passed reports whether the deadline t has come at the instant now. A zero t never has, nor has [End].
func (t Time) Passed(now Time) bool {
	return t != 0 && now >= t && t != End
}

// Clock tells the time of one store or one process. It starts at the wall clock's time and goes on by the
// monotonic clock alone, so a wall clock that is set back or forward moves no deadline. Two Clocks of one process
// differ by what the wall clock was adjusted between their starts. On systems whose monotonic clock stands still
// while the machine sleeps, Linux among them, lives last that much longer.
//
// A Clock is a value: copies tell the same time, and any number of goroutines may use it. The zero Clock is of no
// use; make one with [NewClock]. A test in a testing/synctest bubble makes its Clock inside the bubble.
type Clock struct {
	origin time.Time
	base   Time
}

// NewClock returns a Clock that starts now.
func NewClock() Clock {
	now := time.Now()
	return Clock{origin: now, base: Time(now.UnixNano())}
}

// Now returns the current instant. It costs one reading of the monotonic clock.
func (c Clock) Now() Time {
	return c.base + Time(time.Since(c.origin))
}

// Ahead returns how much c is ahead of another Clock of this process: c.Now() less what d.Now() is at that instant.
// It never changes, so that instants of one can be told by the other.
func (c Clock) Ahead(d Clock) time.Duration {
	return c.base.Sub(d.base) - c.origin.Sub(d.origin)
}
