package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
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

// table is a source whose writes can be stopped or failed, one by one or, if it is asked as a batch writer, at once.
type table struct {
	*source

	wmu     sync.Mutex
	writing int // protected by wmu, as all below
	most    int // how many wrote at once
	writes  []tarn.Op[string, int]
	applied [][]tarn.Op[string, int]
	before  func(ctx context.Context, op tarn.Op[string, int]) error // the source does not have it then
	behind  func(ctx context.Context, op tarn.Op[string, int]) error // the source has it already
}

func newTable(rows map[string]int) *table { return &table{source: newSource(rows)} }

func (s *table) on(before, behind func(ctx context.Context, op tarn.Op[string, int]) error) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	s.before, s.behind = before, behind
}

func (s *table) write(ctx context.Context, op tarn.Op[string, int]) error {
	s.wmu.Lock()
	s.writing++
	s.most = max(s.most, s.writing)
	before, behind := s.before, s.behind
	s.wmu.Unlock()
	defer func() {
		s.wmu.Lock()
		s.writing--
		s.wmu.Unlock()
	}()
	if before != nil {
		if err := before(ctx, op); err != nil {
			return err
		}
	}
	s.wmu.Lock()
	s.writes = append(s.writes, op)
	s.wmu.Unlock()
	if op.Delete {
		s.source.Delete(ctx, op.Key)
	} else {
		s.source.Save(ctx, op.Key, op.Value)
	}
	if behind != nil {
		return behind(ctx, op)
	}
	return nil
}

func (s *table) Save(ctx context.Context, key string, v int) error {
	return s.write(ctx, tarn.Op[string, int]{Key: key, Value: v})
}

func (s *table) Delete(ctx context.Context, key string) error {
	return s.write(ctx, tarn.Op[string, int]{Key: key, Delete: true})
}

func (s *table) written() []tarn.Op[string, int] {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	return slices.Clone(s.writes)
}

// batchTable is a table that takes a batch in one call.
type batchTable struct{ *table }

func (s batchTable) Apply(ctx context.Context, ops []tarn.Op[string, int]) error {
	s.wmu.Lock()
	s.applied = append(s.applied, slices.Clone(ops))
	s.wmu.Unlock()
	errs := make(tarn.IndexError, len(ops))
	failed := false
	for i, op := range ops {
		errs[i] = s.write(ctx, op)
		failed = failed || errs[i] != nil
	}
	slices.Reverse(ops) // it may sort them to its liking
	if failed {
		return errs
	}
	return nil
}

// stall is a write that takes some time, or ends with its context.
func stall(d time.Duration) func(ctx context.Context, op tarn.Op[string, int]) error {
	return func(ctx context.Context, _ tarn.Op[string, int]) error { return takes(d)(ctx, "") }
}

func broken(context.Context, tarn.Op[string, int]) error { return errBroken }

// writers runs f for a write-through and a write-around on every store; keeps says which of the two it is.
func writers(t *testing.T, src *table, f func(t *testing.T, c tarn.Cache[string, int], in *strategies.ReadThroughCache[string, int], src *table, keeps bool)) {
	for _, keeps := range []bool{true, false} {
		t.Run(fmt.Sprint("keeps=", keeps), func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				rows := map[string]int{}
				for k, v := range src.rows {
					rows[k] = v
				}
				src := newTable(rows)
				in := strategies.ReadThrough(store, src.source, strategies.WithTTL(ttl.Policy{Negative: time.Minute}))
				if keeps {
					f(t, strategies.WriteThrough(in, src), in, src, true)
				} else {
					f(t, strategies.WriteAround(in, src), in, src, false)
				}
			})
		})
	}
}

