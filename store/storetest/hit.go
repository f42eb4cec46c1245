package storetest

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// What Hit says must be what Get would say. That it says nothing is always its right, so that a store may answer from
// a copy that is near, or not at all while it is busy: no row expects an answer for one particular key.

var hitRows = []row{
	{
		name: "Hit answers",
		rule: "Of entries that are fresh, Hit answers at least some: a store for which it never does is no Hitter.",
		check: func(x *trial) error {
			answered := false
			for i, key := range names("k", 100) {
				e := plain(key)
				if i%2 == 0 {
					e = entry{Value: key, Fresh: x.in(long), Expires: x.in(2 * long)}
				}
				if err := all(x.setEntry(key, e), x.hits(key, key), x.sees(key, e), x.hits(key, key)); err != nil {
					return err
				}
				_, ok := x.hitter.Hit(key)
				answered = answered || ok
			}
			return is("Hit answers any of 100 keys", answered, true)
		},
	},
	{
		name: "Hit of any key",
		rule: "Hit returns the value of its key, and of no other, whatever bytes they are made of.",
		check: func(x *trial) error {
			keys := []string{"", "a", "b", "A", "ab", "ba", "a\x00", "\x00a", "\x00", longKey, longKey + "x", longKey + "y"}
			for _, key := range keys {
				if err := x.set(key, key); err != nil {
					return err
				}
			}
			for _, key := range keys {
				if err := all(x.hits(key, key), x.del(key), x.noHit(key)); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "Hit of what is not there",
		rule: "Hit says nothing of a key that was never set, or was deleted.",
		check: func(x *trial) error {
			return all(x.noHit("a", "", longKey), x.set("a", "1"), x.hits("a", "1"), x.noHit("b"), x.del("a"),
				x.noHit("a", "b"))
		},
	},
	{
		name: "Hit of a negative entry",
		rule: "A remembered absence is no value: Hit says nothing of it.",
		check: func(x *trial) error {
			return all(x.setEntry("a", entry{Negative: true, Expires: x.in(long)}), x.noHit("a"), x.set("b", "1"),
				x.hits("b", "1"), x.setEntry("b", entry{Negative: true}), x.noHit("b"), x.set("a", "2"), x.hits("a", "2"))
		},
	},
	{
		name:  "Hit of what has expired",
		rule:  "Hit says nothing of an entry whose Expires has passed, though nobody has removed it yet.",
		waits: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(x.unit))), x.hits("a", "1"), x.wait(2*x.unit), x.noHit("a"),
				x.misses("a"), x.noHit("a"), x.set("a", "2"), x.hits("a", "2"))
		},
	},
	{
		name:  "Hit and expiry to the nanosecond",
		rule:  "Hit says nothing from the very nanosecond of an entry's Expires on.",
		exact: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(x.unit))), x.wait(x.unit-1), x.hits("a", "1"), x.wait(1),
				x.noHit("a"))
		},
	},
	{
		name:  "Hit of what is stale",
		rule:  "Hit says nothing of an entry whose Fresh has passed, though Get returns it still.",
		waits: true,
		check: func(x *trial) error {
			e := entry{Value: "v", Fresh: x.in(x.unit), Expires: x.in(long)}
			passed := entry{Value: "v", Fresh: x.in(-time.Second)}
			return all(x.setEntry("a", e), x.hits("a", "v"), x.setEntry("b", passed), x.noHit("b"), x.wait(2*x.unit),
				x.noHit("a"), x.sees("a", e), x.noHit("a", "b"))
		},
	},
	{
		name:  "Hit and Fresh to the nanosecond",
		rule:  "Hit says nothing from the very nanosecond of an entry's Fresh on.",
		exact: true,
		check: func(x *trial) error {
			e := entry{Value: "v", Fresh: x.in(x.unit), Expires: x.in(long)}
			return all(x.setEntry("a", e), x.wait(x.unit-1), x.hits("a", "v"), x.wait(1), x.noHit("a"), x.sees("a", e))
		},
	},
	{
		name:  "Hit after Touch",
		rule:  "Hit goes by the deadline that the last Touch gave.",
		waits: true,
		needs: Toucher,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(long))), x.hits("a", "1"), x.touch("a", x.in(x.unit), true),
				x.hits("a", "1"), x.wait(2*x.unit), x.noHit("a"))
		},
	},
	{
		name:  "Hit and leases",
		rule:  "A lease is no value; what a Fill stores is one, and what a Fill is refused is none.",
		needs: Leaser,
		check: func(x *trial) error {
			a, err1 := x.granted("a")
			b, err2 := x.granted("b")
			return all(err1, err2, x.noHit("a", "b"), x.fill("a", a, "1", true), x.hits("a", "1"), x.del("b"),
				x.fill("b", b, "1", false), x.noHit("b"), x.del("a"), x.noHit("a"))
		},
	},
	{
		name:  "Hit of a held key",
		rule:  "Hit says nothing of a held key, then what Settle stored; a hold that ends by itself leaves nothing.",
		waits: true,
		needs: Holder,
		check: func(x *trial) error {
			if err := all(x.set("a", "1"), x.hits("a", "1"), x.set("b", "1"), x.hits("b", "1")); err != nil {
				return err
			}
			a, err1 := x.hold("a")
			_, err2 := x.holdFor("b", x.unit)
			if err := all(err1, err2, x.noHit("a", "b"), x.wait(2*x.unit), x.noHit("a", "b"), x.settle("a", a, "2", true),
				x.hits("a", "2")); err != nil {
				return err
			}
			a, err := x.hold("a")
			return all(err, x.noHit("a"), x.forget("a", a), x.noHit("a"))
		},
	},
	{
		name:  "Hit after Close",
		rule:  "Hit says nothing of a store that is closed.",
		needs: Closer,
		check: func(x *trial) error {
			return all(x.set("a", "1"), x.hits("a", "1"), x.shut(), x.noHit("a"))
		},
	},
	{
		name: "Hits and deletes",
		rule: "A Hit that begins after Delete has returned says nothing of the value that was deleted.",
		check: func(x *trial) error {
			return x.hitsAgainst(x.del, func() error { return nil })
		},
	},
	{
		name:  "Hits and holds",
		rule:  "A Hit that begins after Hold has returned says nothing of the value that was there before.",
		needs: Holder,
		check: func(x *trial) error {
			token, err := x.hold("a")
			return all(err, x.forget("a", token), x.hitsAgainst(
				func(key string) (err error) { token, err = x.hold(key); return err },
				func() error { return x.forget("a", token) },
			))
		},
	},
}

