package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tarncache/tarn/bench/peers"
)

const benchmarks = "github.com/tarncache/tarn/bench"

// group is some benchmarks that are run alike.
type group struct {
	names     string // of the functions, without "Benchmark", with | between them
	benchtime string
	quicktime string // with -quick
	count     int    // runs within a round
	oneToo    bool   // on a single processor as well
	every     int    // it is in the first of so many rounds
}

// groups are what a round runs. The strategies' calls run for less time than the system lets a busy machine's others
// wait.
var groups = []group{
	{names: "Load|New", benchtime: "60ms", quicktime: "20ms", count: 1, oneToo: true, every: 1},
	{names: "Goroutines", benchtime: "50ms", quicktime: "10ms", count: 1, every: 1},
	{names: "Bound", benchtime: "50ms", quicktime: "20ms", count: 1, every: 1},
	{names: "Allocs", benchtime: "20ms", quicktime: "10ms", count: 1, every: 1},
	{names: "Hit|GetMany", benchtime: "5ms", quicktime: "2ms", count: 5, every: 1},
	{names: "Miss", benchtime: "200ms", quicktime: "20ms", count: 1, every: 1},
	{names: "Write", benchtime: "500ms", quicktime: "100ms", count: 1, every: 1},
	{names: "Heap", benchtime: "1x", quicktime: "1x", count: 1, every: 1},
	{names: "Growth", benchtime: "100ms", quicktime: "20ms", count: 1, every: 2},
	{names: "Expiry", benchtime: "1x", quicktime: "1x", count: 1, every: 1},
}

// processors is how many the benchmarks use, where it is not one: as many on every machine, so that reports compare.
const processors = 2

// cpus returns the numbers of processors that the group runs with, each in a process of its own.
func (g group) cpus(quick bool) []int {
	if g.oneToo && !quick {
		return []int{processors, 1}
	}
	return []int{processors}
}

// args returns the arguments by which a test binary runs the group, and false if only leaves it out.
func (g group) args(cpus int, quick bool, only string) ([]string, bool) {
	pattern, benchtime, entries := "^Benchmark("+g.names+")$", g.benchtime, "1000000"
	if quick {
		benchtime, entries = g.quicktime, "100000"
	}
	if only != "" {
		if !slices.ContainsFunc(strings.Split(g.names, "|"), func(name string) bool { return matches(only, name) }) {
			return nil, false
		}
		pattern = only
	}
	return []string{"-test.run", "^$", "-test.bench", pattern, "-test.benchtime", benchtime,
		"-test.count", strconv.Itoa(g.count), "-test.cpu", strconv.Itoa(cpus), "-test.timeout", "1h", "-entries", entries}, true
}

// matches reports whether only asks for the benchmarks of a function.
func matches(only, name string) bool {
	first, _, _ := strings.Cut(only, "/")
	ok, err := regexp.MatchString(first, "Benchmark"+name)
	return ok && err == nil
}

// bench builds the benchmarks once and runs them in rounds.
func (s settings) bench(raw io.Writer) error {
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	build := exec.Command("go", "test", "-c", "-o", binary, benchmarks)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go test -c: %w", err)
	}
	begin := time.Now()
	for round := range s.rounds {
		for _, g := range groups {
			if round%g.every != 0 {
				continue
			}
			for _, cpus := range g.cpus(s.quick) {
				args, wanted := g.args(cpus, s.quick, s.only)
				if !wanted {
					continue
				}
				fmt.Fprintf(os.Stderr, "report: %v: round %d of %d: %s, -cpu %d\n",
					time.Since(begin).Round(time.Second), round+1, s.rounds, g.names, cpus)
				if err := runGroup(binary, args, raw); err != nil {
					return fmt.Errorf("round %d: %w", round+1, err)
				}
			}
		}
	}
	fmt.Fprintf(raw, "load-end: %s\n", load())
	return nil
}

// runGroup runs a test binary and writes what it says once it has ended.
func runGroup(binary string, args []string, raw io.Writer) error {
	var lines bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Dir(binary), &lines, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, lines.Bytes())
	}
	_, err := raw.Write(lines.Bytes())
	return err
}

// writeMachine writes what is known of the machine and the programs, in lines that benchstat reads as configuration.
func writeMachine(w io.Writer, s settings) {
	how := "full"
	if s.quick {
		how = "quick"
	}
	lines := [][2]string{
		{"date", time.Now().UTC().Format("2006-01-02 15:04 MST")},
		{"command", s.command()},
		{"runs", how},
		{"rounds", strconv.Itoa(s.rounds)},
		{"go", runtime.Version()},
		{"system", runtime.GOOS + "/" + runtime.GOARCH},
		{"processors", strconv.Itoa(runtime.NumCPU())},
		{"memory", memory()},
		{"load-begin", load()},
		{"commit", commit()},
	}
	for _, f := range peers.All() {
		lines = append(lines, [2]string{"cache-" + f.Name, f.Module + " " + peers.Version(f.Module)})
	}
	for _, l := range lines {
		if l[1] != "" {
			fmt.Fprintf(w, "%s: %s\n", l[0], l[1])
		}
	}
}

// load returns how busy the machine was in the last minute, where the system says so.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) == 0 {
		return ""
	}
	return fields[0]
}

// memory returns how much the machine has, where the system says so.
func memory() string {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemTotal:" {
			if kib, err := strconv.ParseFloat(fields[1], 64); err == nil {
				return fmt.Sprintf("%.0f GiB", kib/(1<<20))
			}
		}
	}
	return ""
}

// commit names the state of the tree, where git knows it.
func commit() string {
	id, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return ""
	}
	changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output()
	if err != nil || len(changed) > 0 {
		return strings.TrimSpace(string(id)) + ", changed"
	}
	return strings.TrimSpace(string(id))
}
