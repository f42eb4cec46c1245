package interleave_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn/internal/interleave"
)

func explore(t *testing.T, o interleave.Options, scene func(r *interleave.Run)) (report interleave.Report) {
	synctest.Test(t, func(t *testing.T) {
		o.Wait = synctest.Wait
		report = interleave.Explore(o, scene)
	})
	return report
}

// TestCounts compares how many orders are run with how many there are.
func TestCounts(t *testing.T) {
	shared := func(int) any { return "one" }
	own := func(actor int) any { return actor }
	for _, test := range []struct {
		rule   string
		actors int
		steps  int
		object func(actor int) any
		write  bool
		want   int
	}{
		{"steps that conflict come in every order: 6!/(3!3!)", 2, 3, shared, true, 20},
		{"steps that conflict come in every order: 6!/(2!2!2!)", 3, 2, shared, true, 90},
		{"steps that have nothing to do with each other come in one order", 3, 2, own, true, 1},
		{"steps that only read come in one order", 3, 2, shared, false, 1},
	} {
		t.Run(test.rule, func(t *testing.T) {
			seen := map[string]bool{}
			report := explore(t, interleave.Options{}, func(r *interleave.Run) {
				var order []string
				for actor := range test.actors {
					r.Go(fmt.Sprint(actor), func(ctx context.Context) {
						for range test.steps {
							r.Step(ctx, "step")
							order = append(order, fmt.Sprint(actor))
							if test.write {
								r.Touch(test.object(actor))
							} else {
								r.Look(test.object(actor))
							}
						}
					})
				}
				r.Check(func() { seen[strings.Join(order, "")] = true })
			})
			if report.Failure != nil || !report.Exhausted {
				t.Fatalf("%+v", report)
			}
			if report.Runs != test.want || len(seen) != test.want {
				t.Errorf("ran %d orders, %d of them different, and there are %d", report.Runs, len(seen), test.want)
			}
		})
	}
}

// TestSleepSetsLoseNothing compares the results of a scene, in which some steps conflict and others do not, with those
// that it has if every step is said to conflict.
func TestSleepSetsLoseNothing(t *testing.T) {
	results := func(all bool) (map[string]bool, interleave.Report) {
		seen := map[string]bool{}
		report := explore(t, interleave.Options{}, func(r *interleave.Run) {
			cells := map[string]int{}
			touch := func(read, write string) {
				r.Look(read)
				r.Touch(write)
				if all {
					r.Touch("everything")
				}
				cells[write] = 3*cells[write] + cells[read] + 1
			}
			for i, path := range []string{"ab bc", "ba cd ab", "dc cc"} {
				r.Go(fmt.Sprint(i), func(ctx context.Context) {
					for _, p := range strings.Fields(path) {
						r.Step(ctx, p)
						touch(p[:1], p[1:])
					}
				})
			}
			r.Check(func() { seen[fmt.Sprint(cells)] = true })
		})
		return seen, report
	}
	every, slow := results(true)
	some, fast := results(false)
	if !maps.Equal(every, some) {
		t.Errorf("all orders have the results %v, and the ones that were run %v", every, some)
	}
	if fast.Runs >= slow.Runs || slow.Runs != 210 { // 7!/(2!3!2!)
		t.Errorf("%d of %d orders were run", fast.Runs, slow.Runs)
	}
}

func TestFindsALostUpdate(t *testing.T) {
	report := explore(t, interleave.Options{}, func(r *interleave.Run) {
		count := 0
		for _, name := range []string{"first", "second"} {
			r.Go(name, func(ctx context.Context) {
				r.Step(ctx, "read")
				r.Look("count")
				read := count
				r.Step(ctx, "write")
				r.Touch("count")
				count = read + 1
			})
		}
		r.Check(func() {
			if count != 2 {
				r.Failf("count is %d", count)
			}
		})
	})
	want := []string{"first: read", "second: read", "first: write", "second: write"}
	if report.Failure == nil || len(report.Failure.Steps) != len(want) {
		t.Fatalf("%+v", report)
	}
	if got := slices.Sorted(slices.Values(report.Failure.Steps[:2])); !slices.Equal(got, want[:2]) {
		t.Errorf("the first steps are %v", got)
	}
}

