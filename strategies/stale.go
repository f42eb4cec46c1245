package strategies

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// standing is what the policy says of an entry whose Fresh has passed.
type standing uint8

const (
	ended        standing = iota // it is of no use
	due                          // it is fresh, and to be reloaded in the background
	revalidating                 // it is served while it is reloaded in the background
	rescuing                     // it is served if the source fails, or is too slow
)

// standing returns what is to become of a stale entry.
func (r *reader[K, V]) standing(e *tarn.Entry[V]) standing {
	p := &r.config.policy
	now, end := r.clock.Now(), p.FreshEnd(e.Fresh, e.Expires, e.Rescued)
	switch {
	case p.RefreshAfter > 0 && !e.Rescued && !end.Passed(now):
		return due
	case p.Revalidating(now, end):
		return revalidating
	case p.Rescuing(now, end):
		return rescuing
	}
	return ended
}

// serves answers a stale entry that nobody waits for, and has it reloaded; ok is false if there is none.
func (r *reader[K, V]) serves(
	ctx context.Context, key K, loader tarn.Loader[K, V], e *tarn.Entry[V], standing standing,
) (how How, ok bool) {
	switch standing {
	case due:
		how = HowFresh
		r.note(ctx, tarn.EventHit, key)
	case revalidating:
		how = HowStale
		r.note(ctx, tarn.EventStaleHit, key)
	default:
		return 0, false
	}
	if loader != nil {
		r.refresh(ctx, key, loader, 0)
	}
	return how, true
}

// spared reports whether an old value that may be rescued is served at once, because somebody asks the source already:
// a caller who was given it as the source was too slow, or, of a value that was rescued before, any.
func (r *reader[K, V]) spared(key K, e *tarn.Entry[V]) bool {
	return r.flights.underway(key, !e.Rescued)
}

// rescues reports whether a stale entry is to be served in place of the source's error.
func (r *reader[K, V]) rescues(ctx context.Context, e *tarn.Entry[V], err error) bool {
	return err != nil && !errors.Is(err, tarn.ErrNotFound) && ctx.Err() == nil && !r.closed.Load() &&
		r.standing(e) == rescuing
}

// limits are when a caller waits for a load no longer. The zero limits are none.
type limits struct {
	late <-chan struct{} // closed when callers who could be given an old value have waited for long enough
	hard <-chan struct{} // closed when all have
}

// patience returns limits.late, and what ends it; both nil if these callers wait for as long as the others.
func (r *reader[K, V]) patience() (late <-chan struct{}, stop func() bool) {
	return after(r.config.softTimeout)
}

// after returns a channel that is closed after d, and what ends it; nil if d is zero.
func after(d time.Duration) (over <-chan struct{}, stop func() bool) {
	if d == 0 {
		return nil, nil
	}
	c := make(chan struct{})
	return c, time.AfterFunc(d, func() { close(c) }).Stop
}

// rearms reports whether the entry of a failed load may be served again without asking the source.
func (r *reader[K, V]) rearms() bool {
	p := &r.config.policy
	return p.StaleWhileRevalidate > 0 || p.StaleIfError > 0 || p.RefreshAfter > 0
}

// rearmed makes of an old entry, whose reload has failed, the one that is served until the source is tried again. It is
// gone when the old one was to be.
func (r *reader[K, V]) rearmed(old *tarn.Entry[V]) (e tarn.Entry[V], ok bool) {
	p := &r.config.policy
	e = *old
	e.Stale = false
	e.Fresh, e.Rescued, ok = p.Rearm(r.clock.Now(), p.FreshEnd(e.Fresh, e.Expires, e.Rescued), random(*p))
	return e, ok
}

// rearm is the Fill that ends a flight's lease where the source has failed: with the old value, if it may be served
// again. The lease sees to it that the value is not one that somebody has removed meanwhile. It is called when the
// flight has looked for the last time.
func (f *flight[K, V]) rearm() tarn.Fill[K, V] {
	fill := tarn.Fill[K, V]{Key: f.key, Token: f.token}
	if f.was != nil && f.broken == 0 {
		fill.Entry, fill.Store = f.load.reader.rearmed(f.was)
	}
	return fill
}

// timedOut reports whether a load ran into its time limit.
func (l *load[K, V]) timedOut() bool { return l.ctx.Err() == context.DeadlineExceeded }

// rearmLate ends the leases of a load that is above its time limit. Its callers have been answered.
func (l *load[K, V]) rearmLate() {
	r := l.reader
	if r.leaser == nil || !r.rearms() || l.ctx.Err() == context.Canceled {
		return // leases end by themselves, or the source is not to blame
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), defaultSettleTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil { // of the store, where no caller could see it
			err := &tarn.PanicError{Value: v, Stack: debug.Stack()}
			r.config.observe(ctx, tarn.Event{Kind: tarn.EventPanicked, N: 1, Err: err})
		}
	}()
	fills := make([]tarn.Fill[K, V], 0, len(l.flights))
	r.flights.mu.Lock()
	for _, f := range l.flights {
		if f.mine {
			fills = append(fills, f.rearm())
		}
	}
	r.flights.mu.Unlock()
	if len(fills) == 0 {
		return
	}
	if err := r.fill(ctx, fills); err != nil {
		r.fillFailed(ctx, err, fills)
	}
}

// leaseLife is how long a lease on a load stands: for as long as the load may take, and if an old value is to be kept
// where it takes longer, until that is done.
func (r *reader[K, V]) leaseLife() time.Duration {
	if r.rearms() {
		return r.config.loadTimeout + defaultSettleTimeout
	}
	return r.config.loadTimeout
}

// endOf is when a fresh entry is fresh no more.
func (r *reader[K, V]) endOf(e *tarn.Entry[V]) ttl.Time {
	if end := r.config.policy.FreshEnd(e.Fresh, e.Expires, e.Rescued); end != 0 {
		return end
	}
	return e.Expires
}

// renewed reports whether an entry took the place of one that was fresh until then. The clock of a store that others
// share is known but roughly, so what makes little difference makes none.
func (r *reader[K, V]) renewed(e *tarn.Entry[V], until ttl.Time) bool {
	end := r.endOf(e)
	return end == 0 || end.Sub(until) > r.config.policy.Fresh/16
}
