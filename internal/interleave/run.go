package interleave

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Run is one run of a scene. Its methods may be called by any goroutine of the run; those that set the scene are
// called by the scene alone.
type Run struct {
	actors []*actor
	events []event
	checks []func()
	ends   []func()
	all    sync.WaitGroup

	mu      sync.Mutex // protects all below
	gates   []*gate
	print   footprint
	steps   []string
	budgets map[string]int
	err     error
	free    bool // steps wait for nobody any more
}

// actor is a goroutine of the scene, with all that it starts.
type actor struct {
	name   string
	index  int
	run    func(ctx context.Context)
	ctx    context.Context
	cancel context.CancelFunc
	done   bool // protected by Run.mu
}

// event is a step that the scheduler takes itself.
type event struct {
	name    string
	enabled func() bool
	do      func()
	touches []any // nil: everything
}

// gate is a goroutine at a step.
type gate struct {
	actor int
	label string
	fault string        // empty: none
	open  chan struct{} // closed when it goes on
	fails bool          // set before open is closed
}

// background is the actor of goroutines whose context comes from nobody.
const background = 1 << 20

// choice is what can be next.
type choice struct {
	actor int
	label string
	fails bool
}

type actorKey struct{}

func newRun() *Run {
	return &Run{budgets: make(map[string]int)}
}

// Go adds an actor. f runs on a goroutine of its own, with a context by which its steps are known; it begins with
// the run, so it should Step before it does anything that others see.
func (r *Run) Go(name string, f func(ctx context.Context)) {
	a := &actor{name: name, index: len(r.actors), run: f}
	a.ctx, a.cancel = context.WithCancel(context.WithValue(context.Background(), actorKey{}, a))
	r.actors = append(r.actors, a)
}

// Event adds a step that belongs to no actor, and happens at most once, at any time at which enabled says so. do runs
// while all actors stand still; it may sleep. It is taken to have to do with every other step, or if touches are
// given, with those that have to do with one of them; then what enabled depends on is among them too.
func (r *Run) Event(name string, enabled func() bool, do func(), touches ...any) {
	r.events = append(r.events, event{name, enabled, do, touches})
}

// Allow lets a fault of StepOr happen so often in a run.
func (r *Run) Allow(fault string, times int) { r.budgets[fault] = times }

// Check adds a function that is called at the end of a run in which every actor has finished. Steps wait for nobody
// then.
func (r *Run) Check(f func()) { r.checks = append(r.checks, f) }

// End adds a function that is called at the end of every run, whatever became of it, the last one first.
func (r *Run) End(f func()) { r.ends = append(r.ends, f) }

// Step waits until the scheduler lets the calling goroutine go on. Goroutines of one actor that wait at the same
// time need different labels.
func (r *Run) Step(ctx context.Context, label string) { r.StepOr(ctx, label, "") }

// StepOr is Step, at which a fault can happen, as often as Allow said. It reports whether it does.
func (r *Run) StepOr(ctx context.Context, label, fault string) bool {
	g := &gate{actor: background, label: label, fault: fault, open: make(chan struct{})}
	if a, ok := ctx.Value(actorKey{}).(*actor); ok {
		g.actor = a.index
	}
	r.mu.Lock()
	if r.free {
		r.mu.Unlock()
		return false
	}
	r.gates = append(r.gates, g)
	r.mu.Unlock()
	<-g.open
	return g.fails
}

// Look says that the current step reads something that actors share.
func (r *Run) Look(object any) { r.access(object, false) }

// Touch says that the current step changes something that actors share.
func (r *Run) Touch(object any) { r.access(object, true) }

func (r *Run) access(object any, write bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.print.add(object, write)
}

// Note adds words to the current step, for whoever reads a failure.
func (r *Run) Note(words string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.steps); n > 0 && !r.free {
		r.steps[n-1] += "; " + words
	}
}

// Failf ends the run: something went wrong.
func (r *Run) Failf(format string, args ...any) { r.fail(fmt.Errorf(format, args...)) }

