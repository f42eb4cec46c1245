package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tarncache/tarn/bench/peers"
)

// render returns the report. It is made of the runs and of nothing else, so that the same runs give the same report.
func render(r *runs, charts []chart) string { return renderBeside(r, turns{}, charts) }

// renderBeside is render with the hot paths beside those of an earlier commit, if there are runs of it.
func renderBeside(r *runs, both turns, charts []chart) string {
	var out strings.Builder
	section := func(title, about string, parts ...string) {
		parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
		if len(parts) == 0 {
			return
		}
		body := strings.Join(parts, "\n")
		fmt.Fprintf(&out, "## %s\n\n", title)
		if about != "" {
			out.WriteString(about + "\n\n")
		}
		out.WriteString(strings.TrimRight(body, "\n") + "\n\n")
	}
	out.WriteString("# Benchmarks\n\n" + intro(r))
	section("Targets", "Quotients of medians; less is better. The best peer is the fastest that drops no Set in that "+
		"row: ristretto is one where there are only reads. A target without figures is not measured. The target of a mass "+
		"expiry is about entries; what the clock shows contains more, as the section on it says.",
		loadTargets(r), otherTargets(r))
	section("What tarn loses", "Every figure here of which a peer has a better one, ristretto's too, whose fast Sets "+
		"may be dropped Sets. Differences within the spreads are listed as well.", losses(r))
	section("Throughput", "Nanoseconds for one operation; less is better. After ± the interval that has the true "+
		"median in 95 of 100 cases. Zipf 1.01 over 100,000 keys, room for 50,000; each key has memory of its own, a "+
		"value is its key, and every goroutine mixes reads and writes. A cache with fewer hits has less to do for a Get.",
		pictures(charts, "throughput"), throughput(r))
	section("64 goroutines", "Nanoseconds for one operation, on "+fmt.Sprint(processors)+" processors.",
		costTable(r, goroutineCosts()...))
	section("Allocations", "Per operation, with those of the caches' own goroutines; uint64 → uint64. An overwrite "+
		"gives a key that is there a value; an insert into a full cache evicts another.", costTable(r, allocCosts()...))
	section("Memory", "Growth of the heap in use from before the cache is made until it is full, by the entries it "+
		"says it has. 32 bytes of an entry are its key and its value, strings of ten bytes each. A collection is a call "+
		"of runtime.GC, the median of three.", costTable(r, r.heapCosts()...))
	section("The bound", "The most entries that a cache of 10,000 said it has, less 10,000, while "+
		fmt.Sprint(processors)+" goroutines set new keys; of all runs. tarn's are counted from outside too: every value "+
		"from before its Set until the listener is told that it has left. That is never less than the store holds, and "+
		"more by what is being set and told at that moment.", costTable(r, boundCost(), toldCost()))
	section("Growth", "Nanoseconds for a Get of a key that is there, each as likely as the others; uint64 → uint64, "+
		fmt.Sprint(processors)+" goroutines.", growth(r))
	section("Mass expiry", aboutExpiry(r), expiry(r), costTable(r, r.expiryCost()))
	section("Hit ratios", "In percent of requests; a miss inserts the key. The optimum is Belady's: it knows the "+
		"future. theine stands in brackets below 2,000 entries, where it holds more than its capacity, and does not count. "+
		"Caches that work on other goroutines are waited for after each Set. Where a trace has several runs, the mean of "+
		"them, since where keys fall in a cache is up to chance.",
		pictures(charts, "hits"), hitTable(r), traces(r))
	section("The strategies", "What they add to the memory store, on a struct of three fields.", strategiesTable(r))
	section("What a feature costs a hit", "A hit of ReadThrough on the memory store, of a value that has a life. What is "+
		"not switched on costs nothing.", featuresTable(r))
	section("Beside an earlier commit", aboutBefore, againstBefore(both))
	section("Write-back", writeBackAbout, targetsTable(r, writeBackTargets()), waysTable(r, "Write", "write", writeWays),
		waysTable(r, "Add", "add", addWays), restartTable(r), writeBackFigures(r))
	section("In front of Redis", redisAbout, targetsTable(r, redisTargets()), redisFiguresTable(r))
	section("How", "", how(r))
	return strings.TrimRight(out.String(), "\n") + "\n"
}

func intro(r *runs) string {
	var out strings.Builder
	out.WriteString("tarn's memory store beside other Go caches, all in one process, each set up as its own " +
		"documentation advises (package [peers](peers)). tarn is called as every user of a Store calls it: " +
		"`Get(ctx, key)` and `Set(ctx, key, entry)`.\n\n")
	if r.config["runs"] == "quick" {
		out.WriteString("**This is a quick look**, of short runs and fewer entries. Only full runs compare.\n\n")
	}
	return out.String()
}

