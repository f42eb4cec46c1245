package storetest

import (
	"fmt"
	"time"

	"github.com/tarncache/tarn"
)

var leaseRows = []row{
	{
		name: "a miss grants a lease",
		rule: "Where nothing is stored, leased or held, Lease takes a lease under a token that nobody else has.",
		check: func(x *trial) error {
			a, err1 := x.granted("a")
			b, err2 := x.granted("b")
			if err := all(err1, err2, x.misses("a", "b"), x.release("a", a)); err != nil {
				return err
			}
			again, err := x.granted("a")
			return all(err, is("two tokens are alike", a == b || a == again || b == again, false))
		},
	},
	{
		name: "a hit needs no lease",
		rule: "Where an entry is stored Lease returns it as Get does, be it stale or negative, and takes no lease.",
		check: func(x *trial) error {
			for _, e := range []entry{
				plain("v"),
				{Value: "v", Fresh: x.in(long), Expires: x.in(2 * long)},
				{Value: "v", Fresh: x.in(-time.Second), Expires: x.in(long)},
				{Negative: true, Expires: x.in(long)},
			} {
				if err := x.setEntry("a", e); err != nil {
					return err
				}
				l, err := x.lease("a")
				if err = all(err, is("Lease: state", l.State, tarn.Hit), is("Lease: Found", l.Found, true),
					x.same("Lease", l.Entry, e), is("Lease: token of a hit", l.Token, tarn.Token{})); err != nil {
					return err
				}
			}
			return all(x.del("a"), x.free("a"))
		},
	},
	{
		name: "one lease per key",
		rule: "While a lease stands nobody else gets one: they are told its token, which they can ask about.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			if err != nil {
				return err
			}
			for range 2 {
				l, err := x.lease("a")
				if err = all(err, is("Lease: state", l.State, tarn.Leased), is("Lease: Found", l.Found, false),
					is("Lease: token", l.Token, token), x.stands("a", l.Token, true)); err != nil {
					return err
				}
			}
			return all(x.fill("a", token, "1", true), x.has("a", "1"), x.state("a", tarn.Hit))
		},
	},
	{
		name: "Fill stores what was loaded",
		rule: "Fill stores its entry if the lease stands, says so, and ends the lease.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			return all(err, x.stands("a", token, true), x.fill("a", token, "1", true), x.sees("a", plain("1")),
				x.stands("a", token, false), x.del("a"), x.free("a"))
		},
	},
	{
		name: "Fill stores whole entries",
		rule: "Fill stores an entry as Set does: deadlines and Negative included, and none that has expired.",
		check: func(x *trial) error {
			keys := names("k", 3)
			leases := make([]tarn.Lease[string], 3)
			if err := did("Lease", x.leaser.Lease(x.ctx, keys, tarn.LeaseTerms{Life: long}, leases)); err != nil {
				return err
			}
			entries := []entry{
				{Value: "v", Fresh: x.in(long), Expires: x.in(2 * long), Stale: true},
				{Negative: true, Expires: x.in(long)},
				until("v", x.in(-time.Second)),
			}
			fills := make([]tarn.Fill[string, string], 3)
			for i, e := range entries {
				fills[i] = tarn.Fill[string, string]{Key: keys[i], Token: leases[i].Token, Store: true, Entry: e}
			}
			return all(did("Fill", x.leaser.Fill(x.ctx, fills)), is("Fill: Stored", fills[0].Stored, true),
				is("Fill: Stored", fills[1].Stored, true), x.sees(keys[0], entries[0]), x.sees(keys[1], entries[1]),
				x.misses(keys[2]), x.free(keys[2]))
		},
	},
	{
		name: "a lease fills once",
		rule: "A lease that has ended in a Fill fills no more.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			return all(err, x.fill("a", token, "1", true), x.fill("a", token, "2", false), x.has("a", "1"), x.del("a"),
				x.fill("a", token, "3", false), x.misses("a"))
		},
	},
	{
		name: "a lease is given back",
		rule: "Fill without Store ends the lease, stores nothing, and leaves the key free for the next.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			return all(err, x.release("a", token), x.misses("a"), x.stands("a", token, false), x.free("a"),
				x.fill("a", token, "1", false), x.misses("a"))
		},
	},
	{
		name: "no Fill under another's token",
		rule: "Fill stores nothing under a token that is not the lease's, and leaves the lease to its owner.",
		check: func(x *trial) error {
			other, err := x.granted("b")
			var zero tarn.Token
			if err = all(err, x.fill("a", other, "1", false), x.fill("a", zero, "1", false), x.misses("a"),
				x.stands("a", zero, false)); err != nil {
				return err
			}
			token, err := x.granted("a")
			return all(err, x.fill("a", other, "1", false), x.fill("a", zero, "1", false),
				x.fill("a", tarn.Token{15: 99}, "1", false), x.misses("a"), x.stands("a", token, true),
				x.release("a", other), x.release("a", zero), x.stands("a", token, true),
				x.stands("a", other, false), x.stands("a", zero, false), x.fill("a", token, "2", true), x.has("a", "2"),
				x.fill("b", other, "3", true), x.has("b", "3"))
		},
	},
	{
		name: "other keys void no lease",
		rule: "A lease stands until its own key changes, whatever happens to others.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			if err != nil {
				return err
			}
			for _, key := range names("k", many) {
				if err := all(x.set(key, "1"), x.del(key)); err != nil {
					return err
				}
			}
			return all(x.stands("a", token, true), x.fill("a", token, "1", true), x.has("a", "1"))
		},
	},
	{
		name: "reading voids no lease",
		rule: "Get and Lease change nothing: a lease stands whoever reads its key.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			return all(err, x.misses("a"), x.state("a", tarn.Leased), x.misses("a"), x.stands("a", token, true),
				x.stands("a", token, true), x.fill("a", token, "1", true))
		},
	},
	{
		name:  "a lease runs out",
		rule:  "A lease ends after its Life: what fills then is not stored, and the key is free.",
		waits: true,
		check: func(x *trial) error {
			token, err := x.grantedOn("a", tarn.LeaseTerms{Life: x.unit})
			return all(err, x.wait(2*x.unit), x.stands("a", token, false), x.fill("a", token, "1", false), x.misses("a"),
				x.free("a"))
		},
	},
	{
		name:  "a lease runs out to the nanosecond",
		rule:  "A lease stands until the last nanosecond of its Life, and no longer.",
		exact: true,
		check: func(x *trial) error {
			a, err1 := x.grantedOn("a", tarn.LeaseTerms{Life: x.unit})
			b, err2 := x.grantedOn("b", tarn.LeaseTerms{Life: x.unit})
			return all(err1, err2, x.wait(x.unit-1), x.stands("a", a, true), x.state("b", tarn.Leased),
				x.fill("a", a, "1", true), x.has("a", "1"), x.wait(1), x.stands("b", b, false),
				x.fill("b", b, "1", false), x.misses("b"), x.free("b"), x.has("a", "1"))
		},
	},
	{
		name:  "no old Fill under a new lease",
		rule:  "A lease that has run out fills nothing, also when somebody else has leased the key since.",
		waits: true,
		check: func(x *trial) error {
			old, err1 := x.grantedOn("a", tarn.LeaseTerms{Life: x.unit})
			if err := all(err1, x.wait(2*x.unit)); err != nil {
				return err
			}
			token, err := x.granted("a")
			return all(err, x.stands("a", old, false), x.fill("a", old, "1", false), x.release("a", old), x.misses("a"),
				x.stands("a", token, true), x.fill("a", token, "2", true), x.has("a", "2"))
		},
	},
	{
		name: "a lease to refresh",
		rule: "With Refresh a lease is taken where an entry is stored, which stays until the Fill replaces it.",
		check: func(x *trial) error {
			e := entry{Value: "old", Fresh: x.in(long), Expires: x.in(2 * long)}
			if err := x.setEntry("a", e); err != nil {
				return err
			}
			l, err := x.leaseOn("a", tarn.LeaseTerms{Life: long, Refresh: true})
			return all(err, is("Lease: state", l.State, tarn.Granted), is("Lease: Found", l.Found, true),
				x.same("Lease", l.Entry, e), x.sees("a", e), x.state("a", tarn.Hit), x.stands("a", l.Token, true),
				x.fill("a", l.Token, "new", true), x.sees("a", plain("new")), x.stands("a", l.Token, false))
		},
	},
	{
		name: "one lease to refresh",
		rule: "While a lease stands nobody else gets one, to refresh neither.",
		check: func(x *trial) error {
			if err := x.set("a", "old"); err != nil {
				return err
			}
			token, err := x.grantedOn("a", tarn.LeaseTerms{Life: long, Refresh: true})
			if err != nil {
				return err
			}
			l, err := x.leaseOn("a", tarn.LeaseTerms{Life: long, Refresh: true})
			return all(err, is("Lease: state", l.State, tarn.Leased), is("Lease: token", l.Token, token),
				x.fill("a", token, "new", true), x.has("a", "new"))
		},
	},
	{
		name: "a refresh given back",
		rule: "Fill without Store of a lease to refresh leaves the entry as it was.",
		check: func(x *trial) error {
			e := until("old", x.in(long))
			if err := x.setEntry("a", e); err != nil {
				return err
			}
			token, err := x.grantedOn("a", tarn.LeaseTerms{Life: long, Refresh: true})
			if err = all(err, x.release("a", token), x.sees("a", e)); err != nil {
				return err
			}
			token, err = x.grantedOn("a", tarn.LeaseTerms{Life: long, Refresh: true})
			return all(err, x.fill("a", token, "new", true), x.has("a", "new"))
		},
	},
	{
		name: "a refresh of what is not there",
		rule: "With Refresh a miss is a lease like any other.",
		check: func(x *trial) error {
			l, err := x.leaseOn("a", tarn.LeaseTerms{Life: long, Refresh: true})
			return all(err, is("Lease: state", l.State, tarn.Granted), is("Lease: Found", l.Found, false),
				x.state("a", tarn.Leased), x.fill("a", l.Token, "1", true), x.has("a", "1"))
		},
	},
	{
		name: "a refresh does not bring back",
		rule: "What was deleted after a lease to refresh was taken stays deleted, though the old value is at hand.",
		check: func(x *trial) error {
			if err := x.set("a", "old"); err != nil {
				return err
			}
			token, err := x.grantedOn("a", tarn.LeaseTerms{Life: long, Refresh: true})
			return all(err, x.del("a"), x.fill("a", token, "old", false), x.misses("a"), x.free("a"))
		},
	},
	{
		name:  "an expired entry is a miss to Lease",
		rule:  "Lease finds an entry until the last nanosecond before its Expires, and none from then on.",
		exact: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(x.unit))), x.wait(x.unit-1), x.state("a", tarn.Hit), x.wait(1),
				x.free("a"), x.misses("a"))
		},
	},
	{
		name:  "leases by index",
		rule:  "Lease, Fill and Stands answer for each key by its index, the first and the last as well.",
		check: leasesByIndex,
	},
	{
		name:  "leases of many keys",
		rule:  "However many keys a Lease, a Fill or a Stands has, none is left out.",
		check: manyLeases,
	},
	{
		name: "leases of nothing, and of two lengths",
		rule: "A batch of no keys does nothing; slices that are not of one length are an error, and nothing is leased.",
		check: func(x *trial) error {
			terms := tarn.LeaseTerms{Life: long}
			for _, n := range []int{0, 1, 3} {
				if err := all(
					refused("Lease of two lengths", func() error {
						return x.leaser.Lease(x.ctx, []string{"a", "b"}, terms, make([]tarn.Lease[string], n))
					}),
					refused("Stands of two lengths", func() error {
						return x.leaser.Stands(x.ctx, []string{"a", "b"}, make([]tarn.Token, n), make([]bool, 2))
					}),
					refused("Stands of two lengths", func() error {
						return x.leaser.Stands(x.ctx, []string{"a", "b"}, make([]tarn.Token, 2), make([]bool, n))
					})); err != nil {
					return err
				}
			}
			return all(did("Lease of none", x.leaser.Lease(x.ctx, nil, terms, nil)),
				did("Fill of none", x.leaser.Fill(x.ctx, nil)),
				did("Stands of none", x.leaser.Stands(x.ctx, nil, nil, nil)),
				x.free("a", "b"))
		},
	},
	{
		name: "leases keep no slices",
		rule: "Lease and Fill keep neither the caller's slices nor parts of them once they have returned.",
		check: func(x *trial) error {
			keys, leases := []string{"a", "b"}, make([]tarn.Lease[string], 2)
			if err := did("Lease", x.leaser.Lease(x.ctx, keys, tarn.LeaseTerms{Life: long}, leases)); err != nil {
				return err
			}
			a, b := leases[0].Token, leases[1].Token
			scribble(keys, "scribbled")
			scribble(leases, tarn.Lease[string]{})
			fills := []tarn.Fill[string, string]{
				{Key: "a", Token: a, Store: true, Entry: plain("1")},
				{Key: "b", Token: b, Store: true, Entry: plain("2")},
			}
			err := all(x.stands("a", a, true), x.stands("b", b, true), did("Fill", x.leaser.Fill(x.ctx, fills)))
			scribble(fills, tarn.Fill[string, string]{Key: "scribbled", Entry: plain("scribbled")})
			return all(err, x.has("a", "1"), x.has("b", "2"), x.misses("scribbled"))
		},
	},
}

