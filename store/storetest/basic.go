package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

var basicRows = []row{
	{
		name: "a new store is empty",
		rule: "Get reports a key that is not there as not found, without an error.",
		check: func(x *trial) error {
			return x.misses("a", "", longKey)
		},
	},
	{
		name: "Get returns what Set stored",
		rule: "Get returns the entry that the last Set of its key stored.",
		check: func(x *trial) error {
			return all(x.set("a", "1"), x.set("b", "2"), x.sees("a", plain("1")), x.sees("b", plain("2")), x.misses("c"))
		},
	},
	{
		name: "Set replaces the whole entry",
		rule: "Set gives a key an entry in place of any other: nothing of the old one remains.",
		check: func(x *trial) error {
			old := entry{Value: "old", Fresh: x.in(long), Expires: x.in(2 * long), Negative: true}
			return all(x.setEntry("a", old), x.set("a", "new"), x.sees("a", plain("new")), x.set("a", ""),
				x.sees("a", plain("")))
		},
	},
	{
		name: "Delete removes its key alone",
		rule: "After Delete a key is not found; other keys keep their entries.",
		check: func(x *trial) error {
			return all(x.set("a", "1"), x.set("ab", "2"), x.set("", "3"), x.del("a"), x.misses("a"),
				x.has("ab", "2"), x.has("", "3"), x.set("a", "4"), x.has("a", "4"))
		},
	},
	{
		name: "Delete of what is not there",
		rule: "Deleting what is not there is no error.",
		check: func(x *trial) error {
			return all(x.del("a"), x.set("a", "1"), x.del("a"), x.del("a"), x.misses("a"))
		},
	},
	{
		name:  "keys are any strings",
		rule:  "Every string is a key of its own, whatever bytes it is made of.",
		check: anyStrings,
	},
	{
		name:  "values are any strings",
		rule:  "A value comes back as it was, whatever bytes it is made of.",
		check: anyValues,
	},
	{
		name: "negative entries",
		rule: "Negative is stored with its entry: a remembered absence is found, and is no value.",
		check: func(x *trial) error {
			absent := entry{Negative: true, Expires: x.in(long)}
			return all(x.setEntry("a", absent), x.sees("a", absent), x.set("a", "1"), x.sees("a", plain("1")),
				x.setEntry("a", absent), x.sees("a", absent), x.del("a"), x.misses("a"))
		},
	},
	{
		name: "room for 10,000 entries",
		rule: "A store under test has room for 10,000 small entries, and forgets none of them.",
		check: func(x *trial) error {
			keys := names("key", 10_000)
			for _, key := range keys {
				if err := x.set(key, key); err != nil {
					return err
				}
			}
			for _, key := range keys {
				if err := x.has(key, key); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "a hit needs no live context",
		rule: "A context that is over does not hinder a Get that need not wait; a Get that must wait returns the " +
			"context's error, and never says of a stored key that it is not there.",
		check: func(x *trial) error {
			if err := x.set("a", "1"); err != nil {
				return err
			}
			for _, ctx := range x.ended() {
				e, found, err := x.store.Get(ctx, "a")
				if err != nil && !x.fake {
					err = fails("Get", err, ctx.Err())
				} else {
					err = all(did("Get", err), is("Get: found", found, true), is("Get: value", e.Value, "1"))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	},
}

func anyStrings(x *trial) error {
	keys := []string{
		"", " ", "a", "A", "a ", " a", "a\x00", "\x00", "\x00a", "\xff\xfe", "é", "e\u0301", "{a}", "{a", "a}", "{}a",
		"*", "?", "[a]", "a:b", "a::b", "a:", ":a", "a/b", "../a", "a\nb", "a\r\nb", "%s", "%61", "\\x00", `"a"`, "日本",
		longKey, longKey + "x",
	}
	for i, key := range keys {
		if err := x.set(key, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	for i, key := range keys {
		if err := x.has(key, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	for i, key := range keys {
		if err := all(x.del(key), x.misses(key)); err != nil {
			return err
		}
		if i+1 < len(keys) {
			if err := x.has(keys[i+1], fmt.Sprint(i+1)); err != nil {
				return err
			}
		}
	}
	return nil
}

func anyValues(x *trial) error {
	for _, value := range []string{
		"", "\x00", "\xff\xfe", "nil", "null", "0", "not found", "*", "{}", "日本", "\r\n", longKey,
	} {
		if err := all(x.set("a", value), x.sees("a", plain(value))); err != nil {
			return err
		}
	}
	return nil
}

var clockRows = []row{
	{
		name:  "the clock goes on",
		rule:  "A store's clock goes with the time that passes, and no deadline is told by another.",
		waits: true,
		check: func(x *trial) error {
			clock := x.clocker.Clock()
			start, before := clock.Now(), time.Now()
			err := x.wait(x.unit)
			passed, want := clock.Now().Sub(start), time.Since(before)
			if err != nil {
				return err
			}
			if x.fake {
				return is("the clock after a while", passed, want)
			}
			return is("the clock is out of step", passed < want/2 || passed > want*2, false)
		},
	},
	{
		name: "the clock is near the wall's",
		rule: "A store's clock starts at the wall clock's time, so that processes that share a store agree.",
		check: func(x *trial) error {
			off := x.clocker.Clock().Now().Sub(ttl.Time(time.Now().UnixNano()))
			return is("more than a minute off", off > time.Minute || off < -time.Minute, false)
		},
	},
}

// change is something that changes a key, as a table's row: a rule that goes for every change is checked for each.
type change struct {
	name      string
	needs     Capability
	onMissing bool // it is done to a key that has no entry; otherwise to one that has
	do        func(ctx context.Context, x *trial, key string) error
}

var changes = []change{
	{name: "Set", do: func(ctx context.Context, x *trial, key string) error {
		return x.store.Set(ctx, key, plain("changed"))
	}},
	{name: "Set of a new key", onMissing: true, do: func(ctx context.Context, x *trial, key string) error {
		return x.store.Set(ctx, key, plain("changed"))
	}},
	{name: "Delete", do: func(ctx context.Context, x *trial, key string) error {
		return x.store.Delete(ctx, key)
	}},
	{name: "SetMany", needs: BatchStore, do: func(ctx context.Context, x *trial, key string) error {
		return x.batch.SetMany(ctx, []string{"other", key},
			[]entry{plain("changed"), plain("changed")})
	}},
	{name: "DeleteMany", needs: BatchStore, do: func(ctx context.Context, x *trial, key string) error {
		return x.batch.DeleteMany(ctx, []string{"other", key})
	}},
	{name: "Add", needs: Adder, onMissing: true, do: func(ctx context.Context, x *trial, key string) error {
		_, err := x.adder.Add(ctx, key, plain("changed"))
		return err
	}},
	{name: "Touch", needs: Toucher, do: func(ctx context.Context, x *trial, key string) error {
		_, err := x.toucher.Touch(ctx, key, x.in(2*long))
		return err
	}},
	{name: "Compute that stores", needs: Computer, do: func(ctx context.Context, x *trial, key string) error {
		_, _, err := x.computer.Compute(ctx, key, storing("changed"))
		return err
	}},
	{name: "Compute that deletes", needs: Computer, do: func(ctx context.Context, x *trial, key string) error {
		_, _, err := x.computer.Compute(ctx, key, deleting)
		return err
	}},
	{name: "Clear", needs: Clearer, do: func(ctx context.Context, x *trial, _ string) error {
		return x.clearer.Clear(ctx)
	}},
	{name: "Hold", needs: Holder, do: func(ctx context.Context, x *trial, key string) error {
		return x.holder.Hold(ctx, []string{"other", key}, long, make([]tarn.Token, 2))
	}},
}

func storing(v string) func(entry, bool) (entry, tarn.ComputeOp) {
	return func(entry, bool) (entry, tarn.ComputeOp) {
		return plain(v), tarn.ComputeStore
	}
}

func deleting(entry, bool) (entry, tarn.ComputeOp) {
	return entry{}, tarn.ComputeDelete
}

func keeping(entry, bool) (entry, tarn.ComputeOp) {
	return entry{}, tarn.ComputeKeep
}

// prepare gives key the entry that a change is done to, if it needs one.
func (c change) prepare(x *trial, key string) error {
	if c.onMissing {
		return nil
	}
	return x.set(key, "before")
}

// untouched expects key as prepare left it.
func (c change) untouched(x *trial, key string) error {
	if c.onMissing {
		return x.misses(key)
	}
	return x.sees(key, plain("before"))
}

// cancelledRows returns the rows of a capability that say what a context that is over does to its writes.
func cancelledRows(needs Capability) (rows []row) {
	for _, c := range changes {
		if c.needs != needs {
			continue
		}
		rows = append(rows, row{
			name: c.name + " with a context that is over",
			rule: c.name + " with a context that is over returns the context's error and changes nothing.",
			check: func(x *trial) error {
				if err := c.prepare(x, "a"); err != nil {
					return err
				}
				for _, ctx := range x.ended() {
					if err := all(fails(c.name, c.do(ctx, x, "a"), ctx.Err()), c.untouched(x, "a"),
						x.misses("other")); err != nil {
						return err
					}
				}
				return nil
			},
		})
	}
	switch needs {
	case Leaser:
		rows = append(rows, cancelledLeaseRows...)
	case Holder:
		rows = append(rows, cancelledSettleRow)
	}
	return rows
}