func pictures(charts []chart, kind string) string {
	var out strings.Builder
	for _, c := range charts {
		if c.kind == kind {
			fmt.Fprintf(&out, "![%s](charts/%s)\n", c.title, c.file)
		}
	}
	return out.String()
}

// aboutExpiry says what the clock sees of a mass expiry, and why entries are counted beside it.
func aboutExpiry(r *runs) string {
	return fmt.Sprintf("%s entries expire at one instant while one goroutine gets entries that stay, and another sets. "+
		"The longest calls from that instant until the entries are gone, and in 200 ms without an expiry. Caches that do "+
		"not let an entry's life be chosen are left out.\n\n"+
		"By the clock, a call that meets a lock waits for the entries that leave under it, and after that for a processor: "+
		"its goroutine can run, but if more threads want to than there are processors, it may get its turn only with the "+
		"system's next tick, 4 ms later at 250 ticks a second. tarn's Gets meet no lock, its Sets do. The target is about "+
		"the entries, so those are counted: the most that left in one go for having expired, of all runs, under the same "+
		"Gets and Sets. An Observer is told of them, with whom entries leave by the same steps as without; what differs is "+
		"a Set into a segment in which nothing has a deadline, which takes fewer steps when nobody observes.",
		much(r.entries("Expiry")))
}

// traces says which traces were replayed, and where they can be had.
func traces(r *runs) string {
	var t table
	t.head("trace", "requests", "keys", "runs", "what it is")
	seen := map[string]bool{}
	for _, c := range r.cells() {
		if seen[c.trace] {
			continue
		}
		seen[c.trace] = true
		about := "made up; see trace.Synthetic"
		for _, rec := range recordings {
			if rec.name == c.trace {
				about = rec.of
			}
		}
		row := []string{c.trace}
		for _, unit := range []string{"requests", "keys", "runs"} {
			n, ok := r.median(what{hitOf(c.trace, c.capacity, "optimum").name, 1, unit})
			if !ok {
				row = append(row, "–")
				continue
			}
			row = append(row, fmt.Sprintf("%.0f", n))
		}
		t.row(append(row, about)...)
	}
	return t.String()
}

func how(r *runs) string {
	var t table
	t.head("", "")
	for _, line := range [][2]string{
		{"date", r.config["date"]},
		{"processor", r.config["cpu"]},
		{"processors, memory", strings.Trim(r.config["processors"]+", "+r.config["memory"], ", ")},
		{"system", r.config["system"]},
		{"load before and after", strings.Trim(r.config["load-begin"]+", "+r.config["load-end"], ", ")},
		{"Go", r.config["go"]},
		{"commit", r.config["commit"]},
		{"of write-back", r.config["of-write-back"]},
		{"command", code(r.config["command"])},
		{"rounds", r.config["rounds"]},
	} {
		if line[1] != "" {
			t.row(line[0], line[1])
		}
	}
	var versions table
	versions.head("cache", "module and version", "evicts by")
	for _, f := range peers.All() {
		if v := r.config["cache-"+f.Name]; v != "" {
			versions.row(called(f.Name), v, f.Policy)
		}
	}
	for _, f := range inFrontOfRedis {
		if v := r.config[f.name]; v != "" {
			versions.row(f.name, v, "")
		}
	}
	return t.String() + "\n" + versions.String() + "\n" +
		"Every round runs every benchmark for a short time; Growth and Outage, which take long, are in every second. What is shown " +
		"are medians, but for Bound and ExpiryAtOnce the most, and for hit ratios the mean of their runs:\n\n" + r.counts() + "\n" +
		"sturdyc has string keys only. `make report` runs all of it; " +
		"`go run ./bench/cmd/report -bench 'Load/keys=string/life=none/cache=(tarn|otter)/reads=75'` one row.\n"
}

// counts says how many runs the figures of each benchmark are made of. Replay is left out: its figures are means
// already.
func (r *runs) counts() string {
	least, most := map[string]int{}, map[string]int{}
	for w, all := range r.figures {
		name, _, _ := strings.Cut(w.name, "/")
		if name == "Replay" {
			continue
		}
		if n, ok := least[name]; !ok || len(all) < n {
			least[name] = len(all)
		}
		most[name] = max(most[name], len(all))
	}
	var t table
	t.head("benchmark", "runs of each figure")
	for _, name := range slices.Sorted(maps.Keys(least)) {
		n := fmt.Sprint(most[name])
		if least[name] < most[name] {
			n = fmt.Sprintf("%d to %s", least[name], n)
		}
		t.row(name, n)
	}
	return t.String()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
