package strategies_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

func TestReadThroughSetAndDelete(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(store, src)
		require.NoError(t, c.Set(t.Context(), "a", 5))
		hasValue(t, 5, <-asked(t.Context(), c, "a"), "Set touches the cache")
		require.Equal(t, 1, src.row("a"), "and it alone")
		require.NoError(t, c.Delete(t.Context(), "a"))
		hasValue(t, 1, <-asked(t.Context(), c, "a"), "Delete too")
		require.NoError(t, c.Delete(t.Context(), "none"))
	})
}

func TestAbsenceIsRememberedExactly(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		loader func(src *source) tarn.Loader[string, int]
		policy ttl.Policy
		want   time.Duration // for which absence is remembered
	}{
		{"for Policy.Negative", func(src *source) tarn.Loader[string, int] { return src },
			ttl.Policy{Fresh: time.Hour, Negative: 1500 * time.Millisecond}, 1500 * time.Millisecond},
		{"not at all without it", func(src *source) tarn.Loader[string, int] { return src },
			ttl.Policy{Fresh: time.Hour}, 0},
		{"not at all by the zero Policy", func(src *source) tarn.Loader[string, int] { return src }, ttl.Policy{}, 0},
		{"for as long as the loader says", func(src *source) tarn.Loader[string, int] {
			return tarn.LoadEntryFunc(func(ctx context.Context, key string) (tarn.Loaded[int], error) {
				v, err := src.Load(ctx, key)
				return tarn.Loaded[int]{Value: v, Policy: &ttl.Policy{Negative: 3 * time.Second}}, err
			})
		}, ttl.Policy{Negative: time.Hour}, 3 * time.Second},
		{"not at all if the loader says so", func(src *source) tarn.Loader[string, int] {
			return tarn.LoadEntryFunc(func(ctx context.Context, key string) (tarn.Loaded[int], error) {
				v, err := src.Load(ctx, key)
				return tarn.Loaded[int]{Value: v, Policy: &ttl.Policy{}}, err
			})
		}, ttl.Policy{Negative: time.Hour}, 0},
		{"for an error that means no such key", func(src *source) tarn.Loader[string, int] {
			return tarn.LoadFunc(func(ctx context.Context, key string) (int, error) {
				if v, err := src.Load(ctx, key); err == nil {
					return v, nil
				}
				return 0, errBroken
			}, errBroken)
		}, ttl.Policy{Negative: time.Second}, time.Second},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				src := newSource(map[string]int{})
				seen := new(events)
				c := strategies.ReadThrough(store, tt.loader(src), strategies.WithTTL(tt.policy), strategies.WithObserver(seen))
				require.Equal(t, tarn.ErrNotFound, (<-asked(t.Context(), c, "a")).err)
				require.NoError(t, src.Save(t.Context(), "a", 1))
				if tt.want > 0 {
					time.Sleep(tt.want - 1)
					require.Equal(t, tarn.ErrNotFound, (<-asked(t.Context(), c, "a")).err, "not a nanosecond less")
					require.Equal(t, 1, seen.count(tarn.EventNegativeHit))
					require.Equal(t, 1, src.loaded())
					time.Sleep(time.Nanosecond)
				}
				hasValue(t, 1, <-asked(t.Context(), c, "a"), "nor one more")
			})
		})
	}
}

func TestFailureIsNotRemembered(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(func(context.Context, string) error { return errBroken }, nil)
		c := strategies.ReadThrough(store, src, strategies.WithTTL(ttl.Policy{Negative: time.Hour}))
		r := <-asked(t.Context(), c, "a")
		require.ErrorIs(t, r.err, errBroken)
		require.NotErrorIs(t, r.err, tarn.ErrNotFound)
		src.set(nil, nil)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
	})
}

