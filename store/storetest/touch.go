package storetest

import (
	"time"

	"github.com/tarncache/tarn/ttl"
)

var touchRows = []row{
	{
		name: "Touch moves a deadline",
		rule: "Touch gives an entry a new Expires, later or sooner or never, and leaves the rest of it alone.",
		check: func(x *trial) error {
			e := entry{Value: "v", Fresh: x.in(long), Expires: x.in(2 * long)}
			later, sooner, never := e, e, e
			later.Expires, sooner.Expires, never.Expires = x.in(3*long), x.in(long+time.Second), 0
			return all(x.setEntry("a", e),
				x.touch("a", later.Expires, true), x.sees("a", later),
				x.touch("a", sooner.Expires, true), x.sees("a", sooner),
				x.touch("a", 0, true), x.sees("a", never),
				x.touch("a", e.Expires, true), x.sees("a", e))
		},
	},
	{
		name: "Touch of a negative entry",
		rule: "A remembered absence can be touched as any entry, and stays one.",
		check: func(x *trial) error {
			absent := entry{Negative: true, Expires: x.in(long)}
			later := entry{Negative: true, Expires: x.in(2 * long)}
			return all(x.setEntry("a", absent), x.touch("a", later.Expires, true), x.sees("a", later))
		},
	},
	{
		name:  "Touch prolongs a life",
		rule:  "A touched entry lives until its new Expires, and no longer.",
		waits: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(2*x.unit))), x.wait(x.unit), x.touch("a", x.in(3*x.unit), true),
				x.wait(2*x.unit), x.has("a", "1"), x.wait(2*x.unit), x.misses("a"))
		},
	},
	{
		name:  "Touch shortens a life",
		rule:  "A touched entry is gone at its new Expires, though its old one, or none, would have kept it.",
		waits: true,
		check: func(x *trial) error {
			return all(x.set("a", "1"), x.setEntry("b", until("1", x.in(long))), x.touch("a", x.in(x.unit), true),
				x.touch("b", x.in(x.unit), true), x.wait(2*x.unit), x.misses("a", "b"))
		},
	},
	{
		name: "Touch of what is not there",
		rule: "Touch reports false where there is no entry, and leaves none.",
		check: func(x *trial) error {
			return all(x.touch("a", x.in(long), false), x.misses("a"), x.set("a", "1"), x.del("a"),
				x.touch("a", 0, false), x.misses("a"))
		},
	},
	{
		name:  "Touch does not resurrect",
		rule:  "An entry that has expired cannot be touched back to life.",
		waits: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(x.unit))), x.wait(2*x.unit), x.touch("a", x.in(long), false),
				x.misses("a"), x.touch("a", 0, false), x.misses("a"))
		},
	},
	{
		name:  "Touch at the nanosecond of expiry",
		rule:  "Until the last nanosecond before its Expires an entry can be touched, and not from then on.",
		exact: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(x.unit))), x.wait(x.unit-1), x.touch("a", x.in(2), true), x.wait(1),
				x.has("a", "1"), x.wait(1), x.touch("a", x.in(long), false), x.misses("a"))
		},
	},
	{
		name: "Touch into the past",
		rule: "An entry touched to an Expires that has passed is gone.",
		check: func(x *trial) error {
			if err := x.set("a", "1"); err != nil {
				return err
			}
			_, _ = x.toucher.Touch(x.ctx, "a", x.in(-time.Second))
			return all(x.misses("a"), x.touch("a", x.in(long), false), x.misses("a"))
		},
	},
}

func (x *trial) touch(key string, expires ttl.Time, want bool) error {
	touched, err := x.toucher.Touch(x.ctx, key, expires)
	if err != nil {
		return wrong("Touch: %w", err)
	}
	if touched != want {
		return wrong("Touch: got %v, want %v", touched, want)
	}
	return nil
}
