package source_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
	"github.com/tarncache/tarn/source"
	"github.com/tarncache/tarn/ttl"
)

// everything is a Loader that is all that a Loader can be, and something more.
type everything struct{ *rows }

func (everything) LoadEntry(_ context.Context, key string) (tarn.Loaded[int], error) {
	if key == "" {
		return tarn.Loaded[int]{Policy: &ttl.Policy{Negative: time.Second}}, tarn.ErrNotFound
	}
	return tarn.Loaded[int]{Value: 7, Policy: &ttl.Policy{Fresh: time.Minute}, Tags: []string{"t"}}, nil
}

func (everything) Ping() string { return "pong" }

type pinger interface{ Ping() string }

func TestOffersWhatTheLoaderOffers(t *testing.T) {
	all := everything{&rows{Loader: newTable(nil)}}
	l := source.New[string, int](all, source.Config{})
	for name, l := range map[string]tarn.Loader[string, int]{
		"a loader": l, "one in another": source.New(l, source.Config{}),
	} {
		entry, ok := tarn.As[tarn.EntryLoader[string, int]](l)
		require.True(t, ok, name)
		got, err := entry.LoadEntry(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, tarn.Loaded[int]{Value: 7, Policy: &ttl.Policy{Fresh: time.Minute}, Tags: []string{"t"}}, got)
		got, err = entry.LoadEntry(t.Context(), "")
		require.ErrorIs(t, err, tarn.ErrNotFound)
		require.Equal(t, &ttl.Policy{Negative: time.Second}, got.Policy, "how long the absence is remembered")
		_, ok = tarn.As[tarn.BatchLoader[string, int]](l)
		require.True(t, ok, name)
		p, ok := tarn.As[pinger](l)
		require.True(t, ok && p.Ping() == "pong", name)
		_, ok = tarn.As[tarn.Loader[string, int]](l)
		require.True(t, ok, name)
	}
	require.Equal(t, uint64(4), l.Stats().Calls)

	bare := source.New(newTable(nil), source.Config{})
	_, many := tarn.As[tarn.BatchLoader[string, int]](bare)
	_, entry := tarn.As[tarn.EntryLoader[string, int]](bare)
	_, ping := tarn.As[pinger](bare)
	require.False(t, many || entry || ping, "it offers what the loader lacks")
}

// What is offered is behind the gate.
func TestEntriesAndBatchesAreShed(t *testing.T) {
	l := source.New[string, int](everything{&rows{Loader: newTable(nil)}}, source.Config{
		Rate: source.Rate{PerSecond: 1e-3, Burst: 1},
	})
	require.NoError(t, load(t, l))
	entry, _ := tarn.As[tarn.EntryLoader[string, int]](l)
	_, err := entry.LoadEntry(t.Context(), "a")
	shedBy(t, err, source.ByRate)
	_, err = loadMany(t, l, "a")
	shedBy(t, err, source.ByRate)
	require.Contains(t, err.Error(), "tarn: load shed: the rate is reached; try again after ")
}

func TestStatsAreNumbers(t *testing.T) {
	s := newTable(nil)
	l := source.New(s, source.Config{Breaker: source.Breaker{Pause: time.Hour, MaxPause: time.Hour}})
	open(t, s, l)
	_ = load(t, l)
	got := make(map[string]observe.Stat)
	for _, stat := range observe.StatsOf(l).Stats() {
		require.Equal(t, "source", stat.Of)
		require.NotContains(t, stat.Help, "Stats.", "observe describes it")
		got[stat.Name] = stat
	}
	require.Equal(t, 1.0, got["shed_by_breaker"].Value)
	require.Equal(t, 5.0, got["failures"].Value)
	require.True(t, got["failures"].Count)
	require.Equal(t, 2.0, got["state"].Value)
	require.False(t, got["state"].Count, "it goes up and down")
}