func leasesByIndex(x *trial) error {
	if err := x.set("hit", "1"); err != nil {
		return err
	}
	leased, err := x.granted("leased")
	if err != nil {
		return err
	}
	keys := []string{"free1", "hit", "leased", "free2"}
	into := make([]tarn.Lease[string], 4)
	scribble(into, tarn.Lease[string]{State: 99, Token: tarn.Token{1: 1}, Entry: plain("left over"), Found: true})
	if err := did("Lease", x.leaser.Lease(x.ctx, keys, tarn.LeaseTerms{Life: long}, into)); err != nil {
		return err
	}
	for i, want := range []tarn.LeaseState{tarn.Granted, tarn.Hit, tarn.Leased, tarn.Granted} {
		if err := all(is(fmt.Sprintf("Lease: state of item %d", i), into[i].State, want),
			is(fmt.Sprintf("Lease: Found of item %d", i), into[i].Found, want == tarn.Hit)); err != nil {
			return err
		}
	}
	tokens := []tarn.Token{into[0].Token, leased, into[2].Token, into[3].Token}
	stand := []bool{false, true, false, false}
	if err := all(is("Lease: entry of the hit", into[1].Entry.Value, "1"),
		did("Stands", x.leaser.Stands(x.ctx, keys, tokens, stand))); err != nil {
		return err
	}
	for i, want := range []bool{true, false, true, true} {
		if err := is(fmt.Sprintf("Stands: item %d", i), stand[i], want); err != nil {
			return err
		}
	}
	fills := make([]tarn.Fill[string, string], 4)
	for i, key := range keys {
		fills[i] = tarn.Fill[string, string]{
			Key: key, Token: tokens[i], Store: i != 2, Entry: plain("fill " + key), Stored: i%2 == 1,
		}
	}
	if err := did("Fill", x.leaser.Fill(x.ctx, fills)); err != nil {
		return err
	}
	for i, want := range []bool{true, false, false, true} {
		if err := is(fmt.Sprintf("Fill: Stored of item %d", i), fills[i].Stored, want); err != nil {
			return err
		}
	}
	return all(x.has("free1", "fill free1"), x.has("hit", "1"), x.misses("leased"), x.has("free2", "fill free2"),
		x.free("leased"))
}

