package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
)

var holdRows = []row{
	{
		name: "a hold takes the value away",
		rule: "A held key has no value, and Set refuses it with ErrHeld.",
		check: func(x *trial) error {
			if err := all(x.set("a", "1"), x.set("b", "2")); err != nil {
				return err
			}
			_, err := x.hold("a")
			return all(err, x.misses("a"), x.held("a"), x.has("b", "2"), x.set("b", "3"))
		},
	},
	{
		name: "a hold of what is not there",
		rule: "A key without a value is held as any other.",
		check: func(x *trial) error {
			token, err := x.hold("a")
			return all(err, x.held("a"), x.settle("a", token, "1", true), x.has("a", "1"))
		},
	},
	{
		name: "tokens of holds",
		rule: "Every hold has a token that no other has.",
		check: func(x *trial) error {
			tokens := make([]tarn.Token, 4)
			if err := all(did("Hold", x.holder.Hold(x.ctx, []string{"a", "b"}, long, tokens[:2])),
				did("Hold", x.holder.Hold(x.ctx, []string{"a", "b"}, long, tokens[2:]))); err != nil {
				return err
			}
			seen := make(map[tarn.Token]bool)
			for _, token := range tokens {
				if token == (tarn.Token{}) || seen[token] {
					return wrong("Hold: the token %x is zero or came before", token)
				}
				seen[token] = true
			}
			return nil
		},
	},
	{
		name:  "a hold ends with its life",
		rule:  "A hold ends after its life: the key is empty, and free.",
		waits: true,
		check: func(x *trial) error {
			if err := x.set("a", "1"); err != nil {
				return err
			}
			_, err := x.holdFor("a", x.unit)
			return all(err, x.wait(2*x.unit), x.misses("a"), x.unheld("a"))
		},
	},
	{
		name:  "a hold ends to the nanosecond",
		rule:  "A key is held until the last nanosecond of the hold's life, and no longer.",
		exact: true,
		check: func(x *trial) error {
			_, err1 := x.holdFor("a", x.unit)
			b, err2 := x.holdFor("b", x.unit)
			c, err3 := x.holdFor("c", x.unit)
			return all(err1, err2, err3, x.wait(x.unit-1), x.held("a"), x.settle("b", b, "1", true), x.wait(1),
				x.unheld("a"), x.has("b", "1"), x.settle("c", c, "1", false), x.misses("c"))
		},
	},
	{
		name:  "each hold has its own life",
		rule:  "A hold neither shortens nor prolongs another's life: the key is held until the last has ended.",
		waits: true,
		check: func(x *trial) error {
			_, err1 := x.holdFor("a", 3*x.unit)
			_, err2 := x.holdFor("a", x.unit)
			_, err3 := x.holdFor("b", x.unit)
			_, err4 := x.holdFor("b", 3*x.unit)
			return all(err1, err2, err3, err4, x.held("a", "b"), x.wait(2*x.unit), x.held("a", "b"), x.wait(2*x.unit),
				x.unheld("a", "b"))
		},
	},
	{
		name: "a hold with a context that fails holds nothing",
		rule: "If Hold returns an error nothing is held, and every value stands.",
		check: func(x *trial) error {
			if err := all(x.set("a", "1"), x.set("b", "2")); err != nil {
				return err
			}
			for _, ctx := range x.ended() {
				err := x.holder.Hold(ctx, []string{"a", "b"}, long, make([]tarn.Token, 2))
				if err = all(fails("Hold", err, ctx.Err()), x.has("a", "1"), x.has("b", "2")); err != nil {
					return err
				}
			}
			return all(x.set("a", "3"), x.set("b", "4"))
		},
	},
	{
		name:  "too many holds",
		rule:  "A key takes a bounded number of holds; a Hold of several keys that is one too many holds none of them.",
		check: tooManyHolds,
	},
	{
		name: "holds of nothing, and of two lengths",
		rule: "A batch of no keys does nothing; slices that are not of one length are an error, and nothing is held.",
		check: func(x *trial) error {
			for _, n := range []int{0, 1, 3} {
				if err := refused("Hold of two lengths", func() error {
					return x.holder.Hold(x.ctx, []string{"a", "b"}, long, make([]tarn.Token, n))
				}); err != nil {
					return err
				}
			}
			return all(did("Hold of none", x.holder.Hold(x.ctx, nil, long, nil)),
				did("Settle of none", x.holder.Settle(x.ctx, nil)), x.unheld("a", "b"))
		},
	},
	{
		name:  "holds of many keys",
		rule:  "However many keys a Hold or a Settle has, none is left out.",
		check: manyHolds,
	},
	{
		name: "holds keep no slices",
		rule: "Hold and Settle keep neither the caller's slices nor parts of them once they have returned.",
		check: func(x *trial) error {
			keys, tokens := []string{"a", "b"}, make([]tarn.Token, 2)
			if err := did("Hold", x.holder.Hold(x.ctx, keys, long, tokens)); err != nil {
				return err
			}
			settlements := []tarn.Settlement[string, string]{
				{Key: "a", Token: tokens[0], Store: true, Entry: plain("1")},
				{Key: "b", Token: tokens[1], Store: true, Entry: plain("2")},
			}
			scribble(keys, "scribbled")
			scribble(tokens, tarn.Token{})
			err := all(x.held("a", "b"), did("Settle", x.holder.Settle(x.ctx, settlements)))
			scribble(settlements, tarn.Settlement[string, string]{Key: "scribbled", Entry: plain("scribbled")})
			return all(err, x.has("a", "1"), x.has("b", "2"), x.misses("scribbled"))
		},
	},
}

