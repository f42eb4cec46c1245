package strategies

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// committer brings what many callers accept into one journal, in few appends: while one append runs, the next group
// gathers (DeWitt et al., Implementation Techniques for Main Memory Database Systems, SIGMOD 1984, section 5.2).
//
//	do:    admit ─► number ─► gather ─► append ─► apply ─► wake          without every: Sync
//	do:    admit ─► number ─► gather ─► apply                            with every: Buffered
//	                            └─► append, within every
//
// The order of the numbers is the order of apply, and the order in which the journal learns of them. Removals are kept in
// one line: an append takes the whole line, or its beginning, so that none is ever durable before an earlier one. Otherwise
// a crash could leave an older operation of a key in the journal whose newer one the source has already.
//
// What the journal has no room for as a whole, or finds too heavy, goes in parts: first the line, then the rest.
//
// It has no goroutine while there is nothing to append.
//
// Locks are taken in the order: order, then those of the table that apply and admit lock, then mu.
type committer struct {
	journal journal.Journal
	every   time.Duration                // 0: a commit is applied once it is durable
	failed  func(err error, records int) // told of each append that failed, without a lock

	writing context.Context // of all appends; ends when close gives up waiting
	recall  context.CancelFunc

	order sync.Mutex // held from admit to number, and with every to the end of apply

	mu       sync.Mutex // protects all below
	seq      uint64     // the last number given
	next     *commitGroup
	flying   *commitGroup // being appended; nil: none
	running  bool         // there is a goroutine that appends
	landed   chan struct{}
	timer    *time.Timer
	timerAt  time.Time // when timer ends; zero: it is not set
	failures int       // appends that failed in a row
	failing  error     // of the last append, if it failed
	ended    error     // why nothing is taken any more; nil: it is
	freed    chan struct{}
	crowd    crowd
}

// commit is what one caller has the journal learn of, as a whole or not at all.
type commit struct {
	put    []journal.Record // are given the next numbers, in their order
	renew  []journal.Record // take the place of those that have their numbers
	remove []uint64

	// replace are what put stands for: they leave with the append that brings it, and with none before.
	replace []uint64

	// admit, unless it is nil, is asked right before the numbers are given. If it returns an error, nothing happens.
	admit func() error

	// apply, unless it is nil, is called once: with nil when the journal has all of it, after those with smaller numbers
	// and before those with greater ones; otherwise with the reason. It may call remove, and must not wait.
	apply func(err error)

	err error // set before its group is done
}

func newCommitter(j journal.Journal, every time.Duration, failed func(err error, records int)) *committer {
	c := &committer{
		journal: j, every: every, failed: failed,
		next: newCommitGroup(), landed: make(chan struct{}), freed: make(chan struct{}),
	}
	close(c.landed)
	c.writing, c.recall = context.WithCancel(context.Background())
	return c
}

// begin has the next number be greater than seq and than any that was given out in an earlier life of the journal, also of
// those that never got into it: each life has its own upper bits. A source that refuses older operations would otherwise
// refuse a newer one. It returns when that is durable, and waits for room if the journal is full.
func (c *committer) begin(ctx context.Context, seq uint64) error {
	const space = 40 // bits for the numbers of one life
	first := (seq>>space + 1) << space
	if first>>63 != 0 {
		return errors.New("strategies: the journal has no numbers left")
	}
	c.mu.Lock()
	c.seq = first
	c.mu.Unlock()
	for failures := 1; ; failures++ {
		err := c.journal.Append(ctx, journal.Change{Seq: first})
		if !errors.Is(err, journal.ErrFull) {
			return err
		}
		c.tellFailed(err, 0)
		if c.roomFor(ctx, failures) != nil {
			return err
		}
	}
}

