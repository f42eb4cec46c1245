package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// manySource is a source that loads many keys at once, and remembers what it was asked for.
type manySource struct {
	*source
	asked [][]string // protected by mu
}

func (s *manySource) Load(ctx context.Context, key string) (int, error) {
	s.mu.Lock()
	s.asked = append(s.asked, []string{key})
	s.mu.Unlock()
	return s.source.Load(ctx, key)
}

func (s *manySource) LoadMany(ctx context.Context, keys []string, into []tarn.Loaded[int]) error {
	s.mu.Lock()
	s.asked = append(s.asked, slices.Clone(keys))
	s.running++
	s.peak = max(s.peak, s.running)
	stall, after := s.stall, s.after
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if stall != nil {
		if err := stall(ctx, ""); err != nil {
			return err
		}
	}
	s.mu.Lock()
	for i, key := range keys {
		v, ok := s.rows[key]
		into[i] = tarn.Loaded[int]{Value: v}
		if !ok {
			into[i].Err = tarn.ErrNotFound
		}
	}
	s.mu.Unlock()
	slices.Reverse(keys) // they are its own now
	if after != nil {
		return after(ctx, "")
	}
	return nil
}

func (s *manySource) batches() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func numbered(n int) (keys []string, rows map[string]int) {
	rows = make(map[string]int, n)
	for i := range n {
		k := fmt.Sprint("k", i)
		keys = append(keys, k)
		rows[k] = i
	}
	return keys, rows
}

// A repository may sort the keys that it is given.
func TestLoadManyFuncThatSorts(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		c := strategies.ReadThrough(store, tarn.LoadManyFunc(src.Load,
			func(_ context.Context, keys []string) (map[string]int, error) {
				slices.Sort(keys)
				return map[string]int{"a": 1, "b": 2}, nil
			}))
		want := []tarn.Result[int]{{Value: 2}, {Value: 1}}
		require.Equal(t, want, getMany(t, t.Context(), c, "b", "a"))
		require.Equal(t, want, getMany(t, t.Context(), c, "b", "a"))
	})
}

// getMany is GetMany by index.
func getMany(t *testing.T, ctx context.Context, c tarn.BatchCache[string, int], keys ...string) []tarn.Result[int] {
	t.Helper()
	into := make([]tarn.Result[int], len(keys))
	require.NoError(t, c.GetMany(ctx, keys, into))
	return into
}

func TestGetManyMixesHitsMissesAndDuplicates(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := &manySource{source: newSource(map[string]int{"a": 1, "b": 2, "c": 3})}
		c := strategies.ReadThrough(store, src, strategies.WithTTL(ttl.Policy{Negative: time.Minute}))
		require.NoError(t, c.Set(t.Context(), "a", 10))
		absent := tarn.Result[int]{Err: tarn.ErrNotFound}
		want := []tarn.Result[int]{{Value: 3}, {Value: 10}, absent, {Value: 2}, {Value: 3}, {Value: 10}, absent}
		keys := []string{"c", "a", "none", "b", "c", "a", "none"}
		require.Equal(t, want, getMany(t, t.Context(), c, keys...))
		require.Equal(t, [][]string{{"c", "none", "b"}}, src.batches(), "one call, each key once, and no hit")
		require.Equal(t, want, getMany(t, t.Context(), c, keys...))
		require.Len(t, src.batches(), 1, "absence was remembered too")
		require.Equal(t, []string{"c", "a", "none", "b", "c", "a", "none"}, keys, "the caller's slice is the caller's")

		require.Error(t, c.GetMany(t.Context(), keys, make([]tarn.Result[int], 1)), "slices of two lengths")
		require.NoError(t, c.GetMany(t.Context(), nil, nil))
	})
}

