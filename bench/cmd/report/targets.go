package main

import (
	"fmt"
	"strconv"
)

// otherTargets is the part of the targets' table with one figure for each. It has every target, measured or not.
func otherTargets(r *runs) string {
	var t table
	t.head("what", "target", "tarn", "beside it", "")
	for _, c := range allocCosts() {
		mostTarget(r, &t, c)
	}
	for _, c := range r.heapCosts() {
		ratioTarget(r, &t, c, []string{"otter"})
	}
	hitTargets(r, &t)
	mostTarget(r, &t, boundCost())
	mostTarget(r, &t, toldCost())
	growthTarget(r, &t)
	mostTarget(r, &t, r.expiryCost())
	expiryByTheClock(r, &t)
	for _, c := range goroutineCosts() {
		ratioTarget(r, &t, c, rivals(c.of))
	}
	return t.String()
}

// missing is the row of a target without figures.
func (t *table) missing(title, target string) { t.row(title, target, notMeasured, "", notMeasured) }

// slack is what a benchmark itself allocates, once, by operation. Limits are whole numbers.
const slack = 0.005

// mostTarget sets tarn's cost against a number.
func mostTarget(r *runs, t *table, c cost) {
	target := "at most " + strconv.FormatFloat(c.limit, 'f', 0, 64)
	v, ok := r.value(c, "tarn")
	if !ok {
		t.missing(c.title, target)
		return
	}
	t.row(c.title, target, c.show(v), "", verdict(v, c.limit+slack))
}

// ratioTarget sets tarn's cost against the least of some others'.
func ratioTarget(r *runs, t *table, c cost, others []string) {
	than := "the best peer's"
	if len(others) == 1 {
		than = others[0] + "'s"
	}
	target := "≤ " + than
	if c.limit != 1 {
		target = fmt.Sprintf("≤ %.2f × %s", c.limit, than)
	}
	tarn, ok := r.median(c.of("tarn"))
	name, v, has := r.least(others, c.of)
	if !ok || !has {
		t.missing(c.title, target)
		return
	}
	t.row(c.title, target, c.show(tarn), name+" "+c.show(v), fmt.Sprintf("%.2f %s", tarn/v, verdict(tarn/v, c.limit)))
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

// expiryByTheClock stands beside the target of expiryCost and has no verdict: the clock goes on while a goroutine that
// could run waits for a processor.
func expiryByTheClock(r *runs, t *table) {
	s, ok := r.storm("tarn")
	if !ok {
		return
	}
	n := r.entries("Expiry")
	t.row(fmt.Sprintf("longest calls by the clock in a mass expiry of %s", much(n)), "none: information",
		fmt.Sprintf("Get %s µs, Set %s µs", number(s.get), number(s.set)),
		fmt.Sprintf("before %s and %s µs; 1,000 of them take %s µs",
			number(s.calmGet), number(s.calmSet), number(s.thousand(n))), "")
}