func TestLivesAreExact(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1, "b": 1})
		chooser := tarn.LoadEntryFunc(func(ctx context.Context, key string) (tarn.Loaded[int], error) {
			v, err := src.Load(ctx, key)
			return tarn.Loaded[int]{Value: v, Policy: &ttl.Policy{Fresh: 10 * time.Millisecond}}, err
		})
		policy := strategies.WithTTL(ttl.Policy{Fresh: time.Second})
		for key, c := range map[string]tarn.Cache[string, int]{
			"a": strategies.ReadThrough(store, tarn.Loader[string, int](src), policy),
			"b": strategies.ReadThrough(store, chooser, policy),
		} {
			life := time.Second
			if key == "b" {
				life = 10 * time.Millisecond // the loader's choice
			}
			hasValue(t, 1, <-asked(t.Context(), c, key))
			require.NoError(t, src.Save(t.Context(), key, 2))
			time.Sleep(life - 1)
			hasValue(t, 1, <-asked(t.Context(), c, key), "not a nanosecond less")
			time.Sleep(time.Nanosecond)
			hasValue(t, 2, <-asked(t.Context(), c, key), "nor one more")
		}
	})
}

func TestCancelledContext(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		seen := new(events)
		c := strategies.ReadThrough(store, src, strategies.WithObserver(seen))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		v, err := c.Get(ctx, "a")
		require.NoError(t, err, "a hit is answered")
		require.Equal(t, 1, v)
		_, err = c.Get(ctx, "b")
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, c.Set(ctx, "a", 5), context.Canceled)
		require.ErrorIs(t, c.Delete(ctx, "a"), context.Canceled)
		_, err = c.Hold(ctx, []string{"a"})
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		require.Equal(t, 1, src.loaded(), "nothing was begun")
		hasValue(t, 1, <-asked(t.Context(), c, "a"), "nothing was changed")
		require.Zero(t, seen.count(tarn.EventStoreFailed), "a cancelled context is no failure of the store")
	})
}

func TestEvents(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		for _, withKeys := range []bool{false, true} {
			seen := new(events)
			opts := []strategies.ReadOption{strategies.WithObserver(seen), strategies.WithTTL(ttl.Policy{Negative: time.Minute})}
			if withKeys {
				opts = append(opts, strategies.WithEventKeys())
			}
			src.set(nil, nil)
			c := strategies.ReadThrough(store, src, opts...)
			for _, key := range []string{"a", "a", "none", "none"} {
				c.Get(t.Context(), key)
			}
			src.set(ignores(time.Second), func(context.Context, string) error { return errBroken })
			c.Get(t.Context(), "broken")
			kinds := map[tarn.EventKind]int{}
			for _, e := range seen.all {
				kinds[e.Kind]++
				require.Equal(t, 1, e.N)
				switch e.Kind {
				case tarn.EventHit, tarn.EventMiss, tarn.EventNegativeHit:
					require.Equal(t, withKeys, e.Key != nil)
				case tarn.EventLoadFailed:
					require.ErrorIs(t, e.Err, errBroken)
					require.Equal(t, time.Second, e.Duration)
				}
			}
			require.Equal(t, map[tarn.EventKind]int{
				tarn.EventMiss: 3, tarn.EventLoaded: 2, tarn.EventHit: 1, tarn.EventNegativeHit: 1, tarn.EventLoadFailed: 1,
			}, kinds)
			require.NoError(t, c.DeleteMany(t.Context(), []string{"a", "none"}))
		}
	})
}

