package source

import (
	"fmt"
	"math"
	"time"
)

// Config says how a source is spared. Its zero value is a breaker with the values below, without retries or a limit.
type Config struct {
	Breaker Breaker // leaves a source alone that fails
	Retry   Retry   // tries again what failed, for a share of the loads
	Rate    Rate    // bounds the loads a second

	// Fault reports whether an error is the source's own fault. One that is not, such as a refused argument, is an answer:
	// it opens no breaker, and is not tried again. Not asked about are [tarn.ErrNotFound], which is an answer anyway, and
	// errors that say nothing about the source: what [tarn.Permanent] marks, [tarn.ErrShed] of another gate,
	// [tarn.ErrRecursive] and [tarn.ErrClosed] of another cache, and whatever comes of a load that was cancelled because
	// nobody waits for it. Nil: every other error is.
	Fault func(err error) bool
}

// Breaker leaves a source alone that fails: it opens when calls fail, lets nothing through for a pause, and then a few calls,
// by which it finds out whether the source is back. A panic of the loader is a failure too.
type Breaker struct {
	// Off switches the breaker off.
	Off bool

	// Failures is how many calls in a row, retries included, have to fail for the breaker to open. Zero: 5.
	Failures int

	// Slow is how long a call may take. It counts as a failure as soon as it takes longer; what it answers then is passed on
	// all the same. Let it be less than your callers wait: a load that the last of them has left is cancelled, and says
	// nothing about the source. Zero: a call may take as long as its context allows, and that lets a breaker find out
	// whether the source is back a minute.
	Slow time.Duration

	// Pause is how long an open breaker lets nothing through. It doubles each time that the source turns out not to be back,
	// up to MaxPause. Zero: one second, and ten for MaxPause.
	Pause, MaxPause time.Duration

	// Probes is how many calls are let through then, and have to succeed for the breaker to close; one that fails opens it
	// again. One that is cancelled since its callers have left makes room for another when it returns; if it has not after
	// the time of Pause, it has failed. Zero: 1.
	Probes int

	// OnChange is told of each change of state, in order. It is called under the breaker's lock, so it is quick, does not
	// load, and does not panic. Nil: nobody is told.
	OnChange func(from, to State)
}

// Retry tries again what has failed. The pauses between are random, up to a ceiling that doubles from MinBackoff to
// MaxBackoff (full jitter: Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015), and a retry that the
// context would not live to see is not waited for.
//
// All loads share a budget, so that retries cannot multiply the load of a source that is failing already: each load pays
// Share of a retry into it, and each retry takes a whole one out, as with Finagle's RetryBudget; it begins full and holds no
// more than Reserve, as with gRPC's retry throttling (gRFC A6). So retries are never more than Share of the loads and
// Reserve. What a load asks for in turn, through another cache behind the same [Gate], is not tried again by itself.
type Retry struct {
	// Max is how often a load is tried again at most. Zero: never.
	Max int

	// Share is how many retries there are for each load, above 0 and up to 1. Zero: 0.1.
	Share float64

	// Reserve is how many retries there may be at once before their share is earned. Zero: 10.
	Reserve int

	// MinBackoff and MaxBackoff bound the pause before a retry. Zero: 50 milliseconds and one second.
	MinBackoff, MaxBackoff time.Duration
}

// Rate bounds how many calls a second reach the source, retries included.
type Rate struct {
	// PerSecond is how many calls are let through in a second. Zero: there is no limit.
	PerSecond float64

	// Burst is how many may come at once after a quiet time. Zero: what PerSecond allows in a tenth of a second, and one at
	// least.
	Burst int

	// Wait is how long a load waits for its turn; one whose turn is further away, or after the end of its context, is shed at
	// once. So no more than PerSecond times Wait loads wait. Zero: none waits.
	Wait time.Duration
}

// complete panics on what makes no sense, and sets what was left out.
func (c *Config) complete() {
	c.Breaker.complete()
	c.Retry.complete()
	c.Rate.complete()
}

func (b *Breaker) complete() {
	notNegative("Breaker.Failures", b.Failures)
	notNegative("Breaker.Slow", b.Slow)
	notNegative("Breaker.Pause", b.Pause)
	notNegative("Breaker.MaxPause", b.MaxPause)
	notNegative("Breaker.Probes", b.Probes)
	refuse(b.MaxPause > 0 && b.Pause > b.MaxPause, "Breaker.Pause is above MaxPause")
	refuse(b.Off && (b.Failures > 0 || b.Slow > 0 || b.Pause > 0 || b.MaxPause > 0 || b.Probes > 0 || b.OnChange != nil),
		"Breaker.Off, and yet other fields of Breaker are set")
	setDefault(&b.Failures, 5)
	setDefault(&b.Probes, 1)
	between(&b.Pause, &b.MaxPause, time.Second, 10*time.Second)
}

func (r *Retry) complete() {
	notNegative("Retry.Max", r.Max)
	notNegative("Retry.Reserve", r.Reserve)
	notNegative("Retry.MinBackoff", r.MinBackoff)
	notNegative("Retry.MaxBackoff", r.MaxBackoff)
	refuse(!(r.Share >= 0 && r.Share <= 1), "Retry.Share is not between 0 and 1")
	refuse(r.MaxBackoff > 0 && r.MinBackoff > r.MaxBackoff, "Retry.MinBackoff is above MaxBackoff")
	refuse(r.Max == 0 && (r.Share > 0 || r.Reserve > 0 || r.MinBackoff > 0 || r.MaxBackoff > 0),
		"Retry.Max is zero, and yet other fields of Retry are set")
	setDefault(&r.Share, 0.1)
	setDefault(&r.Reserve, 10)
	between(&r.MinBackoff, &r.MaxBackoff, 50*time.Millisecond, time.Second)
}

func (r *Rate) complete() {
	refuse(!(r.PerSecond >= 0) || math.IsInf(r.PerSecond, 1), "Rate.PerSecond is negative, or no number")
	notNegative("Rate.Burst", r.Burst)
	notNegative("Rate.Wait", r.Wait)
	refuse(r.PerSecond == 0 && (r.Burst > 0 || r.Wait > 0), "Rate.PerSecond is zero, and yet other fields of Rate are set")
	setDefault(&r.Burst, int(max(1, min(r.PerSecond/10, math.MaxInt32))))
}

// between sets what was left out of two bounds, so that the one is not above the other.
func between(low, high *time.Duration, lowest, highest time.Duration) {
	switch {
	case *high == 0:
		setDefault(low, lowest)
		*high = max(highest, *low)
	case *low == 0:
		*low = min(lowest, *high)
	}
}

func setDefault[T int | float64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

func notNegative[T int | time.Duration](field string, value T) {
	refuse(value < 0, field+" is negative")
}

func refuse(bad bool, what string) {
	if bad {
		panic(fmt.Sprintf("source: Config.%s", what))
	}
}
