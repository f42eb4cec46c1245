package otel_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
	tarnotel "github.com/tarncache/tarn/observe/otel"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

func TestMetricsOfACache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSDK(t)
		m, err := tarnotel.New("users", s.options())
		require.NoError(t, err)
		defer m.Close()
		store := memory.New(memory.Options[int, string]{MaxEntries: 10})
		defer store.Close()
		load := tarn.LoadFunc(func(_ context.Context, key int) (string, error) {
			time.Sleep(20 * time.Millisecond)
			if key > 100 {
				return "", errDown
			}
			return "Ada", nil
		})
		save := tarn.WriteFuncs(func(context.Context, int, string) error { time.Sleep(time.Second); return nil },
			func(context.Context, int) error { return nil })
		told := strategies.WithObserver(m)
		cache, err := strategies.WriteBack(strategies.ReadThrough(store, load, told), save,
			strategies.WriteBackConfig[int, string]{MaxDelay: time.Hour}, told)
		require.NoError(t, err)
		defer cache.Close(t.Context())
		require.NoError(t, m.Watch(observe.StatsOf(store), observe.StatsOf(cache)))

		ctx := t.Context()
		for range 3 {
			_, err := cache.Get(ctx, 1)
			require.NoError(t, err)
		}
		_, err = cache.Get(ctx, 101)
		require.ErrorIs(t, err, errDown)
		require.NoError(t, cache.Set(ctx, 2, "Grace"))
		time.Sleep(5 * time.Second)

		got := s.numbers(t)
		for name, want := range map[string]number{
			"tarn.cache.hits users fresh":            {2, 0, "{key}", "counter"},
			"tarn.cache.hits users stale":            {0, 0, "{key}", "counter"},
			"tarn.cache.misses users":                {2, 0, "{key}", "counter"},
			"tarn.cache.loads users success":         {1, 0, "{key}", "counter"},
			"tarn.cache.loads users error":           {1, 0, "{key}", "counter"},
			"tarn.cache.events users store_failed":   {0, 0, "{key}", "counter"},
			"tarn.cache.load.duration users success": {0.02, 1, "s", "histogram"},
			"tarn.cache.load.duration users error":   {0.02, 1, "s", "histogram"},
			"tarn.memory.bound users":                {10, 0, "1", "up and down"},
			"tarn.write_back.pending users":          {1, 0, "1", "up and down"},
			"tarn.write_back.oldest_pending users":   {5, 0, "s", "gauge"},
			"tarn.write_back.pending_bytes users":    {0, 0, "By", "up and down"},
		} {
			require.Contains(t, got, name)
			require.Equal(t, want, got[name], name)
		}
		require.NotContains(t, got, "tarn.cache.write.duration users success", "nothing was written yet")

		require.NoError(t, cache.Flush(ctx))
		require.Equal(t, number{1, 1, "s", "histogram"}, s.numbers(t)["tarn.cache.write.duration users success"])
		for name := range got {
			require.False(t, strings.Contains(name, "Ada") || strings.Contains(name, "Grace"), name)
		}
	})
}

// Each kind of event that there is, as its words tell, is handed over from the first look on, under a name that the
// package's documentation has.
func TestEveryKindIsShown(t *testing.T) {
	documented, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for kind := tarn.EventKind(1); kind.String() != tarn.EventKind(0).String(); kind++ {
		s := newSDK(t)
		m, err := tarnotel.New("users", s.options())
		require.NoError(t, err)
		before := s.numbers(t)
		m.Observe(t.Context(), tarn.Event{Kind: kind, N: 3})
		changed := 0
		for name, now := range s.numbers(t) {
			had, ok := before[name]
			if now.shape != "counter" || now.value == had.value {
				continue
			}
			changed++
			require.True(t, ok, "%v: %s", kind, name)
			require.Equal(t, had.value+3, now.value, "%v: %s", kind, name)
			metric, value, _ := strings.Cut(name, " users")
			line := regexp.MustCompile(`(?m)^//\t` + regexp.QuoteMeta(metric) + ` .*$`).Find(documented)
			require.NotEmpty(t, line, "%v: the package's documentation does not have %s", kind, metric)
			if metric == "tarn.cache.hits" {
				require.Contains(t, string(line), strings.TrimSpace(value), "%v: nor this kind of it", kind)
			}
		}
		require.Equal(t, 1, changed, "%v", kind)
		require.NoError(t, m.Close())
	}
}

