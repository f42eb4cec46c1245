package prometheus_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
	tarnprometheus "github.com/tarncache/tarn/observe/prometheus"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

// cached is a read-through and a write-back cache with their metrics, of a source that has no key above 100.
func cached(t *testing.T, name string) (*tarnprometheus.Metrics, *strategies.WriteBackCache[int, string]) {
	t.Helper()
	store := memory.New(memory.Options[int, string]{MaxEntries: 10})
	t.Cleanup(func() { _ = store.Close() })
	m := tarnprometheus.New(name, tarnprometheus.Options{})
	load := tarn.LoadFunc(func(_ context.Context, key int) (string, error) {
		if key > 100 {
			return "", errors.New("no such shelf")
		}
		return "book", nil
	})
	save := tarn.WriteFuncs(func(context.Context, int, string) error { return nil },
		func(context.Context, int) error { return nil })
	told := strategies.WithObserver(m)
	cache, err := strategies.WriteBack(strategies.ReadThrough(store, load, told), save,
		strategies.WriteBackConfig[int, string]{MaxDelay: time.Hour}, told)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close(context.Background()) })
	return m.Watch(observe.StatsOf(store), observe.StatsOf(cache)), cache
}

func TestMetricsOfACache(t *testing.T) {
	m, cache := cached(t, "books")
	registry := prometheus.NewPedanticRegistry()
	if err := m.Register(registry); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, _ = cache.Get(ctx, 1)   // a miss and a load
	_, _ = cache.Get(ctx, 1)   // a hit
	_, _ = cache.Get(ctx, 101) // a miss and a failure
	if err := cache.Set(ctx, 2, "new"); err != nil {
		t.Fatal(err)
	}
	text := `
# HELP tarn_cache_hits_total Reads answered from the cache.
# TYPE tarn_cache_hits_total counter
tarn_cache_hits_total{cache="books",kind="fresh"} 1
tarn_cache_hits_total{cache="books",kind="negative"} 0
tarn_cache_hits_total{cache="books",kind="rescued"} 0
tarn_cache_hits_total{cache="books",kind="stale"} 0
# HELP tarn_cache_loads_total Keys that the source was asked for.
# TYPE tarn_cache_loads_total counter
tarn_cache_loads_total{cache="books",outcome="error"} 1
tarn_cache_loads_total{cache="books",outcome="success"} 1
# HELP tarn_cache_misses_total Reads that found nothing in the cache to serve at once; one that is served an old value after its load failed is a rescued hit too.
# TYPE tarn_cache_misses_total counter
tarn_cache_misses_total{cache="books"} 2
# HELP tarn_memory_bound What the weight may be at most.
# TYPE tarn_memory_bound gauge
tarn_memory_bound{cache="books"} 10
# HELP tarn_write_back_pending Keys that are not at the source yet.
# TYPE tarn_write_back_pending gauge
tarn_write_back_pending{cache="books"} 1
# HELP tarn_write_back_flushed_total Writes that reached the source in the background.
# TYPE tarn_write_back_flushed_total counter
tarn_write_back_flushed_total{cache="books"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(text), "tarn_cache_hits_total",
		"tarn_cache_loads_total", "tarn_cache_misses_total", "tarn_memory_bound", "tarn_write_back_pending",
		"tarn_write_back_flushed_total"); err != nil {
		t.Error(err)
	}
	if n := count(t, registry, "tarn_cache_load_duration_seconds", "outcome", "error"); n != 1 {
		t.Errorf("%d failed loads were timed", n)
	}
	if err := cache.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if n := count(t, registry, "tarn_cache_write_duration_seconds", "outcome", "success"); n != 1 {
		t.Errorf("%d flushes were timed", n)
	}
	if _, err := testutil.GatherAndCount(registry, "tarn_write_back_oldest_pending_seconds"); err != nil {
		t.Error(err)
	}
}

// Each kind of event that there is, as its words tell, is shown from the first scrape on, under a name that the package's
// documentation has.
func TestEveryKindIsShown(t *testing.T) {
	documented, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	for kind := tarn.EventKind(1); kind.String() != tarn.EventKind(0).String(); kind++ {
		m := tarnprometheus.New("books", tarnprometheus.Options{})
		registry := prometheus.NewPedanticRegistry()
		if err := m.Register(registry); err != nil {
			t.Fatal(err)
		}
		before := totals(t, registry)
		m.Observe(t.Context(), tarn.Event{Kind: kind, N: 3})
		changed := 0
		for series, total := range totals(t, registry) {
			had, ok := before[series]
			if total == had {
				continue
			}
			changed++
			if !ok || total != had+3 {
				t.Errorf("%v: %s was %v and is %v", kind, series, had, total)
			}
			name, value, _ := strings.Cut(series, " ")
			if !strings.Contains(string(documented), "//\t"+name) {
				t.Errorf("%v: the package's documentation does not have %s", kind, name)
			}
			if name == "tarn_cache_hits_total" && !strings.Contains(string(documented), strconv.Quote(value)) {
				t.Errorf("%v: the package's documentation does not have the kind %q", kind, value)
			}
		}
		if changed != 1 {
			t.Errorf("%v is shown as %d series", kind, changed)
		}
	}
}

// totals returns the counters by their names, each with a space and the value of its label.
func totals(t *testing.T, from prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if metric.GetCounter() == nil {
				continue
			}
			value := ""
			for _, label := range metric.GetLabel() {
				if label.GetName() != "cache" {
					value = label.GetValue()
				}
			}
			found[family.GetName()+" "+value] = metric.GetCounter().GetValue()
		}
	}
	return found
}

// count returns how many observations a histogram has, of one value of a label.
func count(t *testing.T, from prometheus.Gatherer, name, label, value string) uint64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, l := range metric.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					return metric.GetHistogram().GetSampleCount()
				}
			}
		}
	}
	t.Fatalf("there is no %s{%s=%q}", name, label, value)
	return 0
}

// All names and descriptions, those of Stats included, are as Prometheus wants them.
func TestNamesFollowTheRules(t *testing.T) {
	m, _ := cached(t, "books")
	problems, err := testutil.CollectAndLint(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for name, want := range map[string]int{
		"tarn_write_back_oldest_pending_seconds": 1, "tarn_write_back_pending_bytes": 1, "tarn_memory_evictions_total": 1,
		"tarn_cache_events_total": 8,
	} {
		if n := testutil.CollectAndCount(m, name); n < want {
			t.Errorf("%d of %s, want %d", n, name, want)
		}
	}
}

func TestTwoCachesInOneRegistry(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	books, first := cached(t, "books")
	shelves, _ := cached(t, "shelves")
	for _, m := range []*tarnprometheus.Metrics{books, shelves} {
		if err := m.Register(registry); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = first.Get(t.Context(), 1)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP tarn_cache_misses_total Reads that found nothing in the cache to serve at once; one that is served an old value after its load failed is a rescued hit too.
# TYPE tarn_cache_misses_total counter
tarn_cache_misses_total{cache="books"} 1
tarn_cache_misses_total{cache="shelves"} 0
`), "tarn_cache_misses_total"); err != nil {
		t.Error(err)
	}

	again, _ := cached(t, "books")
	err := again.Register(registry)
	if already := (prometheus.AlreadyRegisteredError{}); !errors.As(err, &already) ||
		!strings.Contains(err.Error(), `a cache named "books" are registered already`) {
		t.Errorf("the second of a name: %v", err)
	}
	other := tarnprometheus.New("books", tarnprometheus.Options{}) // which has other metrics, and some of the same
	if err := other.Register(registry); err == nil || !strings.Contains(err.Error(), `of cache "books"`) {
		t.Errorf("another one of a name: %v", err)
	}
}

