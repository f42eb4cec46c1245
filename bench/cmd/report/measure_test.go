package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ended returns the steps of a journal, in order.
func ended(j *journal) (steps []string) {
	for l := range strings.Lines(j.raw.String()) {
		if step, is := strings.CutPrefix(l, endOf); is {
			steps = append(steps, strings.TrimSpace(step))
		}
	}
	return steps
}

func TestRounds(t *testing.T) {
	binary, err := exec.LookPath("true")
	if err != nil {
		t.Skip("there is no program that does nothing:", err)
	}
	for _, test := range []struct {
		rule   string
		s      settings
		round  int
		step   string
		absent bool
	}{
		{"two processors", settings{rounds: 2}, 0, "round 1 of 2: Load|New, -cpu 2", false},
		{"and one, for what has a target there", settings{rounds: 2}, 0, "round 1 of 2: Load|New, -cpu 1", false},
		{"but in a hurry", settings{rounds: 2, quick: true}, 0, "round 1 of 2: Load|New, -cpu 1", true},
		{"and for nothing else", settings{rounds: 2}, 0, "round 1 of 2: Miss, -cpu 1", true},
		{"what takes long is in the first round", settings{rounds: 2}, 0, "round 1 of 2: Growth, -cpu 2", false},
		{"and not in the second", settings{rounds: 2}, 1, "round 2 of 2: Growth, -cpu 2", true},
		{"only what is asked for", settings{rounds: 2, only: "Miss"}, 0, "round 1 of 2: Heap, -cpu 2", true},
	} {
		j := keep(t, test.s)
		if err := test.s.round(j, binary, test.round); err != nil {
			t.Fatal(err)
		}
		if steps := ended(j); slices.Contains(steps, test.step) == test.absent {
			t.Errorf("%s: %q", test.rule, steps)
		}
	}
}

func TestReplaysAreKeptAsBenchmarks(t *testing.T) {
	dir := t.TempDir()
	text := strings.Repeat("1\n2\n3\n4\n5\n", 4)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	fmt.Fprint(w, text)
	w.Close()
	for name, content := range map[string]string{"multi1.lirs": text, "glimpse.lirs.gz": zipped.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := settings{rounds: 1, quick: true, only: "Replay", traces: dir}
	j := keep(t, s)
	var told strings.Builder
	j.told = &told
	if err := s.replay(j); err != nil {
		t.Fatal(err)
	}
	if steps := ended(j); !slices.Equal(steps, []string{"replay of glimpse", "replay of multi1"}) {
		t.Errorf("the steps are %q", steps)
	}
	if !strings.Contains(told.String(), "trace p3 is left out") {
		t.Errorf("a trace that is not there: %s", &told)
	}
	r := parse(t, j.raw.String())
	tarn, best := hitOf("multi1", 1000, "tarn"), hitOf("glimpse", 500, "optimum")
	for _, test := range []struct {
		rule string
		what what
		want float64
	}{
		{"hits in percent", tarn, 75},
		{"what it held", what{tarn.name, 1, "held"}, 5},
		{"the optimum", best, 75},
		{"the requests", what{best.name, 1, "requests"}, 20},
		{"the keys", what{best.name, 1, "keys"}, 5},
		{"the runs", what{best.name, 1, "runs"}, 1},
	} {
		if got, ok := r.median(test.what); !ok || got != test.want {
			t.Errorf("%s: %v, %v", test.rule, got, ok)
		}
	}
	if n := len(r.cells()); n != 2 {
		t.Errorf("in a hurry there are %d cells of two traces", n)
	}
	other := settings{rounds: 1, quick: true, only: "Load", traces: dir}
	if j := keep(t, other); other.replay(j) != nil || len(ended(j)) != 0 {
		t.Errorf("nobody asked for %q", ended(j))
	}
}

func TestChartsThatAreNoLongerDrawnGo(t *testing.T) {
	dir := t.TempDir()
	for _, charts := range [][]chart{{{file: "a.svg"}, {file: "b.svg"}}, {{file: "b.svg", svg: []byte("new")}}} {
		if err := write(dir, "report", charts); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "charts", "*"))
	if err != nil || len(left) != 1 {
		t.Fatalf("left are %q, %v", left, err)
	}
	if text, err := os.ReadFile(left[0]); err != nil || string(text) != "new" {
		t.Errorf("%s has %q, %v", left[0], text, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "REPORT.md")); err != nil || string(text) != "report" {
		t.Errorf("the report is %q, %v", text, err)
	}
}

func TestFlagsThatDoNotGoTogether(t *testing.T) {
	for _, test := range []struct {
		rule string
		s    settings
		want string
	}{
		{"nothing to go on with", settings{resume: true}, "-resume goes with -keep"},
		{"runs that are not to be added to", settings{resume: true, keep: "a", raw: "b"}, "-resume goes with -keep"},
		{"a pattern that is none", settings{only: "Load/(", raw: "b"}, "-bench: "},
	} {
		if err := run(test.s); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.rule, err)
		}
	}
}
