package storetest

import (
	"time"

	"github.com/tarncache/tarn"
)

// storer is a way to store what was read from the source or written to it.
type storer struct {
	name  string
	needs Capability
	begin func(x *trial, key string) (tarn.Token, tarn.Stamp, error)
	end   func(x *trial, key string, token tarn.Token, e entry, stored bool) error
}

var storers = []storer{
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
	for _, s := range storers {
		rows = append(rows, s.tagsRow(), s.invalidatedRow(), s.lastOfTagRow(), s.otherTagsRow(), s.unstampedRow())
	}
	return rows
}

func (s storer) tagsRow() row {
	return row{
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
	}
}

func (s storer) invalidatedRow() row {
	return row{
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
	}
}

func (s storer) lastOfTagRow() row {
	return row{
		name:  s.name + " after the last of a tag has left",
		rule:  "An invalidation reaches what " + s.name + " stores later, though no entry has had the tag meanwhile.",
		needs: s.needs,
		check: func(x *trial) error {
			token, stamp, err := s.begin(x, "a")
			return all(err, x.setEntry("b", withTags("1", 0, "x")), x.invalidate("x"), x.misses("b"), x.del("b"),
				x.setEntry("b", withTags("2", 0, "y")), x.del("b"),
				s.end(x, "a", token, withTags("old", stamp, "x"), false), x.misses("a"))
		},
	}
}

func (s storer) otherTagsRow() row {
	return row{
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
	}
}

func (s storer) unstampedRow() row {
	return row{
		name:  s.name + " without a stamp",
		rule:  s.name + " stores no entry with tags that have no stamp: nobody knows since when they hold.",
		needs: s.needs,
		check: func(x *trial) error {
			token, _, err := s.begin(x, "a")
			return all(err, s.end(x, "a", token, withTags("1", 0, "x"), false), x.misses("a"), x.free("a"))
		},
	}
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

var tagLeaseRows = []row{
	{
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
	},
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
