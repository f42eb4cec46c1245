package strategies_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

type closing interface {
	Close(ctx context.Context) error
}

var (
	_ tarn.Guarded[string, int]    = (*strategies.ReadThroughCache[string, int])(nil)
	_ tarn.Guarded[string, int]    = (*strategies.LookAsideCache[string, int])(nil)
	_ tarn.Cache[string, int]      = (*strategies.WriteThroughCache[string, int])(nil)
	_ tarn.Cache[string, int]      = (*strategies.WriteAroundCache[string, int])(nil)
	_ tarn.Cache[string, int]      = (*strategies.WriteBackCache[string, int])(nil)
	_ tarn.BatchCache[string, int] = (*strategies.ReadThroughCache[string, int])(nil)
	_ tarn.BatchCache[string, int] = (*strategies.LookAsideCache[string, int])(nil)
	_ tarn.BatchCache[string, int] = (*strategies.WriteThroughCache[string, int])(nil)
	_ tarn.BatchCache[string, int] = (*strategies.WriteAroundCache[string, int])(nil)
	_ tarn.BatchCache[string, int] = (*strategies.WriteBackCache[string, int])(nil)
	_ closing                      = (*strategies.ReadThroughCache[string, int])(nil)
	_ closing                      = (*strategies.LookAsideCache[string, int])(nil)
	_ closing                      = (*strategies.WriteThroughCache[string, int])(nil)
	_ closing                      = (*strategies.WriteAroundCache[string, int])(nil)
	_ closing                      = (*strategies.WriteBackCache[string, int])(nil)
)

// A write strategy cannot go inside another, which would write past it: it is not Guarded, so that it does not
// compile.
func TestWriteStrategiesAreNotGuarded(t *testing.T) {
	for _, c := range []any{
		(*strategies.WriteThroughCache[string, int])(nil),
		(*strategies.WriteAroundCache[string, int])(nil),
		(*strategies.WriteBackCache[string, int])(nil),
	} {
		_, guarded := c.(tarn.Guarded[string, int])
		require.False(t, guarded, "%T", c)
		_, holds := c.(interface {
			Hold(context.Context, []string) (tarn.Hold[int], error)
		})
		require.False(t, holds, "%T", c)
	}
}

// decorated is an application's own cache around another, which passes holds on and knows no batches.
type decorated struct{ inner tarn.Guarded[string, int] }

func (d decorated) Get(ctx context.Context, key string) (int, error) { return d.inner.Get(ctx, key) }

func (d decorated) Set(ctx context.Context, key string, v int) error { return d.inner.Set(ctx, key, v) }

func (d decorated) Delete(ctx context.Context, key string) error { return d.inner.Delete(ctx, key) }

func (d decorated) Hold(ctx context.Context, keys []string) (tarn.Hold[int], error) {
	return d.inner.Hold(ctx, keys)
}

func TestDecoratorBetweenStrategies(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newTable(map[string]int{"a": 1, "b": 2})
		c := strategies.WriteThrough(decorated{strategies.ReadThrough(store, src.source)}, src)
		require.NoError(t, c.Set(t.Context(), "a", 5))
		require.Equal(t, []tarn.Result[int]{{Value: 5}, {Value: 2}, {Err: tarn.ErrNotFound}},
			getMany(t, t.Context(), c, "a", "b", "none"))
		require.Error(t, c.GetMany(t.Context(), []string{"a"}, nil))
		require.NoError(t, c.Close(t.Context()), "what cannot be closed need not be")

		aside := strategies.LookAside(store)
		around := strategies.WriteAround(aside, src)
		require.NoError(t, around.Set(t.Context(), "a", 6))
		require.Equal(t, tarn.ErrNotFound, (<-asked(t.Context(), around, "a")).err, "around look-aside, reads are look-aside's")
	})
}
