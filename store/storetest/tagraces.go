package storetest

import (
	"fmt"
	"sync/atomic"

	"github.com/tarncache/tarn"
)

var tagRaceRows = []row{
	{
		name:  "InvalidateTags against Fill",
		rule:  "After InvalidateTags has returned no Fill that was stamped before it leaves an older value.",
		needs: Leaser,
		check: func(x *trial) error {
			for round := range 100 {
				key, tag := fmt.Sprint(round), fmt.Sprint("t", round%7)
				l, err := x.leaseOn(key, tarn.LeaseTerms{Life: long, Stamp: true})
				if err != nil {
					return err
				}
				err = together(2, func(g int) error {
					if (g+round)%2 == 0 {
						return x.invalidate(tag)
					}
					e := withTags("old", l.Stamp, tag, "all")
					fills := []tarn.Fill[string, string]{{Key: key, Token: l.Token, Store: true, Entry: e}}
					return did("Fill", x.leaser.Fill(x.ctx, fills))
				})
				if err = all(err, x.misses(key), x.free(key)); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name:  "reads and invalidated tags",
		rule:  "A read that starts after an invalidation of its tag was acknowledged never returns an older value.",
		needs: Leaser,
		check: func(x *trial) error {
			var s source
			return together(8, func(g int) error {
				if g > 2 {
					for range 600 {
						if err := s.readTagged(x); err != nil {
							return err
						}
					}
					return nil
				}
				for range 150 {
					x.pause(20)
					version := s.write()
					x.pause(4)
					if err := x.invalidate(fmt.Sprint("t", g)); err != nil {
						return err
					}
					s.acknowledge(version)
				}
				return nil
			})
		},
	},
	{
		name: "Sets and invalidated tags",
		rule: "After InvalidateTags has returned what was set before it with the tag is gone, while others set with it.",
		check: func(x *trial) error {
			var done atomic.Bool
			return together(4, func(g int) error {
				if g > 0 {
					for i := 0; !done.Load(); i++ {
						x.pause(4)
						key := fmt.Sprint(g, "-", i%3)
						if err := all(x.setEntry(key, withTags("1", 0, "x", key)), x.del(key)); err != nil {
							return err
						}
					}
					return nil
				}
				defer done.Store(true)
				for range 200 {
					if err := all(x.setEntry("a", withTags("1", 0, "x", "y")), x.has("a", "1"), x.invalidate("x"),
						x.misses("a")); err != nil {
						return err
					}
					x.pause(4)
				}
				return nil
			})
		},
	},
}

// readTagged is readThrough for an entry with the tags t0 to t2. Those of a read and of its Fill overlap with writes of
// each.
func (s *source) readTagged(x *trial) error {
	x.pause(4)
	least := s.acked.Load()
	l, err := x.leaseOn("k", tarn.LeaseTerms{Life: long, Stamp: true})
	if err != nil {
		return err
	}
	if l.State == tarn.Hit {
		return atLeast(l.Entry.Value, least)
	}
	version := s.read()
	x.pause(4)
	if l.State != tarn.Granted {
		return nil
	}
	e := withTags(fmt.Sprint(version), l.Stamp, "t0", "t1", "t2")
	return did("Fill", x.leaser.Fill(x.ctx, []tarn.Fill[string, string]{{Key: "k", Token: l.Token, Store: true, Entry: e}}))
}
