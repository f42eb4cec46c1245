package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keep makes a journal of a file in a folder that is not there yet, which writes nothing to the terminal.
func keep(t *testing.T, s settings) *journal {
	t.Helper()
	j, err := s.journal()
	if err != nil {
		t.Fatal(err)
	}
	j.told = io.Discard
	return j
}

func figures(n int) func(io.Writer) error {
	return func(to io.Writer) error {
		_, err := fmt.Fprintf(to, "BenchmarkX-2 1 %d ns/op\nPASS\n", n)
		return err
	}
}

var errHalfway = errors.New("halfway")

func halfway(to io.Writer) error {
	_, _ = io.WriteString(to, "BenchmarkX-2 1 99 ns/op\n")
	return errHalfway
}

func TestAnInterruptedReportGoesOn(t *testing.T) {
	s := settings{rounds: 3, keep: filepath.Join(t.TempDir(), "new", "runs.txt")}
	first := keep(t, s)
	for n := range 2 {
		if err := first.step(fmt.Sprint("round ", n), figures(n)); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(s.keep) // what a report that is killed now leaves
	if err != nil || string(kept) != first.raw.String() || strings.Count(string(kept), "ns/op") != 2 {
		t.Fatalf("%v\n%s", err, kept)
	}
	err = first.close(first.step("round 2", halfway))
	if !errors.Is(err, errHalfway) || !strings.Contains(err.Error(), "round 2") || !strings.Contains(err.Error(), "-resume") {
		t.Errorf("the error is %v", err)
	}

	for rule, tail := range map[string]string{
		"a step that failed left nothing":         "",
		"what has no end is dropped":              "BenchmarkX-2 1 77 ns/op\nPASS\n",
		"nor is half a line taken for the end":    "BenchmarkX-2 1 77 ns/op\n" + endOf + "round 2",
		"a line that was not written to its end":  "BenchmarkX-2 1 7",
		"what another program added says nothing": "ok  \n",
	} {
		if err := os.WriteFile(s.keep, append(kept[:len(kept):len(kept)], tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		s.resume = true
		again := keep(t, s)
		for n := range 3 {
			if err := again.step(fmt.Sprint("round ", n), figures(10+n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := again.close(nil); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(s.keep)
		if err != nil || string(text) != again.raw.String() {
			t.Errorf("%s: %v: the file has\n%s\nthe report\n%s", rule, err, text, &again.raw)
		}
		if got := fmt.Sprint(parse(t, string(text)).figures[what{"X", 2, "ns/op"}]); got != "[0 1 12]" {
			t.Errorf("%s: the figures are %s", rule, got)
		}
	}
}

func TestAReportDoesNotGoOnFromOtherRuns(t *testing.T) {
	s := settings{rounds: 3, keep: filepath.Join(t.TempDir(), "runs.txt")}
	j := keep(t, s)
	head := j.raw.String()
	if err := j.close(j.step("round 0", figures(1))); err != nil {
		t.Fatal(err)
	}
	whole := j.raw.String()
	s.resume = true
	for _, test := range []struct {
		rule, kept string
		change     func(*settings)
		want       string
	}{
		{"other rounds are another command", whole, func(s *settings) { s.rounds = 4 }, "command"},
		{"so is a part of it", whole, func(s *settings) { s.only = "Load" }, "command"},
		{"another Go", strings.Replace(whole, "\ngo: go", "\ngo: went", 1), nil, "go"},
		{"another tree", whole + "commit: 0\n", nil, "commit"},
		{"no runs at all", head, nil, "no step ended"},
		{"no file", "", func(s *settings) { s.keep += ".none" }, "no such file"},
	} {
		if err := os.WriteFile(s.keep, []byte(test.kept), 0o600); err != nil {
			t.Fatal(err)
		}
		other := s
		if test.change != nil {
			test.change(&other)
		}
		if _, err := other.journal(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.rule, err)
		}
		if text, err := os.ReadFile(s.keep); err != nil || string(text) != test.kept {
			t.Errorf("%s: %v; the file was changed", test.rule, err)
		}
	}
}

func TestWithoutAFileNothingIsKept(t *testing.T) {
	j := keep(t, settings{rounds: 1})
	err := j.close(j.step("round 0", figures(5)))
	if err != nil || !strings.Contains(j.raw.String(), "\nBenchmarkX-2 1 5 ns/op\n") {
		t.Errorf("%v\n%s", err, &j.raw)
	}
	if err := j.close(errHalfway); err.Error() != errHalfway.Error() {
		t.Errorf("it offers to go on: %v", err)
	}
}