func TestWrite(t *testing.T) {
	writers(t, newTable(map[string]int{"a": 1}), func(t *testing.T, c tarn.Cache[string, int],
		in *strategies.ReadThroughCache[string, int], src *table, keeps bool) {
		ctx := t.Context()
		loads := func(want int, rule string) {
			t.Helper()
			if !keeps {
				want++
			}
			require.Equal(t, want, src.loaded(), rule)
		}
		hasValue(t, 1, <-asked(ctx, c, "a"))
		src.on(func(context.Context, tarn.Op[string, int]) error {
			require.ErrorIs(t, in.Set(ctx, "a", 9), tarn.ErrHeld, "while the source is written the key is held")
			return nil
		}, nil)
		require.NoError(t, c.Set(ctx, "a", 2))
		src.on(nil, nil)
		require.Equal(t, 2, src.row("a"), "the source has it")
		hasValue(t, 2, <-asked(ctx, c, "a"))
		loads(1, "the cache has it with write-through")

		require.NoError(t, c.Delete(ctx, "a"))
		require.Equal(t, tarn.ErrNotFound, (<-asked(ctx, c, "a")).err)
		loads(1+b2i(!keeps), "absence is remembered, if the policy says so")
		require.NoError(t, c.Set(ctx, "a", 3), "a remembered absence is in nobody's way")
		hasValue(t, 3, <-asked(ctx, c, "a"))

		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		n := len(src.written())
		require.ErrorIs(t, c.Set(cancelled, "a", 4), context.Canceled)
		require.ErrorIs(t, c.Delete(cancelled, "a"), context.Canceled)
		require.Len(t, src.written(), n, "nothing was written")
		v, err := c.Get(cancelled, "a")
		require.NoError(t, err)
		require.Equal(t, 3, v)
		require.NoError(t, c.(interface{ Close(context.Context) error }).Close(ctx))
		_, err = in.Get(ctx, "a")
		require.ErrorIs(t, err, tarn.ErrClosed, "Close closes what is inside")
		require.ErrorIs(t, c.Set(ctx, "a", 4), tarn.ErrClosed)
		require.Len(t, src.written(), n, "nothing is written after Close")
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestDeleteIsNotRememberedWithoutAPolicy(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newTable(map[string]int{"a": 1})
		c := strategies.WriteThrough(strategies.ReadThrough(store, src.source), src)
		require.NoError(t, c.Delete(t.Context(), "a"))
		src.source.Save(t.Context(), "a", 2) // by other means
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
	})
}

func TestWriteFails(t *testing.T) {
	for _, tt := range []struct {
		rule           string
		before, behind func(ctx context.Context, op tarn.Op[string, int]) error
		want           int // at the source
	}{
		{"the source refused it", broken, nil, 1},
		{"it failed, and happened all the same", nil, broken, 2},
		{"its end is not known", nil, func(ctx context.Context, _ tarn.Op[string, int]) error {
			<-ctx.Done()
			return ctx.Err()
		}, 2},
		{"it panicked", nil, func(context.Context, tarn.Op[string, int]) error { panic("boom") }, 2},
		{"it ended its goroutine", nil, func(context.Context, tarn.Op[string, int]) error { runtime.Goexit(); return nil }, 2},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			writers(t, newTable(map[string]int{"a": 1}), func(t *testing.T, c tarn.Cache[string, int],
				in *strategies.ReadThroughCache[string, int], src *table, _ bool) {
				hasValue(t, 1, <-asked(t.Context(), c, "a"))
				src.on(tt.before, tt.behind)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				done := make(chan error, 1)
				go func() {
					defer func() {
						if recover() != nil {
							done <- errBroken
						}
						close(done)
					}()
					if err := c.Set(ctx, "a", 2); err != nil {
						done <- err
					} else {
						t.Error("the write was acknowledged")
					}
				}()
				err := <-done
				require.NotErrorIs(t, err, tarn.ErrMaybeStale)
				src.on(nil, nil)
				require.Equal(t, tt.want, src.row("a"))
				loads := src.loaded()
				hasValue(t, tt.want, <-asked(t.Context(), c, "a"), "the old value has gone from the cache")
				hasValue(t, tt.want, <-asked(t.Context(), c, "a"))
				require.Equal(t, loads+1, src.loaded(), "and nothing was cached; now it is kept again, the hold is settled")
				require.NoError(t, c.Set(t.Context(), "a", 3), "and the key is not locked")
				hasValue(t, 3, <-asked(t.Context(), c, "a"))
			})
		})
	}
}

