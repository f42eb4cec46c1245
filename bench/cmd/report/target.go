package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// target is a target with one figure of tarn's, which is set against another's if there is one.
type target struct {
	title string
	name  string // the benchmark, without "Benchmark"
	over  string // the other's; empty: the figure itself is set against the limit
	peer  string // what it is called
	unit  string // of which less is better, unless it is so many in a second
	shown string // the unit in the table; a count has none
	limit float64
	least bool // tarn is at least limit times as fast, where otherwise its figure is at most limit times the other's
}

func (t target) of(name string) what { return what{name, processors, t.unit} }

// rate reports whether more is better.
func (t target) rate() bool { return strings.HasSuffix(t.unit, "/s") }

// factor is a target as a quotient: tarn's figure by the other's, or for least the other way round, if less is better.
// Without another's it is the figure itself.
func (t target) factor(tarn, peer float64) float64 {
	switch {
	case t.over == "":
		return tarn
	case t.least && !t.rate():
		return peer / tarn
	}
	return tarn / peer
}

func (t target) met(factor float64) bool {
	switch {
	case t.least:
		return factor >= t.limit
	case t.limit > 0 && t.limit < 1:
		return factor <= t.limit
	}
	return factor <= t.limit+slack
}

// wanted says what is wanted.
func (t target) wanted() string {
	switch {
	case t.limit == none:
		return ""
	case t.over == "":
		return strings.TrimSpace("at most " + strconv.FormatFloat(t.limit, 'f', -1, 64) + " " + t.shown)
	case t.least && t.rate():
		return fmt.Sprintf("≥ %.0f times as many", t.limit)
	case t.least:
		return fmt.Sprintf("≥ %.0f times as fast", t.limit)
	}
	return fmt.Sprintf("≤ %.2f ×", t.limit)
}

// targetsTable has every target, measured or not; those without a limit if they were measured.
func targetsTable(r *runs, targets []target) string {
	var t table
	t.head("what", "target", "tarn", "beside it", "")
	for _, target := range targets {
		tarn, ok := r.worst(target)
		peer, has := r.median(target.of(target.over))
		if !ok || target.over != "" && !has {
			if target.limit != none {
				t.missing(target.title, target.wanted())
			}
			continue
		}
		factor := target.factor(tarn, peer)
		verdict := ""
		switch {
		case target.limit == none:
		case target.met(factor):
			verdict = "met"
		default:
			verdict = "**missed**"
		}
		beside := ""
		if target.over != "" {
			beside = strings.TrimSpace(fmt.Sprintf("%s %s %s", target.peer, number(peer), target.shown))
			verdict = strings.TrimSpace(fmt.Sprintf("%.2f %s", factor, verdict))
		}
		t.row(target.title, target.wanted(), strings.TrimSpace(figureOf(tarn, target.unit)+" "+target.shown), beside, verdict)
	}
	return t.String()
}

// worst is the median of a figure, and the most of one that is a count by itself.
func (r *runs) worst(t target) (float64, bool) {
	all := r.figures[t.of(t.name)]
	if t.over != "" || t.shown != "" || len(all) == 0 {
		return r.median(t.of(t.name))
	}
	return slices.Max(all), true
}

// lostTo adds a row if the other's figure is better than tarn's.
func (t *table) lostTo(r *runs, target target) {
	tarn, ok := r.median(target.of(target.name))
	peer, has := r.median(target.of(target.over))
	by := tarn / peer
	if target.rate() {
		by = peer / tarn
	}
	if ok && has && by > 1 {
		t.row(target.title+", "+target.shown, number(tarn), target.peer+" "+number(peer), fmt.Sprintf("× %.2f", by))
	}
}
