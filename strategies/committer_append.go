package strategies

import (
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn/strategies/journal"
)

// start has a goroutine append what is due, unless one does. The caller holds mu.
func (c *committer) start() {
	if !c.running && c.next.due && c.ended == nil {
		c.running = true
		c.landed = make(chan struct{})
		go c.run()
	}
}

// arm has what gathers be due after so long, or earlier. The caller holds mu.
func (c *committer) arm(after time.Duration) {
	if c.failures > 0 { // it is tried again later, also where nothing is new
		after = max(after, commitBackoff.ceiling(c.failures))
	}
	at := time.Now().Add(after)
	if c.next.due || !c.timerAt.IsZero() && !at.Before(c.timerAt) {
		return
	}
	c.timerAt = at
	if c.timer == nil {
		c.timer = time.AfterFunc(after, c.ring)
		return
	}
	c.timer.Reset(after)
}

// commitBackoff says after which time an append that failed is tried again, where nobody asks for it earlier.
var commitBackoff = backoff{min: 10 * time.Millisecond, max: time.Second}

// ring is called when the timer ends.
func (c *committer) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timerAt = time.Time{}
	if !c.next.empty() {
		c.next.due = true
		c.start()
	}
}

// run appends groups until none is due.
func (c *committer) run() {
	for {
		c.wait()
		g, change := c.take()
		if g == nil {
			return
		}
		began, came := time.Now(), len(g.commits)
		err := c.append(g, &change)
		c.land(g, came, err, time.Since(began))
	}
}

// take makes the group that gathers the one that is appended. It returns nil if none is due: then the goroutine ends.
func (c *committer) take() (*commitGroup, journal.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.next
	if !g.due || c.ended != nil {
		c.running = false
		close(c.landed)
		return nil, journal.Change{}
	}
	c.next, c.flying = newCommitGroup(), g
	g.enough = nil
	return g, g.change(c.seq)
}

// appendOne is the journal's Append. What becomes of one that panics is unknown.
func (c *committer) appendOne(change *journal.Change) (err error) {
	panicked := contained(func() { err = c.journal.Append(c.writing, *change) })
	if panicked != nil {
		return fmt.Errorf("%w: %w", journal.ErrPoisoned, panicked)
	}
	return err
}

// land ends an append, to which so many commits came: it applies what is durable, in order, and wakes those who wait.
func (c *committer) land(g *commitGroup, came int, err error, took time.Duration) {
	if err != nil {
		c.tellFailed(err, g.records())
	}
	g.end(err)
	c.mu.Lock()
	c.flying = nil
	c.crowd.landed(came, len(c.next.commits), took)
	var lost *commitGroup
	switch c.failing = err; {
	case err == nil:
		c.failures = 0
		if len(g.remove) > 0 {
			c.hasRoom()
		}
	case errors.Is(err, journal.ErrPoisoned):
		if c.ended == nil {
			c.ended = err
		}
		g.err = err
		lost, c.next = c.next, newCommitGroup()
	default:
		c.failures++
		if c.every > 0 || len(g.remove) > 0 { // else who waits knows
			g.err = err
		}
		c.next.restore(g, !errors.Is(err, journal.ErrFull))
		if !c.next.empty() {
			c.arm(c.every)
		}
	}
	c.mu.Unlock()
	close(g.done)
	if lost != nil {
		lost.end(err)
		lost.err = err
		close(lost.done)
	}
}

// hasRoom wakes those who wait for room. The caller holds mu.
func (c *committer) hasRoom() {
	close(c.freed)
	c.freed = make(chan struct{})
}

func (c *committer) tellFailed(err error, records int) {
	if c.failed != nil {
		c.failed(err, records)
	}
}

// wait waits a little for others to join what is due, if there were others lately.
func (c *committer) wait() {
	c.mu.Lock()
	g := c.next
	want, patience := c.crowd.expected()
	if !g.due || c.every > 0 || len(g.commits) == 0 || len(g.commits) >= want || patience <= 0 {
		c.mu.Unlock()
		return
	}
	enough := make(chan struct{})
	g.want, g.enough = want, enough
	early := len(g.commits)
	c.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-enough:
	case <-timer.C:
	case <-c.writing.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crowd.came(len(g.commits)-early, want-early)
}