func TestOverlappingBatchesShareLoads(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		keys, rows := numbered(8)
		src := &manySource{source: newSource(rows)}
		src.set(takes(time.Second), nil)
		c := strategies.ReadThrough(store, src)
		get := func(from, to int) <-chan reply {
			return calls(func() (int, error) {
				into := make([]tarn.Result[int], to-from)
				err := c.GetMany(t.Context(), keys[from:to], into)
				for i, r := range into {
					if r.Err != nil || r.Value != from+i {
						return 0, fmt.Errorf("key %d: %v, %v", from+i, r.Value, r.Err)
					}
				}
				return 0, err
			})
		}
		start := time.Now()
		first := get(0, 4)
		synctest.Wait()
		replies := []<-chan reply{first, get(2, 6), get(0, 8), asked(t.Context(), c, "k3")}
		for _, ch := range replies {
			r := <-ch
			require.NoError(t, r.err)
			require.Equal(t, time.Second, r.at.Sub(start), "they wait for each other's loads")
		}
		seen := map[string]int{}
		for _, batch := range src.batches() {
			for _, k := range batch {
				seen[k]++
			}
		}
		require.Len(t, seen, 8)
		for k, n := range seen {
			require.Equal(t, 1, n, "%s is loaded once", k)
		}
	})
}

func TestMaxBatch(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		keys, rows := numbered(10)
		src := &manySource{source: newSource(rows)}
		c := strategies.ReadThrough(store, src, strategies.WithMaxBatch(4))
		found, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		require.Equal(t, rows, found)
		var sizes []int
		for _, b := range src.batches() {
			sizes = append(sizes, len(b))
		}
		require.Equal(t, []int{4, 4, 2}, sizes)
	})
}

func TestBatchWithoutBatchLoader(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		keys, rows := numbered(40)
		src := newSource(rows)
		src.set(takes(time.Second), nil)
		c := strategies.ReadThrough(store, src)
		start := time.Now()
		found, err := tarn.GetMany(t.Context(), c, keys)
		require.NoError(t, err)
		require.Equal(t, rows, found)
		require.Equal(t, 16, src.peaked(), "up to 16 at once")
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestBatchPartialErrors(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		one := newSource(map[string]int{"a": 1, "b": 2})
		one.set(func(_ context.Context, key string) error {
			if key == "b" {
				return errBroken
			}
			return nil
		}, nil)
		bad := ttl.Policy{Jitter: 7}
		many := loadManyFunc(func(_ context.Context, keys []string, into []tarn.Loaded[int]) error {
			for i, k := range keys {
				switch k {
				case "a":
					into[i] = tarn.Loaded[int]{Value: 1}
				case "b":
					into[i] = tarn.Loaded[int]{Value: 9, Err: errBroken}
				case "none":
					into[i] = tarn.Loaded[int]{Err: tarn.ErrNotFound}
				case "badpolicy":
					into[i] = tarn.Loaded[int]{Value: 4, Policy: &bad}
				}
			}
			return nil
		})
		c := strategies.ReadThrough(store, tarn.Loader[string, int](one))
		into := getMany(t, t.Context(), c, "a", "b", "none")
		require.Equal(t, tarn.Result[int]{Value: 1}, into[0])
		require.ErrorIs(t, into[1].Err, errBroken)
		require.ErrorIs(t, into[2].Err, tarn.ErrNotFound)
		require.NoError(t, c.Delete(t.Context(), "a"))

		c = strategies.ReadThrough(store, tarn.Loader[string, int](many))
		into = getMany(t, t.Context(), c, "a", "b", "none", "unanswered", "badpolicy")
		require.Equal(t, tarn.Result[int]{Value: 1}, into[0])
		require.ErrorIs(t, into[1].Err, errBroken)
		require.Zero(t, into[1].Value)
		require.Equal(t, tarn.ErrNotFound, into[2].Err)
		require.Error(t, into[3].Err, "a key that LoadMany forgot is no key that the source lacks")
		require.NotErrorIs(t, into[3].Err, tarn.ErrNotFound)
		require.Equal(t, tarn.Result[int]{Value: 4}, into[4], "a policy that makes no sense costs it its place, not the value")
		for _, k := range []string{"b", "unanswered", "badpolicy"} {
			_, found, err := store.Get(t.Context(), k)
			require.NoError(t, err)
			require.False(t, found, k)
		}

		found, err := tarn.GetMany(t.Context(), c, []string{"a", "b", "none"})
		require.Equal(t, map[string]int{"a": 1}, found)
		var be *tarn.BatchError[string]
		require.ErrorAs(t, err, &be)
		require.Len(t, be.Failed, 1)
		require.Equal(t, "b", be.Failed[0].Key)
	})
}

