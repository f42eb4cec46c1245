package strategies_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// realFleet are three processes that share a real Redis: what they are promised under a fake clock, by short real lives.
type realFleet struct {
	caches []*strategies.ReadThroughCache[string, int64]
	loads  atomic.Int64 // begun
	fails  atomic.Bool
	gate   atomic.Pointer[chan struct{}] // loads but the first end when it is closed; nil: at once
}

// hold keeps all loads but the first from ending until the function that it returns is called.
func (f *realFleet) hold() (release func()) {
	gate := make(chan struct{})
	f.gate.Store(&gate)
	return sync.OnceFunc(func() { f.gate.Store(nil); close(gate) })
}

// onRealFleets runs f for processes that read Redis, and for processes with near stores before it.
func onRealFleets(t *testing.T, opts []strategies.ReadOption, f func(t *testing.T, fl *realFleet)) {
	t.Parallel()
	server := redistest.Start(t)
	for _, kind := range []string{"redis", "tiers"} {
		t.Run(kind, func(t *testing.T) {
			fl := new(realFleet)
			load := tarn.LoadFunc(func(ctx context.Context, _ string) (int64, error) {
				n := fl.loads.Add(1)
				if gate := fl.gate.Load(); gate != nil && n > 1 {
					<-*gate
				}
				if fl.fails.Load() {
					return 0, errBroken
				}
				return n, nil
			})
			for range 3 {
				fl.caches = append(fl.caches, strategies.ReadThrough(realStore(t, server, kind), load, opts...))
			}
			// The first to use a server that does not know the script yet teaches it, and begins a generation of its own.
			for _, c := range fl.caches {
				_, err := c.Get(t.Context(), "begun")
				require.NoError(t, err)
			}
			fl.loads.Store(0)
			f(t, fl)
			for _, c := range fl.caches {
				require.NoError(t, c.Close(t.Context()))
			}
		})
	}
}

func realStore(t *testing.T, server *redistest.Server, kind string) tarn.Store[string, int64] {
	client := server.Client()
	far := redisstore.New(client, redisstore.Config[string, int64]{
		Namespace: t.Name(), Heartbeat: 100 * time.Millisecond, HeartbeatTimeout: 5 * time.Second,
	})
	if kind == "redis" {
		return far
	}
	both := tiered.New(memory.New(memory.Options[string, int64]{MaxEntries: 100}), far)
	t.Cleanup(func() { require.NoError(t, both.Close()) })
	require.Eventually(t, both.Trusted, 20*time.Second, time.Millisecond)
	return both
}

// read reads the key through every process at once, and returns how it was answered.
func (f *realFleet) read(t *testing.T) (answers []strategies.Answer[int64]) {
	t.Helper()
	answers = make([]strategies.Answer[int64], len(f.caches))
	var all sync.WaitGroup
	for i, c := range f.caches {
		all.Go(func() {
			a, err := c.Answer(t.Context(), "a")
			if err != nil {
				t.Errorf("process %d: %v", i, err)
			}
			answers[i] = a
		})
	}
	all.Wait()
	return answers
}

// replaced waits until every process answers with the value of a load after the n-th, and returns it.
func (f *realFleet) replaced(t *testing.T, n int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, a := range f.read(t) {
			if a.Value <= n {
				return false
			}
		}
		return true
	}, 20*time.Second, time.Millisecond)
}

func TestRealRedisServesStaleWhileOneRevalidates(t *testing.T) {
	life := ttl.Policy{Fresh: 300 * time.Millisecond, StaleWhileRevalidate: time.Minute}
	onRealFleets(t, []strategies.ReadOption{policy(life)}, func(t *testing.T, fl *realFleet) {
		release := fl.hold()
		defer release()
		begin := time.Now()
		fl.read(t)
		if loads := fl.loads.Load(); time.Since(begin) < life.Fresh { // otherwise it may be stale again
			require.EqualValues(t, 1, loads, "one load for all processes")
		}
		time.Sleep(life.Fresh + 50*time.Millisecond)
		for range 5 {
			for _, a := range fl.read(t) {
				require.Equal(t, strategies.HowStale, a.How)
				require.EqualValues(t, 1, a.Value)
			}
		}
		require.Eventually(t, func() bool { return fl.loads.Load() > 1 }, 20*time.Second, time.Millisecond)
		require.EqualValues(t, 2, fl.loads.Load(), "one process reloads")
		release()
		fl.replaced(t, 1)
	})
}

