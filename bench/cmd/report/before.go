package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
)

// turns are runs of an earlier commit and of this one.
type turns struct{ before, after *runs }

// turns reads them, if there are some. Those of this commit are the report's, unless others were made by turns with the
// earlier one's.
func (s settings) turns(report *runs) (t turns, err error) {
	if s.before == "" {
		return t, nil
	}
	t.after = report
	if s.after != "" {
		if t.after, err = readFile(s.after); err != nil {
			return t, err
		}
	}
	t.before, err = readFile(s.before)
	return t, err
}

func readFile(name string) (*runs, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readRuns(f)
}

// hotPaths are the hot paths: what a commit may not make slower.
var hotPaths = []struct{ title, prefix, part string }{
	{"the memory store under load", "Load/", "/cache=tarn/"},
	{"new keys at capacity", "New/", "/cache=tarn"},
	{"hits, by the store and by each strategy", "Hit/", "/"},
	{"many hits at once", "GetMany/", "/"},
}

const aboutBefore = "The hot paths of this commit beside those of an earlier one, whose benchmarks were run by turns with " +
	"its own. Quotients of medians, this one's by the earlier one's: below 1 is faster. Each line is the geometric mean of " +
	"its benchmarks, and the least and the most among them. Allocations are of all benchmarks together."

// againstBefore compares the hot paths with those of an earlier commit.
func againstBefore(both turns) string {
	r, before := both.after, both.before
	if before == nil {
		return ""
	}
	var t table
	t.head("what", "benchmarks", "time, mean", "least", "most", "allocations more")
	for _, p := range hotPaths {
		c := compareRuns(r, before, p.prefix, p.part)
		if len(c.times) == 0 {
			continue
		}
		t.row(p.title, fmt.Sprint(len(c.times)), number(c.mean()), number(slices.Min(c.times)),
			number(slices.Max(c.times)), number(c.allocs))
	}
	if t.empty() {
		return ""
	}
	said := "\nThe earlier commit is " + code(before.config["commit"])
	if c := r.config["commit"]; c != "" {
		said += ", this one " + code(c)
	}
	return t.String() + said + ".\n"
}

// comparison is of the benchmarks that both have.
type comparison struct {
	times  []float64 // quotients
	allocs float64   // the sum of the differences
}

func compareRuns(r, before *runs, prefix, part string) (c comparison) {
	names := slices.SortedFunc(maps.Keys(r.figures), func(a, b what) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	for _, w := range names {
		if !strings.HasPrefix(w.name, prefix) || !strings.Contains(w.name+"/", part) {
			continue
		}
		now, _ := r.median(w)
		then, ok := before.median(w)
		switch {
		case !ok:
		case w.unit == "allocs/op":
			c.allocs += now - then
		case w.unit == "ns/op" && then > 0:
			c.times = append(c.times, now/then)
		}
	}
	return c
}

// mean is the geometric mean of the quotients.
func (c comparison) mean() float64 {
	sum := 0.0
	for _, t := range c.times {
		sum += math.Log(t)
	}
	return math.Exp(sum / float64(len(c.times)))
}
