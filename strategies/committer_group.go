package strategies

import (
	"cmp"
	"slices"
	"time"

	"github.com/tarncache/tarn/strategies/journal"
)

// commitGroup is what goes into one append. All but done, and what they wait for who do, is protected by the committer's mu
// while the group gathers; afterwards it belongs to the goroutine that appends it.
type commitGroup struct {
	commits []*commit // without every: those who wait
	renewed []*commit // those of commits that renew something

	put      []journal.Record // with every: in the order of their numbers; of no Kind if it is removed already
	blank    int              // how many of put are removed already
	since    time.Time        // with every: when the first of them came; zero: there are none
	repeated bool             // some of put may be in the journal although their append failed
	replaced []uint64         // with every: what put stands for; goes with put, and not before

	remove []uint64  // the line of removals
	renew  []renewal // goes with what it belongs to in remove, or before
	due    bool
	want   int           // how many commits are enough
	enough chan struct{} // closed when they are there; nil: nobody waits

	done chan struct{} // closed when the group was appended, or was not
	err  error         // why what sync asks for is not durable; set before done is closed
}

// renewal is a record that the journal is to have in the place of the one of its number, before n removals are durable that
// stand in the line from first on.
type renewal struct {
	rec      journal.Record
	first, n int
}

func newCommitGroup() *commitGroup { return &commitGroup{done: make(chan struct{})} }

// join takes in a commit that is waited for.
func (g *commitGroup) join(x *commit) {
	g.commits = append(g.commits, x)
	if len(x.renew) > 0 {
		g.renewed = append(g.renewed, x)
	}
	g.due = true
	if g.enough != nil && len(g.commits) >= g.want {
		close(g.enough)
		g.enough = nil
	}
}

// buffer takes in a commit that nobody waits for.
func (g *commitGroup) buffer(x *commit) {
	g.put = append(g.put, x.put...)
	first := len(g.remove)
	for _, seq := range x.remove { // an append removes before it puts, so what is here would stay
		if !g.forget(seq) {
			g.remove = append(g.remove, seq)
		}
	}
	for _, rec := range x.renew {
		g.renew = append(g.renew, renewal{rec, first, len(g.remove) - first})
	}
	g.replace(x.replace)
	if g.since.IsZero() {
		g.since = time.Now()
	}
}

// replace has records leave with those of put that stand for them.
func (g *commitGroup) replace(seqs []uint64) {
	for _, seq := range seqs {
		if !g.forget(seq) {
			g.replaced = append(g.replaced, seq)
		}
	}
}

// amend has a record of put be rec, in place of others, and reports false if there is none of that number.
func (g *commitGroup) amend(rec journal.Record, replace []uint64) bool {
	i, found := g.find(rec.Seq)
	if !found || removed(g.put[i]) {
		return false
	}
	g.put[i] = rec
	g.replace(replace)
	return true
}

// find returns where in put a record is.
func (g *commitGroup) find(seq uint64) (i int, found bool) {
	return slices.BinarySearchFunc(g.put, seq, func(r journal.Record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
}

// forget takes a record out of the group, and reports whether it is in no journal either.
func (g *commitGroup) forget(seq uint64) bool {
	g.renew = slices.DeleteFunc(g.renew, func(r renewal) bool { return r.rec.Seq == seq })
	for _, x := range g.renewed {
		x.renew = slices.DeleteFunc(x.renew, func(r journal.Record) bool { return r.Seq == seq })
	}
	i, found := g.find(seq)
	if !found {
		return false
	}
	if !removed(g.put[i]) {
		g.put[i] = journal.Record{Seq: seq}
		g.blank++
		g.tidy()
	}
	return !g.repeated
}

// tidy gives the places of removed records back when they are most of put: of a key that is written over and over, each
// write leaves one.
func (g *commitGroup) tidy() {
	const few = 256
	if cap(g.put) <= few || 2*g.blank <= len(g.put) {
		return
	}
	left := make([]journal.Record, 0, max(2*(len(g.put)-g.blank), few))
	for _, r := range g.put {
		if !removed(r) {
			left = append(left, r)
		}
	}
	g.put, g.blank = left, 0
}

// change returns what is to be appended; seq is the last number given.
func (g *commitGroup) change(seq uint64) journal.Change {
	g.put, g.blank = slices.DeleteFunc(g.put, removed), 0
	change := journal.Change{Seq: seq, Remove: slices.Concat(g.remove, g.replaced)}
	change.Put = append(renewed(g.renew), g.put...)
	for _, x := range g.commits {
		change.Remove = append(append(change.Remove, x.remove...), x.replace...)
		change.Put = append(append(change.Put, x.put...), x.renew...)
	}
	return change
}

// renewed returns the records of renewals.
func renewed(renewals []renewal) []journal.Record {
	recs := make([]journal.Record, 0, len(renewals))
	for _, r := range renewals {
		recs = append(recs, r.rec)
	}
	return recs
}

// restore takes back what was not appended of an earlier group. unknown says that it may be in the journal all the same.
func (g *commitGroup) restore(old *commitGroup, unknown bool) {
	gone := make(map[uint64]bool, len(g.remove))
	for _, seq := range slices.Concat(g.remove, g.replaced) {
		gone[seq] = true
	}
	g.put = append(slices.DeleteFunc(old.put, func(r journal.Record) bool { return gone[r.Seq] }), g.put...)
	for i := range g.renew {
		g.renew[i].first += len(old.remove)
	}
	g.renew = append(slices.DeleteFunc(old.renew, func(r renewal) bool { return gone[r.rec.Seq] }), g.renew...)
	g.repeated = g.repeated || old.repeated || unknown && len(old.put) > 0
	g.remove = append(old.remove, g.remove...)
	g.replaced = append(old.replaced, g.replaced...)
	if !old.since.IsZero() {
		g.since = old.since
	}
	for _, x := range old.commits {
		if unknown && len(x.renew)+len(x.remove)+len(x.replace) == 0 {
			for _, r := range x.put {
				g.remove = append(g.remove, r.Seq)
			}
		}
	}
}

// end tells those who wait in the group what became of it. What a function of the application does to its goroutine
// concerns its own commit alone.
func (g *commitGroup) end(err error) {
	containedEach(len(g.commits), func(i int) {
		x := g.commits[i]
		x.err = err
		if x.apply != nil {
			x.apply(err)
		}
	}, func(i int, panicked error) {
		if g.commits[i].err == nil {
			g.commits[i].err = panicked
		}
	})
}

// empty reports whether there is nothing to append.
func (g *commitGroup) empty() bool {
	return len(g.commits)+len(g.put)+len(g.renew)+len(g.remove)+len(g.replaced) == 0
}

// records returns how many records the group is to bring into the journal.
func (g *commitGroup) records() int {
	n := len(g.renew)
	for _, r := range g.put {
		if !removed(r) {
			n++
		}
	}
	for _, x := range g.commits {
		n += len(x.put) + len(x.renew)
	}
	return n
}

// removed reports whether a record was removed before it was appended.
func removed(r journal.Record) bool { return r.Kind == 0 }