func tooManyHolds(x *trial) error {
	const enough = 4096
	if err := all(x.set("before", "1"), x.set("after", "2")); err != nil {
		return err
	}
	var err error
	var tokens []tarn.Token
	for err == nil && len(tokens) < enough {
		token := make([]tarn.Token, 1)
		if err = x.holder.Hold(x.ctx, []string{"full"}, long, token); err == nil {
			tokens = append(tokens, token[0])
		}
	}
	if err == nil {
		return notApplicable(fmt.Sprintf("the store took %d holds of one key, and refused none", enough))
	}
	three := []string{"before", "full", "after"}
	if err := all(fails("one Hold too many", err, tarn.ErrTooManyHolds),
		fails("Hold", x.holder.Hold(x.ctx, three, long, make([]tarn.Token, 3)), tarn.ErrTooManyHolds),
		x.has("before", "1"), x.has("after", "2"), x.set("before", "3"), x.set("after", "4"), x.held("full")); err != nil {
		return err
	}
	for i, token := range tokens {
		if err := x.settle("full", token, "1", false); err != nil {
			return fmt.Errorf("hold %d of %d: %w", i, len(tokens), err)
		}
	}
	return x.unheld("full")
}

func manyHolds(x *trial) error {
	for _, n := range []int{1, 2, 65, many} {
		keys, tokens := names(fmt.Sprintf("%d-", n), n), make([]tarn.Token, n)
		if err := did("Hold", x.holder.Hold(x.ctx, keys, long, tokens)); err != nil {
			return err
		}
		settlements := make([]tarn.Settlement[string, string], n)
		for i, key := range keys {
			if err := x.store.Set(x.ctx, key, plain("set")); !errors.Is(err, tarn.ErrHeld) {
				return fmt.Errorf("after Hold of %d, Set of item %d: got error %v, want %v", n, i, err, tarn.ErrHeld)
			}
			settlements[i] = tarn.Settlement[string, string]{
				Key: key, Token: tokens[i], Store: i%3 != 1, Entry: plain(key), Stored: i%2 == 0,
			}
		}
		if err := did("Settle", x.holder.Settle(x.ctx, settlements)); err != nil {
			return err
		}
		for i, key := range keys {
			if settlements[i].Stored != settlements[i].Store {
				return wrong("Settle of %d, item %d: Stored is %v", n, i, settlements[i].Stored)
			}
			if i%3 == 1 {
				if err := x.unheld(key); err != nil {
					return err
				}
			} else if err := x.has(key, key); err != nil {
				return err
			}
		}
	}
	return nil
}

