package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
)

var tagRows = []row{
	{
		name: "tags come back",
		rule: "Get returns an entry's tags, stamped with the moment at which it was stored if they had no stamp.",
		check: func(x *trial) error {
			e := withTags("1", 0, "y", "x", "y")
			if err := all(x.setEntry("a", e), x.sees("a", e), x.set("a", "2"), x.sees("a", plain("2"))); err != nil {
				return err
			}
			before, err1 := x.stamp()
			e = withTags("3", before, "x")
			return all(err1, x.setEntry("a", e), x.sees("a", e), x.invalidate("z"), x.setEntry("b", withTags("4", before, "x")),
				x.sees("b", withTags("4", before, "x")))
		},
	},
	{
		name: "InvalidateTags removes what has the tag",
		rule: "InvalidateTags removes every entry that has one of the tags, and no other.",
		check: func(x *trial) error {
			return all(x.setEntry("a", withTags("1", 0, "x")), x.setEntry("b", withTags("2", 0, "w", "x", "y")),
				x.setEntry("c", withTags("3", 0, "y")), x.setEntry("d", withTags("4", 0, "xx")), x.set("x", "5"),
				x.invalidate("x"), x.misses("a", "b"), x.has("c", "3"), x.has("d", "4"), x.has("x", "5"),
				x.setEntry("a", withTags("6", 0, "w")), x.invalidate("none", "y", "w", "y"), x.misses("a", "b", "c"),
				x.has("d", "4"), x.has("x", "5"))
		},
	},
	{
		name: "an entry is stored after an invalidation",
		rule: "A tag is as good as new once it was invalidated: what is stored with it later is there, until the next time.",
		check: func(x *trial) error {
			for range 3 {
				if err := all(x.setEntry("a", withTags("1", 0, "x")), x.has("a", "1"), x.invalidate("x"), x.misses("a"),
					x.invalidate("x")); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "the last tags count",
		rule: "Set replaces the tags with the entry: those that it had before do not remove it.",
		check: func(x *trial) error {
			return all(x.setEntry("a", withTags("1", 0, "x")), x.setEntry("a", withTags("2", 0, "y")), x.invalidate("x"),
				x.has("a", "2"), x.set("a", "3"), x.invalidate("y"), x.has("a", "3"), x.setEntry("a", withTags("4", 0, "y")),
				x.invalidate("y"), x.misses("a"))
		},
	},
	{
		name: "tags are any strings",
		rule: "A tag is any string of bytes up to MaxTagLength, and is told from every other; an entry has up to MaxTags.",
		check: func(x *trial) error {
			longest := strings.Repeat("t", tarn.MaxTagLength)
			tags := []string{"a", "A", "ab", "a\x00", "\x00", "{a}", "a:b", "*", "\xff", " ", "\n", longest, longest[1:]}
			for i, tag := range tags {
				if err := x.setEntry(fmt.Sprint(i), withTags("1", 0, tag)); err != nil {
					return err
				}
			}
			for i, tag := range tags {
				if err := all(x.has(fmt.Sprint(i), "1"), x.invalidate(tag), x.misses(fmt.Sprint(i))); err != nil {
					return err
				}
			}
			most := names("t", tarn.MaxTags)
			for _, tag := range []string{most[0], most[70], most[tarn.MaxTags-1]} {
				e := withTags("1", 0, most...)
				if err := all(x.setEntry("a", e), x.sees("a", e), x.invalidate(tag), x.misses("a")); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "tags that make no sense",
		rule: "InvalidateTags of none, or of one that is empty or too long, is ErrTags, and nothing is changed.",
		check: func(x *trial) error {
			if err := x.setEntry("a", withTags("1", 0, "x")); err != nil {
				return err
			}
			for _, tags := range [][]string{nil, {"x", ""}, {"x", strings.Repeat("x", tarn.MaxTagLength+1)}} {
				err := x.tagger.InvalidateTags(x.ctx, tags...)
				if err = all(fails("InvalidateTags", err, tarn.ErrTags), x.has("a", "1")); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "tags that nobody has",
		rule: "Tags that no entry has can be invalidated, very many of them, and used afterwards.",
		check: func(x *trial) error {
			tags := names("t", 300)
			if err := all(x.setEntry("b", withTags("1", 0, "x")), x.invalidate(tags...)); err != nil {
				return err
			}
			for _, tag := range tags[:10] {
				if err := all(x.invalidate(tag), x.setEntry("a", withTags("1", 0, tag)), x.has("a", "1"), x.invalidate(tag),
					x.misses("a")); err != nil {
					return err
				}
			}
			return x.has("b", "1")
		},
	},
	{
		name: "Stamp says what was before",
		rule: "A stamp is never zero, does not go back, and is not before an invalidation that was before it.",
		check: func(x *trial) error {
			last := tarn.Stamp(0)
			for range 3 {
				stamp, err := x.stamp()
				if err != nil {
					return err
				}
				if stamp < last {
					return wrong("Stamp: got %d after %d", stamp, last)
				}
				last = stamp
				if err := all(x.setEntry("a", withTags("1", stamp, "x")), x.has("a", "1"), x.invalidate("x"),
					x.misses("a")); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "Set with an older stamp",
		rule: "An entry one of whose tags was invalidated after its stamp is not there, whichever call would store it, and " +
			"nothing that was there before is either.",
		check: func(x *trial) error {
			stamp, err := x.stamp()
			old := withTags("old", stamp, "x", "y")
			if err = all(err, x.setEntry("a", old), x.invalidate("y"), x.set("b", "1"), x.setEntry("b", old),
				x.misses("a", "b")); err != nil {
				return err
			}
			return all(x.setEntry("a", old), x.misses("a"), x.set("a", "2"), x.has("a", "2"))
		},
	},
	{
		name:  "SetMany with an older stamp",
		rule:  "SetMany leaves nothing under the key of an entry that was invalidated after its stamp, and stores the others.",
		needs: BatchStore,
		check: func(x *trial) error {
			stamp, err := x.stamp()
			return all(err, x.invalidate("x"), x.set("a", "1"), did("SetMany", x.batch.SetMany(x.ctx, names("a", 3), []entry{
				withTags("1", stamp, "x"), withTags("2", 0, "x"), plain("3"),
			})), x.misses("a0"), x.has("a1", "2"), x.has("a2", "3"), x.invalidate("x"), x.misses("a1"), x.has("a2", "3"))
		},
	},
	{
		name:  "Add with an older stamp",
		rule:  "Add leaves nothing if the entry was invalidated after its stamp.",
		needs: Adder,
		check: func(x *trial) error {
			stamp, err := x.stamp()
			if err = all(err, x.invalidate("x")); err != nil {
				return err
			}
			_, err = x.adder.Add(x.ctx, "a", withTags("old", stamp, "x"))
			return all(did("Add", err), x.misses("a"), x.add("a", withTags("1", 0, "x"), true), x.has("a", "1"),
				x.invalidate("x"), x.misses("a"))
		},
	},
	{
		name:  "an invalidation during Compute",
		rule:  "What Compute stores with the tags of the entry that its function was given has their stamp.",
		needs: Computer,
		check: func(x *trial) error {
			invalidated := error(nil)
			_, _, err := x.computer.Compute(x.ctx, "none", keeping)
			if err = all(err, x.setEntry("a", withTags("1", 0, "x", "y"))); err != nil {
				return err
			}
			_, _, err = x.computer.Compute(x.ctx, "a", func(old entry, found bool) (entry, tarn.ComputeOp) {
				if !found {
					return entry{}, tarn.ComputeKeep
				}
				invalidated = x.invalidate("y")
				old.Value += "1"
				return old, tarn.ComputeStore
			})
			return all(did("Compute", err), invalidated, x.misses("a"))
		},
	},
	{
		name:  "an invalidation during Compute, and other tags",
		rule:  "What Compute makes of an entry that is invalidated while its function runs is not there, whatever tags it has.",
		needs: Computer,
		check: func(x *trial) error {
			for _, tags := range [][]string{nil, {"x"}, {"z"}, {"y", "z"}} {
				if err := all(x.setEntry("b", withTags("1", 0, "z")), x.setEntry("a", withTags("1", 0, "x", "y"))); err != nil {
					return err
				}
				calls, invalidated := 0, error(nil)
				_, _, err := x.computer.Compute(x.ctx, "a", func(old entry, found bool) (entry, tarn.ComputeOp) {
					if calls++; calls == 1 {
						invalidated = x.invalidate("x")
					}
					if !found {
						return entry{}, tarn.ComputeKeep
					}
					return withTags(old.Value+"1", 0, tags...), tarn.ComputeStore
				})
				if err = all(did("Compute", err), invalidated, x.misses("a"), x.has("b", "1")); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "negative entries have tags",
		rule: "A remembered absence has tags as any entry has.",
		check: func(x *trial) error {
			absent := withTags("", 0, "x")
			absent.Negative = true
			return all(x.setEntry("a", absent), x.sees("a", absent), x.invalidate("y"), x.sees("a", absent), x.invalidate("x"),
				x.misses("a"))
		},
	},
	{
		name:  "lives and tags",
		rule:  "An entry with tags expires as any other does.",
		waits: true,
		check: func(x *trial) error {
			e, stays := withTags("1", 0, "x"), withTags("2", 0, "x")
			e.Expires, stays.Fresh, stays.Expires = x.in(x.unit), x.in(x.unit), x.in(long)
			return all(x.setEntry("a", e), x.setEntry("b", stays), x.sees("a", e), x.wait(2*x.unit), x.misses("a"),
				x.sees("b", stays), x.invalidate("x"), x.misses("a", "b"))
		},
	},
	{
		name: "InvalidateTags and a context that is over",
		rule: "InvalidateTags returns the error of its context if that is over, and changes nothing.",
		check: func(x *trial) error {
			if err := x.setEntry("a", withTags("1", 0, "x")); err != nil {
				return err
			}
			for _, ctx := range x.ended() {
				err := x.tagger.InvalidateTags(ctx, "x")
				if err = all(fails("InvalidateTags", err, ctx.Err()), x.has("a", "1")); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name:  "tags of a store that is closed",
		rule:  "What is used after its Close says so: it returns ErrClosed.",
		needs: Closer,
		check: func(x *trial) error {
			if err := all(x.setEntry("a", withTags("1", 0, "x")), x.shut()); err != nil {
				return err
			}
			_, err := x.tagger.Stamp(x.ctx)
			return all(fails("Stamp after Close", err, tarn.ErrClosed),
				fails("InvalidateTags after Close", x.tagger.InvalidateTags(x.ctx, "x"), tarn.ErrClosed))
		},
	},
	{
		name:  "Clear and tags",
		rule:  "What is stored with a tag after Clear is there, and is removed by it.",
		needs: Clearer,
		check: func(x *trial) error {
			return all(x.setEntry("a", withTags("1", 0, "x")), x.clear(), x.setEntry("a", withTags("2", 0, "x")), x.has("a", "2"),
				x.invalidate("x"), x.misses("a"))
		},
	},
}

// goneRows returns a row for each way to ask for an entry: what was invalidated is as good as deleted.
func goneRows() (rows []row) {
	for _, w := range []struct {
		name  string
		needs Capability
		check func(x *trial, key string) error
	}{
		{"GetMany", BatchStore, func(x *trial, key string) error {
			return x.lookups([]string{key, "other", key}, []string{"", "2", ""})
		}},
		{"Hit", Hitter, func(x *trial, key string) error { return all(x.noHit(key), x.hits("other", "2")) }},
		{"Add", Adder, func(x *trial, key string) error {
			return all(x.add(key, plain("3"), true), x.has(key, "3"))
		}},
		{"Touch", Toucher, func(x *trial, key string) error {
			return all(x.touch(key, x.in(2*long), false), x.misses(key), x.touch(key, 0, false))
		}},
		{"Compute", Computer, func(x *trial, key string) error {
			e := plain("3")
			return all(x.compute(key, nil, e, tarn.ComputeKeep, nil), x.compute(key, nil, e, tarn.ComputeStore, &e),
				x.has(key, "3"))
		}},
		{"Scan", Scanner, func(x *trial, key string) error {
			return x.scan(map[string]entry{"other": withTags("2", 0, "other")})
		}},
		{"Lease", Leaser, func(x *trial, key string) error {
			token, err := x.granted(key)
			return all(err, x.state(key, tarn.Leased), x.fill(key, token, "3", true), x.has(key, "3"))
		}},
		{"Lease that refreshes", Leaser, func(x *trial, key string) error {
			l, err := x.leaseOn(key, tarn.LeaseTerms{Life: long, Refresh: true})
			return all(err, is("Lease: state", l.State, tarn.Granted), is("Lease: Found", l.Found, false),
				x.fill(key, l.Token, "3", true), x.has(key, "3"))
		}},
	} {
		rows = append(rows, row{
			name:  w.name + " of what was invalidated",
			rule:  "An entry one of whose tags was invalidated is gone for " + w.name + ", as one whose Expires has passed.",
			needs: w.needs,
			check: func(x *trial) error {
				return all(x.setEntry("a", withTags("1", 0, "x", "y")), x.setEntry("other", withTags("2", 0, "other")),
					x.invalidate("y"), w.check(x, "a"), x.setEntry("b", withTags("1", 0, "x", "y")), x.has("b", "1"),
					x.del("a"), x.invalidate("x"), w.check(x, "b"))
			},
		})
	}
	return rows
}

// keepRows returns a row for each way in which an entry is read, or stored once more: it keeps its tags and their stamp.
func keepRows() (rows []row) {
	for _, w := range []struct {
		name  string
		needs Capability
		do    func(x *trial, e entry) error // leaves the entry of key "a", which is e but for its deadlines
	}{
		{"GetMany", BatchStore, func(x *trial, e entry) error {
			into := make([]tarn.Lookup[string], 2)
			err := x.batch.GetMany(x.ctx, []string{"none", "a"}, into)
			return all(did("GetMany", err), is("Found", into[1].Found, true), x.same("GetMany", into[1].Entry, e))
		}},
		{"Touch", Toucher, func(x *trial, e entry) error {
			later := e
			later.Expires = x.in(2 * long)
			never := e
			never.Expires = 0
			return all(x.touch("a", later.Expires, true), x.sees("a", later), x.touch("a", 0, true), x.sees("a", never),
				x.touch("a", e.Expires, true))
		}},
		{"Compute", Computer, func(x *trial, e entry) error {
			change := func(old entry, _ bool) (entry, tarn.ComputeOp) {
				old.Expires = e.Expires
				return old, tarn.ComputeStore
			}
			got, found, err := x.computer.Compute(x.ctx, "a", change)
			return all(did("Compute", err), is("found", found, true), x.same("Compute", got, e))
		}},
		{"Scan", Scanner, func(x *trial, e entry) error { return x.scan(map[string]entry{"a": e}) }},
		{"Lease", Leaser, func(x *trial, e entry) error {
			l, err := x.lease("a")
			return all(err, is("Lease: state", l.State, tarn.Hit), x.same("Lease", l.Entry, e))
		}},
		{"a refresh", Leaser, func(x *trial, e entry) error {
			l, err := x.leaseOn("a", tarn.LeaseTerms{Life: long, Refresh: true})
			if err = all(err, is("Lease: Found", l.Found, true), x.same("Lease", l.Entry, e)); err != nil {
				return err
			}
			l.Entry.Value, l.Entry.Stale = e.Value, false
			return x.fillEntry("a", l.Token, l.Entry, true)
		}},
	} {
		rows = append(rows, row{
			name:  w.name + " keeps tags",
			rule:  "By " + w.name + " an entry keeps its tags and their stamp.",
			needs: w.needs,
			check: func(x *trial) error {
				for _, tag := range []string{"x", "y"} {
					stamp, err := x.stamp()
					e := withTags("1", stamp, "x", "y")
					e.Expires = x.in(long)
					if err = all(err, x.setEntry("a", e), x.invalidate("other"), w.do(x, e), x.sees("a", e), x.invalidate(tag),
						x.misses("a")); err != nil {
						return err
					}
				}
				return nil
			},
		})
	}
	return rows
}

// storeds are the two ways to store what was read from the source or written to it, each as a row's subject.
var storeds = []struct {
	name  string
	needs Capability
	begin func(x *trial, key string) (tarn.Token, tarn.Stamp, error)
	end   func(x *trial, key string, token tarn.Token, e entry, stored bool) error
}{
	{"Fill", Leaser, func(x *trial, key string) (tarn.Token, tarn.Stamp, error) {
		l, err := x.leaseOn(key, tarn.LeaseTerms{Life: long, Stamp: true})
		if err == nil && (l.State != tarn.Granted || l.Stamp == 0) {
			err = wrong("Lease(%s): got state %d with stamp %d; want it granted with a stamp", clip(key), l.State, l.Stamp)
		}
		return l.Token, l.Stamp, err
	}, (*trial).fillEntry},
	{"Settle", Holder, func(x *trial, key string) (tarn.Token, tarn.Stamp, error) {
		stamp, err1 := x.stamp()
		token, err2 := x.hold(key)
		return token, stamp, all(err1, err2)
	}, (*trial).settleEntry},
}

// storedRows returns the rows of Fill and Settle.
func storedRows() (rows []row) {
	for _, s := range storeds {
		rows = append(rows, row{
			name:  s.name + " stores tags",
			rule:  s.name + " stores an entry with its tags as of their stamp, which is of before its source was read or written.",
			needs: s.needs,
			check: func(x *trial) error {
				token, stamp, err := s.begin(x, "a")
				e := withTags("1", stamp, "x", "y")
				if err = all(err, s.end(x, "a", token, e, true), x.sees("a", e), x.invalidate("y"), x.misses("a")); err != nil {
					return err
				}
				token, stamp, err = s.begin(x, "a")
				return all(err, s.end(x, "a", token, withTags("2", stamp, "x", "y"), true), x.has("a", "2"))
			},
		}, row{
			name:  s.name + " after an invalidation",
			rule:  s.name + " stores nothing of which a tag was invalidated after its stamp, whether or not an entry had the tag.",
			needs: s.needs,
			check: func(x *trial) error {
				if err := x.setEntry("b", withTags("1", 0, "used")); err != nil {
					return err
				}
				for _, tags := range [][]string{{"used"}, {"other", "used"}, {"new"}, {"another", "newer", "zeroth"}} {
					for _, tag := range tags {
						token, stamp, err := s.begin(x, "a")
						if err = all(err, x.invalidate(tag), s.end(x, "a", token, withTags("old", stamp, tags...), false),
							x.misses("a"), x.setEntry("b", withTags("1", 0, "used")), x.has("b", "1")); err != nil {
							return err
						}
					}
				}
				return all(x.free("a"), x.set("a", "1"), x.has("a", "1"))
			},
		}, row{
			name:  s.name + " after the last of a tag has left",
			rule:  "An invalidation reaches what " + s.name + " stores later, though no entry has had the tag meanwhile.",
			needs: s.needs,
			check: func(x *trial) error {
				token, stamp, err := s.begin(x, "a")
				return all(err, x.setEntry("b", withTags("1", 0, "x")), x.invalidate("x"), x.misses("b"), x.del("b"),
					x.setEntry("b", withTags("2", 0, "y")), x.del("b"),
					s.end(x, "a", token, withTags("old", stamp, "x"), false), x.misses("a"))
			},
		}, row{
			name:  s.name + " after another invalidation",
			rule:  s.name + " stores what has tags that entries have, whatever else was invalidated meanwhile, and what has none.",
			needs: s.needs,
			check: func(x *trial) error {
				if err := x.setEntry("b", withTags("1", 0, "x")); err != nil {
					return err
				}
				token, stamp, err := s.begin(x, "a")
				if err = all(err, x.invalidate("y"), s.end(x, "a", token, withTags("1", stamp, "x"), true), x.has("a", "1"),
					x.invalidate("x"), x.misses("a", "b")); err != nil {
					return err
				}
				token, _, err = s.begin(x, "c")
				return all(err, x.invalidate("x", "y"), s.end(x, "c", token, plain("1"), true), x.has("c", "1"))
			},
		}, row{
			name:  s.name + " without a stamp",
			rule:  s.name + " stores no entry with tags that have no stamp: nobody knows since when they hold.",
			needs: s.needs,
			check: func(x *trial) error {
				token, _, err := s.begin(x, "a")
				return all(err, s.end(x, "a", token, withTags("1", 0, "x"), false), x.misses("a"), x.free("a"))
			},
		})
	}
	return append(rows, row{
		name:  "stamps of leases",
		rule:  "With LeaseTerms.Stamp, each lease that is granted has a stamp: not after the lease, and not before what was invalidated before.",
		needs: Leaser,
		check: func(x *trial) error {
			if err := all(x.setEntry("k2", withTags("1", 0, "x")), x.invalidate("y")); err != nil {
				return err
			}
			for _, refresh := range []bool{false, true} {
				before, err1 := x.stamp()
				into := make([]tarn.Lease[string], 3)
				keys := names("k", 3)
				err2 := x.leaser.Lease(x.ctx, keys, tarn.LeaseTerms{Life: long, Refresh: refresh, Stamp: true}, into)
				after, err3 := x.stamp()
				if err := all(err1, did("Lease", err2), err3); err != nil {
					return err
				}
				for i, l := range into {
					if l.State != tarn.Granted {
						continue
					}
					if l.Stamp < before || l.Stamp > after {
						return wrong("Lease: item %d has stamp %d, want one from %d to %d", i, l.Stamp, before, after)
					}
					if err := x.fillEntry(keys[i], l.Token, withTags("1", l.Stamp, "x"), true); err != nil {
						return err
					}
				}
				if err := all(x.del("k0"), x.del("k1")); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// staleOn makes key "a" a stale entry with tags, and takes a lease that found it.
func (x *trial) staleOn(names ...string) (tarn.Lease[string], error) {
	e := withTags("old", 0, names...)
	e.Fresh, e.Expires = x.in(-time.Second), x.in(long)
	if err := x.setEntry("a", e); err != nil {
		return tarn.Lease[string]{}, err
	}
	l, err := x.leaseOn("a", tarn.LeaseTerms{Life: long, Refresh: true, Stamp: true})
	return l, all(err, is("Lease: state", l.State, tarn.Granted), is("Lease: Found", l.Found, true))
}

// fillOver ends a lease with an entry, over the one that the lease found, and expects the verdict.
func (x *trial) fillOver(l tarn.Lease[string], e entry, stored bool) error {
	fills := []tarn.Fill[string, string]{
		{Key: "a", Token: l.Token, Store: true, Entry: e, Over: l.Entry.Tags, Stored: !stored},
	}
	return all(did("Fill", x.leaser.Fill(x.ctx, fills)), is("Fill: Stored", fills[0].Stored, stored))
}

var overRows = []row{
	{
		name: "Fill over what was invalidated",
		rule: "Fill stores nothing if a tag of Fill.Over was invalidated after its stamp, whatever tags the entry itself has: " +
			"it was loaded before.",
		needs: Leaser,
		check: func(x *trial) error {
			for _, tag := range []string{"x", "y"} {
				for _, tagged := range []bool{false, true} {
					l, err := x.staleOn("x", "y")
					e := plain("1")
					if err = all(err, x.setEntry("b", withTags("2", 0, "own"))); err != nil {
						return err
					}
					if tagged {
						e = withTags("1", l.Stamp, "own")
					}
					if err = all(x.invalidate(tag), x.fillOver(l, e, false), x.misses("a"), x.free("a"), x.has("b", "2")); err != nil {
						return err
					}
				}
			}
			return all(x.set("a", "3"), x.has("a", "3"))
		},
	},
	{
		name:  "Fill over what stands",
		rule:  "Fill stores an entry over another whose tags were not invalidated, and it has no tags but its own then.",
		needs: Leaser,
		check: func(x *trial) error {
			l, err1 := x.staleOn("x", "y")
			err2 := all(x.invalidate("other"), x.fillOver(l, plain("1"), true), x.invalidate("x", "y"), x.has("a", "1"))
			if err := all(err1, err2); err != nil {
				return err
			}
			l, err := x.staleOn("x", "y")
			return all(err, x.fillOver(l, withTags("2", l.Stamp, "y"), true), x.invalidate("x"), x.has("a", "2"), x.invalidate("y"),
				x.misses("a"))
		},
	},
}

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

// withTags makes an entry with tags as of stamp; 0: the store's moment when it is stored.
func withTags(value string, stamp tarn.Stamp, names ...string) entry {
	tags, err := tarn.NewTags(stamp, names...)
	if err != nil {
		panic(err)
	}
	return entry{Value: value, Tags: tags}
}

func (x *trial) invalidate(tags ...string) error {
	return did("InvalidateTags", x.tagger.InvalidateTags(x.ctx, tags...))
}

func (x *trial) stamp() (tarn.Stamp, error) {
	stamp, err := x.tagger.Stamp(x.ctx)
	if err == nil && stamp == 0 {
		return 0, wrong("Stamp: got zero")
	}
	return stamp, did("Stamp", err)
}

// sameTags compares tags that a store returned with those it was given.
func sameTags(got, want *tarn.Tags) error {
	switch {
	case !slices.Equal(got.Names(), want.Names()):
		return fmt.Errorf("tags are %q, want %q", got.Names(), want.Names())
	case want != nil && want.Stamp() == 0 && got.Stamp() == 0:
		return fmt.Errorf("tags have no stamp")
	case want.Stamp() != 0 && got.Stamp() != want.Stamp():
		return fmt.Errorf("tags are of moment %d, want %d", got.Stamp(), want.Stamp())
	}
	return nil
}

// fillEntry ends a lease with an entry and expects the verdict.
func (x *trial) fillEntry(key string, token tarn.Token, e entry, stored bool) error {
	fills := []tarn.Fill[string, string]{{Key: key, Token: token, Store: true, Entry: e, Stored: !stored}}
	return all(did("Fill", x.leaser.Fill(x.ctx, fills)), is("Fill: Stored", fills[0].Stored, stored))
}

// settleEntry ends a hold with an entry and expects the verdict.
func (x *trial) settleEntry(key string, token tarn.Token, e entry, stored bool) error {
	s := []tarn.Settlement[string, string]{{Key: key, Token: token, Store: true, Entry: e, Stored: !stored}}
	return all(did("Settle", x.holder.Settle(x.ctx, s)), is("Settle: Stored", s[0].Stored, stored))
}