// Each way in which a key can change between the look and the fill.
func TestFillIsRefusedAfterAChange(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		change func(t *testing.T, c *strategies.ReadThroughCache[string, int])
		want   int // what is cached afterwards; 0: nothing
	}{
		{"Set", func(t *testing.T, c *strategies.ReadThroughCache[string, int]) {
			require.NoError(t, c.Set(t.Context(), "a", 5))
		}, 5},
		{"SetMany", func(t *testing.T, c *strategies.ReadThroughCache[string, int]) {
			require.NoError(t, c.SetMany(t.Context(), []string{"a"}, []int{5}))
		}, 5},
		{"Delete", func(t *testing.T, c *strategies.ReadThroughCache[string, int]) {
			require.NoError(t, c.Delete(t.Context(), "a"))
		}, 0},
		{"DeleteMany", func(t *testing.T, c *strategies.ReadThroughCache[string, int]) {
			require.NoError(t, c.DeleteMany(t.Context(), []string{"a"}))
		}, 0},
		{"Hold", func(t *testing.T, c *strategies.ReadThroughCache[string, int]) {
			_, err := c.Hold(t.Context(), []string{"a"})
			require.NoError(t, err)
		}, 0},
		{"a hold that forgets", func(t *testing.T, c *strategies.ReadThroughCache[string, int]) {
			h, err := c.Hold(t.Context(), []string{"a"})
			require.NoError(t, err)
			require.NoError(t, h.Settle(t.Context(), []tarn.Outcome[int]{{}}))
		}, 0},
		{"a hold that stores", func(t *testing.T, c *strategies.ReadThroughCache[string, int]) {
			h, err := c.Hold(t.Context(), []string{"a"})
			require.NoError(t, err)
			require.NoError(t, h.Settle(t.Context(), []tarn.Outcome[int]{{Kind: tarn.Stored, Value: 5}}))
		}, 5},
		{"nothing", func(*testing.T, *strategies.ReadThroughCache[string, int]) {}, 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1})
				src.set(nil, ignores(time.Second))
				seen := new(events)
				c := strategies.ReadThrough(store, src, strategies.WithObserver(seen))
				r := asked(t.Context(), c, "a")
				synctest.Wait()
				tt.change(t, c)
				hasValue(t, 1, <-r)
				synctest.Wait()
				e, found, err := store.Get(t.Context(), "a")
				require.NoError(t, err)
				require.Equal(t, tt.want != 0, found)
				require.Equal(t, tt.want, e.Value)
				dropped := 1
				if tt.want == 1 {
					dropped = 0
				}
				require.Equal(t, dropped, seen.count(tarn.EventFillDropped))
			})
		})
	}
}

func TestBlindFills(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(nil, ignores(time.Second))
		c := strategies.ReadThrough(store, src, strategies.WithBlindFills())
		first := asked(t.Context(), c, "a")
		synctest.Wait()
		require.NoError(t, src.Save(t.Context(), "a", 2))
		require.NoError(t, c.Delete(t.Context(), "a"))
		second := asked(t.Context(), c, "a")
		hasValue(t, 1, <-first)
		hasValue(t, 1, <-second, "any load is shared")
		hasValue(t, 1, <-asked(t.Context(), c, "a"), "and what it brought is stored: this is what the option gives up")
		require.Equal(t, 1, src.loaded())

		h, err := c.Hold(t.Context(), []string{"a"})
		require.NoError(t, err)
		hasValue(t, 2, <-asked(t.Context(), c, "a"), "a held key still refuses a plain Set")
		require.NoError(t, h.Settle(t.Context(), make([]tarn.Outcome[int], 1)))
		loads := src.loaded()
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		require.Equal(t, loads+1, src.loaded())
	})
}

// With blind fills nothing would refuse the result of a load that was given up.
func TestBlindFillsAfterTheTimeLimit(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(nil, ignores(time.Minute))
		c := strategies.ReadThrough(store, src, strategies.WithBlindFills(), strategies.WithLoadTimeout(time.Second))
		require.ErrorIs(t, (<-asked(t.Context(), c, "a")).err, tarn.ErrLoadTimeout)
		require.NoError(t, src.Save(t.Context(), "a", 2))
		src.set(nil, nil)
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		time.Sleep(2 * time.Minute)
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
	})
}

