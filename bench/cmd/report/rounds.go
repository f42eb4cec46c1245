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
	{names: "Hit|GetMany|Feature", benchtime: "5ms", quicktime: "2ms", count: 5, every: 1},
	{names: "Miss", benchtime: "200ms", quicktime: "20ms", count: 1, every: 1},
	{names: "Disk|Write", benchtime: "2s", quicktime: "200ms", count: 1, every: 1},
	{names: "Add", benchtime: "1s", quicktime: "200ms", count: 1, every: 1},
	{names: "Restart", benchtime: "1x", quicktime: "1x", count: 1, every: 1},
	{names: "Heap", benchtime: "1x", quicktime: "1x", count: 1, every: 1},
	{names: "Growth", benchtime: "100ms", quicktime: "20ms", count: 1, every: 2},
	{names: "Expiry|ExpiryAtOnce", benchtime: "1x", quicktime: "1x", count: 1, every: 1},
	{names: "RedisGet|RedisGetMany|Near|RoundTrips", benchtime: "100ms", quicktime: "20ms", count: 1, every: 1},
	{names: "Tags", benchtime: "50ms", quicktime: "20ms", count: 1, every: 5},
	{names: "ColdKey|Invalidation", benchtime: "500ms", quicktime: "100ms", count: 1, every: 1},
	{names: "Outage", benchtime: "1x", quicktime: "1x", count: 1, every: 2},
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
	benchtime, entries := g.benchtime, "1000000"
	if quick {
		benchtime, entries = g.quicktime, "100000"
	}
	pattern := g.pattern(only)
	return []string{"-test.run", "^$", "-test.bench", pattern, "-test.benchtime", benchtime,
		"-test.count", strconv.Itoa(g.count), "-test.cpu", strconv.Itoa(cpus), "-test.timeout", "1h",
		"-entries", entries}, pattern != ""
}

// pattern asks for those benchmarks of the group that only asks for, and is empty if there are none.
func (g group) pattern(only string) string {
	var all []string
	for _, one := range split(only, '|') {
		var names []string
		for name := range strings.SplitSeq(g.names, "|") {
			if matchesFirst(one, name) {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			rest := one[len(split(one, '/')[0]):]
			all = append(all, "^Benchmark("+strings.Join(names, "|")+")$"+rest)
		}
	}
	return strings.Join(all, "|")
}

// matches reports whether only asks for benchmarks of a function.
func matches(only, name string) bool {
	return slices.ContainsFunc(split(only, '|'), func(one string) bool { return matchesFirst(one, name) })
}

func matchesFirst(pattern, name string) bool {
	ok, err := regexp.MatchString(split(pattern, '/')[0], "Benchmark"+name)
	return ok && err == nil
}

// split cuts a pattern as go test does, which gives | and / their own meaning outside of brackets.
func split(pattern string, at byte) []string {
	var parts []string
	begin, round, square := 0, 0, false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '[':
			square = true
		case c == ']':
			square = false
		case square:
		case c == '(':
			round++
		case c == ')':
			round--
		case c == at && round == 0:
			parts = append(parts, pattern[begin:i])
			begin = i + 1
		}
	}
	return append(parts, pattern[begin:])
}

// bench builds the benchmarks once and runs them in rounds.
func (s settings) bench(j *journal) error {
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
	for round := range s.rounds {
		if err := s.round(j, binary, round); err != nil {
			return err
		}
	}
	return j.step("the benchmarks", func(to io.Writer) error {
		_, err := fmt.Fprintf(to, "load-end: %s\n", load())
		return err
	})
}

// round runs the groups of one round, which counts from 0.
func (s settings) round(j *journal, binary string, round int) error {
	for _, g := range groups {
		if round%g.every != 0 {
			continue
		}
		for _, cpus := range g.cpus(s.quick) {
			args, wanted := g.args(cpus, s.quick, s.only)
			if !wanted {
				continue
			}
			name := fmt.Sprintf("round %d of %d: %s, -cpu %d", round+1, s.rounds, g.names, cpus)
			if err := j.step(name, func(to io.Writer) error { return runGroup(binary, args, to) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// runGroup runs a test binary and writes what it says once it has ended.
func runGroup(binary string, args []string, to io.Writer) error {
	var lines bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Dir(binary), &lines, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, lines.Bytes())
	}
	_, err := to.Write(lines.Bytes())
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
	for _, f := range inFrontOfRedis {
		if f.module != "" {
			lines = append(lines, [2]string{f.name, moduleVersion(f.module)})
		}
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
