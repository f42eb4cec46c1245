package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testFile is a test file of a package of its own.
func testFile(body string) string {
	return "package p\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\nvar _ = time.Now\n\n" + body
}

const racy = `func TestA(t *testing.T) {
	n, done := 0, make(chan bool)
	go func() { n++; done <- true }()
	n++
	<-done
	_ = n
}`

var errLimit = errors.New("not done in time")

// TestMain leaves the workspace in which these tests may run themselves: the modules they make are not in it.
func TestMain(m *testing.M) {
	os.Setenv("GOWORK", "off")
	m.Run()
}

func TestSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("builds test programs")
	}
	tests := []struct {
		rule   string
		files  map[string]string
		limit  time.Duration // zero: ample
		norace string
		strict bool
		err    string   // part of it; empty: none
		says   []string // what is printed among the rest
		hides  string   // what is not
	}{
		{
			rule:   "what passes is counted, and its output is not shown",
			files:  map[string]string{"p_test.go": testFile(`func TestA(t *testing.T) { t.Log("quiet") }`)},
			strict: true,
			says:   []string{"ok  \t", "1 passed, 0 failed, 0 skipped"},
			hides:  "quiet",
		},
		{
			rule: "a failure is shown with what it said, and what passed beside it is not",
			files: map[string]string{"p_test.go": testFile(`
func TestA(t *testing.T) { t.Error("loud") }
func TestB(t *testing.T) { t.Log("quiet") }`)},
			err:   "1 tests and 1 packages failed",
			says:  []string{"loud", "1 passed, 1 failed, 0 skipped"},
			hides: "quiet",
		},
		{
			rule:  "a package that does not compile is a failure",
			files: map[string]string{"p_test.go": testFile(`func TestA(t *testing.T) { undefinedThing() }`)},
			err:   "1 packages failed",
			says:  []string{"undefinedThing"},
		},
		{
			rule:  "a race is found",
			files: map[string]string{"p_test.go": testFile(racy)},
			err:   "failed",
			says:  []string{"DATA RACE"},
		},
		{
			rule:  "a test that ends its program is a failure",
			files: map[string]string{"p_test.go": testFile(`func TestA(t *testing.T) { go panic("gone"); time.Sleep(time.Minute) }`)},
			err:   "1 tests and 1 packages failed",
			says:  []string{"panic: gone"},
		},
		{
			rule:  "a skipped test is named with its reason",
			files: map[string]string{"p_test.go": testFile(`func TestA(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Skip("no server") }) }`)},
			says:  []string{"LEFT OUT, 1", "TestA/sub of example.test/p: p_test.go:10: no server", "1 passed, 0 failed, 1 skipped"},
		},
		{
			rule: "in CI a skipped test is a failure",
			files: map[string]string{"p_test.go": testFile(`
func TestA(t *testing.T) { t.Skip("no server") }
func TestB(t *testing.T) {}`)},
			strict: true,
			err:    "1 things were left out",
		},
		{
			rule: "a test that skips itself under the race detector alone runs without it, and was not left out",
			files: map[string]string{
				"p_test.go":      testFile(`func TestA(t *testing.T) { if race { t.Skip("allocates") } }`),
				"race_test.go":   "//go:build race\n\npackage p\n\nconst race = true\n",
				"norace_test.go": "//go:build !race\n\npackage p\n\nconst race = false\n",
			},
			strict: true,
			says:   []string{"1 passed, 0 failed, 0 skipped"},
			hides:  "LEFT OUT",
		},
		{
			rule: "an input that a fuzz test skips was not left out",
			files: map[string]string{"p_test.go": testFile(`
func FuzzA(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) { t.Skip("outside of the contract") })
}`)},
			strict: true,
			says:   []string{"1 passed, 0 failed, 0 skipped"},
			hides:  "LEFT OUT",
		},
		{
			rule:   "a missing race detector is left out",
			files:  map[string]string{"p_test.go": testFile(`func TestA(t *testing.T) {}`)},
			norace: "no compiler",
			says:   []string{"LEFT OUT, 1", "the race detector, for every test: no compiler"},
		},
		{
			rule:   "in CI a missing race detector is a failure",
			files:  map[string]string{"p_test.go": testFile(`func TestA(t *testing.T) {}`)},
			norace: "no compiler",
			strict: true,
			err:    "1 things were left out",
		},
		{
			rule:  "the limit ends what hangs, and says what it was",
			files: map[string]string{"p_test.go": testFile(`func TestHangs(t *testing.T) { time.Sleep(time.Hour) }`)},
			limit: 10 * time.Second,
			err:   "not done",
			says:  []string{"still running: TestHangs of example.test/p"},
		},
		{
			rule:  "a module in which nothing ran is a failure",
			files: map[string]string{"p.go": "package p\n"},
			err:   "no test ran",
		},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tt.files["go.mod"] = "module example.test/p\n\ngo 1.25\n"
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if tt.limit == 0 {
				tt.limit = 5 * time.Minute
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), tt.limit, errLimit)
			defer cancel()
			var out strings.Builder
			s := suite{modules: []string{dir}, out: &out, strict: tt.strict, norace: tt.norace, timeout: time.Hour}
			err := s.test(ctx)
			switch {
			case tt.err == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			for _, want := range tt.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("did not say %q", want)
				}
			}
			if tt.hides != "" && strings.Contains(out.String(), tt.hides) {
				t.Errorf("said %q", tt.hides)
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}
