package strategies_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// shared is a store with a cache on it, and another one, as another process has it. Both read one source.
type shared struct {
	store *tamper[string, int]
	src   *source
	other *strategies.ReadThroughCache[string, int]
	c     *strategies.ReadThroughCache[string, int]
}

// slow is how long a load of the other cache takes.
const slow = 300 * time.Millisecond

func newShared(t *testing.T, opts ...strategies.ReadOption) *shared {
	s := &shared{store: newTamper(t), src: newSource(map[string]int{"a": 1, "b": 2, "c": 3, "x": 4})}
	s.src.set(nil, takes(slow))
	s.other = strategies.ReadThrough(s.store, s.src)
	s.c = strategies.ReadThrough(s.store, s.src, opts...)
	return s
}

// lease takes the lease of a key as a process that dies would, and keeps it.
func (s *shared) lease(t *testing.T, key string) tarn.Token {
	t.Helper()
	var into [1]tarn.Lease[int]
	terms := tarn.LeaseTerms{Life: 30 * time.Second, Refresh: true}
	require.NoError(t, s.store.inner.Lease(t.Context(), []string{key}, terms, into[:]))
	require.Equal(t, tarn.Granted, into[0].State)
	return into[0].Token
}

func TestOneLoadAmongManyCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		caches := []*strategies.ReadThroughCache[string, int]{s.c, s.other}
		for range 2 {
			caches = append(caches, strategies.ReadThrough(s.store, s.src))
		}
		var replies []<-chan reply
		for i := range 1000 {
			replies = append(replies, asked(t.Context(), caches[i%4], "a"))
		}
		began := time.Now()
		for _, r := range replies {
			r := <-r
			hasValue(t, 1, r)
			require.LessOrEqual(t, r.at.Sub(began), slow+50*time.Millisecond, "within a pause of the fill")
		}
		require.Equal(t, 1, s.src.loaded())
	})
}

func TestWhoWaitsForALease(t *testing.T) {
	const bound = time.Second
	within := 50 * time.Millisecond // the longest pause
	for _, tt := range []struct {
		name, rule string
		opts       []strategies.ReadOption
		meanwhile  func(t *testing.T, s *shared, token tarn.Token) // begins with the wait
		after      time.Duration                                   // the answer comes then, or a pause later
		value      int
		loads      int
		stored     bool
	}{{
		name:  "a lease that nobody fills",
		rule:  "a wait is bounded, and what is loaded after it is not stored",
		after: bound, value: 1, loads: 1,
	}, {
		name:  "no time to wait",
		rule:  "0 switches the wait off",
		opts:  []strategies.ReadOption{strategies.WithLeaseWait(0)},
		after: 0, value: 1, loads: 1,
	}, {
		name:  "a wait of a quarter",
		rule:  "the wait is as long as the option says",
		opts:  []strategies.ReadOption{strategies.WithLeaseWait(bound / 4)},
		after: bound / 4, value: 1, loads: 1,
	}, {
		name:  "a load that may not take long",
		rule:  "half of a load's time is left to load in",
		opts:  []strategies.ReadOption{strategies.WithLoadTimeout(bound)},
		after: bound / 2, value: 1, loads: 1,
	}, {
		name: "the other fills",
		rule: "what it filled is the answer",
		meanwhile: func(t *testing.T, s *shared, token tarn.Token) {
			time.Sleep(slow)
			fills := []tarn.Fill[string, int]{{Key: "a", Token: token, Store: true, Entry: tarn.Entry[int]{Value: 7}}}
			require.NoError(t, s.store.inner.Fill(t.Context(), fills))
		},
		after: slow, value: 7, stored: true,
	}, {
		name: "the other gives up",
		rule: "whoever gets the lease loads and stores",
		meanwhile: func(t *testing.T, s *shared, token tarn.Token) {
			time.Sleep(slow)
			require.NoError(t, s.store.inner.Fill(t.Context(), []tarn.Fill[string, int]{{Key: "a", Token: token}}))
		},
		after: slow, value: 1, loads: 1, stored: true,
	}, {
		name: "the key is invalidated",
		rule: "the lease is void, so whoever gets it anew loads and stores",
		meanwhile: func(t *testing.T, s *shared, token tarn.Token) {
			time.Sleep(slow)
			require.NoError(t, s.other.Delete(t.Context(), "a"))
		},
		after: slow, value: 1, loads: 1, stored: true,
	}, {
		name: "the key is being written",
		rule: "under a hold the source is asked at once, and nothing is stored",
		meanwhile: func(t *testing.T, s *shared, token tarn.Token) {
			time.Sleep(slow)
			_, err := s.other.Hold(t.Context(), []string{"a"})
			require.NoError(t, err)
		},
		after: slow, value: 1, loads: 1,
	}, {
		name: "the store fails",
		rule: "the source is asked at once",
		meanwhile: func(t *testing.T, s *shared, token tarn.Token) {
			time.Sleep(slow)
			s.store.failing("lease", "stands")
		},
		after: slow, value: 1, loads: 1,
	}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShared(t, tt.opts...)
				s.src.set(nil, nil)
				token := s.lease(t, "a")
				began := time.Now()
				r := asked(t.Context(), s.c, "a")
				if tt.meanwhile != nil {
					tt.meanwhile(t, s, token)
				}
				got := <-r
				hasValue(t, tt.value, got, tt.rule)
				took := got.at.Sub(began)
				require.True(t, tt.after <= took && took <= tt.after+within, "took %v: %s", took, tt.rule)
				require.Equal(t, tt.loads, s.src.loaded(), tt.rule)
				_, found := s.store.inner.Value("a")
				require.Equal(t, tt.stored, found, tt.rule)
				// At first, five times until the pauses are between half of the longest and all of it, and then within each half.
				most := 1 + 5 + int(bound/(within/2))
				require.LessOrEqual(t, s.store.called("lease"), most, "the store is not asked more than need be")
			})
		})
	}
}

func TestALeaseIsWaitedForInVainOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.src.set(nil, nil)
		s.lease(t, "a")
		hasValue(t, 1, <-asked(t.Context(), s.c, "a"))
		began := time.Now()
		for range 3 {
			r := <-asked(t.Context(), s.c, "a")
			hasValue(t, 1, r)
			require.Equal(t, began, r.at, "it is known that the wait is no use")
		}
		time.Sleep(30 * time.Second)
		token := s.lease(t, "a") // the former has ended
		r := asked(t.Context(), s.c, "a")
		require.True(t, pending(r), "another lease may be filled")
		require.NoError(t, s.store.inner.Fill(t.Context(), []tarn.Fill[string, int]{{Key: "a", Token: token}}))
		hasValue(t, 1, <-r)
	})
}

// A load whose fill is lost leaves its lease behind. The next one of the same cache is not to wait for it.
func TestALostFillIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newMemory[string, int](t)
		store := faulty.New[string, int](mem)
		c := strategies.ReadThrough(store, newSource(map[string]int{"a": 1}))
		store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Fill, Times: 1})
		began := time.Now()
		for range 2 {
			r := <-asked(t.Context(), c, "a")
			hasValue(t, 1, r)
			require.Equal(t, began, r.at)
		}
	})
}

func TestABatchWaitsForWhatOthersLoadAlone(t *testing.T) {
	for name, many := range map[string]bool{"one by one": false, "together": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShared(t)
				s.src.set(nil, nil)
				var loader tarn.Loader[string, int] = s.src
				var calls [][]string
				if many {
					loader = tarn.LoadManyFunc(s.src.Load, func(ctx context.Context, keys []string) (map[string]int, error) {
						calls = append(calls, keys)
						found := make(map[string]int)
						for _, key := range keys {
							found[key], _ = s.src.Load(ctx, key)
						}
						return found, nil
					})
				}
				c := strategies.ReadThrough(s.store, loader)
				a, b := s.lease(t, "a"), s.lease(t, "b")
				batch := asksMany(func() (map[string]int, error) {
					return tarn.GetMany(t.Context(), c, []string{"a", "b", "c", "x"})
				})
				synctest.Wait()
				for _, key := range []string{"c", "x"} {
					v, found := s.store.inner.Value(key)
					require.True(t, found, "what nobody else loads is loaded at once")
					require.Equal(t, s.src.row(key), v)
				}
				require.Equal(t, 2, s.src.loaded())
				looks := s.store.called("lease")
				time.Sleep(slow)
				looks = s.store.called("lease") - looks
				require.InDelta(t, 10, looks, 6, "both keys in one call")
				require.NoError(t, s.store.inner.Fill(t.Context(), []tarn.Fill[string, int]{
					{Key: "a", Token: a, Store: true, Entry: tarn.Entry[int]{Value: 7}}, {Key: "b", Token: b},
				}))
				require.Equal(t, map[string]int{"a": 7, "b": 2, "c": 3, "x": 4}, <-batch)
				require.Equal(t, 3, s.src.loaded(), "a was found, and b was loaded")
				if many {
					require.Equal(t, [][]string{{"c", "x"}}, calls)
				}
			})
		})
	}
}

func TestALoadBesideAWaitHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.src.set(takes(10*slow), nil)
		token := s.lease(t, "a")
		batch := asksMany(func() (map[string]int, error) { return tarn.GetMany(t.Context(), s.c, []string{"c", "a"}) })
		synctest.Wait()
		waits := asked(t.Context(), s.c, "a")
		time.Sleep(slow)
		require.NoError(t, s.store.inner.Fill(t.Context(), []tarn.Fill[string, int]{
			{Key: "a", Token: token, Store: true, Entry: tarn.Entry[int]{Value: 7}},
		}))
		began := time.Now()
		r := <-waits
		hasValue(t, 7, r)
		require.Less(t, r.at.Sub(began), 2*slow, "while c is being loaded")
		require.Equal(t, map[string]int{"a": 7, "c": 3}, <-batch)
	})
}

// asksMany runs f on a goroutine of its own.
func asksMany(f func() (map[string]int, error)) <-chan map[string]int {
	ch := make(chan map[string]int, 1)
	go func() {
		m, err := f()
		if err == nil {
			ch <- m
		}
		close(ch)
	}()
	return ch
}

func TestWhoJoinsAWaitAsksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		other := asked(t.Context(), s.other, "a")
		synctest.Wait()
		var replies []<-chan reply
		for range 100 {
			replies = append(replies, asked(t.Context(), s.c, "a"))
			time.Sleep(time.Millisecond)
		}
		for _, r := range replies {
			hasValue(t, 1, <-r)
		}
		hasValue(t, 1, <-other)
		require.Less(t, s.store.called("stands"), 5, "but for those who came as the store was asked")
		require.Equal(t, 1, s.src.loaded())
	})
}

func TestAStaleValueIsServedWhileAnotherReplacesIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy ttl.Policy
		waits  bool
	}{
		{"while revalidating", ttl.Policy{Fresh: time.Minute, StaleWhileRevalidate: time.Hour}, false},
		{"if the source fails", ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShared(t, strategies.WithTTL(tt.policy))
				s.src.set(nil, nil)
				hasValue(t, 1, <-asked(t.Context(), s.c, "a"))
				time.Sleep(2 * time.Minute)
				token := s.lease(t, "a")
				r := asked(t.Context(), s.c, "a")
				require.Equal(t, tt.waits, pending(r))
				require.Equal(t, 1, s.src.loaded(), "somebody else loads it")
				entry := tarn.Entry[int]{Value: 7}
				require.NoError(t, s.store.inner.Fill(t.Context(), []tarn.Fill[string, int]{
					{Key: "a", Token: token, Store: true, Entry: entry},
				}))
				if tt.waits {
					hasValue(t, 7, <-r)
				} else {
					hasValue(t, 1, <-r)
				}
				hasValue(t, 7, <-asked(t.Context(), s.c, "a"))
				require.Equal(t, 1, s.src.loaded())
			})
		})
	}
}

func TestAWaitEndsWithItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.lease(t, "a")
		ctx, cancel := context.WithTimeout(t.Context(), slow)
		defer cancel()
		began := time.Now()
		r := <-asked(ctx, s.c, "a")
		require.ErrorIs(t, r.err, context.DeadlineExceeded)
		require.Equal(t, slow, r.at.Sub(began))
		synctest.Wait()
		looks := s.store.called("lease")
		time.Sleep(slow)
		require.Equal(t, looks, s.store.called("lease"), "nobody waits, so nobody asks")
		require.Zero(t, s.src.loaded())

		waits := asked(t.Context(), s.c, "a")
		synctest.Wait()
		began = time.Now()
		require.NoError(t, s.c.Close(t.Context()))
		require.Equal(t, began, time.Now(), "Close ends it")
		require.ErrorIs(t, (<-waits).err, tarn.ErrClosed)
		require.Zero(t, s.src.loaded())
	})
}

func TestWhoWaitsHasNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t, strategies.WithMaxLoads(1))
		s.src.set(nil, nil)
		s.lease(t, "a")
		waits := asked(t.Context(), s.c, "a")
		synctest.Wait()
		began := time.Now()
		r := <-asked(t.Context(), s.c, "b")
		hasValue(t, 2, r)
		require.Equal(t, began, r.at)
		hasValue(t, 1, <-waits)
	})
}

func TestNoLoadWaitsForItsOwnLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.src.set(nil, nil)
		outer := strategies.ReadThrough(s.store, tarn.LoadFunc(s.c.Get)) // another cache on the same store
		began := time.Now()
		r := <-asked(t.Context(), outer, "a")
		hasValue(t, 1, r)
		require.Equal(t, began, r.at)
	})
}

// Two processes whose loaders wait for each other's leases both go on when the bound has passed.
func TestLoadersThatAwaitEachOthersLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		asking := func(c **strategies.ReadThroughCache[string, int], key, other string) tarn.Loader[string, int] {
			return tarn.LoadFunc(func(ctx context.Context, k string) (int, error) {
				if k != key {
					return s.src.Load(ctx, k)
				}
				time.Sleep(time.Millisecond) // until both have their leases
				v, err := (*c).Get(context.WithoutCancel(ctx), other)
				return 10 * v, err
			})
		}
		var one, two *strategies.ReadThroughCache[string, int]
		one = strategies.ReadThrough(s.store, asking(&one, "a", "b"))
		two = strategies.ReadThrough(s.store, asking(&two, "b", "a"))
		began := time.Now()
		first, second := asked(t.Context(), one, "a"), asked(t.Context(), two, "b")
		hasValue(t, 20, <-first)
		hasValue(t, 10, <-second)
		require.Less(t, time.Since(began), 2*time.Second)
	})
}

// A loader that has the only place waits for a key of a batch, whose calls of the loader wait for that place, the first
// as well as those that come when others' loads have been waited for.
func TestEveryCallOfABatchIsHurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.src.set(nil, nil)
		ask := make(chan struct{})
		var c *strategies.ReadThroughCache[string, int]
		load := func(ctx context.Context, key string) (int, error) {
			if key == "x" {
				<-ask
				return c.Get(ctx, "a")
			}
			return s.src.Load(ctx, key)
		}
		c = strategies.ReadThrough(s.store, tarn.LoadManyFunc(load, func(ctx context.Context, keys []string) (map[string]int, error) {
			return nil, errors.New("not asked for several")
		}), strategies.WithMaxLoads(1))
		x := asked(t.Context(), c, "x")
		synctest.Wait()
		token := s.lease(t, "b")
		batch := asksMany(func() (map[string]int, error) { return tarn.GetMany(t.Context(), c, []string{"a", "b"}) })
		synctest.Wait()
		require.NoError(t, s.store.inner.Fill(t.Context(), []tarn.Fill[string, int]{{Key: "b", Token: token}}))
		time.Sleep(slow) // now b has its lease and waits for a place, too
		began := time.Now()
		close(ask)
		r := <-x
		hasValue(t, 1, r)
		require.Equal(t, began, r.at)
		require.Equal(t, map[string]int{"a": 1, "b": 2}, <-batch)
	})
}

func TestLeaseWaitIsNotNegative(t *testing.T) {
	require.PanicsWithValue(t, "strategies: WithLeaseWait: negative: -1s",
		func() { strategies.WithLeaseWait(-time.Second) })
}
