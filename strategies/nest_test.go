package strategies_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

type loadFunc = func(ctx context.Context, key string) (int, error)

// promptly runs f and requires that it took no time: whoever would wait for itself is told, not timed out.
func promptly(t *testing.T, f func() (int, error)) reply {
	t.Helper()
	start := time.Now()
	r := <-calls(f)
	require.Equal(t, start, r.at, "it waited")
	return r
}

func TestLoaderAsksForItsOwnKey(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		var c *strategies.ReadThroughCache[string, int]
		c = strategies.ReadThrough(store, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
			return c.Get(ctx, key)
		}))
		r := promptly(t, func() (int, error) { return c.Get(t.Context(), "a") })
		require.ErrorIs(t, r.err, tarn.ErrRecursive)

		into := make([]tarn.Result[int], 2)
		promptly(t, func() (int, error) { return 0, c.GetMany(t.Context(), []string{"a", "b"}, into) })
		require.ErrorIs(t, into[0].Err, tarn.ErrRecursive)
		require.ErrorIs(t, into[1].Err, tarn.ErrRecursive)
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestLoaderAsksForItsOwnKeyInABatch(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		var c *strategies.ReadThroughCache[string, int]
		c = strategies.ReadThrough(store, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
			if key == "other" {
				return 5, nil
			}
			found, err := tarn.GetMany(ctx, c, []string{"other", key})
			require.Equal(t, map[string]int{"other": 5}, found, "only its own key is refused")
			return 0, err
		}))
		r := promptly(t, func() (int, error) { return c.Get(t.Context(), "a") })
		require.ErrorIs(t, r.err, tarn.ErrRecursive)
	})
}

// cross makes two caches whose loaders ask each other for the same key; the second loads what b says.
func cross(store, other tarn.Store[string, int], opts ...strategies.ReadOption) (a, b *strategies.ReadThroughCache[string, int]) {
	a = strategies.ReadThrough(store, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
		time.Sleep(time.Second)
		return b.Get(ctx, key)
	}), opts...)
	b = strategies.ReadThrough(other, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
		time.Sleep(time.Second)
		return a.Get(ctx, key)
	}), opts...)
	return a, b
}

func TestRecursionThroughAnotherCache(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		a, b := cross(store, newMemory[string, int](t))
		start := time.Now()
		r := <-asked(t.Context(), a, "x")
		require.ErrorIs(t, r.err, tarn.ErrRecursive)
		require.Equal(t, 2*time.Second, r.at.Sub(start))
		require.NoError(t, a.Close(t.Context()))
		require.NoError(t, b.Close(t.Context()))
	})
}

// Two loads that began on their own ask for each other: neither is within the other, but they would wait for ever.
func TestCrossingLoads(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		a, b := cross(store, newMemory[string, int](t))
		start := time.Now()
		ra, rb := asked(t.Context(), a, "x"), asked(t.Context(), b, "x")
		for _, ch := range []<-chan reply{ra, rb} {
			r := <-ch
			require.ErrorIs(t, r.err, tarn.ErrRecursive)
			require.Equal(t, time.Second, r.at.Sub(start))
		}
	})
}

// In one cache, too, and through the next load of a key: A's loader waits for the load that follows B's, whose loader
// waits for A.
func TestCrossingLoadsOfOneCache(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		var c *strategies.ReadThroughCache[string, int]
		invalidate := true
		c = strategies.ReadThrough(store, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
			if key == "a" {
				time.Sleep(2 * time.Second)
				if invalidate {
					invalidate = false
					if err := c.Delete(ctx, "b"); err != nil { // so that b's running load cannot be joined
						return 0, err
					}
				}
				return c.Get(ctx, "b")
			}
			time.Sleep(time.Second)
			_, err := c.Get(ctx, "a")
			if errors.Is(err, tarn.ErrRecursive) {
				return 0, err
			}
			return 1, err
		}))
		start := time.Now()
		ra, rb := asked(t.Context(), c, "a"), asked(t.Context(), c, "b")
		for _, ch := range []<-chan reply{ra, rb} {
			r := <-ch
			require.ErrorIs(t, r.err, tarn.ErrRecursive)
			require.Less(t, r.at.Sub(start), 10*time.Second)
		}
	})
}