func TestProgrammersMistakes(t *testing.T) {
	store := memory.New(memory.Options[int, string]{MaxEntries: 10})
	defer store.Close()
	tests := []struct {
		rule, says string
		do         func()
	}{
		{"a cache has a name", "New: name is empty", func() { tarnprometheus.New("", tarnprometheus.Options{}) }},
		{"buckets ascend", "Options.Buckets do not ascend",
			func() { tarnprometheus.New("books", tarnprometheus.Options{Buckets: []float64{1, 1}}) }},
		{"a source is one", "a source is nil", func() { tarnprometheus.New("books", tarnprometheus.Options{}).Watch(nil) }},
		{"sources are told apart", `a source named "memory" already`, func() {
			tarnprometheus.New("books", tarnprometheus.Options{}).Watch(observe.StatsOf(store), observe.StatsOf(store))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			defer func() {
				if said, _ := recover().(string); !strings.Contains(said, tt.says) || !strings.HasPrefix(said, "prometheus: ") {
					t.Errorf("panicked with %q", said)
				}
			}()
			tt.do()
		})
	}
}

// growing is a source that does not keep its word.
type growing struct{ names []string }

func (g *growing) Stats() (stats []observe.Stat) {
	for _, name := range g.names {
		stats = append(stats, observe.Stat{Of: "garden", Name: name, Help: "Plants."})
	}
	return stats
}

func TestASourceThatGrowsBreaksNothing(t *testing.T) {
	g := &growing{names: []string{"roses"}}
	registry := prometheus.NewPedanticRegistry()
	if err := tarnprometheus.New("garden", tarnprometheus.Options{}).Watch(g).Register(registry); err != nil {
		t.Fatal(err)
	}
	g.names = append(g.names, "weeds")
	if n, err := testutil.GatherAndCount(registry, "tarn_garden_roses", "tarn_garden_weeds"); n != 1 || err != nil {
		t.Errorf("%d metrics of the garden: %v", n, err)
	}
}

func TestScrapedWhileItCounts(t *testing.T) {
	m, cache := cached(t, "books")
	registry := prometheus.NewPedanticRegistry()
	if err := m.Register(registry); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 200 {
				_, _ = cache.Get(context.Background(), i%20)
			}
		})
	}
	for range 10 {
		if _, err := registry.Gather(); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}

func TestBeingToldOfAHitAllocatesNothing(t *testing.T) {
	m := tarnprometheus.New("books", tarnprometheus.Options{})
	for _, kind := range []tarn.EventKind{tarn.EventHit, tarn.EventMiss, tarn.EventLoaded, tarn.EventStoreFailed} {
		event := tarn.Event{Kind: kind, N: 1, Duration: time.Millisecond}
		if n := testing.AllocsPerRun(100, func() { m.Observe(t.Context(), event) }); n != 0 {
			t.Errorf("%v: %v allocations", kind, n)
		}
	}
}