func TestFindsADeadlock(t *testing.T) {
	report := explore(t, interleave.Options{}, func(r *interleave.Run) {
		locks := map[string]chan bool{"a": make(chan bool, 1), "b": make(chan bool, 1)}
		for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
			r.Go("takes "+order[0]+" first", func(ctx context.Context) {
				for _, l := range order {
					r.Step(ctx, "take "+l)
					r.Touch(l)
					select {
					case locks[l] <- true:
					case <-ctx.Done():
						return
					}
				}
				r.Step(ctx, "give back")
				r.Touch("a")
				r.Touch("b")
				<-locks["a"]
				<-locks["b"]
			})
		}
	})
	if report.Failure == nil || !strings.Contains(report.Failure.Err.Error(), "nobody can go on") {
		t.Fatalf("%+v", report)
	}
}

func TestFaultsAndEvents(t *testing.T) {
	seen := map[string]bool{}
	report := explore(t, interleave.Options{}, func(r *interleave.Run) {
		r.Allow("fault", 1)
		fails := make([]bool, 2)
		at := make([]time.Duration, 2)
		start := time.Now()
		for i := range 2 {
			r.Go(fmt.Sprint(i), func(ctx context.Context) {
				fails[i] = r.StepOr(ctx, "step", "fault")
				at[i] = time.Since(start)
			})
		}
		r.Event("pause", func() bool { return true }, func() { time.Sleep(time.Second) })
		r.Check(func() { seen[fmt.Sprint(fails, at)] = true })
	})
	// No fault or one at either actor, and a pause before both, between them, or not.
	for _, want := range []string{
		"[false false] [0s 0s]", "[false false] [0s 1s]", "[false false] [1s 0s]", "[false false] [1s 1s]",
		"[true false] [0s 1s]", "[false true] [1s 1s]",
	} {
		if !seen[want] {
			t.Errorf("no order has %s", want)
		}
	}
	if len(seen) != 12 || !report.Exhausted {
		t.Errorf("%d results: %v, %+v", len(seen), seen, report)
	}
}

func TestNoticesAnUnsteadyScene(t *testing.T) {
	runs := 0
	report := explore(t, interleave.Options{}, func(r *interleave.Run) {
		runs++
		label := fmt.Sprint(runs)
		for _, name := range []string{"a", "b"} {
			r.Go(name, func(ctx context.Context) {
				r.Step(ctx, label)
				r.Touch("x")
			})
		}
	})
	if report.Failure == nil || !strings.Contains(report.Failure.Err.Error(), "not the same in every run") {
		t.Fatalf("%+v", report)
	}
}

func TestBoundsAndSamples(t *testing.T) {
	scene := func(r *interleave.Run) {
		for _, name := range []string{"a", "b", "c"} {
			r.Go(name, func(ctx context.Context) {
				for range 3 {
					r.Step(ctx, "step")
					r.Touch("x")
				}
			})
		}
	}
	if r := explore(t, interleave.Options{MaxRuns: 10}, scene); r.Exhausted || r.Runs != 10 {
		t.Errorf("of a bound of 10: %+v", r)
	}
	if r := explore(t, interleave.Options{Sample: 10}, scene); r.Exhausted || r.Runs != 10 {
		t.Errorf("of a sample of 10: %+v", r)
	}
}

// TestEndsWhatIsLeft lets an actor fail while others wait, which would be left in the bubble otherwise.
func TestEndsWhatIsLeft(t *testing.T) {
	ended := 0
	report := explore(t, interleave.Options{}, func(r *interleave.Run) {
		r.Go("fails", func(ctx context.Context) {
			r.Step(ctx, "fail")
			r.Failf("wrapped: %w", context.Canceled)
		})
		r.Go("waits", func(ctx context.Context) { <-ctx.Done() })
		r.Go("steps", func(ctx context.Context) { r.Step(ctx, "step") })
		r.End(func() { ended++ })
	})
	if report.Failure == nil || !errors.Is(report.Failure.Err, context.Canceled) || ended != 1 {
		t.Fatalf("%+v, ended %d times", report, ended)
	}
}
