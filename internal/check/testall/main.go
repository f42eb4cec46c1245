// Command testall runs the tests of every module of the workspace under the race detector, within one time limit
// for all of them, and ends by saying what it left out: the race detector where there is no C compiler, and every
// test that skipped itself. With CI=true, leaving anything out is a failure.
//
//	go run ./internal/check/testall [-limit 40m] [-timeout 10m] [-run pattern]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"
)

func main() {
	limit := flag.Duration("limit", 40*time.Minute, "time for everything, compiling included")
	timeout := flag.Duration("timeout", 10*time.Minute, "time for one package's tests")
	run := flag.String("run", "", "only tests that match, as go test's -run")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, *limit, fmt.Errorf("not done within %v", *limit))
	defer cancel()

	s := suite{out: os.Stdout, strict: os.Getenv("CI") == "true", timeout: *timeout, run: *run}
	err := s.modulesOfWorkspace(ctx)
	if err == nil {
		err = s.test(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testall:", err)
		os.Exit(1)
	}
}

// suite is one run over some modules.
type suite struct {
	modules []string // their folders
	out     io.Writer
	strict  bool // leaving something out is a failure
	timeout time.Duration
	run     string
	norace  string // why there is no race detector; empty: there is

	tally
}

func (s *suite) modulesOfWorkspace(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	cmd.Stderr = os.Stderr
	dirs, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("listing the modules: %w", err)
	}
	s.modules = strings.Split(strings.TrimSpace(string(dirs)), "\n")
	s.norace = raceDetector(ctx)
	return nil
}

// raceDetector tells why a program cannot be built with the race detector, or nothing if it can. It asks the
// compiler: which machines need what changes from one version of Go to the next.
func raceDetector(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, "go", "build", "-race", "-o", os.DevNull, "./internal/check/testall")
	said, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	return strings.Join(strings.Fields(fmt.Sprint(string(said), err)), " ")
}

// test runs everything and reports. The error says that a test failed, or that not everything was run.
func (s *suite) test(ctx context.Context) error {
	for _, dir := range s.modules {
		first := []string{"-timeout", s.timeout.String(), "-run", s.run, "./..."}
		if s.norace == "" {
			first = append([]string{"-race"}, first...)
		}
		if err := s.goTest(ctx, dir, first); err != nil {
			return err
		}
	}
	if s.norace == "" {
		if err := s.withoutRace(ctx); err != nil {
			return err
		}
	}
	return s.report()
}

// withoutRace runs once more, without the race detector, the tests that skipped themselves: those that count
// allocations do under it. What passes now was not left out.
func (s *suite) withoutRace(ctx context.Context) error {
	for _, again := range s.skippedByPackage() {
		err := s.goTest(ctx, again.dir, []string{"-timeout", s.timeout.String(), "-run", again.pattern, again.pkg})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) report() error {
	var left []string
	notApplicable := 0
	if s.norace != "" {
		left = append(left, "the race detector, for every test: "+s.norace+" (make deps installs what it needs)")
	}
	for _, r := range s.results {
		if r.leftOut() {
			left = append(left, fmt.Sprintf("%s of %s: %s", r.test, r.pkg, r.reason()))
		}
		if r.bySuite() {
			notApplicable++
		}
	}
	if notApplicable > 0 {
		fmt.Fprintf(s.out, "%d rows of storetest do not apply to the stores they were given\n", notApplicable)
	}
	if len(left) > 0 {
		fmt.Fprintf(s.out, "\n*** LEFT OUT, %d:\n", len(left))
		for _, what := range left {
			fmt.Fprintln(s.out, "***  ", what)
		}
		fmt.Fprintln(s.out)
	}
	passed, failed, skipped := s.count()
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	switch {
	case failed > 0 || s.broken > 0:
		return fmt.Errorf("%d tests and %d packages failed", failed, s.broken)
	case passed == 0:
		return fmt.Errorf("no test ran")
	case len(left) > 0 && s.strict:
		return fmt.Errorf("%d things were left out, and with CI=true nothing may be", len(left))
	}
	return nil
}
