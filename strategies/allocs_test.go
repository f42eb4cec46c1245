package strategies_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// counter is an observer that allocates nothing.
type counter struct{ n int }

func (c *counter) Observe(context.Context, tarn.Event) { c.n++ }

func TestHitsAllocateNothing(t *testing.T) {
	t.Run("int64", func(t *testing.T) { hitsAllocateNothing(t, int64(42)) })
	t.Run("string", func(t *testing.T) { hitsAllocateNothing(t, "forty-two") })
}

// big does not fit in a word or two, so that boxing it would show.
type big [6]int

func hitsAllocateNothing[K comparable](t *testing.T, key K) {
	if racing {
		t.Skip("allocations are counted without the race detector")
	}
	for name, policy := range map[string]ttl.Policy{
		"no life":        {},
		"fresh":          {Fresh: time.Hour},
		"stale windows":  {Fresh: time.Hour, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour},
		"early refresh":  {Fresh: 1000 * time.Hour, EarlyRefresh: 1},
		"sliding":        {Sliding: time.Hour},
		"sliding capped": {Sliding: time.Hour, Fresh: 10 * time.Hour},
	} {
		hitsAllocateNothingWith(t, key, name, strategies.WithTTL(policy))
		if policy.Sliding == 0 {
			hitsAllocateNothingWith(t, key, name+", observed", strategies.WithTTL(policy), strategies.WithObserver(new(counter)))
		}
	}
}

func hitsAllocateNothingWith[K comparable](t *testing.T, key K, name string, opts ...strategies.ReadOption) {
	ctx := t.Context()
	store := memory.New(memory.Options[K, big]{MaxEntries: 1000})
	defer store.Close()
	load := tarn.LoadFunc(func(context.Context, K) (big, error) { return big{}, nil })
	save := tarn.WriteFuncs(func(context.Context, K, big) error { return nil }, func(context.Context, K) error { return nil })
	read := strategies.ReadThrough(store, load, opts...)
	aside := strategies.LookAside(store, opts...)
	back, err := strategies.WriteBack(strategies.ReadThrough(store, load, opts...), save, strategies.WriteBackConfig[K, big]{})
	require.NoError(t, err)
	defer back.Close(ctx)
	_, err = read.Get(ctx, key)
	require.NoError(t, err)
	for way, c := range map[string]tarn.Cache[K, big]{
		"read-through":  read,
		"look-aside":    aside,
		"write-through": strategies.WriteThrough(read, save),
		"write-around":  strategies.WriteAround(read, save),
		"write-back":    back,
	} {
		require.Zero(t, testing.AllocsPerRun(200, func() {
			if _, err := c.Get(ctx, key); err != nil {
				t.Error(err)
			}
		}), "%s, %s", way, name)
	}
	require.Zero(t, testing.AllocsPerRun(200, func() {
		if _, err := aside.Fetch(ctx, key, load); err != nil {
			t.Error(err)
		}
	}), "Fetch, %s", name)
}

// A batch of hits allocates one slice for the store's answers, however many keys it has.
func TestBatchOfHitsAllocatesOnce(t *testing.T) {
	if racing {
		t.Skip("allocations are counted without the race detector")
	}
	ctx := t.Context()
	store := memory.New(memory.Options[string, big]{MaxEntries: 1000})
	defer store.Close()
	keys, _ := numbered(100)
	c := strategies.ReadThrough(store, tarn.LoadFunc(func(context.Context, string) (big, error) { return big{}, nil }))
	into := make([]tarn.Result[big], len(keys))
	require.NoError(t, c.GetMany(ctx, keys, into))
	batch := testing.AllocsPerRun(100, func() {
		if err := c.GetMany(ctx, keys, into); err != nil {
			t.Error(err)
		}
	})
	require.LessOrEqual(t, batch, 1.0)
}