// roomFor waits, after so many appends that found no room, until there may be some. Room may also come from outside.
func (c *committer) roomFor(ctx context.Context, failures int) error {
	c.mu.Lock()
	freed := c.freed
	c.mu.Unlock()
	timer := time.NewTimer(commitBackoff.ceiling(failures))
	defer timer.Stop()
	select {
	case <-freed:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do has the journal learn of x. Without every, it returns when that is durable and applied; with it, when it is applied.
// If ctx ends while it waits, it returns its error, and x goes on by itself.
func (c *committer) do(ctx context.Context, x *commit) error {
	g, err := c.join(x)
	if err != nil {
		if x.apply != nil {
			x.apply(err)
		}
		return err
	}
	if g == nil {
		return nil
	}
	select {
	case <-g.done:
		return x.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join numbers x and puts it into the group that gathers, which it returns unless x is applied already.
func (c *committer) join(x *commit) (*commitGroup, error) {
	c.order.Lock()
	defer c.order.Unlock()
	if x.admit != nil {
		if err := x.admit(); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	if err := c.refuses(); err != nil {
		c.mu.Unlock()
		return nil, err
	}
	for i := range x.put {
		c.seq++
		x.put[i].Seq = c.seq
	}
	g := c.next
	if c.every == 0 {
		g.join(x)
		c.start()
		c.mu.Unlock()
		return g, nil
	}
	g.buffer(x)
	c.arm(c.every)
	c.mu.Unlock()
	if x.apply != nil {
		x.apply(nil)
	}
	return nil, nil
}

// refuses returns the reason for which nothing is taken, if there is one. With every, a journal that has failed for four
// times that long is one: what would be lost in a crash becomes too much. The caller holds mu.
func (c *committer) refuses() error {
	if c.ended != nil {
		return c.ended
	}
	oldest := c.next.since
	if c.flying != nil {
		oldest = c.flying.since
	}
	if c.failing != nil && !oldest.IsZero() && time.Since(oldest) > 4*c.every {
		return c.failing
	}
	return nil
}

// remove has the journal forget a record, in the order of the calls, soon. A record that no append has taken yet will not
// get there at all.
func (c *committer) remove(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return
	}
	if c.next.forget(seq) {
		return
	}
	c.next.remove = append(c.next.remove, seq)
	c.arm(removalDelay)
}

// renew has the journal keep a record again that it was told to forget, in the append that forgets the record of number
// seq. The append after the one that fails has both.
func (c *committer) renew(seq uint64, rec journal.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return
	}
	c.next.renew = append(c.next.renew, renewal{rec, len(c.next.remove), 1})
	c.next.remove = append(c.next.remove, seq)
	c.arm(removalDelay)
}

// removalDelay is how long a removal waits at most for an append with which it can go.
const removalDelay = time.Second

// amend has a record that was taken, and that no append has taken yet, be rec, which has its number, and in place of others.
// It reports false if an append was faster, or nothing is taken now.
func (c *committer) amend(rec journal.Record, replace []uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refuses() == nil && c.next.amend(rec, replace)
}

// sync returns when the journal has everything that was taken or removed before the call. If an append fails meanwhile, it
// returns its error; what was not durable stays.
func (c *committer) sync(ctx context.Context) error {
	c.mu.Lock()
	if c.ended != nil {
		defer c.mu.Unlock()
		return c.ended
	}
	flying, next := c.flying, c.next
	if next.empty() {
		next = nil
	} else {
		next.due = true
		c.start()
	}
	c.mu.Unlock()
	for _, g := range []*commitGroup{flying, next} {
		if g == nil {
			continue
		}
		select {
		case <-g.done:
			if g.err != nil {
				return g.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// unsynced returns how many records were taken and are not durable.
func (c *committer) unsynced() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.next.records()
	if c.flying != nil {
		n += c.flying.records()
	}
	return n
}

// close takes nothing any more, appends what is left, once, and ends the goroutine. If ctx ends before, the append that
// hangs is not waited for. It does not close the journal.
func (c *committer) close(ctx context.Context) error {
	err := c.sync(ctx)
	c.mu.Lock()
	left := newCommitGroup()
	if c.ended == nil {
		c.ended = tarn.ErrClosed
		left, c.next = c.next, left // who came after the sync
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	landed := c.landed
	c.mu.Unlock()
	left.end(tarn.ErrClosed)
	left.err = tarn.ErrClosed
	close(left.done)
	select {
	case <-landed:
	case <-ctx.Done():
	}
	c.recall()
	return err
}
