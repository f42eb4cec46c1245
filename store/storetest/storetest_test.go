package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
)

func TestReferencePasses(t *testing.T) {
	Run(t, func(testing.TB) tarn.Store[string, string] { return newReference() }, Require(All))
}

func TestReferencePassesInRealTime(t *testing.T) {
	t.Parallel()
	Run(t, func(testing.TB) tarn.Store[string, string] { return newReference() }, Require(All),
		RealTime(50*time.Millisecond))
}

// closingReference tells when it is closed.
type closingReference struct {
	*reference
	close func()
}

func (c closingReference) Close() error {
	c.close()
	return c.reference.Close()
}

// TestBeside watches from newStore which rows run beside which.
func TestBeside(t *testing.T) {
	t.Parallel()
	waits := make(map[string]bool) // by what a row's test is called
	for _, g := range suite() {
		for _, r := range g.rows {
			waits[t.Name()+"/suite/"+g.name+"/"+strings.ReplaceAll(r.name, " ", "_")] = r.waits
		}
	}
	var mu sync.Mutex // protects open, most
	open, most := make(map[string]bool), 0
	var making atomic.Int32
	t.Run("suite", func(t *testing.T) {
		Run(t, func(t testing.TB) tarn.Store[string, string] {
			if making.Add(1) > 1 {
				t.Error("newStore is called while it runs")
			}
			time.Sleep(time.Millisecond) // others would come meanwhile
			defer making.Add(-1)
			mu.Lock()
			defer mu.Unlock()
			for other := range open {
				if !waits[t.Name()] || !waits[other] {
					t.Errorf("runs beside %s", other)
				}
			}
			open[t.Name()] = true
			most = max(most, len(open))
			return closingReference{newReference(), func() {
				mu.Lock()
				defer mu.Unlock()
				delete(open, t.Name())
			}}
		}, Require(All), RealTime(100*time.Millisecond), Beside())
	})
	if most < 2 || most > atOnce {
		t.Errorf("at most %d rows waited at once, want %d", most, atOnce)
	}
}

// TestBrokenStoresAreCaught runs each broken store through the rows that guard against its fault: each must fail.
func TestBrokenStoresAreCaught(t *testing.T) {
	rows := rowsByName()
	for _, b := range brokenStores {
		t.Run(b.name, func(t *testing.T) {
			c := config{newStore: func(testing.TB) tarn.Store[string, string] { return newPatched(b.patch) }}
			for name := range strings.Lines(strings.TrimSpace(b.caught)) {
				r, ok := rows[strings.TrimSpace(name)]
				if !ok {
					t.Fatalf("there is no row %q", name)
				}
				err := c.try(t, r)
				if _, left := err.(notApplicable); err == nil || left {
					t.Errorf("not caught by %q: %v", strings.TrimSpace(name), err)
				}
			}
		})
	}
}

// TestEveryRowCanFail asserts that for each row there is a broken store that it catches.
func TestEveryRowCanFail(t *testing.T) {
	rows := rowsByName()
	for _, b := range brokenStores {
		if b.caught == "" {
			t.Errorf("no row is named that catches a store which %q", b.name)
		}
		for name := range strings.Lines(strings.TrimSpace(b.caught)) {
			delete(rows, strings.TrimSpace(name))
		}
	}
	for name := range rows {
		t.Errorf("no broken store fails the row %q", name)
	}
}

// rowsByName returns the rows of the suite under their names, those of their groups first.
func rowsByName() map[string]row {
	rows := make(map[string]row)
	for _, g := range suite() {
		for _, r := range g.rows {
			if _, twice := rows[g.name+"/"+r.name]; twice {
				panic("two rows are named " + r.name)
			}
			rows[g.name+"/"+r.name] = r
		}
	}
	return rows
}

// bare is a store that offers nothing but Get, Set and Delete, and has no Close.
type bare struct{ tarn.Store[string, string] }

// lasting is bare, and keeps entries for ever.
type lasting struct{ tarn.Store[string, string] }

func (l lasting) Set(ctx context.Context, key string, e tarn.Entry[string]) error {
	e.Expires = 0
	return l.Store.Set(ctx, key, e)
}

