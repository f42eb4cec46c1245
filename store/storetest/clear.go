package storetest

import (
	"fmt"
)

var clearRows = []row{
	{
		name: "Clear removes everything",
		rule: "After Clear no key has an entry, and the store can be used as before.",
		check: func(x *trial) error {
			keys := names("k", many)
			for _, key := range keys {
				if err := x.set(key, "1"); err != nil {
					return err
				}
			}
			return all(x.setEntry("negative", entry{Negative: true}),
				x.setEntry("life", until("1", x.in(long))), x.clear(), x.misses(keys...), x.misses("negative", "life"),
				x.set("k0", "2"), x.has("k0", "2"), x.clear(), x.misses("k0"))
		},
	},
	{
		name: "Clear of an empty store",
		rule: "Clearing what is empty is no error.",
		check: func(x *trial) error {
			return all(x.clear(), x.clear(), x.set("a", "1"), x.has("a", "1"))
		},
	},
	{
		name:  "Clear and Count",
		rule:  "After Clear, Count is zero and Scan finds nothing.",
		needs: Scanner,
		check: func(x *trial) error {
			return all(x.set("a", "1"), x.set("b", "2"), x.clear(), x.count(0), x.scan(nil))
		},
	},
}

func (x *trial) clear() error { return did("Clear", x.clearer.Clear(x.ctx)) }

var scanRows = []row{
	{
		name: "Count counts entries",
		rule: "Count returns the number of entries: a key set twice is one, and one that was deleted is none.",
		check: func(x *trial) error {
			return all(x.count(0), x.set("a", "1"), x.count(1), x.set("b", "2"), x.set("a", "3"), x.count(2), x.del("a"),
				x.del("a"), x.del("none"), x.count(1), x.setEntry("n", entry{Negative: true}), x.count(2))
		},
	},
	{
		name: "Scan names every entry once",
		rule: "Scan iterates over each entry once, and over nothing else.",
		check: func(x *trial) error {
			want := make(map[string]entry, many)
			for i, key := range names("k", many) {
				e := plain(key)
				switch i {
				case 1:
					e = entry{Negative: true}
				case 2:
					e = entry{Value: "v", Fresh: x.in(-long), Expires: x.in(long)}
				}
				want[key] = e
				if err := x.setEntry(key, e); err != nil {
					return err
				}
			}
			return all(x.set("gone", "1"), x.del("gone"), x.scan(want), x.scan(want))
		},
	},
	{
		name:  "Scan and expiry",
		rule:  "Scan returns no entry whose Expires has passed.",
		exact: true,
		check: func(x *trial) error {
			e := until("1", x.in(x.unit))
			return all(x.setEntry("a", e), x.set("b", "2"), x.wait(x.unit-1),
				x.scan(map[string]entry{"a": e, "b": plain("2")}), x.wait(1),
				x.scan(map[string]entry{"b": plain("2")}))
		},
	},
	{
		name: "Scan can be left",
		rule: "An iteration that its caller leaves is no error, and hinders nothing afterwards.",
		check: func(x *trial) error {
			for _, key := range names("k", 100) {
				if err := x.set(key, key); err != nil {
					return err
				}
			}
			seq, end := x.scanner.Scan(x.ctx)
			for range seq {
				break
			}
			return all(did("Scan", end()), x.set("k0", "1"), x.has("k0", "1"), x.count(100))
		},
	},
	{
		name: "Scan while the store changes",
		rule: "A store can be written to from within its Scan: no key is seen twice, and none that stays is missed.",
		check: func(x *trial) error {
			keys := names("k", 200)
			for _, key := range keys {
				if err := x.set(key, "1"); err != nil {
					return err
				}
			}
			seen := make(map[string]int)
			seq, end := x.scanner.Scan(x.ctx)
			for key := range seq {
				n := len(seen)
				seen[key]++
				if n >= len(keys) {
					continue // a store may go on finding what is added
				}
				if err := all(x.set(fmt.Sprintf("k%d", 2*n%200), "2"), x.set(fmt.Sprintf("new%d", n), "1"),
					x.del(fmt.Sprintf("new%d", n/2))); err != nil {
					return err
				}
			}
			if err := did("Scan", end()); err != nil {
				return err
			}
			for key, n := range seen {
				if n > 1 {
					return wrong("Scan: the key %s came %d times", key, n)
				}
			}
			for i := 1; i < len(keys); i += 2 {
				if seen[keys[i]] == 0 {
					return wrong("Scan: the key %s, which did not change, never came", keys[i])
				}
			}
			return nil
		},
	},
	{
		name:  "leases and holds are no entries",
		rule:  "A key that is leased or held, and has no value, is not counted and not named.",
		needs: Leaser | Holder,
		check: func(x *trial) error {
			leased, err1 := x.granted("leased")
			held, err2 := x.hold("held")
			return all(err1, err2, x.set("a", "1"), x.count(1), x.scan(map[string]entry{"a": plain("1")}),
				x.release("leased", leased), x.forget("held", held), x.count(1))
		},
	},
}

func (x *trial) count(want int) error {
	n, err := x.scanner.Count(x.ctx)
	if err != nil {
		return wrong("Count: %w", err)
	}
	if n != want {
		return wrong("Count: got %d, want %d", n, want)
	}
	return nil
}

// scan expects Scan to name just these entries.
func (x *trial) scan(want map[string]entry) error {
	got := make(map[string]bool)
	seq, end := x.scanner.Scan(x.ctx)
	for key, e := range seq {
		w, ok := want[key]
		if !ok {
			return wrong("Scan: %s is not in the store", clip(key))
		}
		if got[key] {
			return wrong("Scan: %s came twice", clip(key))
		}
		got[key] = true
		if err := x.same("Scan", e, w); err != nil {
			return err
		}
	}
	if err := end(); err != nil {
		return wrong("Scan: %w", err)
	}
	if len(got) != len(want) {
		return wrong("Scan: %d entries, want %d", len(got), len(want))
	}
	return nil
}