// hitsAgainst stores one number after the other, each of which take ends before after makes room for the next, while
// others read by Hit: none may find a number that was taken, or a lesser one than it has found.
func (x *trial) hitsAgainst(take func(key string) error, after func() error) error {
	var least atomic.Int64
	var done atomic.Bool
	return together(4, func(g int) error {
		if g == 0 {
			defer done.Store(true)
			for i := range int64(300) {
				if err := x.set("a", fmt.Sprint(i)); err != nil {
					return err
				}
				x.pause(8)
				if err := take("a"); err != nil {
					return err
				}
				least.Store(i + 1)
				x.pause(8)
				if err := after(); err != nil {
					return err
				}
			}
			return nil
		}
		for seen := int64(0); !done.Load(); {
			x.pause(4)
			seen = max(seen, least.Load())
			value, ok := x.hitter.Hit("a")
			if !ok {
				continue
			}
			got, err := strconv.ParseInt(value, 10, 64)
			if err != nil || got < seen {
				return wrong("Hit: got %q, want %d, a later number, or nothing", value, seen)
			}
			seen = got
		}
		return nil
	})
}

// hitAfterRows returns a row for each change of a value.
func hitAfterRows() (rows []row) {
	for _, c := range changes {
		if c.needs == Toucher {
			continue // it leaves the value as it is, and has a row of its own
		}
		rows = append(rows, row{
			name:  "Hit after " + c.name,
			rule:  "After " + c.name + " has returned Hit says what Get says, or nothing.",
			needs: c.needs,
			check: func(x *trial) error {
				if err := all(x.set("a", "before"), x.hits("a", "before"), x.has("a", "before")); err != nil {
					return err
				}
				if c.onMissing {
					if err := x.del("a"); err != nil {
						return err
					}
				}
				if err := did(c.name, c.do(x.ctx, x, "a")); err != nil {
					return err
				}
				value, ok := x.hitter.Hit("a")
				e, found, err := x.store.Get(x.ctx, "a")
				if err != nil {
					return wrong("Get: %w", err)
				}
				if ok && (!found || value != e.Value) {
					return wrong("Hit: got %s, and Get %+v, %v", clip(value), e, found)
				}
				return nil
			},
		})
	}
	return rows
}
