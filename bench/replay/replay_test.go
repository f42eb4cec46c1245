package replay_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tarncache/tarn/bench/replay"
	"github.com/tarncache/tarn/bench/trace"
)

func traced(keys []uint64, capacities ...int) []replay.Traced {
	return []replay.Traced{{Source: trace.Of("mine", keys...), Capacities: capacities}}
}

func TestCounts(t *testing.T) {
	keys := []uint64{1, 2, 1, 3, 1, 2}
	for _, row := range []struct {
		rule     string
		capacity int
		lru, opt int64
	}{
		{"a miss puts the key into the cache, and may turn another out", 2, 2, 3},
		{"one entry is asked for no key twice in a row", 1, 0, 2},
		{"each key misses once if all fit", 3, 3, 3},
		{"room for more changes nothing", 100, 3, 3},
	} {
		rows, err := replay.Plan{
			Traces: traced(keys, row.capacity), Caches: []string{"lru"}, Optimum: true, Hold: 100,
		}.Run()
		if err != nil || len(rows) != 1 || len(rows[0].Cells) != 1 {
			t.Fatalf("%s: %+v, %v", row.rule, rows, err)
		}
		r, c := rows[0], rows[0].Cells[0]
		if c.Hits != row.lru || r.Optimum != row.opt || r.Requests != 6 || r.Keys != 3 || c.Held != min(3, row.capacity) {
			t.Errorf("%s: %+v", row.rule, r)
		}
	}
}

// A cache that works on another goroutine must have the key of a miss when it is asked for again.
func TestEveryCacheHasWhatFits(t *testing.T) {
	const different, requests = 200, 5000
	random := rand.New(rand.NewPCG(1, 1))
	keys := make([]uint64, requests)
	for i := range keys {
		keys[i] = random.Uint64N(different)
	}
	rows, err := replay.Plan{
		Traces: traced(keys, 10*different), Caches: replay.DefaultCaches(), Optimum: true, Hold: requests,
	}.Run()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range rows[0].Cells {
		if c.Cache != replay.DefaultCaches()[i] || c.Hits != requests-different || rows[0].Optimum != c.Hits {
			t.Errorf("%+v; the optimum is %d", c, rows[0].Optimum)
		}
	}
}

// Of caches of one goroutine a replay finds the same each time, however the trace is read.
func TestHoldAndRuns(t *testing.T) {
	plan := replay.Plan{Caches: []string{"lru", "s3fifo"}, Optimum: true}
	for _, s := range trace.Synthetic(5000, 1) {
		plan.Traces = append(plan.Traces, replay.Traced{Source: s, Capacities: []int{100, 1000}})
	}
	var first []replay.Row
	for _, hold := range []int64{0, 1 << 20} {
		for _, runs := range []int{0, 3} {
			plan.Hold, plan.Runs = hold, runs
			rows, err := plan.Run()
			if err != nil || len(rows) != 8 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			if first == nil {
				first = rows
			}
			for i, r := range rows {
				if !slices.Equal(r.Cells, first[i].Cells) || r.Optimum != first[i].Optimum {
					t.Errorf("hold %d, runs %d: %+v, and before %+v", hold, runs, r, first[i])
				}
				for _, c := range r.Cells {
					if c.Least != c.Hits || c.Most != c.Hits || c.Hits > r.Optimum {
						t.Errorf("%s: %+v; the optimum is %d", r.Trace, c, r.Optimum)
					}
				}
			}
		}
	}
}

func TestRunsThatDiffer(t *testing.T) {
	rows, err := replay.Plan{
		Traces: []replay.Traced{{Source: trace.Synthetic(5000, 1)[0], Capacities: []int{100}}},
		Caches: []string{"sturdyc"}, Runs: 20, Hold: 5000, // whose shards chance fills
	}.Run()
	if err != nil {
		t.Fatal(err)
	}
	c := rows[0].Cells[0]
	if c.Least >= c.Hits || c.Hits >= c.Most || c.Most > 5000 {
		t.Errorf("%+v", c)
	}
}

func TestProgress(t *testing.T) {
	var seen []replay.Progress
	_, err := replay.Plan{
		Traces:   append(traced([]uint64{1, 2, 1}, 1, 2), traced([]uint64{1}, 1)...),
		Caches:   []string{"lru", "arc"},
		Runs:     2,
		Hold:     100,
		Progress: func(p replay.Progress) { seen = append(seen, p) },
	}.Run()
	if err != nil {
		t.Fatal(err)
	}
	var want []replay.Progress
	want = append(want, replay.Progress{Trace: "mine"})
	for done := range int64(8) { // two capacities, two caches, two runs
		want = append(want, replay.Progress{Trace: "mine", Done: 3 * (done + 1), Total: 24})
	}
	want = append(want, replay.Progress{Trace: "mine"})
	for done := range int64(4) {
		want = append(want, replay.Progress{Trace: "mine", Done: done + 1, Total: 4})
	}
	if !slices.Equal(seen, want) {
		t.Errorf("%v, want %v", seen, want)
	}
}

// growing is a source that is one request longer each time it is read.
type growing struct {
	trace.Source
	requests *int64
}

func (g growing) Open() (trace.Reader, error) {
	*g.requests++
	return trace.Synthetic(*g.requests, 1)[0].Open()
}

type failing struct{ trace.Source }

var errFailing = errors.New("failing")

func (failing) Open() (trace.Reader, error) { return nil, errFailing }

func TestErrors(t *testing.T) {
	one := trace.Of("mine", 1)
	for _, row := range []struct {
		rule string
		plan replay.Plan
		want string
	}{
		{"a cache that is not known, before anything is read",
			replay.Plan{Traces: []replay.Traced{{Source: failing{one}}}, Caches: []string{"lru", "none"}}, `"none"`},
		{"a capacity of nothing, before anything is read",
			replay.Plan{Traces: []replay.Traced{{Source: failing{one}, Capacities: []int{1, 0}}}}, "capacity of 0"},
		{"a capacity that a cache cannot have",
			replay.Plan{Traces: traced([]uint64{1}, 5), Caches: []string{"sturdyc"}}, "sturdyc at 5 entries"},
		{"a source that cannot be read",
			replay.Plan{Traces: []replay.Traced{{Source: failing{one}}}}, errFailing.Error()},
		{"a source that changes before the optimum",
			replay.Plan{Traces: []replay.Traced{{Source: growing{one, new(int64)}, Capacities: []int{1}}}, Optimum: true},
			"had 1 requests, and now has 2"},
		{"a source that changes before it is replayed",
			replay.Plan{Traces: []replay.Traced{{Source: growing{one, new(int64)}, Capacities: []int{1}}},
				Caches: []string{"lru"}},
			"had 1 requests, and now has 2"},
	} {
		rows, err := row.plan.Run()
		if err == nil || !strings.Contains(err.Error(), row.want) || rows != nil {
			t.Errorf("%s: %v, %v", row.rule, rows, err)
		}
	}
}