func TestConfigsThatMakeNoSense(t *testing.T) {
	const hour = time.Hour
	for says, c := range map[string]source.Config{
		"Breaker.Failures is negative":                   {Breaker: source.Breaker{Failures: -1}},
		"Breaker.Slow is negative":                       {Breaker: source.Breaker{Slow: -1}},
		"Breaker.Pause is negative":                      {Breaker: source.Breaker{Pause: -1}},
		"Breaker.MaxPause is negative":                   {Breaker: source.Breaker{MaxPause: -1}},
		"Breaker.Probes is negative":                     {Breaker: source.Breaker{Probes: -1}},
		"Breaker.Pause is above MaxPause":                {Breaker: source.Breaker{Pause: hour, MaxPause: 1}},
		"Breaker.Off, and yet":                           {Breaker: source.Breaker{Off: true, Slow: 1}},
		"Retry.Max is negative":                          {Retry: source.Retry{Max: -1}},
		"Retry.Share is not between":                     {Retry: source.Retry{Max: 1, Share: 1.1}},
		"Config.Retry.Share is not between 0 and 1":      {Retry: source.Retry{Max: 1, Share: math.NaN()}},
		"Retry.Reserve is negative":                      {Retry: source.Retry{Max: 1, Reserve: -1}},
		"Retry.MinBackoff is negative":                   {Retry: source.Retry{Max: 1, MinBackoff: -1}},
		"Retry.MaxBackoff is negative":                   {Retry: source.Retry{Max: 1, MaxBackoff: -1}},
		"Retry.MinBackoff is above MaxBackoff":           {Retry: source.Retry{Max: 1, MinBackoff: 2, MaxBackoff: 1}},
		"Retry.Max is zero, and yet other fields":        {Retry: source.Retry{Share: 0.1}},
		"Rate.PerSecond is negative":                     {Rate: source.Rate{PerSecond: -1}},
		"Config.Rate.PerSecond is negative":              {Rate: source.Rate{PerSecond: math.NaN()}},
		"Rate.PerSecond is negative, or no number":       {Rate: source.Rate{PerSecond: math.Inf(1)}},
		"Rate.Burst is negative":                         {Rate: source.Rate{PerSecond: 1, Burst: -1}},
		"Rate.Wait is negative":                          {Rate: source.Rate{PerSecond: 1, Wait: -1}},
		"Rate.PerSecond is zero, and yet":                {Rate: source.Rate{Burst: 1}},
		"Rate.PerSecond is zero, and yet other fields o": {Rate: source.Rate{Wait: 1}},
	} {
		panics(t, says, func() { source.NewGate(c) })
	}
	panics(t, "source: New: inner is nil", func() { source.New[string, int](nil, source.Config{}) })
	panics(t, "source: New: inner is nil", func() { source.New((*table)(nil), source.Config{}) })
	panics(t, "source: Behind: gate is nil", func() { source.Behind(nil, newTable(nil)) })
	panics(t, "source: Behind: inner is nil", func() { source.Behind[string, int](source.NewGate(source.Config{}), nil) })
}

func panics(t *testing.T, says string, f func()) {
	t.Run(says, func(t *testing.T) {
		defer func() {
			said, _ := recover().(string)
			require.True(t, strings.Contains(said, says), "it panics with %q", said)
		}()
		f()
	})
}

// What was left out fits what was not.
func TestDefaults(t *testing.T) {
	for _, c := range []source.Config{
		{},
		{Breaker: source.Breaker{Pause: time.Hour}},
		{Breaker: source.Breaker{MaxPause: time.Millisecond}},
		{Retry: source.Retry{Max: 1, MinBackoff: time.Hour}},
		{Retry: source.Retry{Max: 1, MaxBackoff: time.Microsecond}},
		{Retry: source.Retry{Max: math.MaxInt, MinBackoff: math.MaxInt64, MaxBackoff: math.MaxInt64}},
		{Breaker: source.Breaker{Off: true}},
		{Breaker: source.Breaker{
			Failures: math.MaxInt, Probes: math.MaxInt, Slow: math.MaxInt64, Pause: math.MaxInt64, MaxPause: math.MaxInt64,
		}},
		{Rate: source.Rate{PerSecond: 0.001}},
		{Rate: source.Rate{PerSecond: math.MaxFloat64, Wait: math.MaxInt64}},
		{Rate: source.Rate{PerSecond: math.SmallestNonzeroFloat64, Wait: math.MaxInt64}},
	} {
		s := newTable(nil)
		l := source.New(s, c)
		require.NoError(t, load(t, l), "%+v", c)
	}
}
