package source

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/aside"
)

// Gate is what loads pass on their way to a source: the breaker, the budget and the rate of it. [New] makes one for a
// single Loader; where several read from one database, [NewGate] makes one for all of them, and [Behind] puts each behind
// it. All methods may be called by any number of goroutines.
//
// A load that asks for others, through caches behind the same gate, passes once: as long as it runs, what it asks for is let
// through with it, which the values of its context tell. Otherwise a breaker that lets a single call through would stop that
// half-way. What it does not wait for passes by itself: what goes on on its context when it has ended, and the reloads in
// the background that a cache of package strategies begins for it.
type Gate struct {
	config  Config
	breaker *breaker // nil: off
	rate    *limiter // nil: no limit
	budget  budget

	calls, failures, retries, denied, byBreaker, byRate, waited atomic.Uint64
}

// NewGate returns a Gate whose breaker is closed. It panics if a field of the Config makes no sense.
func NewGate(c Config) *Gate {
	c.complete()
	g := &Gate{config: c, budget: newBudget(c.Retry)}
	if !c.Breaker.Off {
		g.breaker = newBreaker(c.Breaker)
	}
	if c.Rate.PerSecond > 0 {
		g.rate = newLimiter(c.Rate)
	}
	return g
}

// State returns the state of the breaker; Closed if there is none.
func (g *Gate) State() State {
	if g.breaker == nil {
		return Closed
	}
	return g.breaker.now()
}

// Stats are what a Gate has counted, of calls: a Load, a LoadEntry, or a LoadMany.
type Stats struct {
	Calls         uint64 // let through to the source, retries included
	Failures      uint64 // of these, those that failed or were too slow
	Retries       uint64 // of these, those that tried again
	RetriesDenied uint64 // retries that the budget had nothing left for
	ShedByBreaker uint64 // not let through, as the source had failed
	ShedByRate    uint64 // not let through, as there were too many
	Waited        uint64 // had to wait for their turn
	Opened        uint64 // how often the breaker has opened, again after a probe that failed included
	State         State  // of the breaker: 0 closed, 1 half-open, 2 open
}

// Stats returns the counts until now.
func (g *Gate) Stats() Stats {
	s := Stats{
		Calls: g.calls.Load(), Failures: g.failures.Load(), Retries: g.retries.Load(), RetriesDenied: g.denied.Load(),
		ShedByBreaker: g.byBreaker.Load(), ShedByRate: g.byRate.Load(), Waited: g.waited.Load(), State: g.State(),
	}
	if g.breaker != nil {
		s.Opened = g.breaker.opened.Load()
	}
	return s
}

// passage is a call that was let through, and admits what it asks for. The context of the call has it, under its gate.
type passage struct {
	work *aside.Work // what the call is for
	over atomic.Bool // it has returned
}

// admits reports whether the call waits for what goes on on ctx.
func (p *passage) admits(ctx context.Context) bool { return !p.over.Load() && p.work == aside.Of(ctx) }

// outcome is how a call of the source went.
type outcome struct {
	verdict error // nil: it answered; errFailed; or errNothing
	again   bool  // some of it had better be tried again
}

// pass calls the source, as often as the budget allows. It returns an error if the source was never asked.
func (g *Gate) pass(ctx context.Context, call func(ctx context.Context) outcome) error {
	if p, ok := ctx.Value(g).(*passage); ok && p.admits(ctx) {
		call(ctx)
		return nil
	}
	for number := 0; ; number++ {
		t, err := g.enter(ctx)
		switch {
		case err != nil && number == 0:
			return g.shed(err)
		case err != nil:
			return nil // the source has said why
		case number == 0:
			g.budget.deposit()
		default:
			g.retries.Add(1)
		}
		if !g.ask(ctx, t, call) || number == g.config.Retry.Max || !g.again(ctx, number) {
			return nil
		}
	}
}

// again waits for a retry if there is to be one.
func (g *Gate) again(ctx context.Context, number int) bool {
	pause := g.config.Retry.backoff(number)
	if !lives(ctx, pause) {
		return false
	}
	if !g.budget.withdraw() {
		g.denied.Add(1)
		return false
	}
	return sleep(ctx, pause)
}

// enter waits until a call may reach the source, or says why it may not.
func (g *Gate) enter(ctx context.Context) (*ticket, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := new(ticket)
	if g.breaker != nil {
		var err error
		if t, err = g.breaker.enter(); err != nil {
			return nil, err
		}
	}
	t.failures = &g.failures
	if g.rate == nil {
		return t, nil
	}
	waited, err := g.rate.turn(ctx)
	if waited {
		g.waited.Add(1)
		if err == nil && g.breaker != nil {
			if wait := g.breaker.closedFor(); wait > 0 { // it has opened meanwhile
				err = &ShedError{ByBreaker, wait}
			}
		}
	}
	if err != nil {
		t.tell(errNothing)
		return nil, err
	}
	return t, nil
}

// shed counts a load that was not let through.
func (g *Gate) shed(err error) error {
	var e *ShedError
	if errors.As(err, &e) {
		switch e.By {
		case ByBreaker:
			g.byBreaker.Add(1)
		case ByRate:
			g.byRate.Add(1)
		}
	}
	return err
}

// ask calls the source once, and reports whether it had better be asked again. A call that panics, or ends its goroutine,
// has failed.
func (g *Gate) ask(ctx context.Context, t *ticket, call func(ctx context.Context) outcome) (again bool) {
	verdict := errFailed
	g.calls.Add(1)
	p := &passage{work: aside.Of(ctx)}
	t.begin(ctx)
	defer func() {
		p.over.Store(true)
		t.end(verdict)
	}()
	o := call(context.WithValue(ctx, g, p))
	verdict = o.verdict
	return o.again
}

// verdict says what an error tells about the source.
func (g *Gate) verdict(ctx context.Context, err error) error {
	switch {
	case err == nil || errors.Is(err, tarn.ErrNotFound):
		return nil
	case ctx.Err() == context.Canceled, tarn.IsPermanent(err), errors.Is(err, tarn.ErrShed),
		errors.Is(err, tarn.ErrRecursive), errors.Is(err, tarn.ErrClosed):
		return errNothing
	case g.config.Fault != nil && !g.config.Fault(err):
		return nil
	}
	return errFailed
}
