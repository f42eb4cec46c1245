package strategies_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// What a loader does to its goroutine reaches its callers as an error, and the key is whole afterwards.
func TestLoaderIsContained(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		fault func()
		check func(t *testing.T, p *tarn.PanicError)
	}{
		{"a panic", func() { panic("boom") }, func(t *testing.T, p *tarn.PanicError) {
			require.Equal(t, "boom", p.Value)
			require.Contains(t, string(p.Stack), "TestLoaderIsContained", "the stack says where")
		}},
		{"a panic with an error", func() { panic(errBroken) }, func(t *testing.T, p *tarn.PanicError) {
			require.ErrorIs(t, p, errBroken)
		}},
		{"runtime.Goexit", runtime.Goexit, func(t *testing.T, p *tarn.PanicError) { require.Nil(t, p.Value) }},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1, "b": 2})
				faulty := func(_ context.Context, key string) error {
					time.Sleep(time.Second)
					if key == "a" {
						tt.fault()
					}
					return nil
				}
				src.set(faulty, nil)
				c := strategies.ReadThrough(store, src)
				check := func(err error) {
					t.Helper()
					var p *tarn.PanicError
					require.ErrorAs(t, err, &p)
					tt.check(t, p)
				}
				replies := []<-chan reply{asked(t.Context(), c, "a"), asked(t.Context(), c, "a")}
				for _, r := range replies {
					check((<-r).err)
				}
				into := make([]tarn.Result[int], 2)
				require.NoError(t, c.GetMany(t.Context(), []string{"a", "b"}, into))
				check(into[0].Err)
				require.Equal(t, tarn.Result[int]{Value: 2}, into[1], "another key of the batch is not concerned")

				src.set(nil, nil)
				hasValue(t, 1, <-asked(t.Context(), c, "a"), "the key is usable afterwards")
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

func TestBatchLoaderIsContained(t *testing.T) {
	for rule, fault := range map[string]func(){"a panic": func() { panic("boom") }, "runtime.Goexit": runtime.Goexit} {
		t.Run(rule, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1, "b": 2})
				broken := true
				many := tarn.LoadManyFunc(src.Load, func(_ context.Context, keys []string) (map[string]int, error) {
					if broken {
						fault()
					}
					return map[string]int{"a": 1, "b": 2}, nil
				})
				c := strategies.ReadThrough(store, many)
				into := make([]tarn.Result[int], 2)
				require.NoError(t, c.GetMany(t.Context(), []string{"a", "b"}, into))
				for _, r := range into {
					var p *tarn.PanicError
					require.ErrorAs(t, r.Err, &p)
				}
				broken = false
				require.NoError(t, c.GetMany(t.Context(), []string{"a", "b"}, into))
				require.Equal(t, []tarn.Result[int]{{Value: 1}, {Value: 2}}, into)
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// The store and the observer run on the load's goroutine too, where no caller could recover their panics.
func TestStoreAndObserverAreContained(t *testing.T) {
	for _, fault := range []func(){func() { panic("boom") }, runtime.Goexit} {
		for _, op := range []string{"lease", "fill", "observer"} {
			t.Run(op, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := newTamper(t)
					src := newSource(map[string]int{"a": 1, "b": 2, "c": 3})
					src.set(takes(time.Second), nil)
					seen := new(events)
					c := strategies.ReadThrough(store, src, strategies.WithObserver(seen), strategies.WithLoadTimeout(5*time.Second))
					store.on(func(_ context.Context, o string) error {
						if o == op {
							fault()
						}
						return nil
					})
					if op == "observer" {
						seen.on(func(e tarn.Event) {
							if e.Kind == tarn.EventLoaded {
								fault()
							}
						})
					}
					var p *tarn.PanicError
					require.ErrorAs(t, (<-asked(t.Context(), c, "a")).err, &p)
					into := make([]tarn.Result[int], 2)
					require.NoError(t, c.GetMany(t.Context(), []string{"b", "c"}, into))
					require.ErrorAs(t, into[0].Err, &p)
					require.ErrorAs(t, into[1].Err, &p)

					store.on(nil)
					seen.on(nil)
					hasValue(t, 1, <-asked(t.Context(), c, "a"))
					hasValue(t, 2, <-asked(t.Context(), c, "b"))
					hasValue(t, 3, <-asked(t.Context(), c, "c"))
					require.NoError(t, c.Close(t.Context()))
				})
			})
		}
	}
}

