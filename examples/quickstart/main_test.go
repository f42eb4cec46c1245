package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

func TestEveryWayPassesTheChecks(t *testing.T) {
	temporary := emptyTempDir(t)
	code, stdout, stderr := runProgram(t.Context(), ways, "-ops", "4000", "-keys", "400")
	if code != 0 {
		t.Fatalf("exit status %d\n%s\n%s", code, stdout, stderr)
	}
	for _, way := range ways {
		if !strings.Contains(stdout, "\n"+way.name+" ") {
			t.Errorf("no row for %s in\n%s", way.name, stdout)
		}
		if !strings.Contains(stderr, way.name) {
			t.Errorf("no progress of %s in\n%s", way.name, stderr)
		}
	}
	if !strings.Contains(stdout, "Every check passed") {
		t.Errorf("not the end expected:\n%s", stdout)
	}
	assertEmpty(t, temporary)
}

func TestWrongAnswersFailTheProgram(t *testing.T) {
	for _, test := range []struct {
		rule string
		open func(repo *source) catalogue
		says string
	}{
		{"a cache that nobody invalidates is caught", neverInvalidated,
			"reads were older than a write acknowledged before they began"},
		{"a write that is acknowledged and lost is caught", neverSaves, "rows are not the last value written"},
		{"an answer for another key is caught", mixesKeysUp, "read: the answer is another product"},
		{"a failing write is reported", func(repo *source) catalogue {
			c, _ := bare(repo, nil, nil)
			c.write = func(context.Context, Product) error { return errors.New("disk on fire") }
			return c
		}, "write: disk on fire"},
		{"a failing Close is reported", func(repo *source) catalogue {
			c, _ := bare(repo, nil, nil)
			c.close = func(context.Context) error { return errors.New("3 writes are left") }
			return c
		}, "close: 3 writes are left"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			temporary := emptyTempDir(t)
			broken := way{"broken", true,
				func(repo *source, _ tarn.Store[int64, Product], _ strategies.Option) (catalogue, error) {
					return test.open(repo), nil
				}}
			code, stdout, stderr := runProgram(t.Context(), []way{broken}, "-ops", "2000", "-keys", "50")
			if code != 1 {
				t.Errorf("exit status %d, not 1", code)
			}
			if !strings.Contains(stderr, "broken: ") || !strings.Contains(stderr, test.says) {
				t.Errorf("stderr does not say %q:\n%s", test.says, stderr)
			}
			if strings.Contains(stdout, "passed") {
				t.Errorf("claims success:\n%s", stdout)
			}
			assertEmpty(t, temporary)
		})
	}
}

// neverInvalidated keeps what it read first.
func neverInvalidated(repo *source) catalogue {
	c, _ := bare(repo, nil, nil)
	var kept sync.Map
	c.read = func(ctx context.Context, id int64) (Product, error) {
		if p, ok := kept.Load(id); ok {
			return p.(Product), nil
		}
		p, err := repo.Find(ctx, id)
		if err == nil {
			kept.Store(id, p)
		}
		return p, err
	}
	return c
}

// neverSaves acknowledges writes and answers reads with them: nothing but the rows is wrong.
func neverSaves(repo *source) catalogue {
	c, _ := bare(repo, nil, nil)
	var kept sync.Map
	c.read = func(ctx context.Context, id int64) (Product, error) {
		if p, ok := kept.Load(id); ok {
			return p.(Product), nil
		}
		return repo.Find(ctx, id)
	}
	c.write = func(_ context.Context, p Product) error {
		kept.Store(p.ID, p)
		return nil
	}
	return c
}

func mixesKeysUp(repo *source) catalogue {
	c, _ := bare(repo, nil, nil)
	c.read = func(ctx context.Context, id int64) (Product, error) { return repo.Find(ctx, id%50+1) }
	return c
}

func TestInterruptLeavesNothingBehind(t *testing.T) {
	temporary := emptyTempDir(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var reads atomic.Int64
	closeErr := errors.New("not closed")
	interrupted := way{"interrupted", true,
		func(*source, tarn.Store[int64, Product], strategies.Option) (catalogue, error) {
			return catalogue{
				read: func(_ context.Context, id int64) (Product, error) {
					reads.Add(1)
					interrupt()
					return productAt(id, 1), nil // as a hit, which is answered even now
				},
				close: func(ctx context.Context) error {
					closeErr = ctx.Err()
					return nil
				},
			}, nil
		}}
	code, _, stderr := runProgram(ctx, []way{interrupted}, "-ops", "100000", "-keys", "1", "-reads", "1")
	if code != 1 || !strings.Contains(stderr, "interrupted") {
		t.Errorf("exit status %d, stderr:\n%s", code, stderr)
	}
	if n := reads.Load(); n > 10_000 {
		t.Errorf("went on for %d operations", n)
	}
	if closeErr != nil {
		t.Errorf("the strategy could not write what was pending: %v", closeErr)
	}
	assertEmpty(t, temporary)
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		rule string
		args []string
		code int
		says string
	}{
		{"no operations", []string{"-ops", "0"}, 2, "-ops is 0"},
		{"negative operations", []string{"-ops", "-5"}, 2, "-ops is -5"},
		{"more operations than memory", []string{"-ops", "1000000000"}, 2, "10,000,000"},
		{"no keys", []string{"-keys", "0"}, 2, "-keys is 0"},
		{"negative keys", []string{"-keys", "-1"}, 2, "-keys is -1"},
		{"a share above one", []string{"-reads", "1.1"}, 2, "-reads is 1.1"},
		{"a share below zero", []string{"-reads", "-0.1"}, 2, "-reads is -0.1"},
		{"a share that is no number", []string{"-reads", "NaN"}, 2, "-reads is NaN"},
		{"a negative seed", []string{"-seed", "-1"}, 2, "-seed"},
		{"an unknown flag", []string{"-speed"}, 2, "-speed"},
		{"an argument that is no flag", []string{"fast"}, 2, `"fast"`},
		{"help is no mistake", []string{"-h"}, 0, "-reads share"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			code, stdout, stderr := runProgram(t.Context(), nil, test.args...)
			if code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("exit status %d, not %d, with %q; stderr:\n%s", code, test.code, test.says, stderr)
			}
			if stdout != "" {
				t.Errorf("stdout: %s", stdout)
			}
		})
	}
}

func TestOddButValid(t *testing.T) {
	for _, args := range [][]string{
		{"-ops", "1", "-keys", "1"},
		{"-ops", "500", "-keys", "1"},
		{"-ops", "500", "-keys", "20", "-reads", "0"},
		{"-ops", "500", "-keys", "20", "-reads", "1"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if code, stdout, stderr := runProgram(t.Context(), ways, args...); code != 0 {
				t.Errorf("exit status %d\n%s\n%s", code, stdout, stderr)
			}
		})
	}
}

func runProgram(ctx context.Context, ways []way, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(ctx, args, ways, &out, &errOut)
	return code, out.String(), errOut.String()
}

// emptyTempDir makes the program's temporary folders appear in a folder of the test's own.
func emptyTempDir(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "a folder #1 with 100% odd characters?")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	return dir
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("%d entries are left in the temporary folder", len(left))
	}
}
