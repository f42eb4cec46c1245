// Package interleave runs a few actors in every order of their steps, one step at a time, and says in which order
// something goes wrong.
//
// An actor is a goroutine that calls [Run.Step] wherever others may come between; goroutines that it starts belong to
// it as long as they pass its context on. A scheduler waits until all of them stand at a step or are blocked
// otherwise, lets one go on, and so forth. A run is repeated from its start with one choice changed, until all
// choices are made: stateless search, as in VeriSoft (Godefroid, Model Checking for Programming Languages using
// VeriSoft, POPL 1997).
//
// Orders that differ only in steps that have nothing to do with each other are run once, by sleep sets (Godefroid,
// Partial-Order Methods for the Verification of Concurrent Systems, LNCS 1032, chapter 5). For that, each step says
// by [Run.Look] and [Run.Touch] what it reads and changes of what actors share. What a step does not say, the search
// may overlook: when in doubt, touch.
package interleave

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Options say how to explore.
type Options struct {
	// Wait returns when every goroutine of the run, but for the one that calls it, is blocked until another one
	// acts: synctest.Wait.
	Wait func()

	// Idle lets time pass. It is called where no actor stands at a step and not all have finished, in case that they wait
	// for time alone. Nil: who waits then waits for ever.
	Idle func()

	// MaxRuns bounds how often the scene is run. Zero: there is no bound.
	MaxRuns int

	// Sample runs the scene so often with random choices instead of exploring all of them. Zero: all.
	Sample int

	// Seed is where the random choices begin.
	Seed uint64
}

// Report is what was explored.
type Report struct {
	Runs      int  // runs that went to their end
	Redundant int  // runs that were cut short: whatever could follow had been run in another order
	Exhausted bool // every order was run, or is equivalent to one that was
	Failure   *Failure
}

// Failure is an order in which something went wrong.
type Failure struct {
	Err   error
	Steps []string
}

// Explore runs the scene in every order of its actors' steps, until it fails or the options' bound is met. It is
// called once for each run, and has to do the same each time: it makes what the actors share, and names the actors.
func Explore(o Options, scene func(r *Run)) Report {
	e := &explorer{options: o, scene: scene, random: rand.New(rand.NewPCG(o.Seed, 0))}
	for e.run() && e.more() {
	}
	return e.report
}

// explorer is a depth-first search. stack is the path to the run that comes next.
type explorer struct {
	options Options
	scene   func(r *Run)
	random  *rand.Rand
	stack   []*node
	report  Report
}

// node is a state of the scene, known by the choices that led to it.
type node struct {
	enabled []choice
	current int       // the index of the choice that is being explored
	done    []sleeper // choices that were explored
	sleep   []sleeper // choices that need not be: what follows was explored before their turn came
}

// sleeper is a choice whose effects are known.
type sleeper struct {
	choice choice
	print  footprint
}

// run runs the scene once, along the stack and then onwards. It reports whether to go on.
func (e *explorer) run() bool {
	r := newRun()
	e.scene(r)
	r.start()
	var print footprint
	for depth := 0; ; depth++ {
		e.options.Wait()
		enabled := e.enabled(r)
		if depth > 0 {
			print = r.leave()
		}
		if r.failed() != nil || len(enabled) == 0 {
			return e.end(r, len(enabled) > 0)
		}
		c, ok := e.choose(depth, enabled, print)
		if !ok {
			e.report.Redundant++
			r.abandon(e.options.Wait)
			return true
		}
		if c == (choice{}) {
			r.fail(fmt.Errorf("interleave: the scene is not the same in every run: at step %d there was %v, and now is %v",
				depth, e.stack[depth].enabled, enabled))
			return e.end(r, true)
		}
		r.execute(c)
	}
}

// maxIdle is how often Idle is called before nobody can go on.
const maxIdle = 100

// enabled returns what can be next, if need be when time has passed.
func (e *explorer) enabled(r *Run) []choice {
	enabled := r.enabled()
	for n := 0; n < maxIdle && e.options.Idle != nil && len(enabled) == 0; n++ {
		if r.failed() != nil || r.unfinished() == "" {
			break
		}
		e.options.Idle()
		e.options.Wait()
		enabled = r.enabled()
	}
	return enabled
}

// end ends a run that failed or in which nothing can go on.
func (e *explorer) end(r *Run, more bool) bool {
	switch {
	case r.failed() != nil:
	case r.unfinished() != "":
		r.fail(fmt.Errorf("interleave: nobody can go on, but not finished is %s", r.unfinished()))
	case !more:
		e.report.Runs++
		r.check()
	}
	if err := r.failed(); err != nil {
		e.report.Failure = &Failure{err, r.trail()}
		r.abandon(e.options.Wait)
		return false
	}
	r.abandon(e.options.Wait)
	return true
}

// choose returns which of the enabled choices is next. It returns false if none needs to be explored, and the zero
// choice if the run does not go as it went before. print is what the step before did.
func (e *explorer) choose(depth int, enabled []choice, print footprint) (choice, bool) {
	if e.options.Sample > 0 {
		return enabled[e.random.IntN(len(enabled))], true
	}
	if depth < len(e.stack) {
		n := e.stack[depth]
		if !slices.Equal(n.enabled, enabled) {
			return choice{}, true
		}
		return n.enabled[n.current], true
	}
	n := &node{enabled: enabled, current: -1}
	if depth > 0 {
		before := e.stack[depth-1]
		for _, s := range slices.Concat(before.sleep, before.done) {
			if !s.print.conflicts(print) {
				n.sleep = append(n.sleep, s)
			}
		}
		before.note(print)
	}
	if !n.advance() {
		return choice{}, false
	}
	e.stack = append(e.stack, n)
	return n.enabled[n.current], true
}

// note keeps what the current choice did, once it is known. The node before the end of the path learns it when
// the next node is made; until then nobody asks.
func (n *node) note(print footprint) {
	c := n.enabled[n.current]
	for _, s := range n.done {
		if s.choice == c {
			return
		}
	}
	n.done = append(n.done, sleeper{c, print})
}

// advance goes to the next choice that is to be explored, if there is one.
func (n *node) advance() bool {
	for n.current++; n.current < len(n.enabled); n.current++ {
		c := n.enabled[n.current]
		if !slices.ContainsFunc(n.sleep, func(s sleeper) bool { return s.choice == c }) {
			return true
		}
	}
	return false
}

// more sets the stack to the next path. It reports false if there is none or the bound is met.
func (e *explorer) more() bool {
	if e.options.Sample > 0 {
		return e.report.Runs < e.options.Sample
	}
	for len(e.stack) > 0 && !e.stack[len(e.stack)-1].advance() {
		e.stack = e.stack[:len(e.stack)-1]
	}
	if len(e.stack) == 0 {
		e.report.Exhausted = true
		return false
	}
	return e.options.MaxRuns == 0 || e.report.Runs+e.report.Redundant < e.options.MaxRuns
}