func TestRealRedisRescuesWhileTheSourceIsDown(t *testing.T) {
	life := ttl.Policy{Fresh: 500 * time.Millisecond, StaleIfError: time.Minute, Throttle: 300 * time.Millisecond}
	onRealFleets(t, []strategies.ReadOption{policy(life)}, func(t *testing.T, fl *realFleet) {
		fl.read(t)
		fl.fails.Store(true)
		begin := time.Now()
		time.Sleep(life.Fresh)
		reads := 0
		for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
			for _, a := range fl.read(t) { // fails the test if a caller gets an error
				require.EqualValues(t, 1, a.Value)
				reads++
			}
			time.Sleep(5 * time.Millisecond)
		}
		down := time.Since(begin)
		tries := fl.loads.Load() - 1
		t.Logf("without a source for %v: %d callers, no error, %d loads tried", down, reads, tries)
		// Each process may find out once for itself that had asked before the value was stored again.
		require.LessOrEqual(t, tries, int64(down/life.Throttle)+3)
		require.Positive(t, tries)

		fl.fails.Store(false)
		before, back := fl.loads.Load(), time.Now()
		fl.replaced(t, 1)
		lives := int64(time.Since(back) / life.Fresh) // more than one if the machine stood still
		require.LessOrEqual(t, fl.loads.Load()-before, int64(2*len(fl.caches))+lives, "it is not overrun when it is back")
	})
}

func TestRealRedisSoftTimeout(t *testing.T) {
	life := ttl.Policy{Fresh: 500 * time.Millisecond, StaleIfError: time.Minute}
	opts := []strategies.ReadOption{policy(life), strategies.WithSoftTimeout(20 * time.Millisecond)}
	onRealFleets(t, opts, func(t *testing.T, fl *realFleet) {
		release := fl.hold()
		defer release()
		fl.read(t)
		time.Sleep(life.Fresh)
		for _, a := range fl.read(t) { // which nobody waits for: it does not end
			require.Equal(t, strategies.HowRescued, a.How)
			require.EqualValues(t, 1, a.Value)
		}
		release()
		fl.replaced(t, 1)
	})
}

func TestRealRedisRefreshesAhead(t *testing.T) {
	life := ttl.Policy{Fresh: 2 * time.Second, RefreshAfter: 0.1}
	onRealFleets(t, []strategies.ReadOption{policy(life)}, func(t *testing.T, fl *realFleet) {
		fl.read(t)
		begin := time.Now()
		for lives := int64(1); lives < 4; lives++ {
			fl.replaced(t, lives)
		}
		took := time.Since(begin)
		require.LessOrEqual(t, fl.loads.Load(), int64(took/(200*time.Millisecond))+3, "one process refreshes")
		stale := func(a strategies.Answer[int64]) bool { return a.How != strategies.HowFresh }
		for tries := 0; slices.ContainsFunc(fl.read(t), stale); tries++ { // unless the machine stood still for a life
			require.Less(t, tries, 20, "nobody waits before the end of its life")
		}
	})
}

func TestRealRedisIsAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := realStore(t, server, "redis")
	var loads atomic.Int64
	load := tarn.LoadFunc(func(context.Context, string) (int64, error) { return loads.Add(1), nil })
	c := strategies.ReadThrough(store, load, strategies.WithStoreTimeout(50*time.Millisecond))
	defer func() { require.NoError(t, c.Close(context.Background())) }()
	_, err := c.Get(t.Context(), "a")
	require.NoError(t, err)
	server.Freeze()
	begin := time.Now()
	v, err := c.Get(t.Context(), "a")
	took := time.Since(begin)
	server.Thaw()
	require.NoError(t, err, "the source answers")
	require.EqualValues(t, 2, v)
	require.Less(t, took, 4*time.Second, "the client gives up after five")
}
