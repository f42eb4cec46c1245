package main

import (
	"fmt"
	"strings"
)

// losses are the figures of which a peer has a better one than tarn, all of them.
func losses(r *runs) string {
	var t table
	t.head("what", "tarn", "better", "by")
	lose := func(title, benchmark string, show func(float64) string, of func(cache string) (float64, bool)) {
		tarn, ok := of("tarn")
		if !ok {
			return
		}
		var better []string
		least := tarn
		for _, cache := range measured()[1:] {
			if v, ok := of(cache); ok && v < tarn {
				better = append(better, calledIn(benchmark, cache)+" "+show(v))
				least = min(least, v)
			}
		}
		if len(better) == 0 {
			return
		}
		by := ""
		if tarn < 100*least {
			by = fmt.Sprintf("× %.2f", tarn/least)
		}
		t.row(title, show(tarn), strings.Join(better, ", "), by)
	}
	for _, l := range workloads {
		for _, s := range settingsOfLoads {
			lose(l.title+" ("+s.String()+"), ns", l.of(s, "tarn").name, number,
				func(cache string) (float64, bool) { return r.median(l.of(s, cache)) })
		}
	}
	costs := append(append(r.heapCosts(), goroutineCosts()...), allocCosts()...)
	for _, c := range append(costs, boundCost()) {
		lose(c.title, c.of("tarn").name, c.show, func(cache string) (float64, bool) { return r.value(c, cache) })
	}
	for _, n := range r.parts("Growth/", "entries") {
		lose("a Get among "+much(n)+" entries, ns", growthOf(n, "tarn").name, number,
			func(cache string) (float64, bool) { return r.median(growthOf(n, cache)) })
	}
	for _, c := range r.cells() {
		tarn, _ := r.median(hitOf(c.trace, c.capacity, "tarn"))
		var better []string
		most := 0.0
		for _, cache := range hitCaches[1:] {
			if v, ok := r.median(hitOf(c.trace, c.capacity, cache)); ok && v > tarn && !unfair(cache, c.capacity) {
				better = append(better, fmt.Sprintf("%s %.2f", cache, v))
				most = max(most, v-tarn)
			}
		}
		if len(better) > 0 {
			t.row(fmt.Sprintf("hits, %s at %d, %%", c.trace, c.capacity), fmt.Sprintf("%.2f", tarn),
				strings.Join(better, ", "), fmt.Sprintf("%.2f points", most))
		}
	}
	return t.String()
}
