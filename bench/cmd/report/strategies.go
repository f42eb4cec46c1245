package main

import (
	"slices"
	"strings"
)

// step is a figure of the strategies to watch: the median of one benchmark, by that of another if there is one.
type step struct {
	title    string
	unit     string
	of, over string  // names without "Benchmark"; over may be empty
	minus    bool    // the difference instead of the quotient
	limit    float64 // none: there is none
}

const none = -1

func steps() []step {
	var all []step
	for _, key := range []string{"int64", "string"} {
		for _, life := range []string{"none", "5m"} {
			hit := func(via string) string { return "Hit/life=" + life + "/key=" + key + "/via=" + via }
			of := " (" + key + ", life " + life + ")"
			all = append(all,
				step{"the store's own Get, ns" + of, "ns/op", hit("store"), "", false, none},
				step{"ReadThrough hit, allocs" + of, "allocs/op", hit("readthrough"), "", false, 0},
				step{"ReadThrough hit / store's Get" + of, "ns/op", hit("readthrough"), hit("store"), false, 1.5},
				step{"LookAside Fetch hit / store's Get" + of, "ns/op", hit("lookaside"), hit("store"), false, none},
				step{"WriteThrough hit / store's Get" + of, "ns/op", hit("writethrough"), hit("store"), false, 2},
				step{"WriteAround hit / store's Get" + of, "ns/op", hit("writearound"), hit("store"), false, none},
				step{"WriteBack hit, not pending / store's Get" + of, "ns/op", hit("writeback"), hit("store"), false, none},
				step{"WriteBack hit, pending / store's Get" + of, "ns/op",
					hit("writeback-pending"), hit("store"), false, none},
			)
		}
	}
	for _, callers := range []string{"one", "many"} {
		miss := func(via string) string { return "Miss/callers=" + callers + "/via=" + via }
		all = append(all,
			step{"miss by hand - bare loader, ns (" + callers + ")", "ns/op", miss("byhand"), miss("loader"), true, none},
			step{"miss, ReadThrough - bare loader, ns (" + callers + ")", "ns/op",
				miss("readthrough"), miss("loader"), true, none},
		)
	}
	for _, life := range []string{"none", "5m"} {
		many := func(via string) string { return "GetMany/life=" + life + "/via=" + via }
		all = append(all,
			step{"Get, ns/key (life " + life + ")", "ns/key", many("get"), "", false, none},
			step{"GetMany of 100 into a slice / Get, per key (life " + life + ")", "ns/key",
				many("batch"), many("get"), false, none},
			step{"tarn.GetMany of 100 / Get, per key (life " + life + ")", "ns/key", many("map"), many("get"), false, none},
		)
	}
	return all
}

// step computes a step's figure of what sum makes of each benchmark's; ok is false if one was not run.
func (r *runs) step(s step, sum func([]float64) float64) (v float64, ok bool) {
	of, over := r.figures[what{s.of, processors, s.unit}], r.figures[what{s.over, processors, s.unit}]
	switch {
	case len(of) == 0 || s.over != "" && len(over) == 0:
		return 0, false
	case s.over == "":
		return sum(of), true
	case s.minus:
		return sum(of) - sum(over), true
	default:
		return sum(of) / sum(over), true
	}
}

// strategiesTable says what the strategies add. Beside the medians stands what the fastest runs of each benchmark say,
// which others that use the machine disturb least. A target is met if both meet it.
func strategiesTable(r *runs) string {
	var t table
	t.head("what", "median", "fastest", "target")
	for _, s := range steps() {
		v, ok := r.step(s, median)
		if !ok {
			if s.limit != none {
				t.row(s.title, notMeasured, "", number(s.limit)+", "+notMeasured)
			}
			continue
		}
		fastest, worse := "", v
		if strings.HasPrefix(s.unit, "ns/") {
			quick, _ := r.step(s, slices.Min[[]float64])
			fastest, worse = number(quick), max(v, quick)
		}
		target := ""
		if s.limit != none {
			target = number(s.limit) + ", " + verdict(worse, s.limit)
		}
		t.row(s.title, number(v), fastest, target)
	}
	return t.String()
}
