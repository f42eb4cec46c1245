package strategies_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

type manyCache interface {
	tarn.Cache[string, int]
	tarn.BatchCache[string, int]
}

// A store that fails at random, before or after it has done what it was asked: readers are answered by the source,
// writes reach it, and what was acknowledged is not taken back.
func TestFlakyStore(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(in tarn.Guarded[string, int], src *table) manyCache
	}{
		{"write-through", func(in tarn.Guarded[string, int], src *table) manyCache {
			return strategies.WriteThrough(in, src)
		}},
		{"write-around", func(in tarn.Guarded[string, int], src *table) manyCache {
			return strategies.WriteAround(in, src)
		}},
		{"write-through in batches", func(in tarn.Guarded[string, int], src *table) manyCache {
			return strategies.WriteThrough(in, batchTable{src})
		}},
	} {
		for _, kind := range []faulty.Kind{faulty.Fail, faulty.LoseReply} {
			for _, leaseless := range []bool{false, true} {
				t.Run(tt.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						mem := newMemory[string, int](t)
						flaky := faulty.New[string, int](&tamper[string, int]{inner: mem, leaseless: leaseless})
						src := newTable(map[string]int{"a": 0, "b": 0})
						src.source.set(takes(3*time.Millisecond), takes(2*time.Millisecond))
						src.on(stall(2*time.Millisecond), stall(3*time.Millisecond))
						in := strategies.ReadThrough(flaky, src.source, strategies.WithTTL(ttl.Policy{
							Fresh: 50 * time.Millisecond, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour,
						}))
						flaky.Inject(faulty.Fault{Kind: kind, Chance: 0.2})
						readAndWrite(t, tt.make(in, src), src)
						if err := in.Close(t.Context()); !errors.Is(err, tarn.ErrMaybeStale) { // its last repair may fail
							require.NoError(t, err)
						}
					})
				})
			}
		}
	}
}

// readAndWrite has one writer of each key, whose values grow, and readers who know what was acknowledged before they
// asked.
func readAndWrite(t *testing.T, c manyCache, src *table) {
	keys := []string{"a", "b"}
	var acked [2]atomic.Int64
	var done atomic.Bool
	var all, writers sync.WaitGroup
	for i, key := range keys {
		writers.Go(func() {
			for n := range 100 {
				err := c.Set(t.Context(), key, n+1)
				switch {
				case err == nil:
					acked[i].Store(int64(n + 1))
				case !errors.Is(err, tarn.ErrMaybeStale):
					t.Errorf("an outage of the cache reached a writer: %v", err)
				}
				if src.row(key) != n+1 {
					t.Errorf("the source has not been written")
				}
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			}
		})
	}
	for range 6 {
		all.Go(func() {
			for !done.Load() {
				floors := [2]int{int(acked[0].Load()), int(acked[1].Load())}
				into := make([]tarn.Result[int], 2)
				if rand.IntN(2) == 0 {
					if err := c.GetMany(t.Context(), keys, into); err != nil {
						t.Errorf("an outage of the cache reached a reader: %v", err)
					}
				} else {
					into[0].Value, into[0].Err = c.Get(t.Context(), "a")
					into[1].Value, into[1].Err = c.Get(t.Context(), "b")
				}
				for i, r := range into {
					if r.Err != nil || r.Value < floors[i] {
						t.Errorf("read %v, %v; %d was acknowledged before", r.Value, r.Err, floors[i])
					}
				}
				time.Sleep(time.Duration(1+rand.IntN(10)) * time.Millisecond)
			}
		})
	}
	writers.Wait()
	done.Store(true)
	all.Wait()
}

// A store that lies about its holds or leases, or that forgets a delete, is what the strategies cannot make good: the
// test above sees it.
func TestFlakyStoreTestSeesLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(memory.Options[string, int]{MaxEntries: 10})
		defer mem.Close()
		lying := faulty.New[string, int](mem)
		lying.Inject(faulty.Fault{Kind: faulty.Lie, Ops: faulty.Holds | faulty.Delete})
		src := newTable(map[string]int{"a": 1})
		c := strategies.WriteThrough(strategies.ReadThrough(lying, src.source), src)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.NoError(t, c.Set(t.Context(), "a", 2))
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
	})
}
