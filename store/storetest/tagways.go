package storetest

import "github.com/tarncache/tarn"

// goneWays are the ways to ask for an entry. Each expects that the key is as good as deleted, and "other" is there.
var goneWays = []struct {
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
}

// goneRows returns a row for each way to ask for an entry: what was invalidated is as good as deleted.
func goneRows() (rows []row) {
	for _, w := range goneWays {
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

// keepWays are the ways in which an entry is read, or stored once more.
var keepWays = []struct {
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
}

// keepRows returns a row for each way in which an entry is read, or stored once more: it keeps its tags and their stamp.
func keepRows() (rows []row) {
	for _, w := range keepWays {
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
