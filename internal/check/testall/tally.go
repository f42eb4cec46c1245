package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sort"
	"strings"
	"time"
)

// tally is what go test said of every test.
type tally struct {
	results []*result
	byName  map[[2]string]*result // by package and test
	broken  int                   // packages that failed, for whatever reason
}

// result is one test's, or one subtest's. A test that is run again keeps its place.
type result struct {
	dir, pkg, test string
	outcome        string // pass, fail or skip; empty while it runs
	output         strings.Builder
}

// leftOut reports whether the test skipped itself. A fuzz test that skips an input, because its contract says
// nothing about it, has left nothing out; nor has storetest, where a row does not apply to the store it was given.
func (r *result) leftOut() bool {
	return r.outcome == "skip" && !strings.HasPrefix(r.test, "Fuzz") && !r.bySuite()
}

// bySuite reports whether storetest skipped a row. That says something about the store, and Require is what makes
// it a failure; a test that misses something on this machine says so itself.
func (r *result) bySuite() bool {
	return r.outcome == "skip" && strings.HasPrefix(r.reason(), "storetest.go:")
}

// reason is what a test said as it skipped itself.
func (r *result) reason() string {
	var said []string
	for line := range strings.Lines(r.output.String()) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}

// event is what go test -json prints; see go doc test2json, and go help buildjson for those of the compiler.
type event struct {
	Action, Package, Test, Output string
}

// goTest runs go test in a module's folder and tallies it. That tests failed is no error here, only in the tally.
func (s *suite) goTest(ctx context.Context, dir string, args []string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-count=1"}, args...)...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	ownGroup(cmd)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	before := s.broken
	s.read(dir, out)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		s.unfinished()
		return fmt.Errorf("go test in %s: %w", dir, context.Cause(ctx))
	case err != nil && s.broken == before:
		return fmt.Errorf("go test in %s: %w", dir, err)
	}
	return nil
}

// read tallies go test's events, and prints what go test prints when it is not asked for JSON.
func (s *suite) read(dir string, events io.Reader) {
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(s.out, lines.Text())
			continue
		}
		switch {
		case e.Action == "build-output":
			fmt.Fprint(s.out, e.Output)
		case e.Package != "" && e.Test == "":
			s.ofPackage(e)
		case e.Test != "":
			s.ofTest(dir, e)
		}
	}
}

func (s *suite) ofTest(dir string, e event) {
	r := s.byName[[2]string{e.Package, e.Test}]
	if r == nil {
		r = &result{dir: dir, pkg: e.Package, test: e.Test}
		if s.byName == nil {
			s.byName = make(map[[2]string]*result)
		}
		s.byName[[2]string{e.Package, e.Test}] = r
		s.results = append(s.results, r)
	}
	if r.outcome == "fail" {
		return // what failed once has failed, even if it is run again
	}
	switch e.Action {
	case "run":
		r.outcome = ""
		r.output.Reset()
	case "output":
		r.output.WriteString(e.Output)
	case "pass", "fail", "skip":
		r.outcome = e.Action
	}
}

func (s *suite) ofPackage(e event) {
	switch e.Action {
	case "output":
		// PASS is said by ok once more, and a package without tests is no news.
		noise := e.Output == "PASS\n" || strings.HasPrefix(e.Output, "?") || strings.Contains(e.Output, "no tests to run")
		if !noise {
			fmt.Fprint(s.out, e.Output)
		}
	case "fail":
		s.broken++
		for _, r := range s.results {
			if r.pkg != e.Package || r.outcome == "pass" || r.outcome == "skip" {
				continue
			}
			r.outcome = "fail" // also of one that was still running when its program ended
			fmt.Fprint(s.out, r.output.String())
		}
	}
}

// unfinished prints what was running when the time was over.
func (s *suite) unfinished() {
	for _, r := range s.results {
		if r.outcome == "" {
			fmt.Fprintf(s.out, "still running: %s of %s\n%s", r.test, r.pkg, r.output.String())
		}
	}
}

func (s *suite) count() (passed, failed, skipped int) {
	for _, r := range s.results {
		switch {
		case r.outcome == "pass":
			passed++
		case r.outcome == "fail":
			failed++
		case r.leftOut():
			skipped++
		}
	}
	return passed, failed, skipped
}

// again names the tests of one package to run once more.
type again struct{ dir, pkg, pattern string }

// skippedByPackage returns the tests that were skipped, or had a subtest that was.
func (s *suite) skippedByPackage() []again {
	type where struct{ dir, pkg string }
	names := make(map[where]map[string]bool)
	for _, r := range s.results {
		if !r.leftOut() {
			continue
		}
		at := where{r.dir, r.pkg}
		if names[at] == nil {
			names[at] = make(map[string]bool)
		}
		top, _, _ := strings.Cut(r.test, "/")
		names[at][regexp.QuoteMeta(top)] = true
	}
	var todo []again
	for at, tests := range names {
		alternatives := make([]string, 0, len(tests))
		for name := range tests {
			alternatives = append(alternatives, name)
		}
		sort.Strings(alternatives)
		todo = append(todo, again{at.dir, at.pkg, "^(" + strings.Join(alternatives, "|") + ")$"})
	}
	sort.Slice(todo, func(i, j int) bool { return todo[i].pkg < todo[j].pkg })
	return todo
}
