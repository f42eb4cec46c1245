package main

import (
	"fmt"
	"strings"

	"github.com/tarncache/tarn/bench/peers"
)

// workload is a row of the throughput benchmarks, with the target that it has.
type workload struct {
	title   string
	short   string // for charts
	format  string // the benchmark's name, of keys and cache
	limit   float64
	against string // a cache; or "", the fastest that drops no Set there
}

// workloads have a target each, but for those whose limit is zero.
var workloads = []workload{
	{"100 % reads, Zipf", "100 % reads", "Load/keys=%s/life=none/cache=%s/reads=100", 0.70, ""},
	{"100 % reads, a TTL on every entry, exact clock", "100 % reads, TTL", "Load/keys=%s/life=1h/cache=%s/reads=100",
		0.80, "otter"},
	{"75 % reads", "75 % reads", "Load/keys=%s/life=none/cache=%s/reads=75", 0.60, ""},
	{"75 % reads, a TTL on every entry", "75 % reads, TTL", "Load/keys=%s/life=1h/cache=%s/reads=75", 0, ""},
	{"0 % reads (overwrite and insert)", "0 % reads", "Load/keys=%s/life=none/cache=%s/reads=0", 0.90, ""},
	{"0 % reads, a TTL on every entry", "0 % reads, TTL", "Load/keys=%s/life=1h/cache=%s/reads=0", 0, ""},
	{"all new keys at capacity (insert and evict)", "all new keys", "New/keys=%s/cache=%s/load=new", 0.50, ""},
}

// setting is what a workload is run with.
type setting struct {
	keys string
	cpus int
}

var settingsOfLoads = []setting{{"string", processors}, {"string", 1}, {"uint64", processors}, {"uint64", 1}}

func (s setting) String() string { return fmt.Sprintf("%s, -cpu %d", s.keys, s.cpus) }

func (l workload) of(s setting, cache string) what {
	return what{fmt.Sprintf(l.format, s.keys, cache), s.cpus, "ns/op"}
}

// onlyReads reports whether a benchmark has no Sets among what it times, which its name says.
func onlyReads(name string) bool { return strings.HasSuffix(name, "/reads=100") }

// rivals returns the peers that may be the best one of a row, which of names for each cache. A peer that drops Sets
// is a rival where there are none to drop.
func rivals(of func(cache string) what) []string {
	var names []string
	for _, f := range peers.All()[1:] {
		if !f.ReplayOnly && (!f.DropsSets || onlyReads(of(f.Name).name)) {
			names = append(names, f.Name)
		}
	}
	return names
}

func measured() []string {
	var names []string
	for _, f := range peers.All() {
		if !f.ReplayOnly {
			names = append(names, f.Name)
		}
	}
	return names
}

// least returns the cache of which a figure is the least, and false if none has it.
func (r *runs) least(caches []string, of func(cache string) what) (name string, v float64, ok bool) {
	for _, cache := range caches {
		if m, has := r.median(of(cache)); has && (!ok || m < v) {
			name, v, ok = cache, m, true
		}
	}
	return name, v, ok
}

// against returns the figure that tarn's is set against.
func (r *runs) against(l workload, s setting) (name string, v float64, ok bool) {
	of := func(cache string) what { return l.of(s, cache) }
	caches := rivals(of)
	if l.against != "" {
		caches = []string{l.against}
	}
	return r.least(caches, of)
}

// verdict says how a figure stands to its limit.
func verdict(v, limit float64) string {
	if v <= limit {
		return "met"
	}
	return "**missed**"
}

// notMeasured stands where a target has no figure, so that none goes unnoticed.
const notMeasured = "not measured"

// loadTargets is the part of the targets' table in which there are four settings for each.
func loadTargets(r *runs) string {
	var t table
	t.head("workload", "target")
	for _, s := range settingsOfLoads {
		t.column(s.String())
	}
	for _, l := range workloads {
		if l.limit == 0 {
			continue
		}
		than := "the best peer's"
		if l.against != "" {
			than = l.against + "'s"
		}
		row := []string{l.title, fmt.Sprintf("≤ %.2f × %s", l.limit, than)}
		for _, s := range settingsOfLoads {
			tarn, ok := r.median(l.of(s, "tarn"))
			name, v, has := r.against(l, s)
			if !ok || !has {
				row = append(row, notMeasured)
				continue
			}
			row = append(row, fmt.Sprintf("%.2f %s: %s to %s's %s",
				tarn/v, verdict(tarn/v, l.limit), number(tarn), name, number(v)))
		}
		t.row(row...)
	}
	return t.String()
}

// throughput is a table for each workload: every cache in every setting.
func throughput(r *runs) string {
	var out strings.Builder
	for _, l := range workloads {
		var t table
		t.head("cache")
		for _, s := range settingsOfLoads {
			t.column(s.String())
		}
		for _, cache := range measured() {
			row, any := []string{calledIn(l.of(settingsOfLoads[0], cache).name, cache)}, false
			for _, s := range settingsOfLoads {
				w := l.of(s, cache)
				v, ok := r.median(w)
				if !ok {
					row = append(row, "–")
					continue
				}
				any = true
				text := number(v) + r.spreadOf(w)
				if hits, ok := r.median(what{w.name, w.cpus, "hit-%"}); ok {
					text += fmt.Sprintf(", %.0f %% hits", hits)
				}
				row = append(row, text)
			}
			if any {
				t.row(row...)
			}
		}
		if !t.empty() {
			fmt.Fprintf(&out, "### %s\n\n%s\n", l.title, t.String())
		}
	}
	return out.String()
}

// calledIn is a cache's name where a table is about one benchmark.
func calledIn(benchmark, cache string) string {
	if onlyReads(benchmark) && cache != "tarn" {
		return cache
	}
	return called(cache)
}

// called is a cache's name in a table.
func called(cache string) string {
	f, err := peers.Find(cache)
	switch {
	case err != nil:
		return cache
	case f.Name == "tarn":
		return "**tarn**"
	case f.DropsSets:
		return f.Name + " (drops Sets)"
	}
	return f.Name
}
