package strategies

import (
	"math/rand/v2"
	"time"
)

// backoff says how long to wait before a failed write is tried again: a random time up to a ceiling that doubles
// with each failure, from min to max. The full jitter keeps the keys of one outage from coming back together
// (Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015).
type backoff struct {
	min, max time.Duration // 0 < min <= max
}

// ceiling returns the longest wait after so many failures in a row; there was at least one.
func (b backoff) ceiling(failures int) time.Duration {
	ceiling := b.min
	for range failures - 1 {
		if ceiling > b.max/2 {
			return b.max
		}
		ceiling *= 2
	}
	return ceiling
}

// delay returns a random wait of at least a nanosecond and at most the ceiling.
func (b backoff) delay(failures int) time.Duration {
	return 1 + rand.N(b.ceiling(failures))
}