// Of a batch that is loaded key by key the store's panic concerns the one key that it was given.
func TestStorePanicsOnOneKeyOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		src := newSource(map[string]int{"fast": 1, "slow": 2})
		src.set(func(_ context.Context, key string) error {
			if key == "slow" {
				time.Sleep(time.Second)
			}
			return nil
		}, nil)
		c := strategies.ReadThrough(store, src)
		var panicked atomic.Bool
		store.on(func(_ context.Context, op string) error {
			if op == "fill" && panicked.CompareAndSwap(false, true) {
				panic("boom")
			}
			return nil
		})
		into := getMany(t, t.Context(), c, "slow", "fast")
		var p *tarn.PanicError
		require.ErrorAs(t, into[1].Err, &p)
		require.Equal(t, tarn.Result[int]{Value: 2}, into[0])
		hasValue(t, 2, <-asked(t.Context(), c, "slow"))
		require.Equal(t, 2, src.loaded(), "one load of each key")
		require.NoError(t, c.Close(t.Context()))
	})
}

// A caller asks the store about a running load's lease on its own goroutine. If the store panics there or stalls, the
// other keys of that caller's batch are nobody's loss.
func TestStoreFaultWhileBoarding(t *testing.T) {
	for rule, fault := range map[string]func(ctx context.Context){
		"a panic": func(context.Context) { panic("boom") },
		"a stall": func(ctx context.Context) { <-ctx.Done() },
	} {
		t.Run(rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newTamper(t)
				src := newSource(map[string]int{"a": 1, "b": 2})
				src.set(takes(time.Minute), nil)
				c := strategies.ReadThrough(store, src, strategies.WithLoadTimeout(2*time.Minute))
				first := asked(t.Context(), c, "a")
				synctest.Wait()
				store.on(func(ctx context.Context, op string) error {
					if op == "stands" {
						fault(ctx)
					}
					return nil
				})
				leaving, leave := context.WithTimeout(t.Context(), time.Hour)
				defer leave()
				go func() {
					defer func() { recover() }()
					c.GetMany(leaving, []string{"b", "a"}, make([]tarn.Result[int], 2))
				}()
				synctest.Wait()
				store.on(nil)
				start := time.Now()
				r := <-asked(t.Context(), c, "b")
				hasValue(t, 2, r)
				require.LessOrEqual(t, r.at.Sub(start), 2*time.Minute)
				hasValue(t, 1, <-first)
				leave()
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

func TestValueWithAnError(t *testing.T) {
	for _, tt := range []struct {
		rule string
		err  error
		want error
	}{
		{"the error wins", errBroken, errBroken},
		{"ErrNotFound wins", tarn.ErrNotFound, tarn.ErrNotFound},
		{"a wrapped ErrNotFound wins", errors.Join(errBroken, tarn.ErrNotFound), tarn.ErrNotFound},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, store tarn.Store[string, int]) {
				result := tt.err
				load := func(context.Context, string) (int, error) { return 7, result }
				loadEntry := func(context.Context, string) (tarn.Loaded[int], error) {
					return tarn.Loaded[int]{Value: 7, Policy: &ttl.Policy{Fresh: time.Hour}}, result
				}
				for _, loader := range []tarn.Loader[string, int]{tarn.LoadFunc(load), tarn.LoadEntryFunc(loadEntry)} {
					c := strategies.ReadThrough(store, loader)
					result = tt.err
					v, err := c.Get(t.Context(), "a")
					require.ErrorIs(t, err, tt.want)
					require.Zero(t, v)
					into := make([]tarn.Result[int], 1)
					require.NoError(t, c.GetMany(t.Context(), []string{"a"}, into))
					require.ErrorIs(t, into[0].Err, tt.want)
					require.Zero(t, into[0].Value)
					_, found, err := store.Get(t.Context(), "a")
					require.NoError(t, err)
					require.False(t, found, "nothing is cached")
					result = nil
					hasValue(t, 7, <-asked(t.Context(), c, "a"))
					require.NoError(t, c.Delete(t.Context(), "a"))
				}
			})
		})
	}
}