func TestTwoCaches(t *testing.T) {
	s := newSDK(t)
	users, err := tarnotel.New("users", s.options())
	require.NoError(t, err)
	pages, err := tarnotel.New("pages", s.options())
	require.NoError(t, err)
	users.Observe(t.Context(), tarn.Event{Kind: tarn.EventMiss, N: 1})
	pages.Observe(t.Context(), tarn.Event{Kind: tarn.EventMiss, N: 2})
	got := s.numbers(t)
	require.Equal(t, 1.0, got["tarn.cache.misses users"].value)
	require.Equal(t, 2.0, got["tarn.cache.misses pages"].value)

	require.NoError(t, users.Close())
	got = s.numbers(t)
	require.NotContains(t, got, "tarn.cache.misses users", "of a cache that is gone")
	require.Contains(t, got, "tarn.cache.misses pages")
	require.NoError(t, users.Close(), "twice is harmless")
	require.ErrorIs(t, users.Watch(observe.NewCounter()), tarn.ErrClosed)
}

func TestSourcesAreToldApart(t *testing.T) {
	s := newSDK(t)
	m, err := tarnotel.New("users", s.options())
	require.NoError(t, err)
	store := memory.New(memory.Options[int, string]{MaxEntries: 10})
	defer store.Close()
	require.NoError(t, m.Watch(observe.StatsOf(store)))
	require.ErrorContains(t, m.Watch(observe.StatsOf(store)), `cache "users" has a source named "memory" already`)
	require.Equal(t, 10.0, s.numbers(t)["tarn.memory.bound users"].value, "the first one stays")
	require.PanicsWithValue(t, "otel: Watch: a source is nil", func() { _ = m.Watch(nil) })
	require.PanicsWithValue(t, "otel: New: name is empty", func() { _, _ = tarnotel.New("", s.options()) })
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
	var meters calling
	m, err := tarnotel.New("garden", tarnotel.Options{MeterProvider: &meters})
	require.NoError(t, err)
	g := &growing{names: []string{"roses"}}
	require.NoError(t, m.Watch(g))
	g.names = append(g.names, "weeds")
	handed := new(handing)
	require.NoError(t, meters.callback(t.Context(), handed))
	require.Len(t, handed.instruments, 1)
	require.NotNil(t, handed.instruments[0])
}

// calling is a provider and meter of nothing, that keeps the last callback.
type calling struct {
	noop.MeterProvider
	callback metric.Callback
}

func (c *calling) Meter(string, ...metric.MeterOption) metric.Meter { return callingMeter{to: c} }

type callingMeter struct {
	noop.Meter
	to *calling
}

func (m callingMeter) RegisterCallback(f metric.Callback, _ ...metric.Observable) (metric.Registration, error) {
	m.to.callback = f
	return noop.Registration{}, nil
}

// handing keeps the instruments that numbers are handed over for.
type handing struct {
	noop.Observer
	instruments []metric.Float64Observable
}

func (h *handing) ObserveFloat64(of metric.Float64Observable, _ float64, _ ...metric.ObserveOption) {
	h.instruments = append(h.instruments, of)
}

func TestBeingToldOfAHitAllocatesNothing(t *testing.T) {
	m, err := tarnotel.New("users", newSDK(t).options())
	require.NoError(t, err)
	for _, kind := range []tarn.EventKind{tarn.EventHit, tarn.EventMiss, tarn.EventStoreFailed} {
		event := tarn.Event{Kind: kind, N: 1, Err: errors.ErrUnsupported}
		require.Zero(t, testing.AllocsPerRun(100, func() { m.Observe(context.Background(), event) }), "%v", kind)
	}
}