// Source and cache see the writes of one key in one order.
func TestWritesOfOneKeyQueue(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newTable(map[string]int{"a": 0})
		src.on(func(context.Context, tarn.Op[string, int]) error {
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			return nil
		}, func(context.Context, tarn.Op[string, int]) error {
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			return nil
		})
		c := strategies.WriteThrough(strategies.ReadThrough(store, src.source), src)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if err := c.Set(t.Context(), "a", i+1); err != nil {
					t.Error(err)
				}
				if v := <-asked(t.Context(), c, "a"); v.err != nil {
					t.Error(v.err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, src.most, "one write of a key at a time")
		loads := src.loaded()
		hasValue(t, src.row("a"), <-asked(t.Context(), c, "a"), "the last commit is what the cache has")
		require.Equal(t, loads, src.loaded())
	})
}

func TestQueueIsInOrderAndEachLeavesOnItsContext(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newTable(map[string]int{})
		src.on(stall(10*time.Second), nil)
		c := strategies.WriteThrough(strategies.ReadThrough(store, src.source), src)
		set := func(ctx context.Context, key string, v int) <-chan reply {
			r := calls(func() (int, error) { return 0, c.Set(ctx, key, v) })
			synctest.Wait()
			return r
		}
		start := time.Now()
		one := set(t.Context(), "a", 1)
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		two := set(hurried, "a", 2)
		three := set(t.Context(), "a", 3)
		four := set(t.Context(), "a", 4)
		other := set(t.Context(), "b", 5)

		r := <-two
		require.ErrorIs(t, r.err, context.DeadlineExceeded)
		require.Equal(t, time.Second, r.at.Sub(start), "it leaves the queue")
		for i, ch := range []<-chan reply{one, three, four} {
			r := <-ch
			require.NoError(t, r.err)
			require.Equal(t, time.Duration(i+1)*10*time.Second, r.at.Sub(start))
		}
		r = <-other
		require.NoError(t, r.err)
		require.Equal(t, 10*time.Second, r.at.Sub(start), "an unrelated key waits for nobody")
		var values []int
		for _, op := range src.written() {
			if op.Key == "a" {
				values = append(values, op.Value)
			}
		}
		require.Equal(t, []int{1, 3, 4}, values, "first come, first served")
		hasValue(t, 4, <-asked(t.Context(), c, "a"))
	})
}

func TestWriteManyWithBatchWriter(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		ctx := t.Context()
		src := newTable(map[string]int{})
		in := strategies.ReadThrough(store, src.source)
		for _, c := range []tarn.BatchCache[string, int]{
			strategies.WriteThrough(in, batchTable{src}), strategies.WriteAround(in, batchTable{src}),
		} {
			src.applied = nil
			require.NoError(t, c.SetMany(ctx, []string{"a", "b", "a"}, []int{1, 2, 3}))
			require.Len(t, src.applied, 1, "one call")
			require.ElementsMatch(t, []tarn.Op[string, int]{{Key: "b", Value: 2}, {Key: "a", Value: 3}}, src.applied[0],
				"keys are distinct, and the last counts")
			require.Equal(t, []tarn.Result[int]{{Value: 3}, {Value: 2}}, getMany(t, ctx, c, "a", "b"))

			src.on(func(_ context.Context, op tarn.Op[string, int]) error {
				if op.Key == "b" {
					return errBroken
				}
				return nil
			}, nil)
			err := c.SetMany(ctx, []string{"b", "a", "c", "b"}, []int{7, 8, 9, 10})
			for i, want := range []error{errBroken, nil, nil, errBroken} {
				require.ErrorIs(t, tarn.ErrAt(err, i, 4), want)
			}
			src.on(nil, nil)
			require.Equal(t, []tarn.Result[int]{{Value: 2}, {Value: 8}, {Value: 9}}, getMany(t, ctx, c, "b", "a", "c"))

			require.NoError(t, c.DeleteMany(ctx, []string{"a", "b", "a", "c"}))
			for _, r := range getMany(t, ctx, c, "a", "b", "c") {
				require.Equal(t, tarn.ErrNotFound, r.Err)
			}
			require.Len(t, src.applied, 3)
			require.NoError(t, c.SetMany(ctx, nil, nil))
			require.NoError(t, c.DeleteMany(ctx, nil))
			require.Error(t, c.SetMany(ctx, []string{"a"}, nil))
			require.Len(t, src.applied, 3)
			cancelled, cancel := context.WithCancel(ctx)
			cancel()
			require.ErrorIs(t, c.SetMany(cancelled, []string{"a", "b"}, []int{1, 2}), context.Canceled)
			require.Len(t, src.applied, 3)
		}
	})
}

