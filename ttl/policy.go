package ttl

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Policy says how long values live, in the field's own terms. The zero Policy keeps a value until the store
// evicts it, and remembers no absence.
//
//	|--------- Fresh ---------|-- StaleWhileRevalidate --|
//	|--------- Fresh ---------|-------- StaleIfError --------|
//	stored                    stale                          gone
type Policy struct {
	// Fresh is how long a value is served as it is. Zero: it has no deadline (a memory entry lives until it is
	// evicted; a store shared among processes caps every life). [Forever] says for ever explicitly.
	Fresh time.Duration

	// StaleWhileRevalidate is how long after Fresh the old value is still served while one caller loads the new
	// one in the background (RFC 5861, section 3). Zero: whoever finds the value stale waits for the load.
	StaleWhileRevalidate time.Duration

	// StaleIfError is how long after Fresh the old value is served when the source fails (RFC 5861, section 4).
	// Zero: the source's error is returned.
	StaleIfError time.Duration

	// Negative is how long it is remembered that the source has no such key. Zero: absence is not remembered.
	Negative time.Duration

	// Sliding ends a value this long after its last use. Fresh, if set, caps the whole life. Zero: use does not
	// prolong a life. It goes with none of the stale windows nor with EarlyRefresh.
	Sliding time.Duration

	// Jitter is the share of Fresh and of Negative, from 0 to 1, by which a life is shortened at random, so that
	// what was stored together does not expire together. Zero: lives are exact. A life is never prolonged.
	Jitter float64

	// EarlyRefresh is the beta of XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede
	// Prevention, VLDB 2015): a value is reloaded before it is stale with a probability that grows as the end
	// nears, and grows earlier the longer a load takes. 1 is the paper's optimum; above it earlier. Zero: never.
	EarlyRefresh float64
}

// Validate returns an error that names the first field that makes no sense, or nil.
func (p Policy) Validate() error {
	for _, f := range []struct {
		name string
		d    time.Duration
	}{
		{"Fresh", p.Fresh}, {"StaleWhileRevalidate", p.StaleWhileRevalidate}, {"StaleIfError", p.StaleIfError},
		{"Negative", p.Negative}, {"Sliding", p.Sliding},
	} {
		if f.d < 0 {
			return fmt.Errorf("ttl: Policy.%s is negative: %v", f.name, f.d)
		}
	}
	// Written so that NaN, which compares as neither, is refused too.
	if !(p.Jitter >= 0 && p.Jitter <= 1) {
		return fmt.Errorf("ttl: Policy.Jitter is not between 0 and 1: %v", p.Jitter)
	}
	if !(p.EarlyRefresh >= 0) || math.IsInf(p.EarlyRefresh, 1) {
		return fmt.Errorf("ttl: Policy.EarlyRefresh is negative or no number: %v", p.EarlyRefresh)
	}
	return p.validateTogether()
}

func (p Policy) validateTogether() error {
	stale := p.StaleWhileRevalidate > 0 || p.StaleIfError > 0 || p.EarlyRefresh > 0
	switch {
	case stale && p.Sliding > 0:
		return errors.New("ttl: Policy.Sliding goes with none of StaleWhileRevalidate, StaleIfError and EarlyRefresh")
	case stale && p.Fresh == 0:
		return errors.New("ttl: Policy.Fresh is zero, so a value never becomes stale; " +
			"StaleWhileRevalidate, StaleIfError and EarlyRefresh need it")
	}
	return nil
}

// Deadlines returns until when a value stored at now is fresh, and when it is gone. A zero fresh means fresh until
// it is gone; a zero expires means never gone. random, from 0 up to 1, picks the jitter. Lives of less than a
// second, down to a nanosecond, are exact. A negative Fresh or Sliding, which Validate refuses, is already gone, and
// a negative window is none.
//
// With Sliding, fresh is the cap that use cannot move beyond, and expires comes before it; see [Policy.Slide].
func (p Policy) Deadlines(now Time, random float64) (fresh, expires Time) {
	if p.Sliding != 0 {
		if p.Fresh != 0 {
			fresh = end(now, p.Fresh, p.Jitter, random)
		}
		return fresh, p.Slide(now, fresh)
	}
	if p.Fresh == 0 {
		return 0, 0
	}
	fresh = end(now, p.Fresh, p.Jitter, random)
	window := max(p.StaleWhileRevalidate, p.StaleIfError)
	if window <= 0 || p.Fresh < 0 {
		return 0, fresh
	}
	return fresh, fresh.Add(window)
}

// NegativeDeadline returns when a remembered absence stored at now is gone; ok is false if the Policy remembers
// none. random, from 0 up to 1, picks the jitter.
func (p Policy) NegativeDeadline(now Time, random float64) (expires Time, ok bool) {
	if p.Negative <= 0 {
		return 0, false
	}
	return end(now, p.Negative, p.Jitter, random), true
}

// Slide returns when a value used at now is gone: Sliding later, but not after limit, unless that is zero. It is
// for a Policy whose Sliding is set; limit is the fresh that Deadlines returned.
func (p Policy) Slide(now, limit Time) Time {
	expires := now.Add(p.Sliding)
	if limit != 0 && expires > limit {
		return limit
	}
	return expires
}

// Revalidating reports whether a value that was fresh until the given instant is at now still within its
// StaleWhileRevalidate window. It does not ask whether the window has begun. Zero fresh: there is no window.
func (p Policy) Revalidating(now, fresh Time) bool {
	return within(now, fresh, p.StaleWhileRevalidate)
}

// Rescuing reports whether a value that was fresh until the given instant is at now still within its
// StaleIfError window. It does not ask whether the window has begun. Zero fresh: there is no window.
func (p Policy) Rescuing(now, fresh Time) bool {
	return within(now, fresh, p.StaleIfError)
}

func within(now, fresh Time, window time.Duration) bool {
	return window > 0 && fresh != 0 && !fresh.Add(window).Passed(now)
}

// Refresh reports whether a value that is fresh until the given instant should be reloaded at now already, when a
// load takes cost. random, from 0 up to 1, decides: the greater, the earlier. Zero EarlyRefresh, cost or fresh:
// never, and so it is for a value that is fresh until [End].
func (p Policy) Refresh(now, fresh Time, cost time.Duration, random float64) bool {
	if p.EarlyRefresh <= 0 || cost <= 0 || fresh == 0 || fresh == End {
		return false
	}
	// 1-random lies in (0, 1], so the logarithm is finite, and 0 at its largest.
	ahead := -float64(cost) * p.EarlyRefresh * math.Log(1-random)
	return float64(fresh.Sub(now)) <= ahead
}

// end returns the end of a life that starts at now, shortened by its jitter, but to no less than a nanosecond.
func end(now Time, life time.Duration, jitter, random float64) Time {
	if life == Forever {
		return End
	}
	if jitter > 0 && life > 0 {
		whole := float64(life)
		if life > 1<<53 {
			whole = math.Nextafter(whole, 0) // it may have been rounded up, and would be cut by more than its share
		}
		cut := time.Duration(whole * jitter * random)
		life = max(life-max(cut, 0), 1)
	}
	return now.Add(life)
}