func manyLeases(x *trial) error {
	for _, n := range []int{1, 2, 65, many} {
		keys := names(fmt.Sprintf("%d-", n), n)
		into := make([]tarn.Lease[string], n)
		if err := did("Lease", x.leaser.Lease(x.ctx, keys, tarn.LeaseTerms{Life: long}, into)); err != nil {
			return err
		}
		tokens := make([]tarn.Token, n)
		fills := make([]tarn.Fill[string, string], n)
		for i, key := range keys {
			tokens[i] = into[i].Token
			fills[i] = tarn.Fill[string, string]{Key: key, Token: tokens[i], Store: true, Entry: plain(key)}
			if into[i].State != tarn.Granted {
				return wrong("Lease of %d: state of item %d is %d", n, i, into[i].State)
			}
		}
		stand := make([]bool, n)
		if err := all(did("Stands", x.leaser.Stands(x.ctx, keys, tokens, stand)),
			did("Fill", x.leaser.Fill(x.ctx, fills))); err != nil {
			return err
		}
		for i, key := range keys {
			if !stand[i] || !fills[i].Stored {
				return fmt.Errorf("of %d leases, item %d: stands %v, stored %v", n, i, stand[i], fills[i].Stored)
			}
			if err := x.has(key, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// voidRows returns a row for each change that voids a lease.
func voidRows() (rows []row) {
	for _, c := range changes {
		rows = append(rows, row{
			name:  c.name + " voids a lease",
			rule:  "Every operation that changes a key voids its lease: a Fill that was leased before stores nothing.",
			needs: c.needs,
			check: func(x *trial) error {
				if err := c.prepare(x, "a"); err != nil {
					return err
				}
				token, err := x.grantedOn("a", tarn.LeaseTerms{Life: long, Refresh: !c.onMissing})
				if err = all(err, did(c.name, c.do(x.ctx, x, "a"))); err != nil {
					return err
				}
				after, found, err := x.store.Get(x.ctx, "a")
				if err = all(did("Get", err), x.stands("a", token, false),
					x.fill("a", token, "filled", false)); err != nil {
					return err
				}
				if found {
					return x.has("a", after.Value)
				}
				return x.misses("a")
			},
		})
	}
	return append(rows, row{
		name: "Delete of what is not there voids a lease",
		rule: "Delete reaches what is being read at the time, though nothing is stored yet.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			return all(err, x.del("a"), x.stands("a", token, false), x.fill("a", token, "1", false), x.misses("a"),
				x.free("a"))
		},
	}, row{
		name:  "DeleteMany of what is not there voids leases",
		rule:  "DeleteMany deletes each key as Delete does: it reaches what is being read at the time.",
		needs: BatchStore,
		check: func(x *trial) error {
			a, err1 := x.granted("a")
			b, err2 := x.granted("b")
			return all(err1, err2, did("DeleteMany", x.batch.DeleteMany(x.ctx, []string{"a", "b"})),
				x.fill("a", a, "1", false), x.fill("b", b, "1", false), x.misses("a", "b"), x.free("a", "b"))
		},
	}, row{
		name:  "Clear of what is not there voids leases",
		rule:  "Clear removes every entry as Delete would: it reaches what is being read at the time.",
		needs: Clearer,
		check: func(x *trial) error {
			a, err1 := x.granted("a")
			b, err2 := x.granted("b")
			return all(err1, err2, x.clear(), x.stands("a", a, false), x.fill("a", a, "1", false),
				x.fill("b", b, "1", false), x.misses("a", "b"), x.free("a", "b"))
		},
	}, row{
		name: "a Set that expires at once voids a lease",
		rule: "A Set voids the lease of its key, also if its Expires has passed and it leaves nothing.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			_ = x.store.Set(x.ctx, "a", until("1", x.in(-time.Second)))
			return all(err, x.misses("a"), x.stands("a", token, false), x.fill("a", token, "1", false), x.misses("a"))
		},
	})
}

var cancelledLeaseRows = []row{
	{
		name: "Lease with a context that is over",
		rule: "Lease of a key that is not there, with a context that is over, returns the context's error and takes " +
			"no lease.",
		check: func(x *trial) error {
			if err := x.set("hit", "1"); err != nil {
				return err
			}
			for _, ctx := range x.ended() {
				into := make([]tarn.Lease[string], 3)
				err := x.leaser.Lease(ctx, []string{"a", "hit", "b"}, tarn.LeaseTerms{Life: long}, into)
				if err = all(fails("Lease", err, ctx.Err()), x.free("a", "b")); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "Fill with a context that is over",
		rule: "Fill with a context that is over returns the context's error, stores nothing and ends no lease.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			if err != nil {
				return err
			}
			for _, ctx := range x.ended() {
				fills := []tarn.Fill[string, string]{{Key: "a", Token: token, Store: true, Entry: plain("1")}}
				err1 := fails("Fill", x.leaser.Fill(ctx, fills), ctx.Err())
				give := []tarn.Fill[string, string]{{Key: "a", Token: token}}
				err2 := fails("Fill without Store", x.leaser.Fill(ctx, give), ctx.Err())
				if err := all(err1, err2, is("Fill: Stored", fills[0].Stored, false), x.misses("a"),
					x.stands("a", token, true)); err != nil {
					return err
				}
			}
			return x.fill("a", token, "2", true)
		},
	},
	{
		name: "a change that its context forbids voids no lease",
		rule: "A Set or a Delete with a context that is over changes nothing: a lease stands as before.",
		check: func(x *trial) error {
			token, err := x.granted("a")
			if err != nil {
				return err
			}
			for _, ctx := range x.ended() {
				if err := all(fails("Set", x.store.Set(ctx, "a", plain("1")), ctx.Err()),
					fails("Delete", x.store.Delete(ctx, "a"), ctx.Err()), x.stands("a", token, true)); err != nil {
					return err
				}
			}
			return x.fill("a", token, "2", true)
		},
	},
}
