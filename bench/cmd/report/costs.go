package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// cost is a question beside throughput, of which less is better.
type cost struct {
	title string
	unit  string // as it is shown
	of    func(cache string) what
	scale float64 // what a figure is divided by to be shown
	most  bool    // the most of all runs says it, not their median
	limit float64 // the target of tarn's: a number, or how many times another cache's it may be
}

// value returns a cache's figure, and false if it was not measured.
func (r *runs) value(c cost, cache string) (float64, bool) {
	all := r.figures[c.of(cache)]
	if c.most && len(all) > 0 {
		return max(0, slices.Max(all)), true
	}
	return r.median(c.of(cache))
}

// parts returns what the parameters of a benchmark's name have been run with, such as entries, in order.
func (r *runs) parts(prefix, parameter string) []int {
	seen := map[int]bool{}
	for w := range r.figures {
		if !strings.HasPrefix(w.name, prefix) {
			continue
		}
		for part := range strings.SplitSeq(w.name, "/") {
			if value, ok := strings.CutPrefix(part, parameter+"="); ok {
				if n, err := strconv.Atoi(value); err == nil {
					seen[n] = true
				}
			}
		}
	}
	var all []int
	for n := range seen {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// entries returns how many entries a benchmark held: the most there are runs of.
func (r *runs) entries(benchmark string) int {
	all := r.parts(benchmark+"/", "entries")
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1]
}

// much shows a number of entries.
func much(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	}
	return strconv.Itoa(n)
}

func figure(format, unit string, args ...any) func(cache string) what {
	return func(cache string) what {
		return what{fmt.Sprintf(format, append(slices.Clone(args), cache)...), processors, unit}
	}
}

// heapCosts are what a full cache weighs, without lives and with.
func (r *runs) heapCosts() []cost {
	n := r.entries("Heap")
	var costs []cost
	for _, life := range []string{"none", "1h"} {
		with, among := "", ""
		if n > 0 {
			among = much(n) + " entries, "
		}
		if life != "none" {
			with = ", a TTL on every entry"
		}
		format := "Heap/entries=%d/life=%s/cache=%s"
		costs = append(costs,
			cost{title: "heap per entry, " + among + "string → string" + with, unit: "B",
				of: figure(format, "heap-B/entry", n, life), scale: 1, limit: 0.90},
			cost{title: "a full collection, " + among + "string → string" + with, unit: "ms",
				of: figure(format, "gc-ns", n, life), scale: 1e6, limit: 1},
		)
	}
	return costs
}

func goroutineCosts() []cost {
	var costs []cost
	for _, on := range []string{"hot", "disjoint"} {
		for _, reads := range []int{100, 75} {
			where := "on one hot key"
			if on == "disjoint" {
				where = "each on its own keys"
			}
			of := func(cache string) what {
				return what{fmt.Sprintf("Goroutines/on=%s/cache=%s/reads=%d", on, cache, reads), processors, "ns/op"}
			}
			costs = append(costs, cost{title: fmt.Sprintf("64 goroutines %s, %d %% reads", where, reads), unit: "ns",
				of: of, scale: 1, limit: 1})
		}
	}
	return costs
}

func allocCosts() []cost {
	var costs []cost
	for _, op := range []struct {
		name string
		most float64
	}{{"hit", 0}, {"overwrite", 1}, {"insert", 1}} {
		costs = append(costs, cost{title: "allocations per " + op.name, scale: 1, limit: op.most,
			of: func(cache string) what {
				return what{"Allocs/cache=" + cache + "/op=" + op.name, processors, "mallocs/op"}
			}})
	}
	return costs
}

// boundCost is by what a cache says of itself.
func boundCost() cost {
	return cost{title: "entries above the bound by its own count, at most", of: func(cache string) what {
		return what{"Bound/cache=" + cache + "/load=new", processors, "above"}
	}, scale: 1, most: true, limit: 32}
}

// toldCost is by what those who use a cache can count themselves.
func toldCost() cost {
	return cost{title: "entries above the bound counted from outside, at most", of: func(cache string) what {
		return what{"Bound/cache=" + cache + "/load=told", processors, "above-told"}
	}, scale: 1, most: true, limit: 32}
}

