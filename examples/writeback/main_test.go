package main

import (
	"bufio"
	"bytes"
	"context"
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

func TestNothingIsLost(t *testing.T) {
	temporary := emptyTempDir(t)
	code, stdout, stderr := runProgram(t.Context(), "-kills", "2")
	t.Log(stdout)
	if code != 0 || !strings.Contains(stdout, "none was lost") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
	rounds := regexp.MustCompile(`(?m)^([12]) +(\d+) +[1-9]\d* +\d+ms +\d+$`).FindAllStringSubmatch(stdout, -1)
	if len(rounds) != 2 {
		t.Fatalf("%d of 2 processes wrote something", len(rounds))
	}
	last := regexp.MustCompile(`(?m)^3 +(\d+) +0 +closes +0$`).FindStringSubmatch(stdout)
	if last == nil || rounds[1][2] == "0" && last[1] == "0" {
		t.Error("nothing was ever found in the journal: no kill was in the middle")
	}
	assertEmpty(t, temporary)
}

// The program sees what is lost, where something is.
func TestWithoutTheJournalSomethingIsLost(t *testing.T) {
	temporary := emptyTempDir(t)
	var code int
	var stdout, stderr string
	for tries := 0; tries < 10 && code == 0; tries++ { // the database may have had all of it just then
		code, stdout, stderr = runProgram(t.Context(), "-kills", "1", "-forget")
	}
	if code != 1 || !strings.Contains(stderr, "were lost") || strings.Contains(stdout, "none was lost") {
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

func TestBook(t *testing.T) {
	for _, test := range []struct {
		rule  string
		said  string
		has   int64
		right bool
	}{
		{"what was acknowledged is there", "begin 1 5\ndone 1 5", 5, true},
		{"nothing is not", "begin 1 5\ndone 1 5", 0, false},
		{"nor is what came before", "begin 1 5\ndone 1 5\nbegin 1 6\ndone 1 6", 5, false},
		{"what was under way may be there", "begin 1 5\ndone 1 5\nbegin 1 6", 6, true},
		{"or not", "begin 1 5\ndone 1 5\nbegin 1 6", 5, true},
		{"not any more if a later one is acknowledged", "begin 1 6\nbegin 1 7\ndone 1 7", 6, false},
		{"a draft that never was acknowledged may be missing", "begin 1 5", 0, true},
		{"a discarded one is", "begin 1 10\ndone 1 10", 0, true},
		{"and nothing else", "begin 1 9\ndone 1 9\nbegin 1 10\ndone 1 10", 9, false},
	} {
		b := newBook()
		if err := b.note(bufio.NewScanner(strings.NewReader(test.said)), func() {}); err != nil {
			t.Fatal(err)
		}
		if got := b.last[1].allows(test.has); got != test.right {
			t.Errorf("%s: %v", test.rule, got)
		}
	}
	if err := newBook().note(bufio.NewScanner(strings.NewReader("panic: no")), nil); err == nil {
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
		{"help is no mistake", []string{"-h"}, 0, "-forget"},
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
