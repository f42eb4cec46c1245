package storetest

import (
	"fmt"
	"time"

	"github.com/tarncache/tarn/ttl"
)

var expiryRows = []row{
	{
		name: "deadlines come back",
		rule: "Fresh and Expires are stored with their entry, each with or without the other.",
		check: func(x *trial) error {
			for i, e := range []entry{
				{Value: "v", Fresh: x.in(long), Expires: x.in(2 * long)},
				{Value: "v", Expires: x.in(long)},
				{Value: "v", Expires: x.in(long + 987_654_321)},
				{Value: "v", Fresh: x.in(long)},
				{Value: "v", Fresh: x.in(2 * long), Expires: x.in(long)},
				{Value: "v", Expires: ttl.End},
				{Value: "v", Fresh: ttl.End, Expires: ttl.End},
			} {
				key := fmt.Sprint(i)
				if err := all(x.setEntry(key, e), x.sees(key, e), x.sees(key, e)); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name:  "an expired entry is gone",
		rule:  "An entry whose Expires has passed is never returned.",
		waits: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(x.unit))), x.set("b", "2"), x.has("a", "1"), x.wait(2*x.unit),
				x.misses("a"), x.has("b", "2"), x.set("a", "3"), x.has("a", "3"), x.wait(2*x.unit), x.has("a", "3"))
		},
	},
	{
		name:  "expiry to the nanosecond",
		rule:  "An entry is there until the last nanosecond before its Expires, and gone from then on.",
		exact: true,
		check: func(x *trial) error {
			for _, life := range []time.Duration{
				1, 2, time.Microsecond, 999_999, time.Millisecond, 1_500_000, time.Second - 1, time.Second, time.Minute,
				time.Hour + 1,
			} {
				key := life.String()
				if err := all(x.setEntry(key, until("v", x.in(life))), x.wait(life-1), x.has(key, "v"), x.wait(1),
					x.misses(key)); err != nil {
					return fmt.Errorf("a life of %v: %w", life, err)
				}
			}
			return nil
		},
	},
	{
		name: "Set with an Expires that has passed",
		rule: "Set with an Expires that has passed leaves nothing under its key.",
		check: func(x *trial) error {
			for _, ago := range []time.Duration{0, 1, time.Second, 48 * time.Hour} {
				if err := x.set("a", "old"); err != nil {
					return err
				}
				// Whether the store calls that an error is its own affair.
				_ = x.store.Set(x.ctx, "a", until("new", x.in(-ago)))
				if err := x.misses("a"); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name:  "a later Set moves the deadline",
		rule:  "The deadline of an entry that was replaced or deleted means nothing to the one that follows.",
		waits: true,
		check: func(x *trial) error {
			return all(
				x.setEntry("longer", until("1", x.in(x.unit))), x.setEntry("longer", until("2", x.in(long))),
				x.setEntry("shorter", until("1", x.in(long))), x.setEntry("shorter", until("2", x.in(x.unit))),
				x.setEntry("endless", until("1", x.in(x.unit))), x.set("endless", "2"),
				x.setEntry("again", until("1", x.in(x.unit))), x.del("again"), x.set("again", "2"),
				x.wait(2*x.unit), x.has("longer", "2"), x.misses("shorter"), x.has("endless", "2"), x.has("again", "2"))
		},
	},
	{
		name:  "Stale after Fresh",
		rule:  "Get sets Stale when Fresh has passed, and returns the entry until it expires.",
		waits: true,
		check: func(x *trial) error {
			e := entry{Value: "v", Fresh: x.in(x.unit), Expires: x.in(4 * x.unit)}
			endless := entry{Value: "v", Fresh: x.in(x.unit)}
			return all(x.setEntry("a", e), x.setEntry("b", endless), x.sees("a", e), x.sees("b", endless),
				x.wait(2*x.unit), x.sees("a", e), x.sees("b", endless), x.wait(3*x.unit), x.misses("a"),
				x.sees("b", endless))
		},
	},
	{
		name:  "Stale to the nanosecond",
		rule:  "An entry is fresh until the last nanosecond before its Fresh, and stale from then on.",
		exact: true,
		check: func(x *trial) error {
			e := entry{Value: "v", Fresh: x.in(x.unit), Expires: x.in(2 * x.unit)}
			return all(x.setEntry("a", e), x.wait(x.unit-1), x.sees("a", e), x.wait(1), x.sees("a", e), x.wait(x.unit-1),
				x.sees("a", e), x.wait(1), x.misses("a"))
		},
	},
	{
		name: "Set ignores Stale",
		rule: "Stale is the store's to tell: what a caller passes to Set is ignored.",
		check: func(x *trial) error {
			e := entry{Value: "v", Fresh: x.in(long), Stale: true}
			endless := entry{Value: "v", Stale: true}
			passed := entry{Value: "v", Fresh: x.in(-time.Hour), Expires: x.in(long)}
			return all(x.setEntry("a", e), x.sees("a", e), x.setEntry("b", endless), x.sees("b", endless),
				x.setEntry("c", passed), x.sees("c", passed))
		},
	},
	{
		name:  "many expire at once",
		rule:  "However many entries expire together, none outlives its deadline and none that lives on is lost.",
		exact: true,
		check: func(x *trial) error {
			keys, expires := names("short", 3000), x.in(x.unit)
			for _, key := range keys {
				if err := all(x.setEntry(key, until("v", expires)), x.set("long"+key, "v")); err != nil {
					return err
				}
			}
			if err := all(x.wait(x.unit), x.misses(keys...)); err != nil {
				return err
			}
			for _, key := range keys {
				if err := x.has("long"+key, "v"); err != nil {
					return err
				}
			}
			return nil
		},
	},
}
