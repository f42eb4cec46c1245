package storetest

import (
	"fmt"
	"slices"
	"strings"

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