// TestWhatIsLackingIsReported runs the suite in a process of its own, whose output it reads.
func TestWhatIsLackingIsReported(t *testing.T) {
	if mode := os.Getenv("STORETEST_BARE"); mode != "" {
		var opts []Option
		if mode == "require" {
			opts = append(opts, Require(Leaser, Clocker))
		}
		if mode == "beside" {
			opts = append(opts, RealTime(20*time.Millisecond), Beside())
		}
		Run(t, func(testing.TB) tarn.Store[string, string] {
			if mode == "beside" {
				return lasting{newReference()}
			}
			return bare{newReference()}
		}, opts...)
		return
	}
	run := func(mode string) (output string, err error) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWhatIsLackingIsReported$", "-test.v")
		cmd.Env = append(os.Environ(), "STORETEST_BARE="+mode)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	contains := func(output string, lines ...string) {
		for _, line := range lines {
			if !strings.Contains(output, line) {
				t.Errorf("the output lacks %q:\n%s", line, output)
			}
		}
	}
	out, err := run("plain")
	if err != nil {
		t.Errorf("a store of three methods fails the suite: %v\n%s", err, out)
	}
	contains(out, "--- SKIP: TestWhatIsLackingIsReported/Leaser", "--- SKIP: TestWhatIsLackingIsReported/BatchStore",
		"the store does not offer tarn.Holder: its ", "--- PASS: TestWhatIsLackingIsReported/Store/random_operations")
	if out, err = run("require"); err == nil {
		t.Error("a store that lacks what is required passes the suite")
	}
	contains(out, "--- FAIL: TestWhatIsLackingIsReported/Leaser", "--- FAIL: TestWhatIsLackingIsReported/Clocker",
		"required, but the store does not offer it: tarn.Leaser", "--- SKIP: TestWhatIsLackingIsReported/Holder")
	if out, err = run("beside"); err == nil {
		t.Error("a store that never forgets passes the suite, with rows beside each other")
	}
	contains(out, "--- SKIP: TestWhatIsLackingIsReported/Leaser", "--- PASS: TestWhatIsLackingIsReported/Store/a_new_store_is_empty",
		"--- FAIL: TestWhatIsLackingIsReported/Store/an_expired_entry_is_gone",
		"The rule: An entry whose Expires has passed is never returned.")
}

// TestFailuresCanBeReplayed asserts that a failure of the random operations prints a seed that fails again.
func TestFailuresCanBeReplayed(t *testing.T) {
	forgetful := config{newStore: func(testing.TB) tarn.Store[string, string] {
		return newPatched(func(p *patched) {
			deletes := 0
			p.delete = func(ctx context.Context, key string) error {
				if deletes++; deletes == 5 {
					return nil
				}
				return p.r.Delete(ctx, key)
			}
		})
	}}
	err := forgetful.try(t, modelRows[0])
	if err == nil {
		t.Fatal("not caught")
	}
	_, rest, _ := strings.Cut(err.Error(), "storetest.Replay(")
	seed, _, _ := strings.Cut(rest, ")")
	n, perr := strconv.ParseUint(seed, 10, 64)
	if perr != nil {
		t.Fatalf("no seed in %v", err)
	}
	Replay(n)(&forgetful)
	if again := forgetful.try(t, modelRows[0]); again == nil || again.Error() != err.Error() {
		t.Errorf("replayed: %v\nat first: %v", again, err)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for name, f := range map[string]func(){
		"newStore": func() { Run(t, nil) },
		"RealTime": func() { RealTime(0) },
		"Repeat":   func() { Repeat(0) },
	} {
		func() {
			defer func() {
				if p := recover(); !strings.Contains(fmt.Sprint(p), name) {
					t.Errorf("got the panic %v, want one that names %s", p, name)
				}
			}()
			f()
		}()
	}
}

// TestRealTimeTriesAgain has rows that go wrong at first, as they do where a store answers late.
func TestRealTimeTriesAgain(t *testing.T) {
	wrong := errors.New("wrong")
	const ms = time.Millisecond
	for _, tt := range []struct {
		rule  string
		waits bool
		errs  []error // of one try after the other
		units []time.Duration
		want  error
	}{
		{"once is enough", true, []error{nil}, []time.Duration{ms}, nil},
		{"what was late passes with longer lives", true, []error{wrong, wrong, nil}, []time.Duration{ms, 4 * ms, 16 * ms}, nil},
		{"a fault is there again", true, []error{wrong, wrong, wrong}, []time.Duration{ms, 4 * ms, 16 * ms}, wrong},
		{"what waits for nothing is not tried again", false, []error{wrong}, []time.Duration{ms}, wrong},
		{"nor what finds nothing to check", true, []error{notApplicable("n")}, []time.Duration{ms}, notApplicable("n")},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := config{newStore: func(testing.TB) tarn.Store[string, string] { return newReference() }, unit: ms}
			var units []time.Duration
			err := c.try(t, row{waits: tt.waits, check: func(x *trial) error {
				units = append(units, x.unit)
				return tt.errs[len(units)-1]
			}})
			if err != tt.want || !slices.Equal(units, tt.units) {
				t.Errorf("%v, after units of %v", err, units)
			}
		})
	}
}
