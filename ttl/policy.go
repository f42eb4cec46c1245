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
	// evicted; a store shared among processes caps every life). [Forever] says for ever
	// explicitly, and goes with no stale window and no refresh.
	Fresh time.Duration

	// StaleWhileRevalidate is how long after Fresh the old value is still served while one caller loads the new
	// one in the background (RFC 5861, section 3). Zero: whoever finds the value stale waits for the load. A load that
	// fails is tried again after Throttle; when the window is over, and StaleIfError with it, its error is returned.
	StaleWhileRevalidate time.Duration

	// StaleIfError is how long after Fresh the old value is served when the source fails (RFC 5861, section 4).
	// Zero: the source's error is returned.
	StaleIfError time.Duration

	// Throttle is how long the old value is served without asking again after the source has failed within
	// StaleWhileRevalidate or StaleIfError; then one caller tries again. Jitter shortens it too. Zero: [DefaultThrottle].
	// It never outlasts the longer of the two windows, and must not be above it. It holds as well where a reload that
	// RefreshAfter began has failed.
	Throttle time.Duration

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
	// nears, and grows earlier the longer a load takes, on average of a cache: an entry has no room for its own. 1 is
	// the paper's optimum; above it earlier. Zero: never.
	EarlyRefresh float64

	// RefreshAfter is the share of Fresh, above 0 and below 1, after which a value that is used is reloaded in the
	// background. Until Fresh is over it is served as a fresh one meanwhile. It does without chance, and its hits are as
	// cheap as any until then; a load that takes longer than what is left of Fresh is waited for. Zero: never. It goes
	// with neither EarlyRefresh nor Sliding, and Jitter leaves it its share.
	RefreshAfter float64
}

// DefaultThrottle is what Throttle is if it is zero.
const DefaultThrottle = 5 * time.Second

// Validate returns an error that names the first field that makes no sense, or nil.
func (p Policy) Validate() error {
	for _, f := range []struct {
		name string
		d    time.Duration
	}{
		{"Fresh", p.Fresh}, {"StaleWhileRevalidate", p.StaleWhileRevalidate}, {"StaleIfError", p.StaleIfError},
		{"Throttle", p.Throttle}, {"Negative", p.Negative}, {"Sliding", p.Sliding},
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
	if !(p.RefreshAfter >= 0 && p.RefreshAfter < 1) {
		return fmt.Errorf("ttl: Policy.RefreshAfter is not a share from 0 to below 1: %v", p.RefreshAfter)
	}
	return p.validateTogether()
}

func (p Policy) validateTogether() error {
	stale := p.StaleWhileRevalidate > 0 || p.StaleIfError > 0 || p.EarlyRefresh > 0 || p.RefreshAfter > 0
	switch {
	case stale && p.Sliding > 0:
		return errors.New("ttl: Policy.Sliding goes with none of StaleWhileRevalidate, StaleIfError, " +
			"EarlyRefresh and RefreshAfter")
	case stale && p.Fresh == 0:
		return errors.New("ttl: Policy.Fresh is zero, so a value never becomes stale; " +
			"StaleWhileRevalidate, StaleIfError, EarlyRefresh and RefreshAfter need it")
	case stale && p.Fresh == Forever:
		return errors.New("ttl: Policy.Fresh is Forever, so a value never becomes stale: " +
			"it goes with none of StaleWhileRevalidate, StaleIfError, EarlyRefresh and RefreshAfter")
	case p.EarlyRefresh > 0 && p.RefreshAfter > 0:
		return errors.New("ttl: Policy.EarlyRefresh and RefreshAfter are two answers to one question: set one")
	case p.Throttle > 0 && !p.rearms():
		return errors.New("ttl: Policy.Throttle needs StaleWhileRevalidate, StaleIfError or RefreshAfter: " +
			"nothing else is tried again")
	case p.window() > 0 && p.Throttle > p.window():
		return fmt.Errorf("ttl: Policy.Throttle %v is above the longer of StaleWhileRevalidate and StaleIfError, %v: "+
			"it would never be tried again", p.Throttle, p.window())
	}
	return nil
}

// Deadlines returns until when a value stored at now is fresh, and when it is gone. A zero fresh means fresh until
// it is gone; a zero expires means never gone. random, from 0 up to 1, picks the jitter. Lives of less than a
// second, down to a nanosecond, are exact. A negative Fresh or Sliding, which Validate refuses, is already gone, and
// a negative window is none.
//
// With RefreshAfter, fresh is when the value is to be reloaded, and [Policy.FreshEnd] tells until when it is fresh.
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
	window := p.window()
	switch {
	case p.RefreshAfter > 0 && p.Fresh > 0 && fresh != End:
		life := fresh.Sub(now)
		return now.Add(max(1, time.Duration(p.RefreshAfter*float64(life)))), fresh.Add(window)
	case window == 0 || p.Fresh < 0:
		return 0, fresh
	}
	return fresh, fresh.Add(window)
}

// window is how long after Fresh a value may still be of use.
func (p Policy) window() time.Duration { return max(p.StaleWhileRevalidate, p.StaleIfError, 0) }

// FreshEnd returns until when a value is fresh, or was, that has the given deadlines. It is the fresh among them, unless
// the value is to be reloaded before its end, by RefreshAfter, or is tried again after it, having been rescued when
// the source failed: then its end tells. Deadlines that another Policy set, or a store cut short, make it earlier
// rather than later than it was for what was rescued.
func (p Policy) FreshEnd(fresh, expires Time, rescued bool) Time {
	if fresh == 0 || expires == 0 || expires == End {
		return fresh
	}
	switch end := expires.Add(-p.window()); {
	case rescued:
		return min(fresh, end)
	case p.RefreshAfter > 0:
		return max(fresh, end)
	}
	return fresh
}

// rearms reports whether there is a time in which an old value is left alone when its source has failed.
func (p Policy) rearms() bool { return p.window() > 0 || p.RefreshAfter > 0 }

// Rearm returns until when a value, that was fresh until freshEnd, is served without asking the source again, which has
// failed at now, and whether it was or is rescued by that: whether its time as a fresh one is over. ok is false if it is
// not to be served for so long as to make it worth while. random, from 0 up to 1, picks the jitter.
func (p Policy) Rearm(now, freshEnd Time, random float64) (fresh Time, rescued, ok bool) {
	throttle := p.Throttle
	if throttle <= 0 {
		throttle = DefaultThrottle
	}
	last := freshEnd
	if rescued = freshEnd.Passed(now); rescued {
		if p.window() <= 0 {
			return 0, false, false
		}
		last = freshEnd.Add(p.window())
	}
	fresh = min(end(now, throttle, p.Jitter, random), last)
	return fresh, rescued, !fresh.Passed(now)
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