var settleRows = []row{
	{
		name: "Settle stores",
		rule: "A hold that was alone stores its entry, whole, and the key is free.",
		check: func(x *trial) error {
			token, err := x.hold("a")
			e := entry{Value: "1", Fresh: x.in(long), Expires: x.in(2 * long)}
			s := []tarn.Settlement[string, string]{{Key: "a", Token: token, Store: true, Entry: e}}
			return all(err, did("Settle", x.holder.Settle(x.ctx, s)), is("Settle: Stored", s[0].Stored, true),
				x.sees("a", e), x.set("a", "2"), x.has("a", "2"))
		},
	},
	{
		name: "Settle forgets",
		rule: "A Settlement without Store leaves an empty key, which is free.",
		check: func(x *trial) error {
			if err := x.set("a", "1"); err != nil {
				return err
			}
			token, err := x.hold("a")
			return all(err, x.forget("a", token), x.unheld("a"))
		},
	},
	{
		name: "Settle of an entry that has expired",
		rule: "A Settlement whose entry has expired leaves an empty key, which is free.",
		check: func(x *trial) error {
			token, err := x.hold("a")
			s := []tarn.Settlement[string, string]{
				{Key: "a", Token: token, Store: true, Entry: until("1", x.in(-time.Second))},
			}
			return all(err, did("Settle", x.holder.Settle(x.ctx, s)), x.unheld("a"))
		},
	},
	{
		name:  "Settle of a hold that has ended",
		rule:  "If the hold is gone and nobody holds the key, the key is emptied of whatever stands there.",
		waits: true,
		check: func(x *trial) error {
			if err := x.set("gone", "0"); err != nil {
				return err
			}
			gone, err1 := x.holdFor("gone", x.unit)
			kept, err2 := x.holdFor("kept", x.unit)
			return all(err1, err2, x.wait(2*x.unit), x.set("gone", "1"), x.set("kept", "1"),
				x.settle("gone", gone, "2", false), x.unheld("gone"), x.forget("kept", kept), x.unheld("kept"))
		},
	},
	{
		name: "Settle twice",
		rule: "A hold that was settled is gone: to settle it again empties the key.",
		check: func(x *trial) error {
			token, err := x.hold("a")
			return all(err, x.settle("a", token, "1", true), x.has("a", "1"), x.settle("a", token, "2", false),
				x.unheld("a"))
		},
	},
	{
		name: "Settle under a token that never was",
		rule: "A token that names no hold is a hold that is gone, the zero token as well.",
		check: func(x *trial) error {
			return all(x.set("a", "1"), x.settle("a", tarn.Token{3: 7}, "2", false), x.unheld("a"), x.set("b", "1"),
				x.settle("b", tarn.Token{}, "2", false), x.unheld("b"), x.settle("c", tarn.Token{}, "2", false),
				x.unheld("c"))
		},
	},
	{
		name:  "Settle of a hold that has ended voids a lease",
		rule:  "A settle that finds its hold gone empties the key of whatever stands there, a lease as well.",
		waits: true,
		needs: Leaser,
		check: func(x *trial) error {
			held, err1 := x.holdFor("a", x.unit)
			if err := all(err1, x.wait(2*x.unit)); err != nil {
				return err
			}
			leased, err := x.granted("a")
			return all(err, x.settle("a", held, "1", false), x.stands("a", leased, false),
				x.fill("a", leased, "0", false), x.misses("a"), x.free("a"))
		},
	},
	{
		name:  "Settle of a hold that has ended, while another holds",
		rule:  "A settle that finds its hold gone, and another's there, leaves it there and taints it.",
		waits: true,
		check: func(x *trial) error {
			gone, err1 := x.holdFor("a", x.unit)
			if err := all(err1, x.wait(2*x.unit)); err != nil {
				return err
			}
			other, err := x.hold("a")
			return all(err, x.settle("a", gone, "1", false), x.held("a"), x.settle("a", other, "2", false),
				x.unheld("a"))
		},
	},
	{
		name: "settlements by index",
		rule: "Settle answers for each settlement by its index, each with a verdict of its own.",
		check: func(x *trial) error {
			tokens := make([]tarn.Token, 4)
			keys := []string{"forget", "alone", "shared", "alone too"}
			if err := did("Hold", x.holder.Hold(x.ctx, keys, long, tokens)); err != nil {
				return err
			}
			other, err := x.hold("shared")
			if err != nil {
				return err
			}
			s := make([]tarn.Settlement[string, string], 4)
			for i, key := range keys {
				s[i] = tarn.Settlement[string, string]{
					Key: key, Token: tokens[i], Store: i > 0, Entry: plain(key), Stored: i%2 == 0,
				}
			}
			if err := did("Settle", x.holder.Settle(x.ctx, s)); err != nil {
				return err
			}
			for i, want := range []bool{false, true, false, true} {
				if err := is(fmt.Sprintf("Settle: Stored of item %d", i), s[i].Stored, want); err != nil {
					return err
				}
			}
			return all(x.unheld("forget"), x.has("alone", "alone"), x.held("shared"), x.has("alone too", "alone too"),
				x.forget("shared", other), x.unheld("shared"))
		},
	},
}

