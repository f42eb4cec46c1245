package source

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter lets calls through at a rate.
type limiter struct {
	wait time.Duration

	// mu is held from a reservation to the decision whether it is kept: given back after others were made, one is lost, and
	// a crowd of callers who are refused would use the rate up.
	mu     sync.Mutex
	tokens *rate.Limiter
}

func newLimiter(r Rate) *limiter {
	return &limiter{wait: r.Wait, tokens: rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)}
}

// turn waits for the caller's turn, or returns an error at once if that is too far away.
func (l *limiter) turn(ctx context.Context) (waited bool, err error) {
	mine, delay, ok := l.reserve(ctx)
	switch {
	case !ok:
		return false, &ShedError{ByRate, delay}
	case delay == 0:
		return false, nil
	case sleep(ctx, delay):
		return true, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	mine.Cancel()
	return true, ctx.Err()
}

// reserve takes a turn that is near enough. If none is, it returns how far away the next one is.
func (l *limiter) reserve(ctx context.Context) (mine *rate.Reservation, delay time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	mine = l.tokens.ReserveN(now, 1)
	delay = mine.DelayFrom(now)
	if delay > 0 && (delay > l.wait || !lives(ctx, delay)) {
		mine.CancelAt(now)
		return nil, delay, false
	}
	return mine, delay, true
}
