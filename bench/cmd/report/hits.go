package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tarncache/tarn/bench/replay"
	"github.com/tarncache/tarn/bench/trace"
)

// recorded is a public trace. Its parts are files of a folder, named as NAME.FORMAT or NAME.FORMAT.gz.
type recorded struct {
	name       string
	parts      []string
	of         string // what it is, and where it can be had
	capacities []int
	counted    []int // those that the targets are about
}

var recordings = []recorded{
	{"oltp", []string{"oltp.arc"}, arcPaper("OLTP, a database's pages for an hour"),
		[]int{250, 500, 1000, 2000}, []int{250, 500, 1000, 2000}},
	{"glimpse", []string{"glimpse.lirs"}, lirsPaper("glimpse, a text search"),
		[]int{500, 1000, 1500, 2000}, []int{500, 1000}},
	{"corda+loop+corda", []string{"corda.be64", "loop.lirs", "corda.be64"},
		"Corda's vault service, the loop below, and Corda's again (both in Caffeine's simulator)", []int{250, 512, 1000, 2000}, []int{250, 1000, 2000}},
	{"scarab", []string{"scarab.be64"}, "Scarab Research's recommendations (in Caffeine's simulator)",
		[]int{1000, 10000, 50000, 100000}, []int{1000, 10000, 50000, 100000}},
	{"p3", []string{"p3.arc"}, arcPaper("P3, a workstation's disk"),
		[]int{25000, 100000, 300000}, []int{25000, 100000, 300000}},
	{"web07", []string{"web07.be32"}, "product pages of a web shop in July (of the cache2k project; in Caffeine's simulator)",
		[]int{250, 1000, 5000}, []int{250, 1000, 5000}},
	{"multi1", []string{"multi1.lirs"}, lirsPaper("multi1, a C compiler's and a source browser's files"),
		[]int{500, 1000, 1500, 2000}, []int{1000}},
	{"multi2", []string{"multi2.lirs"}, lirsPaper("multi2, the same with a database"),
		[]int{500, 1000, 1500, 2000}, []int{1000}},
	{"loop", []string{"loop.lirs"}, lirsPaper("loop, the same keys again and again"),
		[]int{256, 512, 900}, []int{512, 900}},
}

func arcPaper(what string) string {
	return what + " (Megiddo and Modha's paper on ARC; in the simulator of otter's benchmarks)"
}

func lirsPaper(what string) string {
	return what + " (Jiang and Zhang's paper on LIRS; in Caffeine's simulator)"
}

// syntheticCapacities are those at which traces are replayed that are made up.
var syntheticCapacities = []int{1000, 5000, 20000, 50000}

// hitCaches are the caches that traces are replayed against.
var hitCaches = []string{"tarn", "otter", "theine", "ristretto", "s3fifo", "sieve", "arc", "lru"}

// unfair says that a cell says nothing of theine, which at small sizes holds more than its capacity.
func unfair(cache string, capacity int) bool { return cache == "theine" && capacity < 2000 }

// hitOf names a hit ratio, in percent. The optimum is cache "optimum".
func hitOf(trace string, capacity int, cache string) what {
	return what{fmt.Sprintf("Replay/trace=%s/entries=%d/cache=%s", trace, capacity, cache), 1, "hit-%"}
}

// replay replays the traces in the folder, or synthetic ones if there is no folder.
func (s settings) replay(j *journal) error {
	if !matches(s.only, "Replay") {
		return nil
	}
	runs := 3
	if s.quick || s.traces == "" { // among as many keys as the synthetic ones have, chance does little
		runs = 1
	}
	for _, t := range s.traced(j.told) {
		plan := replay.Plan{
			Traces: []replay.Traced{t}, Caches: hitCaches, Runs: runs, Optimum: true, Hold: 32 << 20,
		}
		if err := j.step("replay of "+t.Name(), func(to io.Writer) error { return writeReplay(to, plan) }); err != nil {
			return err
		}
	}
	return nil
}

// traced returns the traces to replay, and tells which it does not find.
func (s settings) traced(told io.Writer) []replay.Traced {
	var all []replay.Traced
	if s.traces == "" {
		requests := int64(1_000_000)
		if s.quick {
			requests /= 5
		}
		for _, t := range trace.Synthetic(requests, 1) {
			all = append(all, replay.Traced{Source: t, Capacities: syntheticCapacities})
		}
		return all
	}
	for _, rec := range recordings {
		t, err := rec.open(s.traces, s.quick)
		if err != nil {
			fmt.Fprintf(told, "report: the trace %s is left out: %v\n", rec.name, err)
			continue
		}
		all = append(all, t)
	}
	return all
}