// After a batch in part, the cache keeps what the source has and has forgotten the rest.
func TestPartialBatchInTheCache(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		ctx := t.Context()
		src := newTable(map[string]int{})
		c := strategies.WriteThrough(strategies.ReadThrough(store, src.source), batchTable{src})
		require.NoError(t, c.SetMany(ctx, []string{"a", "b"}, []int{1, 1}))
		src.on(func(_ context.Context, op tarn.Op[string, int]) error {
			if op.Key == "b" {
				return errBroken
			}
			return nil
		}, nil)
		require.Error(t, c.SetMany(ctx, []string{"a", "b"}, []int{2, 2}))
		e, found, err := store.Get(ctx, "a")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, 2, e.Value)
		_, found, err = store.Get(ctx, "b")
		require.NoError(t, err)
		require.False(t, found)
	})
}

func TestWriteManyWithoutBatchWriter(t *testing.T) {
	writers(t, newTable(map[string]int{}), func(t *testing.T, c tarn.Cache[string, int],
		_ *strategies.ReadThroughCache[string, int], src *table, _ bool) {
		ctx := t.Context()
		many := c.(tarn.BatchCache[string, int])
		src.on(func(_ context.Context, op tarn.Op[string, int]) error {
			if op.Key == "b" {
				return errBroken
			}
			return nil
		}, nil)
		err := many.SetMany(ctx, []string{"a", "b", "c", "a", "b"}, []int{1, 2, 3, 4, 5})
		for i, want := range []error{nil, errBroken, nil, nil, errBroken} {
			require.ErrorIs(t, tarn.ErrAt(err, i, 5), want)
		}
		require.ElementsMatch(t, []tarn.Op[string, int]{{Key: "c", Value: 3}, {Key: "a", Value: 4}}, src.written())
		require.NoError(t, many.DeleteMany(ctx, []string{"a", "c", "a"}))
		for _, r := range getMany(t, ctx, many, "a", "b", "c") {
			require.Equal(t, tarn.ErrNotFound, r.Err)
		}
	})
}

// Batches that overlap in every order, and single writes between them, never wait for each other for ever.
func TestOverlappingBatchWritesDoNotDeadlock(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		keys, _ := numbered(8)
		src := newTable(map[string]int{})
		src.on(stall(time.Millisecond), nil)
		c := strategies.WriteThrough(strategies.ReadThrough(store, src.source), batchTable{src})
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				mine := slices.Clone(keys)
				rand.Shuffle(len(mine), func(a, b int) { mine[a], mine[b] = mine[b], mine[a] })
				mine = mine[:1+i%len(mine)]
				values := make([]int, len(mine))
				for j := range values {
					values[j] = i
				}
				if err := c.SetMany(t.Context(), mine, values); err != nil {
					t.Error(err)
				}
				if err := c.Set(t.Context(), mine[0], i); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		loads := src.loaded()
		for _, k := range keys {
			hasValue(t, src.row(k), <-asked(t.Context(), c, k))
		}
		require.Equal(t, loads, src.loaded(), "every key is cached")
	})
}

// A batch that waits for one key, and leaves, has given the others back.
func TestBatchLeavesTheQueue(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		keys, _ := numbered(8)
		src := newTable(map[string]int{})
		c := strategies.WriteThrough(strategies.ReadThrough(store, src.source), batchTable{src})
		src.on(stall(time.Minute), nil)
		first := calls(func() (int, error) { return 0, c.Set(t.Context(), keys[3], 1) })
		synctest.Wait()
		src.on(nil, nil)
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.SetMany(hurried, keys, make([]int, 8)), context.DeadlineExceeded)
		start := time.Now()
		for i, k := range keys {
			if i != 3 {
				require.NoError(t, c.Set(t.Context(), k, i))
			}
		}
		require.Equal(t, start, time.Now())
		require.NoError(t, (<-first).err)
		require.NoError(t, c.Set(t.Context(), keys[3], 3))
		require.Empty(t, src.applied)
	})
}

