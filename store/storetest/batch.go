package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
)

// many is enough keys for more than one chunk of whatever a store works in.
const many = 1000

var batchRows = []row{
	{
		name: "GetMany goes by index",
		rule: "GetMany sets into[i] to what is stored under keys[i], also where a key comes twice or is not there.",
		check: func(x *trial) error {
			return all(x.set("a", "1"), x.set("b", "2"),
				x.lookups([]string{"b", "none", "a", "b", "none", "b", "a"}, []string{"2", "", "1", "2", "", "2", "1"}))
		},
	},
	{
		name: "GetMany of many keys",
		rule: "GetMany finds every key, the first and the last as well, however many there are.",
		check: func(x *trial) error {
			for _, n := range []int{1, 2, 3, 63, 64, 65, many} {
				keys := names(fmt.Sprintf("%d-", n), n)
				for _, key := range keys {
					if err := x.set(key, key); err != nil {
						return err
					}
				}
				if err := x.lookups(keys, keys); err != nil {
					return fmt.Errorf("of %d keys: %w", n, err)
				}
			}
			return nil
		},
	},
	{
		name: "GetMany returns whole entries",
		rule: "GetMany returns each entry as Get does: deadlines, Negative and Stale included.",
		check: func(x *trial) error {
			entries := []entry{
				{Value: "v", Fresh: x.in(long), Expires: x.in(2 * long)},
				{Negative: true, Expires: x.in(long)},
				{Value: "v", Fresh: x.in(-time.Hour), Expires: x.in(long)},
			}
			keys := names("k", len(entries))
			for i, e := range entries {
				if err := x.setEntry(keys[i], e); err != nil {
					return err
				}
			}
			into := make([]tarn.Lookup[string], len(keys))
			if err := did("GetMany", x.batch.GetMany(x.ctx, keys, into)); err != nil {
				return err
			}
			for i, e := range entries {
				if err := all(is("GetMany: Found", into[i].Found, true), x.same("GetMany", into[i].Entry, e)); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "GetMany hits need no live context",
		rule: "A context that is over does not hinder a GetMany that need not wait; one that must wait returns the " +
			"context's error.",
		check: func(x *trial) error {
			if err := all(x.set("a", "1"), x.set("b", "2")); err != nil {
				return err
			}
			for _, ctx := range x.ended() {
				into := make([]tarn.Lookup[string], 2)
				err := x.batch.GetMany(ctx, []string{"a", "b"}, into)
				if err != nil && !x.fake {
					err = fails("GetMany", err, ctx.Err())
				} else {
					err = all(did("GetMany", err), is("GetMany: found both", into[0].Found && into[1].Found, true))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name:  "GetMany and expiry",
		rule:  "GetMany never returns an entry whose Expires has passed.",
		exact: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(x.unit))), x.set("b", "2"), x.wait(x.unit-1),
				x.lookups([]string{"a", "b"}, []string{"1", "2"}), x.wait(1),
				x.lookups([]string{"a", "b"}, []string{"", "2"}))
		},
	},
	{
		name: "SetMany sets every key",
		rule: "SetMany sets keys[i] to entries[i], the first and the last as well, however many there are.",
		check: func(x *trial) error {
			for _, n := range []int{1, 2, 3, 63, 64, 65, many} {
				keys := names(fmt.Sprintf("%d-", n), n)
				entries := make([]entry, n)
				for i, key := range keys {
					entries[i] = plain(key)
				}
				if err := did("SetMany", x.batch.SetMany(x.ctx, keys, entries)); err != nil {
					return err
				}
				for _, key := range keys {
					if err := x.has(key, key); err != nil {
						return fmt.Errorf("after SetMany of %d: %w", n, err)
					}
				}
			}
			return nil
		},
	},
	{
		name: "SetMany stores whole entries",
		rule: "SetMany stores each entry as Set does: deadlines and Negative included, nothing where Expires has passed.",
		check: func(x *trial) error {
			fresh := entry{Value: "v", Fresh: x.in(long), Expires: x.in(2 * long), Stale: true}
			absent := entry{Negative: true, Expires: x.in(long)}
			if err := x.set("past", "old"); err != nil {
				return err
			}
			_ = x.batch.SetMany(x.ctx, []string{"fresh", "past", "absent"},
				[]entry{fresh, until("new", x.in(-time.Second)), absent})
			return all(x.sees("fresh", fresh), x.misses("past"), x.sees("absent", absent))
		},
	},
	{
		name: "SetMany of a key that comes twice",
		rule: "Of a key that comes twice in a SetMany the last entry stays.",
		check: func(x *trial) error {
			err := x.batch.SetMany(x.ctx, []string{"a", "b", "a", "c", "a"},
				[]entry{plain("1"), plain("2"), plain("3"), plain("4"), plain("5")})
			return all(did("SetMany", err), x.has("a", "5"), x.has("b", "2"), x.has("c", "4"))
		},
	},
	{
		name: "DeleteMany deletes every key",
		rule: "DeleteMany deletes each key, the first and the last as well, and no other.",
		check: func(x *trial) error {
			for _, n := range []int{1, 2, 3, 65, many} {
				keys := names("k", n)
				for _, key := range append(keys, "other") {
					if err := x.set(key, key); err != nil {
						return err
					}
				}
				if err := all(did("DeleteMany", x.batch.DeleteMany(x.ctx, keys)), x.misses(keys...),
					x.has("other", "other")); err != nil {
					return fmt.Errorf("of %d keys: %w", n, err)
				}
			}
			return nil
		},
	},
	{
		name: "DeleteMany of what is not there",
		rule: "In a DeleteMany a key may come twice, and one that is not there is no error.",
		check: func(x *trial) error {
			err := all(x.set("a", "1"), x.set("b", "2"))
			return all(err, did("DeleteMany", x.batch.DeleteMany(x.ctx, []string{"none", "a", "a", "b"})),
				x.misses("a", "b", "none"))
		},
	},
	{
		name: "empty batches",
		rule: "A batch of no keys does nothing and is no error.",
		check: func(x *trial) error {
			return all(x.set("a", "1"),
				did("GetMany of none", x.batch.GetMany(x.ctx, nil, nil)),
				did("SetMany of none", x.batch.SetMany(x.ctx, nil, nil)),
				did("DeleteMany of none", x.batch.DeleteMany(x.ctx, nil)),
				did("GetMany of none", x.batch.GetMany(x.ctx, []string{}, []tarn.Lookup[string]{})),
				did("SetMany of none", x.batch.SetMany(x.ctx, []string{}, []entry{})),
				did("DeleteMany of none", x.batch.DeleteMany(x.ctx, []string{})),
				x.has("a", "1"))
		},
	},
	{
		name: "batches of two lengths",
		rule: "Slices that are not of one length are an error, not a panic, and nothing is changed.",
		check: func(x *trial) error {
			for _, n := range []int{0, 1, 3} {
				if err := all(
					refused("GetMany of two lengths", func() error {
						return x.batch.GetMany(x.ctx, []string{"a", "b"}, make([]tarn.Lookup[string], n))
					}),
					refused("SetMany of two lengths", func() error {
						return x.batch.SetMany(x.ctx, []string{"a", "b"}, make([]entry, n))
					}),
					x.misses("a", "b")); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "the caller's slices are the caller's",
		rule: "A batch keeps neither the caller's slices nor parts of them once it has returned.",
		check: func(x *trial) error {
			keys := names("k", 10)
			want := names("k", 10)
			entries := make([]entry, 10)
			for i, key := range keys {
				entries[i] = plain(key)
			}
			if err := did("SetMany", x.batch.SetMany(x.ctx, keys, entries)); err != nil {
				return err
			}
			scribble(keys, "scribbled")
			scribble(entries, plain("scribbled"))
			if err := all(x.lookups(want, want), x.misses("scribbled")); err != nil {
				return err
			}
			copy(keys, want)
			into := make([]tarn.Lookup[string], 10)
			if err := did("GetMany", x.batch.GetMany(x.ctx, keys, into)); err != nil {
				return err
			}
			scribble(keys, "scribbled")
			scribble(into, tarn.Lookup[string]{Entry: plain("scribbled"), Found: true})
			if err := all(x.set("k0", "new"), x.has("k0", "new"), x.set("k0", "k0")); err != nil {
				return err
			}
			for _, l := range into {
				if l.Entry.Value != "scribbled" {
					return errors.New("GetMany's slice of results was written to after the call")
				}
			}
			if err := all(x.lookups(want, want), x.misses("scribbled")); err != nil {
				return err
			}
			copy(keys, want[:5])
			if err := did("DeleteMany", x.batch.DeleteMany(x.ctx, keys[:5])); err != nil {
				return err
			}
			copy(keys, want[5:])
			return all(x.misses(want[:5]...), x.lookups(want[5:], want[5:]))
		},
	},
	{
		name:  "a SetMany of which some are refused",
		rule:  "Where some keys of a SetMany are held, the others are set, and the error is an IndexError that says so.",
		needs: Holder,
		check: func(x *trial) error {
			_, err := x.hold("b")
			if err != nil {
				return err
			}
			err = x.batch.SetMany(x.ctx, []string{"a", "b", "c"}, []entry{plain("1"), plain("2"), plain("3")})
			var byIndex tarn.IndexError
			if !errors.As(err, &byIndex) || len(byIndex) != 3 {
				return fmt.Errorf("SetMany: got error %v, want an IndexError of 3", err)
			}
			return all(did("SetMany's first", byIndex[0]), fails("SetMany's second", byIndex[1], tarn.ErrHeld),
				did("SetMany's third", byIndex[2]), x.has("a", "1"), x.misses("b"), x.has("c", "3"))
		},
	},
}