// Nested loads are no fault as long as nobody waits for itself.
func TestNestedLoads(t *testing.T) {
	parents := func(c **strategies.ReadThroughCache[string, int]) loadFunc {
		return func(ctx context.Context, key string) (int, error) { // the depth of a path: one more than its parent's
			time.Sleep(time.Second)
			i := strings.LastIndex(key, "/")
			if i < 0 {
				return 1, nil
			}
			depth, err := (*c).Get(ctx, key[:i])
			return depth + 1, err
		}
	}
	t.Run("one key", func(t *testing.T) {
		onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
			var c *strategies.ReadThroughCache[string, int]
			c = strategies.ReadThrough(store, tarn.LoadFunc(parents(&c)), strategies.WithMaxLoads(1))
			start := time.Now()
			r := <-asked(t.Context(), c, "a/b/c")
			hasValue(t, 3, r, "within one load there is always room for another")
			require.Equal(t, 3*time.Second, r.at.Sub(start))
		})
	})
	t.Run("a batch with a key and its parent", func(t *testing.T) {
		onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
			var c *strategies.ReadThroughCache[string, int]
			c = strategies.ReadThrough(store, tarn.LoadFunc(parents(&c)))
			found, err := tarn.GetMany(t.Context(), c, []string{"a/b/c", "a/b", "a", "x"})
			require.NoError(t, err, "a loader that takes one key at a time asks for another key, not for its own")
			require.Equal(t, map[string]int{"a/b/c": 3, "a/b": 2, "a": 1, "x": 1}, found)
		})
	})
	t.Run("a batch with a key and its parent, one at a time", func(t *testing.T) {
		onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
			var c *strategies.ReadThroughCache[string, int]
			c = strategies.ReadThrough(store, tarn.LoadFunc(parents(&c)), strategies.WithMaxLoads(1))
			found, err := tarn.GetMany(t.Context(), c, []string{"a/b/c", "a/b", "a", "x"})
			require.NoError(t, err)
			require.Equal(t, map[string]int{"a/b/c": 3, "a/b": 2, "a": 1, "x": 1}, found)
		})
	})
	t.Run("joining a load that waits for a place", func(t *testing.T) {
		onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
			var c *strategies.ReadThroughCache[string, int]
			c = strategies.ReadThrough(store, tarn.LoadFunc(parents(&c)), strategies.WithMaxLoads(1))
			start := time.Now()
			child := asked(t.Context(), c, "a/b") // has the place
			synctest.Wait()
			parent := asked(t.Context(), c, "a") // waits for it
			r := <-child
			hasValue(t, 2, r, "the child waits for the parent, which waits for the child's place")
			require.LessOrEqual(t, r.at.Sub(start), 2*time.Second)
			hasValue(t, 1, <-parent)
		})
	})
	t.Run("joining the load after one that waits for a place", func(t *testing.T) {
		onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
			var c *strategies.ReadThroughCache[string, int]
			load := parents(&c)
			c = strategies.ReadThrough(store, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
				if key == "a/b" {
					time.Sleep(time.Second)
					if err := c.Delete(ctx, "a"); err != nil {
						return 0, err
					}
				}
				return load(ctx, key)
			}), strategies.WithMaxLoads(1))
			start := time.Now()
			child := asked(t.Context(), c, "a/b")
			synctest.Wait()
			parent := asked(t.Context(), c, "a")
			r := <-child
			hasValue(t, 2, r)
			require.LessOrEqual(t, r.at.Sub(start), 5*time.Second)
			hasValue(t, 1, <-parent)
		})
	})
}

// What is loaded at once of one batch is bounded, and the key that all of those ask for is beyond the bound.
func TestBatchWhoseLoadersWaitForItsLastKey(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		keys, rows := numbered(17)
		last := keys[16]
		var c *strategies.ReadThroughCache[string, int]
		c = strategies.ReadThrough(store, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
			time.Sleep(time.Second)
			if key != last {
				if _, err := c.Get(ctx, last); err != nil {
					return 0, err
				}
			}
			return rows[key], nil
		}))
		start := time.Now()
		found, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		require.Equal(t, rows, found)
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

// The same through the bound on loads: who asks for the last key has the place that the others of its batch wait for.
func TestPlaceThatABatchWaitsFor(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		keys, rows := numbered(17)
		var c *strategies.ReadThroughCache[string, int]
		c = strategies.ReadThrough(store, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
			time.Sleep(time.Second)
			if key == "child" {
				return c.Get(ctx, keys[16])
			}
			return rows[key], nil
		}), strategies.WithMaxLoads(1))
		start := time.Now()
		child := asked(t.Context(), c, "child") // has the place
		synctest.Wait()
		found, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		require.Equal(t, rows, found)
		r := <-child
		hasValue(t, 16, r)
		require.Equal(t, 2*time.Second, r.at.Sub(start))
	})
}

