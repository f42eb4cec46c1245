package tarn_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
)

var errBroken = errors.New("broken")

// mapCache is a Cache over a map, with no batches of its own. It fails for the keys in broken.
type mapCache[K comparable, V any] struct {
	values map[K]V
	broken map[K]error
	calls  []string
}

func newMapCache[K comparable, V any]() *mapCache[K, V] {
	return &mapCache[K, V]{values: map[K]V{}, broken: map[K]error{}}
}

func (c *mapCache[K, V]) Get(_ context.Context, key K) (V, error) {
	c.calls = append(c.calls, "Get")
	v, ok := c.values[key]
	if err := c.broken[key]; err != nil {
		return v, err
	}
	if !ok {
		return v, tarn.ErrNotFound
	}
	return v, nil
}

func (c *mapCache[K, V]) Set(_ context.Context, key K, value V) error {
	c.calls = append(c.calls, "Set")
	if err := c.broken[key]; err != nil {
		return err
	}
	c.values[key] = value
	return nil
}

func (c *mapCache[K, V]) Delete(_ context.Context, key K) error {
	c.calls = append(c.calls, "Delete")
	if err := c.broken[key]; err != nil {
		return err
	}
	delete(c.values, key)
	return nil
}

// manyCache is a mapCache with batches of its own. If whole is set, a batch fails with it.
type manyCache[K comparable, V any] struct {
	*mapCache[K, V]
	whole error
	calls []string
}

func newManyCache[K comparable, V any]() *manyCache[K, V] {
	return &manyCache[K, V]{mapCache: newMapCache[K, V]()}
}

