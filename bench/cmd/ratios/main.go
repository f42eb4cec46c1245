// Command ratios says how the benchmarks stand against their targets.
//
//	go run ./cmd/ratios            run the benchmarks of the table, ten rounds, and print it
//	go run ./cmd/ratios FILE...    print it from what go test -bench wrote before
//
// It is run in the folder of the benchmarks. A round runs every benchmark, for a short time, so that a machine that is
// slower for a while is so for all of them. Beside the medians stands what the fastest runs of each benchmark say,
// which others that use the machine disturb least. A target is met if both meet it.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

const none = -1

// target is a figure to watch: the median of one benchmark, by that of another if there is one.
type target struct {
	what     string
	unit     string
	of, over string  // names without "Benchmark"; over may be empty
	minus    bool    // the difference instead of the quotient
	limit    float64 // none: there is none
}

func targets() []target {
	var ts []target
	for _, key := range []string{"int64", "string"} {
		for _, life := range []string{"none", "5m"} {
			hit := func(via string) string { return "Hit/life=" + life + "/key=" + key + "/via=" + via }
			of := " (" + key + ", life " + life + ")"
			ts = append(ts,
				target{"the store's own Get, ns" + of, "ns/op", hit("store"), "", false, none},
				target{"ReadThrough hit, allocs" + of, "allocs/op", hit("readthrough"), "", false, 0},
				target{"ReadThrough hit / store's Get" + of, "ns/op", hit("readthrough"), hit("store"), false, 1.5},
				target{"LookAside Fetch hit / store's Get" + of, "ns/op", hit("lookaside"), hit("store"), false, none},
				target{"WriteThrough hit / store's Get" + of, "ns/op", hit("writethrough"), hit("store"), false, 2},
				target{"WriteAround hit / store's Get" + of, "ns/op", hit("writearound"), hit("store"), false, none},
				target{"WriteBack hit, not pending / store's Get" + of, "ns/op", hit("writeback"), hit("store"), false, none},
				target{"WriteBack hit, pending / store's Get" + of, "ns/op",
					hit("writeback-pending"), hit("store"), false, none},
			)
		}
	}
	for _, callers := range []string{"one", "many"} {
		miss := func(via string) string { return "Miss/callers=" + callers + "/via=" + via }
		ts = append(ts,
			target{"miss by hand - bare loader, ns (" + callers + ")", "ns/op", miss("byhand"), miss("loader"), true, none},
			target{"miss, ReadThrough - bare loader, ns (" + callers + ")", "ns/op",
				miss("readthrough"), miss("loader"), true, none},
		)
	}
	for _, life := range []string{"none", "5m"} {
		many := func(via string) string { return "GetMany/life=" + life + "/via=" + via }
		ts = append(ts,
			target{"Get, ns/key (life " + life + ")", "ns/key", many("get"), "", false, none},
			target{"GetMany of 100 into a slice / Get, per key (life " + life + ")", "ns/key",
				many("batch"), many("get"), false, none},
			target{"tarn.GetMany of 100 / Get, per key (life " + life + ")", "ns/key", many("map"), many("get"), false, none},
		)
	}
	for _, via := range []string{"writethrough", "writeback"} {
		ts = append(ts,
			target{via + " on SQLite, writes/s", "writes/s", "Write/via=" + via, "", false, none},
			target{via + " on SQLite, statements/write", "stmts/write", "Write/via=" + via, "", false, none},
		)
	}
	return append(ts, target{"writeback / writethrough on SQLite", "writes/s",
		"Write/via=writeback", "Write/via=writethrough", false, none})
}

// groups are what a round runs. Cheap calls run for less time than the system lets a busy machine's others wait.
var groups = []struct{ pattern, benchtime, count string }{
	{"^Benchmark(Hit|GetMany)$", "5ms", "5"},
	{"^BenchmarkMiss$", "200ms", "1"},
	{"^BenchmarkWrite$", "500ms", "1"},
}

func main() {
	rounds := flag.Int("rounds", 10, "how often every benchmark is run")
	keep := flag.String("o", "", "a file that the runs are written to, for benchstat")
	flag.Parse()
	if err := run(*rounds, *keep, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "ratios:", err)
		os.Exit(1)
	}
}

func run(rounds int, keep string, files []string) error {
	results := results{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = results.read(f)
		f.Close()
		if err != nil {
			return err
		}
	}
	if len(files) == 0 {
		if err := results.bench(rounds, keep); err != nil {
			return err
		}
	}
	return results.print(os.Stdout)
}

// results are the figures of each benchmark, by "name unit".
type results map[string][]float64

// bench builds the benchmarks once and runs them in rounds. What they write is kept in a file, if there is a name.
func (r results) bench(rounds int, keep string) error {
	out := io.Discard
	if keep != "" {
		f, err := os.Create(keep)
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	dir, err := os.MkdirTemp("", "ratios")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go test -c: %w", err)
	}
	for i := range rounds {
		fmt.Fprintf(os.Stderr, "ratios: round %d of %d\n", i+1, rounds)
		for _, g := range groups {
			var lines bytes.Buffer
			cmd := exec.Command(binary,
				"-test.run", "^$", "-test.bench", g.pattern, "-test.benchtime", g.benchtime, "-test.count", g.count)
			cmd.Stdout, cmd.Stderr = io.MultiWriter(&lines, out), os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("round %d: %w\n%s", i+1, err, lines.Bytes())
			}
			if err := r.read(&lines); err != nil {
				return err
			}
		}
	}
	return nil
}

var line = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// read takes in what go test -bench writes.
func (r results) read(from io.Reader) error {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("benchmark %s: %w", m[1], err)
			}
			name := m[1] + " " + fields[i+1]
			r[name] = append(r[name], v)
		}
	}
	return lines.Err()
}

// median returns the median of some figures.
func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	mid := len(all) / 2
	if len(all)%2 == 1 {
		return all[mid]
	}
	return (all[mid-1] + all[mid]) / 2
}

// value computes a target's figure of what sum makes of each benchmark's; ok is false if one was not run.
func (r results) value(t target, sum func([]float64) float64) (v float64, ok bool) {
	of, over := r[t.of+" "+t.unit], r[t.over+" "+t.unit]
	switch {
	case len(of) == 0 || t.over != "" && len(over) == 0:
		return 0, false
	case t.over == "":
		return sum(of), true
	case t.minus:
		return sum(of) - sum(over), true
	default:
		return sum(of) / sum(over), true
	}
}

func (r results) print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\tmedian\tfastest\ttarget\t")
	for _, t := range targets() {
		v, ok := r.value(t, median)
		if !ok {
			continue
		}
		fastest, worse := "", v
		if strings.HasPrefix(t.unit, "ns/") {
			least, _ := r.value(t, slices.Min[[]float64])
			fastest, worse = figure(least), max(v, least)
		}
		verdict := ""
		switch {
		case t.limit == none:
		case worse > t.limit:
			verdict = fmt.Sprintf("%.4g: MISSED", t.limit)
		default:
			verdict = fmt.Sprintf("%.4g: met", t.limit)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", t.what, figure(v), fastest, verdict)
	}
	return table.Flush()
}

// figure shows three digits, and no exponent.
func figure(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10 || v <= -10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
}