var cancelledSettleRow = row{
	name: "Settle with a context that is over",
	rule: "Settle with a context that is over returns the context's error, and the hold stays as it was.",
	check: func(x *trial) error {
		token, err := x.hold("a")
		if err != nil {
			return err
		}
		for _, ctx := range x.ended() {
			s := []tarn.Settlement[string, string]{{Key: "a", Token: token, Store: true, Entry: plain("1")}}
			if err := all(fails("Settle", x.holder.Settle(ctx, s), ctx.Err()), is("Settle: Stored", s[0].Stored, false),
				x.held("a")); err != nil {
				return err
			}
		}
		return all(x.settle("a", token, "2", true), x.has("a", "2"))
	},
}

// taintRows say which holds were not alone from start to end.
var taintRows = []row{
	{
		name: "two holds, settled in order",
		rule: "Several writers may hold one key; which of them committed last nobody knows, so neither value is stored.",
		check: func(x *trial) error {
			a, err1 := x.hold("k")
			b, err2 := x.hold("k")
			return all(err1, err2, x.held("k"), x.settle("k", a, "a", false), x.held("k"), x.settle("k", b, "b", false),
				x.unheld("k"))
		},
	},
	{
		name: "two holds, settled in reverse",
		rule: "Holds that overlapped taint each other, whichever is settled first.",
		check: func(x *trial) error {
			a, err1 := x.hold("k")
			b, err2 := x.hold("k")
			return all(err1, err2, x.settle("k", b, "b", false), x.held("k"), x.settle("k", a, "a", false), x.unheld("k"))
		},
	},
	{
		name: "two holds, settled by forgetting",
		rule: "A settle that forgets its key leaves another's hold there, tainted.",
		check: func(x *trial) error {
			a, err1 := x.hold("k")
			b, err2 := x.hold("k")
			return all(err1, err2, x.forget("k", a), x.held("k"), x.settle("k", b, "b", false), x.unheld("k"))
		},
	},
	{
		name: "a chain of holds",
		rule: "A hold that overlaps a tainted one is tainted, though it never met the first.",
		check: func(x *trial) error {
			a, err1 := x.hold("k")
			b, err2 := x.hold("k")
			if err := all(err1, err2, x.settle("k", a, "a", false)); err != nil {
				return err
			}
			c, err := x.hold("k")
			return all(err, x.settle("k", b, "b", false), x.held("k"), x.settle("k", c, "c", false), x.unheld("k"))
		},
	},
	{
		name:  "taint ends with the holds",
		rule:  "A hold that begins when no other is left is alone, whatever was before.",
		waits: true,
		check: func(x *trial) error {
			a, err1 := x.hold("k")
			b, err2 := x.hold("k")
			if err := all(err1, err2, x.settle("k", a, "a", false), x.settle("k", b, "b", false)); err != nil {
				return err
			}
			c, err := x.hold("k")
			if err = all(err, x.settle("k", c, "c", true), x.has("k", "c")); err != nil {
				return err
			}
			d, err1 := x.holdFor("k", x.unit)
			_, err2 = x.holdFor("k", x.unit)
			if err := all(err1, err2, x.wait(2*x.unit)); err != nil {
				return err
			}
			e, err := x.hold("k")
			return all(err, x.settle("k", e, "e", true), x.has("k", "e"), x.settle("k", d, "d", false), x.unheld("k"))
		},
	},
	{
		name:  "a hold that ended meanwhile taints",
		rule:  "A hold that was overlapped stays tainted after the other's life has ended.",
		waits: true,
		check: func(x *trial) error {
			_, err1 := x.holdFor("a", x.unit)
			a, err2 := x.hold("a")
			b, err3 := x.hold("b")
			_, err4 := x.holdFor("b", x.unit)
			return all(err1, err2, err3, err4, x.wait(2*x.unit), x.held("a", "b"), x.settle("a", a, "1", false),
				x.settle("b", b, "1", false), x.unheld("a", "b"))
		},
	},
	{
		name:  "a hold after another's end is alone",
		rule:  "A hold whose life has ended is in nobody's way.",
		waits: true,
		check: func(x *trial) error {
			_, err1 := x.holdFor("a", x.unit)
			if err := all(err1, x.wait(2*x.unit)); err != nil {
				return err
			}
			token, err := x.hold("a")
			return all(err, x.settle("a", token, "1", true), x.has("a", "1"))
		},
	},
	{
		name: "Delete during a hold",
		rule: "An invalidation during a hold keeps the hold and taints it: its value may be older than the Delete.",
		check: func(x *trial) error {
			token, err := x.hold("a")
			return all(err, x.del("a"), x.held("a"), x.settle("a", token, "1", false), x.unheld("a"))
		},
	},
	{
		name:  "DeleteMany during a hold",
		rule:  "DeleteMany deletes each key as Delete does: it keeps holds and taints them.",
		needs: BatchStore,
		check: func(x *trial) error {
			a, err1 := x.hold("a")
			b, err2 := x.hold("b")
			return all(err1, err2, did("DeleteMany", x.batch.DeleteMany(x.ctx, []string{"a", "b"})), x.held("a", "b"),
				x.settle("a", a, "1", false), x.settle("b", b, "1", false), x.unheld("a", "b"))
		},
	},
	{
		name:  "Clear during a hold",
		rule:  "Clear removes every entry as Delete would: it keeps holds and taints them.",
		needs: Clearer,
		check: func(x *trial) error {
			a, err1 := x.hold("a")
			b, err2 := x.hold("b")
			return all(err1, err2, x.clear(), x.held("a", "b"), x.settle("a", a, "1", false),
				x.settle("b", b, "1", false), x.unheld("a", "b"))
		},
	},
	{
		name: "what is refused taints nothing",
		rule: "A Set that is refused because a key is held changes nothing, nor does a Get: the hold stores its value.",
		check: func(x *trial) error {
			token, err := x.hold("a")
			if err = all(err, x.held("a"), x.held("a")); err != nil {
				return err
			}
			for _, ctx := range x.ended() {
				if err := fails("Delete", x.store.Delete(ctx, "a"), ctx.Err()); err != nil {
					return err
				}
			}
			return all(x.settle("a", token, "1", true), x.has("a", "1"))
		},
	},
	{
		name: "other keys taint nothing",
		rule: "A hold is tainted by what happens to its own key alone.",
		check: func(x *trial) error {
			a, err1 := x.hold("a")
			b, err2 := x.hold("b")
			if err := all(err1, err2); err != nil {
				return err
			}
			for _, key := range names("k", many) {
				if err := all(x.set(key, "1"), x.del(key)); err != nil {
					return err
				}
			}
			return all(x.del("b"), x.settle("a", a, "1", true), x.has("a", "1"), x.settle("b", b, "1", false))
		},
	},
}