func TestRecursiveWrite(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		ctx := t.Context()
		src := newTable(map[string]int{})
		in := strategies.ReadThrough(store, src.source)
		for name, make := range map[string]func(w tarn.Writer[string, int]) tarn.Cache[string, int]{
			"write-through": func(w tarn.Writer[string, int]) tarn.Cache[string, int] { return strategies.WriteThrough(in, w) },
			"write-around":  func(w tarn.Writer[string, int]) tarn.Cache[string, int] { return strategies.WriteAround(in, w) },
		} {
			for _, w := range []tarn.Writer[string, int]{src, batchTable{src}} {
				c := make(w)
				many := c.(tarn.BatchCache[string, int])
				src.on(func(ctx context.Context, op tarn.Op[string, int]) error {
					if op.Key != "a" {
						return nil
					}
					require.ErrorIs(t, c.Delete(ctx, "a"), tarn.ErrRecursive, name)
					err := many.SetMany(ctx, []string{"x", "a"}, []int{1, 1})
					require.ErrorIs(t, tarn.ErrAt(err, 1, 2), tarn.ErrRecursive, name)
					require.NoError(t, c.Set(ctx, "b", 1), "another key is no recursion")
					return c.Set(ctx, "a", 3)
				}, nil)
				require.ErrorIs(t, c.Set(ctx, "a", 1), tarn.ErrRecursive, name)
				err := many.SetMany(ctx, []string{"c", "a"}, []int{1, 1})
				require.ErrorIs(t, tarn.ErrAt(err, 1, 2), tarn.ErrRecursive, name)
				src.on(nil, nil)
				require.NoError(t, c.Set(ctx, "a", 1))
			}
		}
	})
}

// What goes on with a writer's context when the write has ended is no part of it.
func TestContextThatOutlivesItsWrite(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newTable(map[string]int{})
		for _, w := range []tarn.Writer[string, int]{src, batchTable{src}} {
			c := strategies.WriteThrough(strategies.ReadThrough(store, src.source), w)
			kept := t.Context()
			src.on(func(ctx context.Context, _ tarn.Op[string, int]) error {
				kept = context.WithoutCancel(ctx)
				return nil
			}, nil)
			for range 3 { // the second one's context comes from the first one's
				require.NoError(t, c.Set(kept, "a", 1))
				require.NoError(t, c.SetMany(kept, []string{"a", "b"}, []int{1, 2}))
			}
		}
	})
}

// A writer may read the key that it writes, through the cache: it finds what the source has.
func TestWriterReads(t *testing.T) {
	writers(t, newTable(map[string]int{"a": 1}), func(t *testing.T, c tarn.Cache[string, int],
		_ *strategies.ReadThroughCache[string, int], src *table, _ bool) {
		var before, behind int
		src.on(func(ctx context.Context, _ tarn.Op[string, int]) (err error) {
			before, err = c.Get(ctx, "a")
			return err
		}, func(ctx context.Context, _ tarn.Op[string, int]) (err error) {
			behind, err = c.Get(ctx, "a")
			return err
		})
		require.NoError(t, c.Set(t.Context(), "a", 2))
		require.Equal(t, [2]int{1, 2}, [2]int{before, behind})
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
	})
}

func TestWriteWhenTheStoreFails(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		failing []string
		takes   time.Duration // the write
		want    error
		value   int // what is read when the store works again; 0: it may be stale
	}{
		{"the hold fails: the write goes on, and the key is deleted", []string{"hold"}, 0, nil, 2},
		{"hold and delete fail: the cache may be stale", []string{"hold", "delete"}, 0, tarn.ErrMaybeStale, 0},
		{"the settle fails within the hold's life: its end cleans up", []string{"settle"}, time.Minute - 1, nil, 2},
		{"the settle fails after the hold's life", []string{"settle"}, time.Minute, tarn.ErrMaybeStale, 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for _, keeps := range []bool{true, false} {
				synctest.Test(t, func(t *testing.T) {
					store := newTamper(t)
					seen := new(events)
					src := newTable(map[string]int{"a": 1})
					in := strategies.ReadThrough(store, src.source)
					var c tarn.Cache[string, int] = strategies.WriteThrough(in, src, strategies.WithObserver(seen))
					if !keeps {
						c = strategies.WriteAround(in, src, strategies.WithObserver(seen))
					}
					hasValue(t, 1, <-asked(t.Context(), c, "a"))
					store.failing(tt.failing...)
					src.on(stall(tt.takes), nil)
					err := c.Set(t.Context(), "a", 2)
					require.Equal(t, tt.want == nil, err == nil, err)
					require.ErrorIs(t, err, tt.want)
					if err != nil {
						require.ErrorIs(t, err, errBroken, "the error says why")
					}
					require.Equal(t, 2, src.row("a"), "an outage of the cache is none of the source")
					require.Equal(t, 1, seen.count(tarn.EventWritten))
					store.on(nil)
					if tt.value != 0 {
						hasValue(t, tt.value, <-asked(t.Context(), c, "a"))
					}
					require.NoError(t, c.Set(t.Context(), "a", 3), "writing it again mends it")
					time.Sleep(2 * time.Minute)
					hasValue(t, 3, <-asked(t.Context(), c, "a"))
				})
			}
		})
	}
}

