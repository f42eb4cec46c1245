package strategies

import (
	"context"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/aside"
	"github.com/tarncache/tarn/ttl"
)

// gathering is a load in the background that keys may still join. Its flights are on the table already, so that a key is
// reloaded once. It departs when its time is over, when it is full, when somebody waits for one of its keys, or when the
// reader closes.
type gathering[K comparable, V any] struct {
	load  *load[K, V] // nil: none; protected by flights.mu, as below
	timer *time.Timer
}

// checkGather panics if gathering could have no effect, or outlasts what it is to be done in.
func checkGather[K comparable, V any](c *readConfig, loader tarn.Loader[K, V]) {
	p := &c.policy
	if _, ok := tarn.As[tarn.BatchLoader[K, V]](loader); !ok {
		panic("strategies: ReadThrough: WithRefreshGather needs a loader that implements tarn.BatchLoader")
	}
	if p.RefreshAfter == 0 && p.EarlyRefresh == 0 && p.StaleWhileRevalidate == 0 {
		panic("strategies: ReadThrough: WithRefreshGather needs Policy.RefreshAfter, EarlyRefresh or StaleWhileRevalidate: " +
			"nothing else is reloaded in the background")
	}
	if left := p.Fresh - time.Duration(p.RefreshAfter*float64(p.Fresh)); p.RefreshAfter > 0 && c.gather > left {
		panic(fmt.Sprintf("strategies: ReadThrough: WithRefreshGather %v is above the %v of Fresh that Policy.RefreshAfter leaves",
			c.gather, left))
	}
}

// refresh loads key in the background, unless it is being loaded already or too many are. early: the end of its entry,
// which is still fresh; zero: it is stale.
func (r *reader[K, V]) refresh(ctx context.Context, key K, loader tarn.Loader[K, V], early ttl.Time) {
	if ctx.Err() != nil || r.refreshing.Load() >= maxRefreshes || nestOf(ctx).within(r, key) {
		return
	}
	w := r.wish(ctx, loader)
	w.parent = nil // no loader waits for it
	together := r.gathers && w.many != nil
	var ready *load[K, V]
	f := r.flights.boardEmpty(key, func(bool) *flight[K, V] {
		l := r.gathering.load
		if !together || l == nil {
			if l = r.newRefresh(&w); l == nil {
				return nil
			}
		}
		f := l.flight(key)
		f.early = early
		switch {
		case !together:
			ready = l
		case len(l.flights) >= r.config.maxBatch:
			ready = r.gathered(l)
		case r.gathering.load == nil:
			r.gathering.load = l
			r.gathering.timer = time.AfterFunc(r.config.gather, func() { r.departGathered(l) })
		}
		return f
	})
	if f != nil && ready != nil {
		ready.start()
	}
}

// newRefresh makes a load in the background, or nil if there are too many. The caller holds flights.mu.
func (r *reader[K, V]) newRefresh(w *wish[K, V]) *load[K, V] {
	if r.refreshing.Load() >= maxRefreshes {
		return nil
	}
	r.refreshing.Add(1) // under flights.mu, as wherever it grows
	l := r.newLoad(w)
	l.ctx = aside.Begin(l.ctx)
	l.background.Store(true)
	return l
}

// gathered ends the gathering of a load, and returns it if that has not ended before. The caller holds flights.mu.
func (r *reader[K, V]) gathered(l *load[K, V]) *load[K, V] {
	g := &r.gathering
	if g.load == nil {
		return l // it was full with its first key
	}
	if g.load != l {
		return nil
	}
	g.timer.Stop()
	g.load, g.timer = nil, nil
	return l
}

// awaited has the load depart that is being gathered, if it is l: somebody waits for it. The caller holds flights.mu.
func (l *load[K, V]) awaited() {
	if g := &l.reader.gathering; g.load == l {
		g.timer.Reset(0)
	}
}

// departGathered starts the load that is being gathered, if it is l, or whichever if l is nil.
func (r *reader[K, V]) departGathered(l *load[K, V]) {
	r.flights.mu.Lock()
	if l == nil {
		l = r.gathering.load
	}
	if l != nil && r.gathering.load == l {
		l = r.gathered(l)
	} else {
		l = nil
	}
	r.flights.mu.Unlock()
	if l != nil {
		l.start()
	}
}
