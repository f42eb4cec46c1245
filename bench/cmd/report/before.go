package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
)

// readBefore reads the runs of an earlier commit, if there are some.
func (s settings) readBefore() (*runs, error) {
	if s.before == "" {
		return nil, nil
	}
	f, err := os.Open(s.before)
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
	"these. Quotients of medians, this one's by the earlier one's: below 1 is faster. Each line is the geometric mean of " +
	"its benchmarks, and the least and the most among them. Allocations are of all benchmarks together."

// againstBefore compares the hot paths with those of an earlier commit.
func againstBefore(r, before *runs) string {
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
	return t.String() + "\nThe earlier commit is " + code(before.config["commit"]) + "\n"
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
