package main

import "fmt"

// otherTargets is the part of the targets' table with one figure for each. It has every target, measured or not.
func otherTargets(r *runs) string {
	var t table
	t.head("what", "target", "tarn", "beside it", "")
	for i, c := range allocCosts() {
		limit := []float64{0, 1, 1}[i]
		// What the benchmark itself allocates, once, is less than this part of an operation.
		mostTarget(r, &t, c, fmt.Sprintf("at most %.0f", limit), limit+0.005)
	}
	for _, c := range r.heapCosts() {
		limit := 1.0
		if c.unit == "B" {
			limit = 0.90
		}
		ratioTarget(r, &t, c, []string{"otter"}, limit)
	}
	hitTargets(r, &t)
	for _, c := range []cost{boundCost(), toldCost()} {
		mostTarget(r, &t, c, "at most 32", 32)
	}
	growthTarget(r, &t)
	expiryTarget(r, &t)
	for _, c := range goroutineCosts() {
		ratioTarget(r, &t, c, rivals(c.of), 1)
	}
	return t.String()
}

// missing is the row of a target without figures.
func (t *table) missing(title, target string) { t.row(title, target, notMeasured, "", notMeasured) }

// mostTarget sets tarn's cost against a number.
func mostTarget(r *runs, t *table, c cost, target string, limit float64) {
	v, ok := r.value(c, "tarn")
	if !ok {
		t.missing(c.title, target)
		return
	}
	t.row(c.title, target, c.show(v), "", verdict(v, limit))
}

// ratioTarget sets tarn's cost against the least of some others'.
func ratioTarget(r *runs, t *table, c cost, others []string, limit float64) {
	than := "the best peer's"
	if len(others) == 1 {
		than = others[0] + "'s"
	}
	target := "≤ " + than
	if limit != 1 {
		target = fmt.Sprintf("≤ %.2f × %s", limit, than)
	}
	tarn, ok := r.median(c.of("tarn"))
	name, v, has := r.least(others, c.of)
	if !ok || !has {
		t.missing(c.title, target)
		return
	}
	t.row(c.title, target, c.show(tarn), name+" "+c.show(v), fmt.Sprintf("%.2f %s", tarn/v, verdict(tarn/v, limit)))
}

// hitTargets are about recorded traces; synthetic ones do not stand for them.
func hitTargets(r *runs, t *table) {
	const every, everyTarget = "hit ratio, every cell of the table", "≥ the best peer's less 0.5 points"
	const mean, meanTarget = "hit ratio, mean of the table", "≥ the best peer's plus 1.5 points"
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
		t.missing(every, everyTarget)
		t.missing(mean, meanTarget)
		return
	}
	t.row(every, everyTarget,
		fmt.Sprintf("%d of %d cells", counted-missed, counted), fmt.Sprintf("least: %+.2f (%s)", worst, where),
		verdict(float64(missed), 0))
	means, _ := r.means()
	name, best := bestMean(means)
	t.row(mean, meanTarget, fmt.Sprintf("%.2f", means["tarn"]),
		fmt.Sprintf("%s %.2f", name, best),
		fmt.Sprintf("%+.2f %s", means["tarn"]-best, verdict(best+1.5, means["tarn"])))
}

func growthTarget(r *runs, t *table) {
	const target = "grows no faster than otter's"
	sizes := r.parts("Growth/", "entries")
	tarn, ok := r.grew("tarn", sizes)
	otter, has := r.grew("otter", sizes)
	if !ok || !has {
		t.missing("a Get's cost among more and more entries", target)
		return
	}
	t.row(fmt.Sprintf("a Get's cost from %s to %s entries", much(sizes[0]), much(sizes[len(sizes)-1])), target,
		fmt.Sprintf("× %.2f", tarn), fmt.Sprintf("otter × %.2f", otter), verdict(tarn, otter))
}

// expiryTarget: what a call waited for in the calm too, it did not wait for because of the expiry.
func expiryTarget(r *runs, t *table) {
	const target = "no Get or Set waits for the work of 1,000 of them"
	s, ok := r.storm("tarn")
	if !ok {
		t.missing("mass expiry", target)
		return
	}
	n := r.entries("Expiry")
	allowed := s.thousand(n)
	t.row(fmt.Sprintf("mass expiry of %s entries", much(n)), target,
		fmt.Sprintf("Get %s µs, Set %s µs", number(s.get), number(s.set)),
		fmt.Sprintf("before %s and %s µs; 1,000 of them take %s µs", number(s.calmGet), number(s.calmSet), number(allowed)),
		verdict(max(s.get-s.calmGet, s.set-s.calmSet), allowed))
}