// loadManyFunc is a batch loader that answers by index.
type loadManyFunc func(ctx context.Context, keys []string, into []tarn.Loaded[int]) error

func (f loadManyFunc) LoadMany(ctx context.Context, keys []string, into []tarn.Loaded[int]) error {
	return f(ctx, keys, into)
}

func (f loadManyFunc) Load(ctx context.Context, key string) (int, error) {
	into := make([]tarn.Loaded[int], 1)
	err := f(ctx, []string{key}, into)
	return into[0].Value, errors.Join(err, into[0].Err)
}

func TestBatchFailsAsAWhole(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := &manySource{source: newSource(map[string]int{"a": 1, "b": 2})}
		src.set(nil, func(context.Context, string) error { return errBroken })
		c := strategies.ReadThrough(store, src)
		for _, r := range getMany(t, t.Context(), c, "a", "b") {
			require.ErrorIs(t, r.Err, errBroken, "what was set before LoadMany failed does not count")
			require.Zero(t, r.Value)
		}
		src.set(nil, nil)
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 2}}, getMany(t, t.Context(), c, "a", "b"))
	})
}

func TestBatchCancelledMidway(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"fast": 1, "slow": 2})
		src.set(func(ctx context.Context, key string) error {
			if key == "slow" {
				return takes(time.Hour)(ctx, key)
			}
			return nil
		}, nil)
		c := strategies.ReadThrough(store, src)
		require.NoError(t, c.Set(t.Context(), "hit", 3))
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		into := getMany(t, hurried, c, "slow", "fast", "hit")
		require.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, into[0].Err, context.DeadlineExceeded)
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 3}}, into[1:], "what is known is returned")

		loads := src.loaded()
		into = getMany(t, hurried, c, "slow", "fast", "hit", "none")
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 3}}, into[1:3], "hits are answered")
		require.ErrorIs(t, into[0].Err, context.DeadlineExceeded)
		require.ErrorIs(t, into[3].Err, context.DeadlineExceeded)
		require.Equal(t, loads, src.loaded(), "what would wait is not begun")
		synctest.Wait()
		require.NoError(t, c.Close(t.Context()))
	})
}

// When the last who wants one key of a batch leaves, the load goes on for the others; when all have left it ends.
func TestLeavingABatch(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := &manySource{source: newSource(map[string]int{"a": 1, "b": 2})}
		var loadCtx context.Context
		src.set(func(ctx context.Context, _ string) error {
			loadCtx = ctx
			return takes(10*time.Second)(ctx, "")
		}, nil)
		c := strategies.ReadThrough(store, src)
		leaving, leave := context.WithCancel(t.Context())
		batch := calls(func() (int, error) {
			into := make([]tarn.Result[int], 2)
			err := c.GetMany(leaving, []string{"a", "b"}, into)
			return 0, errors.Join(err, into[0].Err, into[1].Err)
		})
		synctest.Wait()
		other, leaveOther := context.WithCancel(t.Context())
		single := asked(other, c, "b")
		synctest.Wait()
		leave()
		require.ErrorIs(t, (<-batch).err, context.Canceled)
		synctest.Wait()
		batchCtx := loadCtx
		require.NoError(t, batchCtx.Err(), "b is wanted still")
		late := asked(t.Context(), c, "a")
		require.True(t, pending(late), "nobody waited for a: it is loaded anew, after the batch")
		leaveOther()
		require.ErrorIs(t, (<-single).err, context.Canceled)
		synctest.Wait()
		require.Error(t, batchCtx.Err(), "nobody is left")
		hasValue(t, 1, <-late)
	})
}

// A batch does not share a load that began before a write which the batch came after, but waits for the next one.
func TestBatchJoinsOnlyWhatItMay(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1, "b": 1})
		src.set(nil, ignores(5*time.Second))
		c := strategies.ReadThrough(store, src)
		early := []<-chan reply{asked(t.Context(), c, "a"), asked(t.Context(), c, "b")}
		synctest.Wait()
		require.NoError(t, src.Save(t.Context(), "a", 2))
		require.NoError(t, c.Delete(t.Context(), "a"))
		into := make([]tarn.Result[int], 2)
		batch := calls(func() (int, error) { return 0, c.GetMany(t.Context(), []string{"a", "b"}, into) })
		synctest.Wait()
		for _, ch := range early {
			hasValue(t, 1, <-ch)
		}
		require.NoError(t, (<-batch).err)
		require.Equal(t, []tarn.Result[int]{{Value: 2}, {Value: 1}}, into)
		require.Equal(t, 3, src.loaded(), "b's load could be shared")
	})
}

