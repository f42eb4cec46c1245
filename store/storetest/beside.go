package storetest

import (
	"sync"
	"testing"
)

// Beside makes the rows that wait by the real clock wait at the same time, each on a store of its own, when all other
// rows are done: the suite takes a fraction of the time. Stores then exist beside each other, and some are in use while
// newStore is called, by one goroutine at a time: it may not empty what they share, as a FLUSHALL would, so each needs
// a namespace or a server of its own. At most eight wait at once, so that what they do besides is not in their way. Left
// out, or without [RealTime], one row runs after the other.
func Beside() Option {
	return func(c *config) { c.beside = true }
}

// runBeside runs what does not wait in all groups, one row after the other, and then what does in all of them, a few at a time.
// It leaves the number of tests at once, which is the number of processors, to those that use them: hence no t.Parallel.
func (c *config) runBeside(t *testing.T, groups []group, offered Capability) {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, atOnce)
	begin := make(chan struct{}) // closed when the rows that wait may
	defer close(begin)
	for _, g := range groups {
		done := make(chan struct{}) // closed when those are done that do not, or the group does not run
		over := sync.OnceFunc(func() { close(done) })
		running.Go(func() {
			defer over()
			t.Run(g.name, func(t *testing.T) {
				c.applies(t, g, offered)
				waiting := c.runQuick(t, g, offered)
				over()
				<-begin
				c.runAtOnce(t, waiting, offered, slots)
			})
		})
		<-done
	}
}

// runQuick runs the rows of a group that do not wait, and returns those that do.
func (c *config) runQuick(t *testing.T, g group, offered Capability) (waiting []row) {
	for _, r := range g.rows {
		if r.waits {
			waiting = append(waiting, r)
			continue
		}
		t.Run(r.name, func(t *testing.T) { c.run(t, r, offered) })
	}
	return waiting
}

// atOnce is how many rows wait beside each other.
const atOnce = 8

func (c *config) runAtOnce(t *testing.T, rows []row, offered Capability, slots chan struct{}) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, r := range rows {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			t.Run(r.name, func(t *testing.T) { c.run(t, r, offered) })
		})
	}
}
