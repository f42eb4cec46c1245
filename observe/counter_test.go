package observe_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

// values returns the numbers by their names, as in "cache.loads.error".
func values(sources ...observe.Source) map[string]float64 {
	found := make(map[string]float64)
	for _, source := range sources {
		for _, s := range source.Stats() {
			name := s.Of + "." + s.Name
			if s.Label != "" {
				name += "." + s.LabelValue
			}
			found[name] = s.Value
		}
	}
	return found
}

func TestCounterCountsKeys(t *testing.T) {
	tests := []struct {
		rule  string
		event tarn.Event
		name  string
		n     float64
	}{
		{"a hit", tarn.Event{Kind: tarn.EventHit, N: 1}, "cache.hits.fresh", 1},
		{"an absence is a hit too", tarn.Event{Kind: tarn.EventNegativeHit, N: 1}, "cache.hits.negative", 1},
		{"and what is stale", tarn.Event{Kind: tarn.EventStaleHit, N: 1}, "cache.hits.stale", 1},
		{"and what is served for want of a source", tarn.Event{Kind: tarn.EventRescued, N: 1}, "cache.hits.rescued", 1},
		{"a miss", tarn.Event{Kind: tarn.EventMiss, N: 1}, "cache.misses", 1},
		{"a batch counts its keys", tarn.Event{Kind: tarn.EventLoaded, N: 7}, "cache.loads.success", 7},
		{"an event that says no number concerns one", tarn.Event{Kind: tarn.EventLoadFailed}, "cache.loads.error", 1},
		{"a write", tarn.Event{Kind: tarn.EventWritten, N: 2}, "cache.writes.success", 2},
		{"a flush is writes", tarn.Event{Kind: tarn.EventFlushed, N: 3}, "cache.writes.success", 3},
		{"a write that failed", tarn.Event{Kind: tarn.EventWriteFailed, N: 1}, "cache.writes.error", 1},
		{"an eviction", tarn.Event{Kind: tarn.EventEvicted, N: 4}, "cache.removals.evicted", 4},
		{"an expiry", tarn.Event{Kind: tarn.EventExpired, N: 4}, "cache.removals.expired", 4},
		{"what else there is goes by its words", tarn.Event{Kind: tarn.EventDeadLettered, N: 1}, "cache.events.dead_lettered", 1},
		{"a kind of no name", tarn.Event{Kind: 63, N: 1}, "cache.events.unknown_event", 1},
		{"a kind that has no place", tarn.Event{Kind: 255, N: 1}, "cache.events.unknown_event", 1},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			c := observe.NewCounter()
			before := values(c)
			c.Observe(t.Context(), tt.event)
			after := values(c)
			require.Zero(t, before[tt.name])
			require.Equal(t, tt.n, after[tt.name])
			for name, value := range after {
				if name != tt.name {
					require.Zero(t, value, name)
				}
			}
		})
	}
}

// Every kind that has words has a number of its own, from the first look on.
func TestCounterHasEveryKind(t *testing.T) {
	for kind := tarn.EventKind(1); kind.String() != tarn.EventKind(0).String(); kind++ {
		c := observe.NewCounter()
		names := len(values(c))
		c.Observe(t.Context(), tarn.Event{Kind: kind, N: 5})
		require.EqualValues(t, 5, c.Total(kind), "%v", kind)
		now := values(c)
		require.Len(t, now, names, "%v", kind)
		sum := 0.0
		for _, value := range now {
			sum += value
		}
		require.EqualValues(t, 5, sum, "%v", kind)
	}
}

func TestCounterLosesNothing(t *testing.T) {
	c := observe.NewCounter()
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 2000 {
				c.Observe(t.Context(), tarn.Event{Kind: tarn.EventHit, N: 1})
				c.Observe(t.Context(), tarn.Event{Kind: tarn.EventEvicted, N: 2})
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 128_000, c.Total(tarn.EventHit))
	require.EqualValues(t, 256_000, c.Total(tarn.EventEvicted))
}

func TestMultiTellsAll(t *testing.T) {
	var told []string
	note := func(name string) tarn.Observer {
		return tarn.ObserverFunc(func(_ context.Context, e tarn.Event) { told = append(told, name+" "+e.Kind.String()) })
	}
	observe.Multi(note("first"), note("second")).Observe(t.Context(), tarn.Event{Kind: tarn.EventMiss, N: 1})
	require.Equal(t, []string{"first miss", "second miss"}, told)
	require.PanicsWithValue(t, "observe: Multi: observer 1 is nil", func() { observe.Multi(note("first"), nil) })
}

// What a hit allocates with a Counter beside it, or with all there is here.
func TestObservedHitsAllocateNothing(t *testing.T) {
	if racing {
		t.Skip("allocations are counted without the race detector")
	}
	ctx := t.Context()
	counter := observe.NewCounter()
	store := memory.New(memory.Options[string, [6]int]{MaxEntries: 10})
	defer store.Close()
	load := tarn.LoadFunc(func(context.Context, string) ([6]int, error) { return [6]int{}, nil })
	cache := strategies.ReadThrough(store, load, strategies.WithObserver(
		observe.Multi(counter, observe.Log(nowhere(), observe.LogOptions{}))))
	_, err := cache.Get(ctx, "key")
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(200, func() {
		if _, err := cache.Get(ctx, "key"); err != nil {
			t.Error(err)
		}
	}))
	require.EqualValues(t, 201, counter.Total(tarn.EventHit))
	require.Zero(t, testing.AllocsPerRun(200, func() {
		counter.Observe(ctx, tarn.Event{Kind: tarn.EventStoreFailed, N: 1, Err: errors.ErrUnsupported})
	}))
}