// writeReplay replays what a plan says, and writes what it found in the format of benchmarks.
func writeReplay(to io.Writer, plan replay.Plan) error {
	rows, err := plan.Run()
	for _, row := range rows {
		for _, c := range row.Cells {
			fmt.Fprintf(to, "Benchmark%s 1 %.3f hit-%% %d held\n",
				hitOf(row.Trace, row.Capacity, c.Cache).name, row.Ratio(c.Hits), c.Held)
		}
		fmt.Fprintf(to, "Benchmark%s 1 %.3f hit-%% %d requests %d keys %d runs\n",
			hitOf(row.Trace, row.Capacity, "optimum").name, row.Ratio(row.Optimum), row.Requests, row.Keys, plan.Runs)
	}
	return err
}

// named is a source by another name.
type named struct {
	trace.Source
	name string
}

func (n named) Name() string { return n.name }

// open finds the files of a trace in a folder.
func (rec recorded) open(dir string, quick bool) (replay.Traced, error) {
	var files []trace.File
	for _, part := range rec.parts {
		format, err := trace.ParseFormat(strings.TrimPrefix(filepath.Ext(part), "."))
		if err != nil {
			return replay.Traced{}, err
		}
		path := filepath.Join(dir, part)
		if _, err := os.Stat(path); err != nil {
			path += ".gz"
		}
		if _, err := os.Stat(path); err != nil {
			return replay.Traced{}, err
		}
		files = append(files, trace.File{Path: path, Format: format})
	}
	capacities := rec.capacities
	if quick {
		capacities = rec.counted[:1]
	}
	return replay.Traced{Source: named{trace.Files(files...), rec.name}, Capacities: capacities}, nil
}

// cell is a trace at one capacity.
type cell struct {
	trace    string
	capacity int
	counted  bool
}

// cells returns those of which there are hit ratios.
func (r *runs) cells() []cell {
	var cells []cell
	add := func(trace string, capacities, counted []int) {
		for _, c := range capacities {
			if _, ok := r.median(hitOf(trace, c, "tarn")); ok {
				cells = append(cells, cell{trace, c, slices.Contains(counted, c)})
			}
		}
	}
	for _, rec := range recordings {
		add(rec.name, rec.capacities, rec.counted)
	}
	for _, t := range trace.Synthetic(1, 1) {
		add(t.Name(), syntheticCapacities, nil)
	}
	return cells
}

// best returns the peer with the most hits, of those that hold no more than they may.
func (r *runs) best(c cell) (name string, v float64) {
	for _, cache := range hitCaches[1:] {
		if m, ok := r.median(hitOf(c.trace, c.capacity, cache)); ok && m > v && !unfair(cache, c.capacity) {
			name, v = cache, m
		}
	}
	return name, v
}

// hitTable has a row for each trace and capacity, and one for the means of those that are counted.
func hitTable(r *runs) string {
	var t table
	t.head("trace", "entries", "optimum")
	for _, cache := range hitCaches {
		t.column(called(cache))
	}
	t.column("tarn less the best peer")
	for _, c := range r.cells() {
		row := []string{c.trace, fmt.Sprint(c.capacity)}
		for _, cache := range append([]string{"optimum"}, hitCaches...) {
			v, ok := r.median(hitOf(c.trace, c.capacity, cache))
			text := fmt.Sprintf("%.2f", v)
			switch {
			case !ok:
				text = "–"
			case unfair(cache, c.capacity):
				text = "(" + text + ")"
			}
			row = append(row, text)
		}
		tarn, _ := r.median(hitOf(c.trace, c.capacity, "tarn"))
		_, best := r.best(c)
		t.row(append(row, fmt.Sprintf("%+.2f", tarn-best))...)
	}
	if means, n := r.means(); n > 0 {
		row := []string{"mean", fmt.Sprintf("%d cells", n)}
		for _, cache := range append([]string{"optimum"}, hitCaches...) {
			row = append(row, fmt.Sprintf("%.2f", means[cache]))
		}
		_, best := bestMean(means)
		t.row(append(row, fmt.Sprintf("%+.2f", means["tarn"]-best))...)
	}
	return t.String()
}

// means returns the mean hit ratio of each cache over the cells that are counted, and how many those are.
func (r *runs) means() (map[string]float64, int) {
	means, n := map[string]float64{}, 0
	for _, c := range r.cells() {
		if !c.counted {
			continue
		}
		n++
		for _, cache := range append([]string{"optimum"}, hitCaches...) {
			v, _ := r.median(hitOf(c.trace, c.capacity, cache))
			means[cache] += v
		}
	}
	for cache := range means {
		means[cache] /= float64(n)
	}
	return means, n
}

// bestMean returns the best peer, theine left out.
func bestMean(means map[string]float64) (name string, v float64) {
	for _, cache := range hitCaches[1:] {
		if cache != "theine" && means[cache] > v {
			name, v = cache, means[cache]
		}
	}
	return name, v
}