// Over reports whether steps wait for nobody any more, because the run has ended.
func (r *Run) Over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.free
}

// Now returns how many steps have begun.
func (r *Run) Now() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.steps)
}

func (r *Run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *Run) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *Run) trail() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.steps)
}

func (r *Run) start() {
	for _, a := range r.actors {
		r.all.Go(func() {
			a.run(a.ctx)
			r.mu.Lock()
			defer r.mu.Unlock()
			a.done = true
		})
	}
}

// leave returns what the step did that has ended.
func (r *Run) leave() footprint {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.print
}

// enabled returns what can be next, in an order that depends on nothing but the scene.
func (r *Run) enabled() []choice {
	var enabled []choice
	r.mu.Lock()
	for _, g := range r.gates {
		enabled = append(enabled, choice{g.actor, g.label, false})
		if g.fault != "" && r.budgets[g.fault] > 0 {
			enabled = append(enabled, choice{g.actor, g.label, true})
		}
	}
	done := len(r.gates) == 0 && r.unfinishedLocked() == ""
	r.mu.Unlock()
	for i, e := range r.events {
		if !done && e.enabled() {
			enabled = append(enabled, choice{-1 - i, e.name, false})
		}
	}
	slices.SortFunc(enabled, func(a, b choice) int {
		return cmp.Or(cmp.Compare(a.actor, b.actor), strings.Compare(a.label, b.label), compareBool(a.fails, b.fails))
	})
	for i := range len(enabled) - 1 {
		if enabled[i] == enabled[i+1] {
			r.fail(fmt.Errorf("interleave: two goroutines of one actor wait at %q", enabled[i].label))
		}
	}
	return enabled
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// execute begins a step.
func (r *Run) execute(c choice) {
	if c.actor < 0 {
		e := &r.events[-1-c.actor]
		r.begin(c, footprint{all: len(e.touches) == 0}, e.name)
		for _, object := range e.touches {
			r.Touch(object)
		}
		e.enabled = func() bool { return false }
		e.do()
		return
	}
	name := "background"
	if c.actor != background {
		name = r.actors[c.actor].name
	}
	if c.fails {
		name += ", failing,"
	}
	r.begin(c, footprint{actor: c.actor}, name+": "+c.label)
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.gates, func(g *gate) bool { return g.actor == c.actor && g.label == c.label })
	g := r.gates[i]
	r.gates = slices.Delete(r.gates, i, i+1)
	if c.fails {
		g.fails = true
		r.budgets[g.fault]--
		r.print.add(g.fault, true)
	}
	close(g.open)
}

func (r *Run) begin(c choice, print footprint, step string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	print.actor = c.actor
	r.print = print
	r.steps = append(r.steps, step)
}

// unfinished names an actor that has not finished, or a goroutine that stands at a step; empty: there is none.
func (r *Run) unfinished() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unfinishedLocked()
}

func (r *Run) unfinishedLocked() string {
	for _, a := range r.actors {
		if !a.done {
			return a.name
		}
	}
	return ""
}

// check calls the scene's checks.
func (r *Run) check() {
	r.release()
	for _, f := range r.checks {
		f()
	}
}

// release lets all go on, and whoever comes.
func (r *Run) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = true
	for _, g := range r.gates {
		close(g.open)
	}
	r.gates = nil
}

// abandon ends the run. What is left of it is done one step after the other, too; actors that wait for something that
// does not come find their contexts ended.
func (r *Run) abandon(wait func()) {
	for wait(); r.openOne(); wait() {
	}
	r.cancel()
	for wait(); r.openOne(); wait() {
	}
	r.release()
	r.all.Wait()
	for _, f := range slices.Backward(r.ends) {
		f()
	}
	wait()
}

// openOne lets one goroutine go on, if one stands at a step.
func (r *Run) openOne() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.gates) == 0 {
		return false
	}
	close(r.gates[0].open)
	r.gates = r.gates[1:]
	return true
}

func (r *Run) cancel() {
	for _, a := range r.actors {
		a.cancel()
	}
}
