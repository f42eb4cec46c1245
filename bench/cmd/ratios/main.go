// Command ratios says how the benchmarks stand against their targets.
//
//	go run ./cmd/ratios            run the benchmarks of the table, ten rounds, and print it
//	go run ./cmd/ratios FILE...    print it from what go test -bench wrote before
//
// It is run in the folder of the benchmarks. A round runs every benchmark once, so that a machine that is slower for
// a while is so for all of them. Figures are medians.
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
				target{"WriteBack hit / store's Get" + of, "ns/op", hit("writeback"), hit("store"), false, none},
				target{"WriteBack pending hit / store's Get" + of, "ns/op", hit("writeback-pending"), hit("store"), false, none},
			)
		}
	}
	for _, callers := range []string{"one", "many"} {
		miss := func(via string) string { return "Miss/callers=" + callers + "/via=" + via }
		ts = append(ts,
			target{"miss by hand - bare loader, ns (" + callers + ")", "ns/op", miss("byhand"), miss("loader"), true, none},
			target{"miss, ReadThrough - bare loader, ns (" + callers + ")", "ns/op", miss("readthrough"), miss("loader"), true, none},
		)
	}
	for _, life := range []string{"none", "5m"} {
		many := func(via string) string { return "GetMany/life=" + life + "/via=" + via }
		ts = append(ts,
			target{"Get, ns/key (life " + life + ")", "ns/key", many("get"), "", false, none},
			target{"GetMany of 100 into a slice / Get, per key (life " + life + ")", "ns/key", many("batch"), many("get"), false, none},
			target{"tarn.GetMany of 100 / Get, per key (life " + life + ")", "ns/key", many("map"), many("get"), false, none},
		)
	}
	for _, via := range []string{"writethrough", "writeback"} {
		ts = append(ts,
			target{via + " on SQLite, writes/s", "writes/s", "Write/via=" + via, "", false, none},
			target{via + " on SQLite, statements/write", "stmts/write", "Write/via=" + via, "", false, none},
		)
	}
	return append(ts, target{"writeback / writethrough on SQLite", "writes/s", "Write/via=writeback", "Write/via=writethrough", false, none})
}

func main() {
	rounds := flag.Int("rounds", 10, "how often every benchmark is run")
	pattern := flag.String("bench", "^Benchmark(Hit|Miss|GetMany|Write)$", "which benchmarks are run")
	time := flag.String("benchtime", "300ms", "how long each is run")
	keep := flag.String("o", "", "a file that the runs are written to, for benchstat")
	flag.Parse()
	if err := run(*rounds, *pattern, *time, *keep, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "ratios:", err)
		os.Exit(1)
	}
}

func run(rounds int, pattern, benchtime, keep string, files []string) error {
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
		if err := results.bench(rounds, pattern, benchtime, keep); err != nil {
			return err
		}
	}
	return results.print(os.Stdout)
}

// results are the figures of each benchmark, by "name unit".
type results map[string][]float64

// bench builds the benchmarks once and runs them in rounds. What they write is kept in a file, if there is a name.
func (r results) bench(rounds int, pattern, benchtime, keep string) error {
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
		var lines bytes.Buffer
		cmd := exec.Command(binary, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", benchtime)
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&lines, out), os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("round %d: %w\n%s", i+1, err, lines.Bytes())
		}
		if err := r.read(&lines); err != nil {
			return err
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

// median returns the median of a benchmark, and whether it was run.
func (r results) median(name, unit string) (float64, bool) {
	all := slices.Sorted(slices.Values(r[name+" "+unit]))
	if len(all) == 0 {
		return 0, false
	}
	mid := len(all) / 2
	if len(all)%2 == 1 {
		return all[mid], true
	}
	return (all[mid-1] + all[mid]) / 2, true
}

func (r results) print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\tmedian\ttarget\t")
	for _, t := range targets() {
		v, ok := r.median(t.of, t.unit)
		if t.over != "" {
			over, found := r.median(t.over, t.unit)
			ok = ok && found
			if t.minus {
				v -= over
			} else {
				v /= over
			}
		}
		if !ok {
			continue
		}
		verdict := ""
		switch {
		case t.limit == none:
		case v > t.limit:
			verdict = fmt.Sprintf("%.4g: MISSED", t.limit)
		default:
			verdict = fmt.Sprintf("%.4g: met", t.limit)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t\n", t.what, figure(v), verdict)
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