// expiryCost is what leaves at once in a mass expiry. Only tarn tells.
func (r *runs) expiryCost() cost {
	n := r.entries("ExpiryAtOnce")
	among := ""
	if n > 0 {
		among = ", of " + much(n)
	}
	return cost{title: "entries removed for expiry at one go" + among + ", at most",
		of: figure("ExpiryAtOnce/entries=%d/cache=%s", "at-once", n), scale: 1, most: true, limit: 1000}
}

// show is a figure as a table has it.
func (c cost) show(v float64) string {
	if c.most {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	if c.unit == "" {
		return strconv.FormatFloat(v/c.scale, 'f', 2, 64)
	}
	return number(v/c.scale) + " " + c.unit
}

// costTable is a table of some costs of every cache.
func costTable(r *runs, costs ...cost) string {
	var t table
	t.head("cache")
	for _, c := range costs {
		t.column(c.title)
	}
	for _, cache := range append(measured(), "none") { // none: what there is without a cache
		row, any := []string{called(cache)}, false
		for _, c := range costs {
			v, ok := r.value(c, cache)
			if !ok {
				row = append(row, "–")
				continue
			}
			any = true
			text := c.show(v)
			if !c.most {
				text += r.spreadOf(c.of(cache))
			}
			row = append(row, text)
		}
		if any {
			t.row(row...)
		}
	}
	return t.String()
}

// growth is a table of what a Get costs among more and more entries.
func growth(r *runs) string {
	sizes := r.parts("Growth/", "entries")
	var t table
	t.head("cache")
	for _, n := range sizes {
		t.column(much(n))
	}
	t.column("growth")
	for _, cache := range []string{"tarn", "otter"} {
		row := []string{called(cache)}
		for _, n := range sizes {
			v, ok := r.median(growthOf(n, cache))
			if !ok {
				row = append(row, "–")
				continue
			}
			row = append(row, number(v)+r.spreadOf(growthOf(n, cache)))
		}
		if g, ok := r.grew(cache, sizes); ok {
			t.row(append(row, fmt.Sprintf("× %.1f", g))...)
		}
	}
	return t.String()
}

func growthOf(entries int, cache string) what {
	return what{fmt.Sprintf("Growth/entries=%d/cache=%s/reads=100", entries, cache), processors, "ns/op"}
}

// grew returns by which factor a Get costs more among the most entries than among the least.
func (r *runs) grew(cache string, sizes []int) (float64, bool) {
	if len(sizes) < 2 {
		return 0, false
	}
	first, ok := r.median(growthOf(sizes[0], cache))
	last, has := r.median(growthOf(sizes[len(sizes)-1], cache))
	return last / first, ok && has
}

// storm is what was seen of a mass expiry, in microseconds.
type storm struct {
	calmGet, calmSet, get, set float64
	gone                       float64 // until the entries were
}

func (r *runs) stormOf(cache, unit string) what {
	return what{fmt.Sprintf("Expiry/entries=%d/cache=%s", r.entries("Expiry"), cache), processors, unit}
}

func (r *runs) storm(cache string) (s storm, ok bool) {
	for unit, v := range map[string]*float64{
		"calm-get-us": &s.calmGet, "calm-set-us": &s.calmSet, "get-us": &s.get, "set-us": &s.set, "gone-ms": &s.gone,
	} {
		if *v, ok = r.median(r.stormOf(cache, unit)); !ok {
			return s, false
		}
	}
	s.gone *= 1000
	return s, true
}

// thousand is how long the removal of a thousand entries takes, in microseconds, while others use the cache.
func (s storm) thousand(entries int) float64 { return s.gone / float64(entries) * 1000 }

func expiry(r *runs) string {
	var t table
	t.head("cache", "longest Get before", "longest Set before", "longest Get", "longest Set", "until they are gone")
	for _, cache := range measured() {
		if s, ok := r.storm(cache); ok {
			gone := number(s.gone/1000) + " ms"
			if s.gone >= 2e6 {
				gone = "more than 2 s"
			}
			t.row(called(cache), number(s.calmGet)+" µs", number(s.calmSet)+" µs", number(s.get)+" µs",
				number(s.set)+" µs", gone)
		}
	}
	return t.String()
}
