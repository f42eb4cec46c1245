package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain is also where the children begin.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(runChild(context.Background(), dir, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestTheSumsAreRight(t *testing.T) {
	temporary := emptyTempDir(t)
	code, stdout, stderr := runProgram(t.Context(), "-kills", "2")
	t.Log(stdout)
	if code != 0 || !strings.Contains(stdout, "The sums are right") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
	if n := len(regexp.MustCompile(`(?m)^[12] +\d+ +[1-9]\d* +(right|at)`).FindAllString(stdout, -1)); n != 2 {
		t.Errorf("%d of 2 processes counted something", n)
	}
	if regexp.MustCompile(`(?m)^[23] +[1-9]\d* +`).FindString(stdout) == "" {
		t.Error("nothing was ever found in the journal: no kill was in the middle")
	}
	assertEmpty(t, temporary)
}

// The program sees what counts twice, where something does.
func TestWithoutTheLedgerSomethingCountsTwice(t *testing.T) {
	temporary := emptyTempDir(t)
	var code int
	var stdout, stderr string
	for tries := 0; tries < 10 && code == 0; tries++ { // a busy machine may kill too late
		code, stdout, stderr = runProgram(t.Context(), "-kills", "1", "-careless")
	}
	if code != 1 || !regexp.MustCompile(`views 0 were lost, and at least [1-9]\d* counted twice`).MatchString(stderr) {
		t.Errorf("exit status %d\n%s\n%s", code, stdout, stderr)
	}
	assertEmpty(t, temporary)
}

func TestInterruptLeavesNothingBehind(t *testing.T) {
	temporary := emptyTempDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	code, stdout, stderr := runProgram(ctx)
	if code != 1 || !strings.Contains(stderr, "interrupted") {
		t.Errorf("exit status %d\n%s\n%s", code, stdout, stderr)
	}
	assertEmpty(t, temporary)
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		rule  string
		said  string
		views int64
		right bool
	}{
		{"what was acknowledged counts", "view 1\nseen 1", 1, true},
		{"not less", "view 1\nseen 1", 0, false},
		{"nor twice", "view 1\nseen 1", 2, false},
		{"what was under way may count", "view 1\nseen 1\nview 1", 2, true},
		{"or not", "view 1\nseen 1\nview 1", 1, true},
	} {
		var said tally
		if err := said.note(bufio.NewScanner(strings.NewReader(test.said)), func() {}, nil); err != nil {
			t.Fatal(err)
		}
		if err := said.judge(io.Discard, []row{{product: 1, views: test.views, updates: 1}}); (err == nil) != test.right {
			t.Errorf("%s: %v", test.rule, err)
		}
	}
	if err := new(tally).note(bufio.NewScanner(strings.NewReader("panic: no")), nil, nil); err == nil {
		t.Error("what a child should not say is no error")
	}
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		rule string
		args []string
		code int
		says string
	}{
		{"an unknown flag", []string{"-mysql"}, 2, "-mysql"},
		{"an argument that is no flag", []string{"now"}, 2, `"now"`},
		{"no kill", []string{"-kills", "0"}, 2, "-kills"},
		{"help is no mistake", []string{"-h"}, 0, "-careless"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			code, stdout, stderr := runProgram(t.Context(), test.args...)
			if code != test.code || !strings.Contains(stderr, test.says) || stdout != "" {
				t.Errorf("exit status %d, not %d, with %q\n%s\n%s", code, test.code, test.says, stdout, stderr)
			}
		})
	}
}

func runProgram(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(ctx, args, &out, &errOut)
	return code, out.String(), errOut.String()
}

// emptyTempDir makes the program's temporary folders appear in a folder of the test's own.
func emptyTempDir(t *testing.T) string {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%s is left behind", entry.Name())
	}
}