// The settle runs although the caller has gone, and no longer than it may.
func TestSettleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		src := newTable(map[string]int{"a": 1})
		c := strategies.WriteThrough(strategies.ReadThrough(store, src.source), src, strategies.WithSettleTimeout(3*time.Second))
		ctx, cancel := context.WithCancel(t.Context())
		src.on(nil, func(context.Context, tarn.Op[string, int]) error { cancel(); return nil })
		require.NoError(t, c.Set(ctx, "a", 2))
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		require.Zero(t, src.loaded(), "the cache was told")

		src.on(nil, nil)
		store.on(func(ctx context.Context, op string) error {
			if op == "settle" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		start := time.Now()
		require.NoError(t, c.Set(t.Context(), "a", 3))
		require.Equal(t, 3*time.Second, time.Since(start))
		store.on(nil)
		hasValue(t, 3, <-asked(t.Context(), c, "a"))
	})
}

// Two caches over one store, as two processes over one server: writes of a key that meet make the store forget it.
func TestWritersOfTwoCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory[string, int](t)
		src := newTable(map[string]int{"a": 1})
		var caches [2]*strategies.WriteThroughCache[string, int]
		for i := range caches {
			caches[i] = strategies.WriteThrough(strategies.ReadThrough(store, src.source), src)
		}
		src.on(nil, stall(time.Second))
		first := calls(func() (int, error) { return 0, caches[0].Set(t.Context(), "a", 2) })
		time.Sleep(time.Second / 2)
		second := calls(func() (int, error) { return 0, caches[1].Set(t.Context(), "a", 3) })
		require.NoError(t, (<-first).err)
		require.NoError(t, (<-second).err)
		require.Zero(t, store.Len(), "which of them committed last the store cannot know")
		for _, c := range caches {
			hasValue(t, 3, <-asked(t.Context(), c, "a"))
		}
	})
}

func TestWriteEvents(t *testing.T) {
	writers(t, newTable(map[string]int{}), func(t *testing.T, _ tarn.Cache[string, int],
		in *strategies.ReadThroughCache[string, int], src *table, keeps bool) {
		seen := new(events)
		var c tarn.BatchCache[string, int] = strategies.WriteThrough(in, batchTable{src}, strategies.WithObserver(seen))
		if !keeps {
			c = strategies.WriteAround(in, batchTable{src}, strategies.WithObserver(seen))
		}
		src.on(stall(time.Second), nil)
		require.NoError(t, c.SetMany(t.Context(), []string{"a", "b"}, []int{1, 2}))
		require.Equal(t, 2, seen.count(tarn.EventWritten))
		require.Equal(t, 2*time.Second, seen.all[len(seen.all)-1].Duration, "as long as the source took for both")
		src.on(func(ctx context.Context, op tarn.Op[string, int]) error {
			return errors.Join(stall(2*time.Second)(ctx, op), errBroken)
		}, nil)
		require.Error(t, c.DeleteMany(t.Context(), []string{"a", "b"}))
		require.Equal(t, 2, seen.count(tarn.EventWriteFailed))
		require.Equal(t, 2, seen.count(tarn.EventWritten))
		for _, e := range seen.all {
			if e.Kind == tarn.EventWriteFailed {
				require.True(t, errors.Is(e.Err, errBroken))
				require.Equal(t, 4*time.Second, e.Duration)
			}
		}
	})
}