// Many callers ask for random batches while keys change: each gets a value no older than its own beginning.
func TestRandomBatches(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		keys, rows := numbered(6)
		for k := range rows {
			rows[k] = 0
		}
		src := &manySource{source: newSource(rows)}
		src.set(takes(30*time.Millisecond), takes(20*time.Millisecond))
		c := strategies.ReadThrough(store, src, strategies.WithMaxBatch(2))
		w := strategies.WriteAround(c, src.source)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for j := range 40 {
					from := (i*7 + j*3) % 5
					part := keys[from : from+2]
					if i < 2 {
						k := part[j%2]
						if err := w.Set(t.Context(), k, src.row(k)+1); err != nil {
							t.Error(err)
						}
						time.Sleep(time.Duration(j%7) * 10 * time.Millisecond)
						continue
					}
					atLeast := []int{src.row(part[0]), src.row(part[1])}
					for n, r := range getMany(t, t.Context(), c, part...) {
						if r.Err != nil || r.Value < atLeast[n] {
							t.Errorf("got %v, %v; it was %d before", r.Value, r.Err, atLeast[n])
						}
					}
					time.Sleep(time.Duration(j%5) * 10 * time.Millisecond)
				}
			})
		}
		all.Wait()
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestSetManyAndDeleteMany(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{})
		for _, c := range []tarn.BatchCache[string, int]{
			strategies.ReadThrough(store, src),
			strategies.LookAside(store),
		} {
			require.NoError(t, c.SetMany(t.Context(), []string{"a", "b", "a"}, []int{1, 2, 3}))
			require.Equal(t, []tarn.Result[int]{{Value: 3}, {Value: 2}}, getMany(t, t.Context(), c, "a", "b"),
				"of a key that comes twice the last value counts")
			require.Error(t, c.SetMany(t.Context(), []string{"a", "b"}, []int{1}), "slices of two lengths")
			require.NoError(t, c.DeleteMany(t.Context(), []string{"a", "b", "a", "none"}))
			for _, r := range getMany(t, t.Context(), c, "a", "b") {
				require.ErrorIs(t, r.Err, tarn.ErrNotFound)
			}
			require.NoError(t, c.SetMany(t.Context(), nil, nil))
			require.NoError(t, c.DeleteMany(t.Context(), nil))

			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			require.NoError(t, c.SetMany(t.Context(), []string{"a"}, []int{1}))
			require.ErrorIs(t, c.SetMany(cancelled, []string{"a"}, []int{2}), context.Canceled)
			require.ErrorIs(t, c.DeleteMany(cancelled, []string{"a"}), context.Canceled)
			require.Equal(t, []tarn.Result[int]{{Value: 1}}, getMany(t, cancelled, c, "a"), "nothing was changed")
			require.NoError(t, c.DeleteMany(t.Context(), []string{"a"}))
		}
	})
}

// A batch on a held key: the others are set, and the error says which was not.
func TestSetManyOnAHeldKey(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		c := strategies.LookAside(store)
		h, err := c.Hold(t.Context(), []string{"b"})
		require.NoError(t, err)
		err = c.SetMany(t.Context(), []string{"a", "b", "c"}, []int{1, 2, 3})
		require.NoError(t, tarn.ErrAt(err, 0, 3))
		require.ErrorIs(t, tarn.ErrAt(err, 1, 3), tarn.ErrHeld)
		require.NoError(t, tarn.ErrAt(err, 2, 3))
		require.NoError(t, h.Settle(t.Context(), make([]tarn.Outcome[int], 1)))
		into := getMany(t, t.Context(), c, "a", "b", "c")
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Err: tarn.ErrNotFound}, {Value: 3}}, into)
	})
}