// heldRows say what a held key refuses.
var heldRows = []row{
	{
		name:  "Lease of a held key",
		rule:  "No lease can be taken on a held key, to refresh neither, and asking changes nothing.",
		needs: Leaser,
		check: func(x *trial) error {
			if err := x.set("a", "0"); err != nil {
				return err
			}
			token, err := x.hold("a")
			if err = all(err, x.state("a", tarn.Held)); err != nil {
				return err
			}
			l, err := x.leaseOn("a", tarn.LeaseTerms{Life: long, Refresh: true})
			return all(err, is("Lease: state", l.State, tarn.Held), is("Lease: Found", l.Found, false),
				x.fill("a", l.Token, "old", false), x.fill("a", token, "old", false), x.held("a"),
				x.settle("a", token, "1", true), x.state("a", tarn.Hit))
		},
	},
	{
		name:  "a Fill that was leased before a hold",
		rule:  "A hold voids the lease of its key, and a Fill that was leased before stores nothing, during and after it.",
		needs: Leaser,
		check: func(x *trial) error {
			leased, err1 := x.granted("a")
			held, err2 := x.hold("a")
			return all(err1, err2, x.stands("a", leased, false), x.fill("a", leased, "old", false), x.held("a"),
				x.settle("a", held, "new", true), x.fill("a", leased, "old", false), x.has("a", "new"))
		},
	},
	{
		name:  "GetMany of a held key",
		rule:  "A held key has no value, in a batch neither.",
		needs: BatchStore,
		check: func(x *trial) error {
			if err := all(x.set("a", "1"), x.set("b", "2")); err != nil {
				return err
			}
			_, err := x.hold("a")
			return all(err, x.lookups([]string{"a", "b"}, []string{"", "2"}))
		},
	},
	{
		name:  "Add of a held key",
		rule:  "Add of a held key stores nothing, reports false, and does not taint the hold.",
		needs: Adder,
		check: func(x *trial) error {
			token, err := x.hold("a")
			return all(err, x.add("a", plain("0"), false), x.held("a"), x.settle("a", token, "1", true), x.has("a", "1"))
		},
	},
	{
		name:  "Touch of a held key",
		rule:  "Touch of a held key changes nothing, reports false, and does not taint the hold.",
		needs: Toucher,
		check: func(x *trial) error {
			if err := x.set("a", "0"); err != nil {
				return err
			}
			token, err := x.hold("a")
			return all(err, x.touch("a", x.in(time.Hour), false), x.touch("a", 0, false), x.held("a"),
				x.settle("a", token, "1", true), x.has("a", "1"))
		},
	},
	{
		name:  "Compute of a held key",
		rule:  "Compute of a held key is ErrHeld, whatever it would have done, and changes nothing.",
		needs: Computer,
		check: func(x *trial) error {
			token, err := x.hold("a")
			if err != nil {
				return err
			}
			for _, f := range []func(entry, bool) (entry, tarn.ComputeOp){
				storing("0"), deleting, keeping,
			} {
				_, _, err := x.computer.Compute(x.ctx, "a", f)
				if err = all(fails("Compute of a held key", err, tarn.ErrHeld), x.held("a")); err != nil {
					return err
				}
			}
			return all(x.settle("a", token, "1", true), x.has("a", "1"))
		},
	},
}
