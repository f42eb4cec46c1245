package source

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// budget is what pays for retries. See [Retry].
type budget struct {
	share, reserve float64

	mu      sync.Mutex
	balance float64 // in retries, from 0 to reserve; protected by mu
}

func newBudget(r Retry) budget {
	reserve := float64(r.Reserve)
	return budget{share: r.Share, reserve: reserve, balance: reserve}
}

// deposit is for a load.
func (b *budget) deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.balance = min(b.reserve, b.balance+b.share)
}

// withdraw pays for a retry, and reports whether there was enough.
func (b *budget) withdraw() bool {
	const rounding = 1e-9 // ten times a tenth is a whole one
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.balance < 1-rounding {
		return false
	}
	b.balance = max(0, b.balance-1)
	return true
}

// backoff returns how long to wait before the retry of that number, which counts from 0.
func (r *Retry) backoff(number int) time.Duration {
	ceiling := r.MinBackoff
	for range number {
		if ceiling > r.MaxBackoff/2 {
			ceiling = r.MaxBackoff
			break
		}
		ceiling *= 2
	}
	return 1 + rand.N(ceiling)
}

// sleep waits, unless the context ends before that, and reports whether it did.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// lives reports whether a context goes on for longer than d.
func lives(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) > d)
}