func TestOutageOfTheStore(t *testing.T) {
	for _, op := range []string{"get", "lease", "fill", "getmany"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newTamper(t)
				store.failing(op)
				src := newSource(map[string]int{"a": 1, "b": 2})
				seen := new(events)
				c := strategies.ReadThrough(store, src, strategies.WithObserver(seen))
				if op != "getmany" {
					hasValue(t, 1, <-asked(t.Context(), c, "a"), "the source answers")
					require.Equal(t, tarn.ErrNotFound, (<-asked(t.Context(), c, "none")).err)
				}
				require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 2}, {Err: tarn.ErrNotFound}},
					getMany(t, t.Context(), c, "a", "b", "none"))
				require.NotZero(t, seen.count(tarn.EventStoreFailed), "and an event says so")

				aside := strategies.LookAside(store)
				_, err := aside.Get(t.Context(), "none")
				if op == "get" {
					require.ErrorIs(t, err, errBroken, "an outage is not a miss")
					require.NotErrorIs(t, err, tarn.ErrNotFound)
				}
				if op == "getmany" {
					err = aside.GetMany(t.Context(), []string{"a"}, make([]tarn.Result[int], 1))
					require.ErrorIs(t, err, errBroken)
				}
				v, err := aside.Fetch(t.Context(), "a", src)
				require.NoError(t, err)
				require.Equal(t, 1, v)
			})
		})
	}
}

// One key that the store cannot read does not hide the hits beside it.
func TestOutageOfTheStoreOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		src := newSource(map[string]int{"a": 1, "b": 2})
		c := strategies.ReadThrough[string, int](plain[string, int]{store}, src)
		store.failing("get")
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 2}}, getMany(t, t.Context(), c, "a", "b"))
		store.failing("set", "delete")
		require.ErrorIs(t, c.Set(t.Context(), "a", 1), errBroken)
		require.ErrorIs(t, c.Delete(t.Context(), "a"), errBroken)
	})
}

// shards is a plain store of which one key is out of reach. What it says it found there is not to be believed.
type shards struct {
	plain[string, int]
	bad string
}

func (s shards) Get(ctx context.Context, key string) (tarn.Entry[int], bool, error) {
	if key == s.bad {
		return tarn.Entry[int]{Value: 99}, true, errBroken
	}
	return s.plain.Get(ctx, key)
}

func TestOneKeyThatTheStoreCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := shards{plain[string, int]{newMemory[string, int](t)}, "bad"}
		src := newSource(map[string]int{"good": 1, "bad": 2})
		seen := new(events)
		policy := strategies.WithTTL(ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour})
		observed := strategies.ReadThrough(store, src, policy, strategies.WithObserver(seen))
		c := strategies.ReadThrough(store, src, policy)
		hasValue(t, 2, <-asked(t.Context(), c, "bad"), "an error counts, whatever comes with it")
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 2}}, getMany(t, t.Context(), c, "good", "bad"))
		require.Equal(t, 3, src.loaded())
		require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 2}}, getMany(t, t.Context(), c, "good", "bad"))
		require.Equal(t, 4, src.loaded(), "the good key is a hit")

		aside := strategies.LookAside(store)
		into := getMany(t, t.Context(), aside, "good", "bad", "none")
		require.Equal(t, tarn.Result[int]{Value: 1}, into[0])
		require.ErrorIs(t, into[1].Err, errBroken)
		require.ErrorContains(t, into[1].Err, "tarn: get: ")
		require.Equal(t, tarn.ErrNotFound, into[2].Err)

		time.Sleep(2 * time.Minute)
		src.set(func(context.Context, string) error { return errBroken }, nil)
		into = getMany(t, t.Context(), observed, "good", "bad")
		require.Equal(t, tarn.Result[int]{Value: 1}, into[0], "the old value is served")
		require.ErrorIs(t, into[1].Err, errBroken)
		require.Equal(t, 1, seen.count(tarn.EventRescued))

		require.NoError(t, aside.Close(t.Context()))
		require.ErrorIs(t, aside.GetMany(t.Context(), []string{"good"}, into[:1]), tarn.ErrClosed)
		require.NoError(t, observed.Close(t.Context()))
		require.NoError(t, c.Close(t.Context()))
	})
}

