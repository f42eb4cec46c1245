package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

var addRows = []row{
	{
		name: "Add sets what is not there",
		rule: "Add stores the entry if its key has none, and reports that it did.",
		check: func(x *trial) error {
			e := entry{Value: "1", Fresh: x.in(long), Expires: x.in(2 * long)}
			return all(x.add("a", e, true), x.sees("a", e), x.del("a"), x.add("a", plain("2"), true), x.has("a", "2"))
		},
	},
	{
		name: "Add leaves what is there",
		rule: "Add stores nothing if its key has an entry, and reports so; one that is stale or negative is an entry.",
		check: func(x *trial) error {
			absent := entry{Negative: true, Expires: x.in(long)}
			stale := entry{Value: "v", Fresh: x.in(-time.Second), Expires: x.in(long)}
			return all(x.set("a", "1"), x.add("a", plain("2"), false), x.sees("a", plain("1")),
				x.setEntry("b", absent), x.add("b", plain("2"), false), x.sees("b", absent),
				x.setEntry("c", stale), x.add("c", plain("2"), false), x.sees("c", stale))
		},
	},
	{
		name:  "Add after expiry",
		rule:  "An entry that has expired is in nobody's way.",
		waits: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(x.unit))), x.add("a", plain("2"), false), x.wait(2*x.unit),
				x.add("a", plain("3"), true), x.has("a", "3"))
		},
	},
	{
		name:  "Add at the nanosecond of expiry",
		rule:  "Until the last nanosecond before its Expires an entry is in the way of Add, and not from then on.",
		exact: true,
		check: func(x *trial) error {
			return all(x.setEntry("a", until("1", x.in(x.unit))), x.wait(x.unit-1), x.add("a", plain("2"), false),
				x.wait(1), x.add("a", plain("3"), true), x.has("a", "3"))
		},
	},
	{
		name: "Add of an entry that has expired",
		rule: "Add with an Expires that has passed leaves nothing.",
		check: func(x *trial) error {
			_, _ = x.adder.Add(x.ctx, "a", until("1", x.in(-time.Second)))
			return all(x.misses("a"), x.add("a", plain("2"), true), x.has("a", "2"))
		},
	},
	{
		name: "one Add of many wins",
		rule: "Of several Adds of one key at the same time exactly one stores its entry.",
		check: func(x *trial) error {
			for round := range 50 {
				key := fmt.Sprint(round)
				var winners atomic.Int32
				var winner atomic.Value
				var wg sync.WaitGroup
				for g := range 8 {
					wg.Go(func() {
						value := fmt.Sprint(g)
						if added, err := x.adder.Add(x.ctx, key, plain(value)); err == nil && added {
							winners.Add(1)
							winner.Store(value)
						}
					})
				}
				wg.Wait()
				if n := winners.Load(); n != 1 {
					return fmt.Errorf("%d of 8 Adds of one key stored their entry", n)
				}
				if err := x.has(key, winner.Load().(string)); err != nil {
					return err
				}
			}
			return nil
		},
	},
}

func (x *trial) add(key string, e entry, want bool) error {
	added, err := x.adder.Add(x.ctx, key, e)
	if err != nil {
		return wrong("Add: %w", err)
	}
	if added != want {
		return wrong("Add: got %v, want %v", added, want)
	}
	return nil
}