func (c *manyCache[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Result[V]) error {
	c.calls = append(c.calls, "GetMany")
	for i, key := range keys {
		into[i].Value, into[i].Err = c.Get(ctx, key)
	}
	return c.whole
}

func (c *manyCache[K, V]) SetMany(ctx context.Context, keys []K, values []V) error {
	c.calls = append(c.calls, "SetMany")
	return c.each(keys, func(i int) error { return c.Set(ctx, keys[i], values[i]) })
}

func (c *manyCache[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	c.calls = append(c.calls, "DeleteMany")
	return c.each(keys, func(i int) error { return c.Delete(ctx, keys[i]) })
}

// each fails as stores do: with an IndexError, wrapped, only where something failed.
func (c *manyCache[K, V]) each(keys []K, do func(i int) error) error {
	if c.whole != nil {
		return c.whole
	}
	errs, failed := make(tarn.IndexError, len(keys)), false
	for i := range keys {
		errs[i] = do(i)
		failed = failed || errs[i] != nil
	}
	if failed {
		return fmt.Errorf("many: %w", errs)
	}
	return nil
}

// bothCaches runs a test on a cache without batches and on one with them: the answers are the same.
func bothCaches[K comparable, V any](t *testing.T, test func(t *testing.T, c tarn.Cache[K, V], m *mapCache[K, V])) {
	t.Run("one by one", func(t *testing.T) {
		c := newMapCache[K, V]()
		test(t, c, c)
	})
	t.Run("batch", func(t *testing.T) {
		c := newManyCache[K, V]()
		test(t, c, c.mapCache)
	})
	t.Run("wrapped batch", func(t *testing.T) {
		c := newManyCache[K, V]()
		test(t, wrapped[K, V]{c.mapCache, c}, c.mapCache)
	})
}

// wrapped is a Cache that has no batches, but knows who has.
type wrapped[K comparable, V any] struct {
	tarn.Cache[K, V]
	many tarn.BatchCache[K, V]
}

func (w wrapped[K, V]) As(target any) bool {
	if t, ok := target.(*tarn.BatchCache[K, V]); ok {
		*t = w.many
		return true
	}
	return false
}

func TestGetMany(t *testing.T) {
	bothCaches(t, func(t *testing.T, c tarn.Cache[string, int], m *mapCache[string, int]) {
		m.values = map[string]int{"a": 1, "b": 2, "zero": 0, "broken": 9}
		m.broken["broken"] = errBroken
		for _, tt := range []struct {
			rule   string
			keys   []string
			want   map[string]int
			failed []tarn.KeyError[string]
		}{
			{"no keys, no values", nil, map[string]int{}, nil},
			{"found", []string{"a", "b"}, map[string]int{"a": 1, "b": 2}, nil},
			{"a zero value is a value", []string{"zero"}, map[string]int{"zero": 0}, nil},
			{"what is not found is not in the map, and no error", []string{"a", "none"}, map[string]int{"a": 1}, nil},
			{"a key may come twice", []string{"a", "a", "none", "none"}, map[string]int{"a": 1}, nil},
			{"the others are there where one failed; its value is not", []string{"a", "broken", "b"},
				map[string]int{"a": 1, "b": 2}, []tarn.KeyError[string]{{"broken", errBroken}}},
			{"every failure is told", []string{"broken", "broken"},
				map[string]int{}, []tarn.KeyError[string]{{"broken", errBroken}, {"broken", errBroken}}},
		} {
			got, err := tarn.GetMany(t.Context(), c, tt.keys)
			require.Equal(t, tt.want, got, tt.rule)
			requireBatchError(t, err, "get", tt.failed, tt.rule)
		}
	})
}

func TestSetMany(t *testing.T) {
	bothCaches(t, func(t *testing.T, c tarn.Cache[string, int], m *mapCache[string, int]) {
		require.NoError(t, tarn.SetMany(t.Context(), c, nil), "no values, no error")
		require.NoError(t, tarn.SetMany(t.Context(), c, map[string]int{"a": 1, "b": 2, "c": 3}))
		require.Equal(t, map[string]int{"a": 1, "b": 2, "c": 3}, m.values)

		m.broken["b"] = errBroken
		err := tarn.SetMany(t.Context(), c, map[string]int{"a": 10, "b": 20, "c": 30})
		requireBatchError(t, err, "set", []tarn.KeyError[string]{{"b", errBroken}}, "the failed key is told")
		require.Equal(t, map[string]int{"a": 10, "b": 2, "c": 30}, m.values, "the others are set")
	})
}

func TestDeleteMany(t *testing.T) {
	bothCaches(t, func(t *testing.T, c tarn.Cache[string, int], m *mapCache[string, int]) {
		m.values = map[string]int{"a": 1, "b": 2, "c": 3}
		require.NoError(t, tarn.DeleteMany(t.Context(), c, nil), "no keys, no error")
		require.NoError(t, tarn.DeleteMany(t.Context(), c, []string{"a", "a", "none"}), "what is not there is no error")
		require.Equal(t, map[string]int{"b": 2, "c": 3}, m.values)

		m.broken["b"] = errBroken
		err := tarn.DeleteMany(t.Context(), c, []string{"b", "c"})
		requireBatchError(t, err, "delete", []tarn.KeyError[string]{{"b", errBroken}}, "the failed key is told")
		require.Equal(t, map[string]int{"b": 2}, m.values, "the others are deleted")
	})
}

func requireBatchError(t *testing.T, err error, op string, failed []tarn.KeyError[string], rule string) {
	t.Helper()
	if failed == nil {
		require.NoError(t, err, rule)
		return
	}
	var batch *tarn.BatchError[string]
	require.ErrorAs(t, err, &batch, rule)
	require.Equal(t, op, batch.Op, rule)
	require.Equal(t, failed, batch.Failed, rule)
}

// A batch is one call where the cache offers it, itself or through its wrapper, and one call per key elsewhere.
func TestBatchesAreOneCall(t *testing.T) {
	keys, values := []string{"a", "b"}, map[string]int{"a": 1, "b": 2}
	run := func(c tarn.Cache[string, int]) {
		_, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		require.NoError(t, tarn.SetMany(t.Context(), c, values))
		require.NoError(t, tarn.DeleteMany(t.Context(), c, keys))
	}
	many := newManyCache[string, int]()
	run(many)
	require.Equal(t, []string{"GetMany", "SetMany", "DeleteMany"}, many.calls)

	many = newManyCache[string, int]()
	run(wrapped[string, int]{many.mapCache, many})
	require.Equal(t, []string{"GetMany", "SetMany", "DeleteMany"}, many.calls)

	single := newMapCache[string, int]()
	run(single)
	require.Equal(t, []string{"Get", "Get", "Set", "Set", "Delete", "Delete"}, single.calls)

	// A wrapper that says no is believed, whatever methods it has.
	many = newManyCache[string, int]()
	run(refuser{many})
	require.Empty(t, many.calls)
	require.Len(t, many.mapCache.calls, 6)
}

// refuser has every method of what it wraps, and offers none.
type refuser struct{ *manyCache[string, int] }

func (refuser) As(any) bool { return false }

// An error of the whole batch is returned as it is, and claims nothing about single keys.
func TestWholeBatchFails(t *testing.T) {
	c := newManyCache[string, int]()
	c.values["a"] = 1
	for _, whole := range []error{context.Canceled, tarn.ErrClosed, tarn.IndexError{errBroken, nil, nil}} {
		c.whole = whole
		got, err := tarn.GetMany(t.Context(), c, []string{"a"})
		require.Equal(t, whole, err)
		require.Empty(t, got)
		require.Equal(t, whole, tarn.SetMany(t.Context(), c, map[string]int{"a": 2}))
		require.Equal(t, whole, tarn.DeleteMany(t.Context(), c, []string{"a"}))
	}
	c.whole = tarn.IndexError{nil}
	require.NoError(t, tarn.SetMany(t.Context(), c, map[string]int{"a": 2}), "an IndexError without errors is none")
	require.NoError(t, tarn.DeleteMany(t.Context(), c, []string{"a"}), "an IndexError without errors is none")
}

// A key that does not equal itself is looked up, written and deleted like any other, and its results are its own.
func TestBatchOfNaNKeys(t *testing.T) {
	nan := math.NaN()
	bothCaches(t, func(t *testing.T, c tarn.Cache[float64, int], m *mapCache[float64, int]) {
		m.values[1] = 10
		got, err := tarn.GetMany(t.Context(), c, []float64{nan, 1, nan})
		require.NoError(t, err)
		require.Equal(t, map[float64]int{1: 10}, got)

		require.NoError(t, tarn.SetMany(t.Context(), c, map[float64]int{nan: 7}))
		require.Len(t, m.values, 2)
		for k, v := range m.values {
			if k != k {
				require.Equal(t, 7, v, "the value comes from the pair, not from a lookup")
			}
		}
		require.NoError(t, tarn.DeleteMany(t.Context(), c, []float64{nan, 1}))
		require.NotContains(t, m.values, 1.0)
	})
}