// A store that stalls while a load looks at it delays the load, not for longer than its time limit.
func TestStallingStore(t *testing.T) {
	for _, op := range []string{"lease", "fill"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newTamper(t)
				store.on(func(ctx context.Context, o string) error {
					if o == op {
						<-ctx.Done()
						return ctx.Err()
					}
					return nil
				})
				src := newSource(map[string]int{"a": 1})
				c := strategies.ReadThrough(store, src, strategies.WithLoadTimeout(time.Second))
				start := time.Now()
				r := <-asked(t.Context(), c, "a")
				require.LessOrEqual(t, r.at.Sub(start), time.Second)
				require.True(t, r.err == nil || errors.Is(r.err, tarn.ErrLoadTimeout), r.err)
				store.on(nil)
				hasValue(t, 1, <-asked(t.Context(), c, "a"))
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

func TestClose(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		c := strategies.ReadThrough(store, src)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		src.set(takes(time.Hour), nil)
		start := time.Now()
		r := asked(t.Context(), c, "b")
		synctest.Wait()
		waiting := asked(t.Context(), c, "b")
		many := calls(func() (int, error) {
			into := make([]tarn.Result[int], 2)
			err := c.GetMany(t.Context(), []string{"c", "d"}, into)
			return 0, errors.Join(err, into[0].Err, into[1].Err)
		})
		synctest.Wait()
		require.NoError(t, c.Close(t.Context()))
		for _, ch := range []<-chan reply{r, waiting, many} {
			r := <-ch
			require.ErrorIs(t, r.err, tarn.ErrClosed)
			require.Equal(t, start, r.at, "loads are cancelled")
		}
		require.Equal(t, 0, src.running, "and waited for")

		for _, key := range []string{"a", "b"} {
			require.ErrorIs(t, (<-asked(t.Context(), c, key)).err, tarn.ErrClosed, "a hit, too")
		}
		require.ErrorIs(t, c.GetMany(t.Context(), []string{"a"}, make([]tarn.Result[int], 1)), tarn.ErrClosed)
		require.ErrorIs(t, c.Set(t.Context(), "a", 1), tarn.ErrClosed)
		require.ErrorIs(t, c.Delete(t.Context(), "a"), tarn.ErrClosed)
		require.ErrorIs(t, c.SetMany(t.Context(), []string{"a"}, []int{1}), tarn.ErrClosed)
		require.ErrorIs(t, c.DeleteMany(t.Context(), []string{"a"}), tarn.ErrClosed)
		_, err := c.Hold(t.Context(), []string{"a"})
		require.ErrorIs(t, err, tarn.ErrClosed)
		require.NoError(t, c.Close(t.Context()), "twice is once")
		_, found, err := store.Get(t.Context(), "a")
		require.NoError(t, err)
		require.True(t, found, "the store is its maker's")
	})
}

func TestCloseWaitsAsLongAsItsContext(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(ignores(time.Minute), nil)
		c := strategies.ReadThrough(store, src)
		start := time.Now()
		r := asked(t.Context(), c, "a")
		synctest.Wait()
		require.NoError(t, c.Delete(t.Context(), "a"))
		next := asked(t.Context(), c, "a")
		synctest.Wait()
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Close(hurried), context.DeadlineExceeded, "a loader that ignores its context outlasts it")
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, c.Close(t.Context()), "a second Close goes on waiting")
		require.Equal(t, time.Minute, time.Since(start))
		<-r
		require.ErrorIs(t, (<-next).err, tarn.ErrClosed, "what had yet to begin never does")
		require.Equal(t, 1, src.loaded())
	})
}

// Callers that miss while Close runs are told, and no load begins after it.
func TestCloseAmidLoads(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
		_, rows := numbered(50)
		src := newSource(rows)
		src.set(takes(time.Second), nil)
		c := strategies.ReadThrough(store, src, strategies.WithMaxLoads(3))
		var replies []<-chan reply
		for k := range rows {
			replies = append(replies, asked(t.Context(), c, k))
		}
		require.NoError(t, c.Close(t.Context()))
		for _, r := range replies {
			require.ErrorIs(t, (<-r).err, tarn.ErrClosed)
		}
	})
}
