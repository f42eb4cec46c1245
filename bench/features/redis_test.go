package features_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocache "github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// behindRedis are the lines about several processes that share a Redis. Each has two caches of a kind, which know nothing of
// each other but that Redis.
var behindRedis = []struct {
	line string
	does func(t *testing.T, made func(source) subject, server *redistest.Server) bool
}{
	{"One load among processes", oneLoadAmongTwo},
	{"The same among processes", noStaleFillAmongTwo},
	{"Near copies are dropped when another process writes", nearCopiesAreDropped},
	{"The source answers while Redis is away", sourceAnswers},
}

// shared makes the caches that know Redis by themselves. near says whether there is a copy in the process, too.
var shared = map[string]func(t testing.TB, addr string, near bool, src source) subject{
	"tarn":           sharedTarn,
	"go-redis/cache": sharedGoRedisCache,
}

func TestBehindRedis(t *testing.T) {
	logging.Disable() // of connections that fail while Redis is away
	table := readme(t)
	for _, b := range behindRedis {
		for name, make := range shared {
			t.Run(b.line+"/"+name, func(t *testing.T) {
				server := redistest.Start(t)
				near := b.line == "Near copies are dropped when another process writes"
				does := b.does(t, func(src source) subject {
					s := make(t, server.Addr(), near, src)
					t.Cleanup(s.close)
					return s
				}, server)
				table.agrees(t, b.line, name, does)
			})
		}
	}
}

func client(t testing.TB, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, DialerRetries: 1, MaxRetries: 1,
		DialTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, // a Redis that was killed refuses at once
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func sharedTarn(t testing.TB, addr string, near bool, src source) subject {
	far := redisstore.New(goredisclient.Wrap(client(t, addr)), redisstore.Config[string, string]{Namespace: "features"})
	store := tarn.Store[string, string](far)
	close := func() {}
	if near {
		both := tiered.New(memory.New(memory.Options[string, string]{MaxEntries: 1000}), far)
		store, close = both, func() { _ = both.Close() }
	}
	cache := strategies.ReadThrough(store, tarn.LoadFunc(src.load, errAbsent), strategies.WithTTL(ttl.Policy{Fresh: time.Hour}),
		strategies.WithLeaseWait(time.Minute)) // the load of another takes as long as the test lets it
	return subject{
		get:  cache.Get,
		drop: func(key string) { _ = cache.Delete(context.Background(), key) },
		close: func() {
			_ = cache.Close(context.Background())
			close()
		},
	}
}

func sharedGoRedisCache(t testing.TB, addr string, near bool, src source) subject {
	options := &gocache.Options{Redis: client(t, addr)}
	if near {
		options.LocalCache = gocache.NewTinyLFU(1000, time.Hour)
	}
	return onGoRedisCache(gocache.New(options), src, hour)
}

func oneLoadAmongTwo(_ *testing.T, made func(source) subject, _ *redistest.Server) bool {
	g := newGate("v")
	one, two := made(source{load: g.load}), made(source{load: g.load})
	var all sync.WaitGroup
	all.Go(func() { _, _ = one.get(context.Background(), key) })
	await(func() bool { return g.loads.Load() == 1 })
	all.Go(func() { _, _ = two.get(context.Background(), key) })
	await(func() bool { return g.loads.Load() == 2 }) // enough to begin a load, if it does
	close(g.open)
	all.Wait()
	return g.loads.Load() == 1
}

func noStaleFillAmongTwo(_ *testing.T, made func(source) subject, _ *redistest.Server) bool {
	g := newGate("old")
	one, two := made(source{load: g.load}), made(source{load: g.load})
	var all sync.WaitGroup
	all.Go(func() { _, _ = one.get(context.Background(), key) })
	await(func() bool { return g.loads.Load() == 1 }) // it has read "old"
	g.value.Store("new")
	two.drop(key)
	close(g.open)
	all.Wait()
	value, err := two.get(context.Background(), key)
	return err == nil && value == "new"
}

func nearCopiesAreDropped(_ *testing.T, made func(source) subject, _ *redistest.Server) bool {
	var value atomic.Value
	value.Store("old")
	src := source{load: func(context.Context, string) (string, error) { return value.Load().(string), nil }}
	one, two := made(src), made(src)
	get := func(s subject) string {
		v, _ := s.get(context.Background(), key)
		return v
	}
	for range 3 {
		get(one)
		get(two)
		time.Sleep(100 * time.Millisecond) // by then there are copies
	}
	value.Store("new")
	one.drop(key)
	return await(func() bool { return get(two) == "new" })
}

func sourceAnswers(_ *testing.T, made func(source) subject, server *redistest.Server) bool {
	s := made(source{load: func(context.Context, string) (string, error) { return "v", nil }})
	if v, err := s.get(context.Background(), "a"); v != "v" || err != nil {
		return false
	}
	server.Kill()
	v, err := s.get(context.Background(), "b")
	return v == "v" && err == nil
}

// await waits for three seconds at most, and reports whether it came to be.
func await(so func() bool) bool {
	for start := time.Now(); time.Since(start) < 3*time.Second; time.Sleep(5 * time.Millisecond) {
		if so() {
			return true
		}
	}
	return false
}
