package main

import "fmt"

// otherTargets is the part of the targets' table with one figure for each.
func otherTargets(r *runs) string {
	var t table
	t.head("what", "target", "tarn", "beside it", "")
	for i, c := range allocCosts() {
		limit := []float64{0, 1, 1}[i]
		if v, ok := r.median(c.of("tarn")); ok {
			// What the benchmark itself allocates, once, is less than this part of an operation.
			t.row(c.title, fmt.Sprintf("at most %.0f", limit), c.show(v), "", verdict(v, limit+0.005))
		}
	}
	for _, c := range r.heapCosts() {
		limit := 1.0
		if c.unit == "B" {
			limit = 0.90
		}
		ratioTarget(r, &t, c, []string{"otter"}, limit)
	}
	hitTargets(r, &t)
	if v, ok := r.value(boundCost(), "tarn"); ok {
		t.row("entries above MaxEntries, while it runs", "at most 32", boundCost().show(v), "", verdict(v, 32))
	}
	growthTarget(r, &t)
	expiryTarget(r, &t)
	for _, c := range goroutineCosts() {
		ratioTarget(r, &t, c, rivals(), 1)
	}
	return t.String()
}

// ratioTarget sets tarn's cost against the least of some others'.
func ratioTarget(r *runs, t *table, c cost, others []string, limit float64) {
	tarn, ok := r.median(c.of("tarn"))
	name, v, has := r.least(others, c.of)
	if !ok || !has {
		return
	}
	than := "the best peer's"
	if len(others) == 1 {
		than = others[0] + "'s"
	}
	target := "≤ " + than
	if limit != 1 {
		target = fmt.Sprintf("≤ %.2f × %s", limit, than)
	}
	t.row(c.title, target, c.show(tarn), name+" "+c.show(v), fmt.Sprintf("%.2f %s", tarn/v, verdict(tarn/v, limit)))
}

func hitTargets(r *runs, t *table) {
	var counted, missed int
	worst, where := 0.0, ""
	for _, c := range r.cells() {
		if !c.counted {
			continue
		}
		tarn, _ := r.median(hitOf(c.trace, c.capacity, "tarn"))
		name, best := r.best(c)
		if counted++; best-tarn > 0.5 {
			missed++
		}
		if counted == 1 || tarn-best < worst {
			worst, where = tarn-best, fmt.Sprintf("%s at %d, to %s", c.trace, c.capacity, name)
		}
	}
	if counted == 0 {
		return
	}
	t.row("hit ratio, every cell of the table", "≥ the best peer's less 0.5 points",
		fmt.Sprintf("%d of %d cells", counted-missed, counted), fmt.Sprintf("least: %+.2f (%s)", worst, where),
		verdict(float64(missed), 0))
	means, _ := r.means()
	name, best := bestMean(means)
	t.row("hit ratio, mean of the table", "≥ the best peer's plus 1.5 points", fmt.Sprintf("%.2f", means["tarn"]),
		fmt.Sprintf("%s %.2f", name, best),
		fmt.Sprintf("%+.2f %s", means["tarn"]-best, verdict(best+1.5, means["tarn"])))
}

func growthTarget(r *runs, t *table) {
	sizes := r.parts("Growth/", "entries")
	tarn, ok := r.grew("tarn", sizes)
	otter, has := r.grew("otter", sizes)
	if ok && has {
		t.row(fmt.Sprintf("a Get's cost from %s to %s entries", much(sizes[0]), much(sizes[len(sizes)-1])),
			"grows no faster than otter's", fmt.Sprintf("× %.2f", tarn), fmt.Sprintf("otter × %.2f", otter),
			verdict(tarn, otter))
	}
}

// expiryTarget: what a call waited for in the calm too, it did not wait for because of the expiry.
func expiryTarget(r *runs, t *table) {
	s, ok := r.storm("tarn")
	if !ok {
		return
	}
	n := r.entries("Expiry")
	allowed := s.thousand(n)
	t.row(fmt.Sprintf("mass expiry of %s entries", much(n)), "no Get or Set waits for the work of 1,000 of them",
		fmt.Sprintf("Get %s µs, Set %s µs", number(s.get), number(s.set)),
		fmt.Sprintf("before %s and %s µs; 1,000 of them take %s µs", number(s.calmGet), number(s.calmSet), number(allowed)),
		verdict(max(s.get-s.calmGet, s.set-s.calmSet), allowed))
}
