package main

import (
	"fmt"
	"slices"
	"strings"
)

// losses are the figures of which a peer has a better one than tarn, all of them.
func losses(r *runs) string {
	var t table
	t.head("what", "tarn", "better", "by")
	for _, f := range r.compared() {
		t.lost(f)
	}
	for _, c := range r.cells() {
		t.lostHits(r, c)
	}
	for _, target := range slices.Concat(besideBatcher(), redisTargets()) {
		t.lostTo(r, target)
	}
	return t.String()
}

// compared is a figure that tarn and its peers have, of which less is better.
type compared struct {
	title string
	of    func(cache string) what
	value func(cache string) (float64, bool)
	show  func(float64) string
}

// compared returns those that the report shows.
func (r *runs) compared() []compared {
	var all []compared
	add := func(title string, of func(cache string) what) {
		value := func(cache string) (float64, bool) { return r.median(of(cache)) }
		all = append(all, compared{title, of, value, number})
	}
	for _, l := range workloads {
		for _, s := range settingsOfLoads {
			add(l.title+" ("+s.String()+"), ns", func(cache string) what { return l.of(s, cache) })
		}
	}
	for _, c := range slices.Concat(r.heapCosts(), goroutineCosts(), allocCosts(), []cost{boundCost()}) {
		value := func(cache string) (float64, bool) { return r.value(c, cache) }
		all = append(all, compared{c.title, c.of, value, c.show})
	}
	for _, n := range r.parts("Growth/", "entries") {
		add("a Get among "+much(n)+" entries, ns", func(cache string) what { return growthOf(n, cache) })
	}
	for _, f := range []struct{ title, unit string }{
		{"longest Get in a mass expiry, µs", "get-us"},
		{"longest Set in a mass expiry, µs", "set-us"},
		{"a mass expiry until the entries are gone, ms", "gone-ms"},
	} {
		add(f.title, func(cache string) what { return r.stormOf(cache, f.unit) })
	}
	return all
}

// lost adds a row if a peer has less than tarn.
func (t *table) lost(f compared) {
	tarn, ok := f.value("tarn")
	if !ok {
		return
	}
	var better []string
	least := tarn
	for _, cache := range measured()[1:] {
		if v, ok := f.value(cache); ok && v < tarn {
			better = append(better, calledIn(f.of(cache).name, cache)+" "+f.show(v))
			least = min(least, v)
		}
	}
	if len(better) == 0 {
		return
	}
	by := ""
	if tarn < 100*least { // beyond that it says nothing, least of all where there is none
		by = fmt.Sprintf("× %.2f", tarn/least)
	}
	t.row(f.title, f.show(tarn), strings.Join(better, ", "), by)
}

// lostHits adds a row if a peer has more hits than tarn.
func (t *table) lostHits(r *runs, c cell) {
	tarn, _ := r.median(hitOf(c.trace, c.capacity, "tarn"))
	var better []string
	for _, cache := range hitCaches[1:] {
		if v, ok := r.median(hitOf(c.trace, c.capacity, cache)); ok && v > tarn && !unfair(cache, c.capacity) {
			better = append(better, fmt.Sprintf("%s %.2f", cache, v))
		}
	}
	if len(better) == 0 {
		return
	}
	_, most := r.best(c)
	t.row(fmt.Sprintf("hits, %s at %d, %%", c.trace, c.capacity), fmt.Sprintf("%.2f", tarn),
		strings.Join(better, ", "), fmt.Sprintf("%.2f points", most-tarn))
}
