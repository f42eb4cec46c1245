package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarncache/tarn/bench/replay"
)

func files(t *testing.T) (arc, lirs string) {
	t.Helper()
	dir := t.TempDir()
	arc, lirs = filepath.Join(dir, "a.arc"), filepath.Join(dir, "b.lirs")
	for path, content := range map[string]string{arc: "1 2 0 0\n1 1 0 1\n", lirs: "3\n1\n2\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return arc, lirs
}

func TestRun(t *testing.T) {
	arc, lirs := files(t) // one after the other: 1 2 1 3 1 2
	made := func(args ...string) []string { return append([]string{"-requests", "1000", "-caches", "lru"}, args...) }
	for _, row := range []struct {
		rule  string
		args  []string
		lines int
		want  []string // words of the line that is looked at
		line  int
	}{
		{"a table, the files one trace", []string{"-format", "arc", "-caps", "2,3", "-opt", "-caches", "lru", arc, "lirs:" + lirs},
			3, []string{"a.arc", "+", "b.lirs", "6", "3", "2", "50.00", "33.33"}, 1},
		{"no optimum if nobody asks", []string{"-caps", "3", "-caches", "lru, arc", "arc:" + arc, "lirs:" + lirs},
			2, []string{"a.arc", "+", "b.lirs", "6", "-", "3", "-", "50.00", "50.00"}, 1},
		{"every cache", []string{"-caps", "30", "arc:" + arc},
			2, append([]string{"trace", "requests", "keys", "entries", "optimum"}, replay.DefaultCaches()...), 0},
		{"comma-separated values", []string{"-csv", "-opt", "-runs", "2", "-caps", "2", "-caches", "lru", "lirs:" + lirs},
			3, []string{"b.lirs,3,3,2,lru,0,0.000,0.000,0.000,2"}, 2},
		{"made-up traces, each at two capacities", made(), 9, []string{"10000"}, 8},
		{"made-up traces, at the capacities asked for", made("-caps", "5"), 5, []string{"zipf+scan"}, 2},
		{"read again each time", made("-hold", "0", "-opt"), 9, []string{"zipf+scan"}, 3},
		{"help", []string{"-h"}, 0, []string{"usage:"}, 0},
	} {
		var out, told strings.Builder
		if err := run(row.args, &out, &told); err != nil {
			t.Errorf("%s: %v", row.rule, err)
			continue
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if row.lines > 0 && len(lines) != row.lines || told.String() != "" { // no bar where there is no terminal
			t.Errorf("%s: %d lines\n%s\nand told\n%s", row.rule, len(lines), &out, &told)
			continue
		}
		words := " " + strings.Join(strings.Fields(lines[row.line]), " ") + " "
		if !strings.Contains(words, " "+strings.Join(row.want, " ")+" ") {
			t.Errorf("%s: %q is not in\n%s", row.rule, row.want, &out)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	arc, lirs := files(t)
	for _, row := range []struct {
		rule string
		args []string
		want string
	}{
		{"a flag that there is not", []string{"-cap", "5"}, "-cap"},
		{"no capacities for a file", []string{"-format", "arc", arc}, "-caps is missing"},
		{"a capacity that is none", []string{"-caps", "250,x"}, `"x"`},
		{"a capacity of nothing", []string{"-caps", "0"}, `"0"`},
		{"a file without a format, and what to say instead", []string{"-caps", "2", arc},
			arc + ": its format is not said; there are arc, lirs, be64, be32, oracle: say -format lirs for all files, or lirs:" + arc},
		{"a format that is not known", []string{"-format", "csv", "-caps", "2", arc}, "-format"},
		{"a cache that is not known", []string{"-caches", "lru,mine"}, `"mine"`},
		{"no runs", []string{"-runs", "0"}, "-runs"},
		{"no requests", []string{"-requests", "0"}, "-requests"},
		{"a damaged file, and no table of the rest", []string{"-caps", "2", "-caches", "lru", "lirs:" + lirs, "lirs:" + arc},
			arc + ": line 1:"},
	} {
		var out, told strings.Builder
		err := run(row.args, &out, &told)
		if err == nil || !strings.Contains(err.Error(), row.want) || out.String() != "" {
			t.Errorf("%s: %v\n%s", row.rule, err, &out)
		}
	}
}

func TestBar(t *testing.T) {
	var out strings.Builder
	b := &bar{out: &out}
	b.show(replay.Progress{Trace: "a"})
	if !strings.Contains(out.String(), "a  reading") {
		t.Errorf("while it reads: %q", &out)
	}
	out.Reset()
	b.show(replay.Progress{Trace: "a", Done: 1, Total: 4})
	if out.String() != "" {
		t.Errorf("at once again: %q", &out)
	}
	b.shown = time.Time{}
	b.show(replay.Progress{Trace: "a", Done: 1, Total: 4})
	if !strings.Contains(out.String(), " 25 %") || strings.Count(out.String(), "█") != 7 {
		t.Errorf("a quarter: %q", &out)
	}
	out.Reset()
	b.show(replay.Progress{Trace: "b"})
	if !strings.Contains(out.String(), "b  reading") {
		t.Errorf("another trace: %q", &out)
	}
	b.clear()
	if !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Errorf("at the end: %q", &out)
	}
	quiet := newBar(&out)
	out.Reset()
	quiet.show(replay.Progress{Trace: "a"})
	quiet.clear()
	if out.String() != "" {
		t.Errorf("where there is no terminal: %q", &out)
	}
}
