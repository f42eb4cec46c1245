package strategies

import (
	"cmp"
	"errors"
	"slices"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// append appends a group, at once if the journal takes that. If it has no room, the line of removals goes first, with what
// is to be kept instead: that may make some. If it is too heavy, it is split, always between commits.
func (c *committer) append(g *commitGroup, change *journal.Change) error {
	err := c.appendOne(change)
	if !divides(err) {
		return err
	}
	if len(g.remove)+len(g.renew) > 0 {
		rest := len(g.commits) + len(g.put) + len(g.replaced)
		if rest+len(g.renew) == 0 {
			return err
		}
		if lineErr := c.appendLine(g, change.Seq, rest > 0); lineErr != nil || rest == 0 {
			return lineErr
		}
		left := g.change(change.Seq)
		err = c.appendOne(&left)
	}
	switch {
	case !errors.Is(err, tarn.ErrTooHeavy):
		return err
	case len(g.commits) > 1:
		return c.appendCommits(g, change.Seq)
	case len(g.put) > 1:
		return c.appendPut(g, change.Seq)
	}
	return err
}

// divides reports whether a part of what failed may work.
func divides(err error) bool {
	return errors.Is(err, journal.ErrFull) || errors.Is(err, tarn.ErrTooHeavy)
}

// appendLine appends the line of a group, as a whole if that is worth a try, or in parts from its beginning: what stands
// before a removal that a renewal belongs to, and then that with what stands behind it, or alone.
func (c *committer) appendLine(g *commitGroup, seq uint64, whole bool) error {
	if whole {
		if err := c.appendPart(g, seq, len(g.remove), len(g.renew)); !divides(err) {
			return err
		}
	}
	c.mu.Lock()
	slices.SortStableFunc(g.renew, func(a, b renewal) int { // nothing waits for those to which nothing belongs
		return cmp.Or(cmp.Compare(min(b.n, 1), min(a.n, 1)), cmp.Compare(a.first, b.first))
	})
	c.mu.Unlock()
	for len(g.remove)+len(g.renew) > 0 {
		if err := c.appendNext(g, seq); err != nil {
			return err
		}
	}
	return nil
}

// appendNext appends the next part of the line.
func (c *committer) appendNext(g *commitGroup, seq uint64) error {
	if n := g.free(0); n > 0 || len(g.renew) == 0 {
		return c.appendPart(g, seq, n, 0)
	}
	k := 1
	for k < len(g.renew) && g.renew[0].n > 0 && g.renew[k].n > 0 && g.renew[k].first == 0 {
		k++
	}
	own, all := g.renew[0].n, g.free(k)
	err := c.appendPart(g, seq, all, k)
	if divides(err) && own < all {
		err = c.appendPart(g, seq, own, k)
	}
	return err
}

// free returns how many removals at the beginning of the line belong to none of the renewals from the one at i on.
func (g *commitGroup) free(i int) int {
	if i < len(g.renew) && g.renew[i].n > 0 {
		return g.renew[i].first
	}
	return len(g.remove)
}

// appendPart appends so many removals and renewals from the beginning of both, and takes them out of the group.
func (c *committer) appendPart(g *commitGroup, seq uint64, removals, renewals int) error {
	change := journal.Change{Seq: seq, Remove: slices.Clone(g.remove[:removals]), Put: renewed(g.renew[:renewals])}
	if err := c.appendOne(&change); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g.remove, g.renew = g.remove[removals:], g.renew[renewals:]
	for i := range g.renew {
		g.renew[i].first -= removals
	}
	if removals > 0 {
		c.hasRoom()
	}
	return nil
}

// appendCommits appends the commits of a group, in their order, ever fewer at once until that is not too heavy. One that
// is too heavy alone fails alone. It leaves in the group those for which it found no end.
func (c *committer) appendCommits(g *commitGroup, seq uint64) error {
	for n := len(g.commits) / 2; len(g.commits) > 0; {
		n = min(n, len(g.commits))
		part := &commitGroup{commits: g.commits[:n:n]}
		change := part.change(seq)
		err := c.appendOne(&change)
		switch heavy := errors.Is(err, tarn.ErrTooHeavy); {
		case heavy && n > 1:
			n /= 2
			continue
		case heavy:
			c.tellFailed(err, part.records())
		case err != nil:
			return err
		}
		part.end(err)
		c.mu.Lock()
		g.commits = g.commits[n:]
		if err == nil && len(change.Remove) > 0 {
			c.hasRoom()
		}
		c.mu.Unlock()
		n *= 2
	}
	return nil
}

// appendPut appends the records of a group that nobody waits for, in their order, ever fewer at once until that is not too
// heavy. What they replace goes with the last of them. It leaves in the group those that are too heavy alone, and then
// also what they replace.
func (c *committer) appendPut(g *commitGroup, seq uint64) (err error) {
	var heavy []journal.Record
	var tooHeavy error
	left := g.put
	for n := len(left) / 2; len(left) > 0; {
		n = min(n, len(left))
		change := journal.Change{Seq: seq, Put: left[:n:n]}
		if n == len(left) && heavy == nil {
			change.Remove = g.replaced
		}
		err = c.appendOne(&change)
		switch {
		case errors.Is(err, tarn.ErrTooHeavy) && n > 1:
			n /= 2
			continue
		case errors.Is(err, tarn.ErrTooHeavy):
			heavy, tooHeavy = append(heavy, left[0]), err
		case err != nil:
			c.keep(g, slices.Concat(heavy, left))
			return err
		}
		left = left[n:]
		c.keep(g, slices.Concat(heavy, left))
		n *= 2
	}
	if heavy == nil {
		c.mu.Lock()
		g.replaced = nil
		c.mu.Unlock()
	}
	return tooHeavy
}

// keep has a group be about these records alone.
func (c *committer) keep(g *commitGroup, put []journal.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g.put = put
}
