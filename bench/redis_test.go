package bench

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/rueidis"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
	"github.com/tarncache/tarn/store/redisstore/rueidisclient"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

func TestMain(m *testing.M) {
	logging.Disable() // of connections that fail while Redis is away
	if at := os.Getenv(coldKeyAt); at != "" {
		coldKeyProcess(at)
		return
	}
	os.Exit(m.Run())
}

// callers is how many goroutines ask at once in the benchmarks of what is in front of Redis.
const callers = 64

// profile is a value as applications keep them in Redis: of 300 bytes as JSON.
type profile struct {
	ID    int64
	Name  string
	Bio   string
	Tags  []string
	Score float64
}

func profileOf(id int64) profile {
	return profile{id, "Ada Lovelace", "An English mathematician and writer, known for her work on the Analytical " +
		"Engine, who saw that it had uses beyond calculation, and published the first algorithm made for it. She was " +
		"tutored by Mary Somerville.", []string{"science", "engine", "notes"}, 3.25}
}

func encoded(b testing.TB, p profile) string {
	text, err := json.Marshal(p)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

func decoded(text []byte) (p profile, err error) {
	err = json.Unmarshal(text, &p)
	return p, err
}

func TestProfileHas300Bytes(t *testing.T) {
	if n := len(encoded(t, profileOf(1234))); n != 300 {
		t.Errorf("it has %d", n)
	}
}

// inParallel runs f on 64 goroutines. f is given numbers that differ, one after the other in each goroutine. All
// goroutines have called it before the time begins, so that each has a connection where each needs one.
func inParallel(b *testing.B, f func(n int) error) {
	var first sync.WaitGroup
	for g := range callers {
		first.Go(func() {
			for n := range 5 {
				if err := f(g + n); err != nil {
					b.Error(err)
				}
			}
		})
	}
	first.Wait()
	b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	var goroutine atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for n := int(goroutine.Add(1)) * 61; pb.Next(); n++ {
			if err := f(n); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func goRedis(b testing.TB, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{
		Addr: addr, PoolSize: callers, ContextTimeoutEnabled: true, DialerRetries: 1, MaxRetries: -1,
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
	})
	b.Cleanup(func() { client.Close() })
	return client
}

func rueidisOf(b testing.TB, addr string) rueidis.Client {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{addr}, ConnWriteTimeout: time.Second,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	return client
}

// adapters are the clients through which the store speaks.
var adapters = []struct {
	name string
	of   func(b testing.TB, addr string) redisstore.Client
}{
	{"go-redis", func(b testing.TB, addr string) redisstore.Client { return goredisclient.Wrap(goRedis(b, addr)) }},
	{"rueidis", func(b testing.TB, addr string) redisstore.Client { return rueidisclient.Wrap(rueidisOf(b, addr)) }},
}

func inRedis(client redisstore.Client) *redisstore.Store[string, profile] {
	return redisstore.New(client, redisstore.Config[string, profile]{Namespace: "profiles"})
}

// fiveMinutes is how long values live in these benchmarks, as applications have it: with a life, a hit reads the clock.
const fiveMinutes = 5 * time.Minute

// tier is what one process has over a shared store.
type tier struct {
	near  *memory.Store[string, profile]
	store *tiered.Store[string, profile]
	reads *strategies.ReadThroughCache[string, profile]
	cache *strategies.WriteThroughCache[string, profile] // over reads
	loads atomic.Int64
}

// newTier returns a process's caches over what all share, whose copies are trusted by now. The source has every key, and
// takes every write.
func newTier(b testing.TB, shared *redisstore.Store[string, profile], source time.Duration) *tier {
	t := &tier{near: memory.New(memory.Options[string, profile]{MaxEntries: 4 * hot})}
	t.store = tiered.New(t.near, shared)
	load := tarn.LoadFunc(func(context.Context, string) (profile, error) {
		t.loads.Add(1)
		time.Sleep(source)
		return profileOf(0), nil
	})
	write := tarn.WriteFuncs(
		func(context.Context, string, profile) error { return nil },
		func(context.Context, string) error { return nil })
	t.reads = strategies.ReadThrough(t.store, load, strategies.WithTTL(ttl.Policy{Fresh: fiveMinutes}))
	t.cache = strategies.WriteThrough(t.reads, write)
	b.Cleanup(func() {
		t.cache.Close(context.Background())
		t.store.Close()
		t.near.Close()
	})
	t.untilTrusted(b)
	return t
}

func (t *tier) untilTrusted(b testing.TB) {
	for start := time.Now(); !t.store.Trusted(); time.Sleep(100 * time.Microsecond) {
		if time.Since(start) > time.Minute {
			b.Fatal("copies are not trusted after a minute")
		}
	}
}

// keepNear reads the keys until there are copies of all. On a machine that stands still for a second now and then, it
// takes more than once: what cannot be trusted is not kept.
func (t *tier) keepNear(b testing.TB, keys []string) {
	for _, key := range keys {
		for tries := 0; ; tries++ {
			if _, has := t.near.Hit(key); has {
				break
			}
			if tries == 1000 {
				b.Fatal("no copy is kept")
			}
			t.untilTrusted(b)
			if _, err := t.reads.Get(context.Background(), key); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func profileKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "profile:" + strconv.Itoa(100_000+i)
	}
	return keys
}