// What goes on with a loader's context when the load has ended, such as an audit, is within no load any more.
func TestContextThatOutlivesItsLoad(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		kept := t.Context()
		keep := func(ctx context.Context) { kept = context.WithoutCancel(ctx) }
		one := func(ctx context.Context, key string) (int, error) {
			if key == "a" {
				keep(ctx)
			}
			return 1, nil
		}
		many := func(ctx context.Context, keys []string) (map[string]int, error) {
			keep(ctx)
			found := make(map[string]int)
			for _, key := range keys {
				found[key] = 1
			}
			return found, nil
		}
		for _, loader := range []tarn.Loader[string, int]{tarn.LoadFunc(one), tarn.LoadManyFunc(one, many)} {
			c := strategies.ReadThrough(store, loader)
			for range 3 { // the second one's context comes from the first one's
				for _, keys := range [][]string{{"a"}, {"a", "b"}} {
					found, err := tarn.GetMany(kept, c, keys)
					require.NoError(t, err)
					require.Len(t, found, len(keys))
					hasValue(t, 1, <-asked(kept, c, "a"))
					require.NoError(t, c.DeleteMany(t.Context(), []string{"a", "b"}))
				}
			}
			require.NoError(t, c.Close(t.Context()))
		}
	})
}

// In a batch, too, a key's load has ended when its loader returned; one call of LoadMany has not ended the load.
func TestWhenALoadHasEnded(t *testing.T) {
	t.Run("one key at a time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c *strategies.ReadThroughCache[string, int]
			var again <-chan reply
			c = strategies.ReadThrough(newMemory[string, int](t), tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
				if key == "slow" {
					time.Sleep(time.Minute / 4)
				} else if again == nil {
					again = calls(func() (int, error) {
						time.Sleep(time.Second)
						if err := c.Delete(t.Context(), key); err != nil {
							return 0, err
						}
						return c.Get(context.WithoutCancel(ctx), key)
					})
				}
				return 1, nil
			}))
			require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 1}}, getMany(t, t.Context(), c, "fast", "slow"))
			hasValue(t, 1, <-again)
			require.NoError(t, c.Close(t.Context()))
		})
	})
	t.Run("two calls of LoadMany", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c *strategies.ReadThroughCache[string, int]
			c = strategies.ReadThrough(newMemory[string, int](t), tarn.LoadManyFunc(
				func(context.Context, string) (int, error) { return 1, nil },
				func(ctx context.Context, keys []string) (map[string]int, error) {
					if keys[0] != "c" {
						return map[string]int{"a": 1, "b": 1}, nil
					}
					v, err := c.Get(ctx, "d")
					return map[string]int{"c": v, "d": v}, err
				}), strategies.WithMaxBatch(2))
			start := time.Now()
			into := getMany(t, t.Context(), c, "a", "b", "c", "d")
			require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 1}}, into[:2])
			require.ErrorIs(t, into[2].Err, tarn.ErrRecursive)
			require.Equal(t, start, time.Now())
			require.NoError(t, c.Close(t.Context()))
		})
	})
}

func TestBoundOnLoads(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		rows := map[string]int{}
		for c := 'a'; c <= 'z'; c++ {
			rows[string(c)] = int(c)
		}
		src := newSource(rows)
		src.set(takes(time.Second), nil)
		c := strategies.ReadThrough(store, src, strategies.WithMaxLoads(4), strategies.WithLoadTimeout(4*time.Second))
		start := time.Now()
		var replies []<-chan reply
		for k := range rows {
			replies = append(replies, asked(t.Context(), c, k))
		}
		hurried, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		require.ErrorIs(t, (<-asked(hurried, c, "absent")).err, context.DeadlineExceeded, "a caller waits on its context")
		late := 0
		for _, r := range replies {
			if r := <-r; r.err != nil {
				require.ErrorIs(t, r.err, tarn.ErrLoadTimeout, "those that wait for a place wait within the time limit")
				require.Equal(t, 4*time.Second, r.at.Sub(start))
				late++
			}
		}
		require.GreaterOrEqual(t, late, 26-4*4)
		require.Equal(t, 4, src.peaked())

		// A batch, too.
		src.set(takes(time.Millisecond), nil)
		keys := make([]string, 0, len(rows))
		for k := range rows {
			keys = append(keys, k)
		}
		found, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		require.Equal(t, rows, found)
		require.Equal(t, 4, src.peaked())
		require.NoError(t, c.Close(t.Context()))
	})
}
