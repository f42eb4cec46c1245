package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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
			rule: "a row of storetest that does not apply to a store was not left out",
			files: map[string]string{
				"p_test.go": testFile(`
func TestA(t *testing.T) {
	t.Run("row", func(t *testing.T) { notOffered(t) })
}`),
				"storetest.go": "package p\n\nimport \"testing\"\n\nfunc notOffered(t *testing.T) { t.Skip(\"not offered\") }\n",
			},
			strict: true,
			says:   []string{"1 rows of storetest do not apply", "1 passed, 0 failed, 0 skipped"},
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
			rule:  "a module in which nothing ran is a failure",
			files: map[string]string{"p.go": "package p\n"},
			err:   "no test ran",
		},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			s := suite{out: &out, strict: tt.strict, norace: tt.norace, timeout: 10 * time.Minute}
			s.modules = []string{newModule(t, tt.files)}
			err := s.test(t.Context())
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

func newModule(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files["go.mod"] = "module example.test/p\n\ngo 1.25\n"
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A test that hangs dials this one and says no more; when the time is over, its end of the line is closed because
// its program has ended, though go test, not this program, started it.
func TestLimitEndsTestPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test program")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := newModule(t, map[string]string{"p_test.go": fmt.Sprintf(`package p

import (
	"net"
	"testing"
)

func TestHangs(t *testing.T) {
	c, err := net.Dial("tcp", %q)
	if err != nil {
		t.Fatal(err)
	}
	c.Read(make([]byte, 1))
}
`, l.Addr())})

	over := errors.New("not done in time")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		cancel(over)
		if err == nil {
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(time.Minute))
			_, err = c.Read(make([]byte, 1))
		}
		ended <- err
	}()
	s := suite{modules: []string{dir}, out: io.Discard, norace: "not needed here", timeout: 10 * time.Minute}
	if err := s.test(ctx); !errors.Is(err, over) {
		t.Errorf("error %v, want %v", err, over)
	}
	l.Close()
	if err := <-ended; errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the test program goes on")
	}
}

func TestUnfinished(t *testing.T) {
	var out strings.Builder
	s := suite{out: &out}
	s.read("", strings.NewReader(`{"Action":"run","Package":"p","Test":"TestDone"}
{"Action":"pass","Package":"p","Test":"TestDone"}
{"Action":"run","Package":"p","Test":"TestHangs"}
{"Action":"output","Package":"p","Test":"TestHangs","Output":"waiting\n"}
`))
	s.unfinished()
	if got := out.String(); got != "still running: TestHangs of p\nwaiting\n" {
		t.Errorf("said %q", got)
	}
}
