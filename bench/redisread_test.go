package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// storeProfiles stores the profiles for the store, and as raw values under the keys themselves.
func storeProfiles(b *testing.B, s *redisstore.Store[string, profile], client *redis.Client, keys []string) {
	entries := make([]tarn.Entry[profile], len(keys))
	_, err := client.Pipelined(b.Context(), func(p redis.Pipeliner) error {
		for i, key := range keys {
			entries[i].Value = profileOf(int64(i))
			p.Set(b.Context(), key, encoded(b, entries[i].Value), fiveMinutes)
		}
		return nil
	})
	must(b, err)
	must(b, s.SetMany(b.Context(), keys, entries))
}

// BenchmarkRedisGet is a hit in Redis by 64 callers: through the store, and as a GET of the same client with the same
// decoding. go-redis/cache is beside them with its own encoding.
func BenchmarkRedisGet(b *testing.B) {
	addr := redistest.Start(b).Addr()
	tellServer(b, goRedis(b, addr))
	keys := profileKeys(callers)
	plain, pipelining := goRedis(b, addr), rueidisOf(b, addr)
	raw := map[string]func(ctx context.Context, key string) ([]byte, error){
		"go-redis": func(ctx context.Context, key string) ([]byte, error) { return plain.Get(ctx, key).Bytes() },
		"rueidis": func(ctx context.Context, key string) ([]byte, error) {
			return pipelining.Do(ctx, pipelining.B().Get().Key(key).Build()).AsBytes()
		},
	}
	for _, a := range adapters {
		b.Run("client="+a.name, func(b *testing.B) {
			s, ctx := inRedis(a.of(b, addr)), context.Background()
			storeProfiles(b, s, plain, keys)
			b.Run("via=raw", func(b *testing.B) {
				inParallel(b, func(n int) error {
					text, err := raw[a.name](ctx, keys[n%len(keys)])
					if err != nil {
						return err
					}
					p, err := decoded(text)
					return isProfile(p, n%len(keys), err)
				})
			})
			b.Run("via=tarn", func(b *testing.B) {
				inParallel(b, func(n int) error {
					e, _, err := s.Get(ctx, keys[n%len(keys)])
					return isProfile(e.Value, n%len(keys), err)
				})
			})
		})
	}
	b.Run("client=go-redis/via=go-redis-cache", func(b *testing.B) {
		peer := cache.New(&cache.Options{Redis: plain})
		once := onceOf(b, peer, keys)
		inParallel(b, func(n int) error { return once(n % len(keys)) })
	})
}

// tellServer prints what the report says of the server, as go test prints what it knows of the machine.
func tellServer(b *testing.B, client *redis.Client) {
	info, err := client.InfoMap(b.Context(), "server").Result()
	must(b, err)
	fmt.Printf("redis-server: %s\n", info["Server"]["redis_version"])
}

// onceOf fills go-redis/cache and returns how it is asked for the n-th key.
func onceOf(b *testing.B, peer *cache.Cache, keys []string) func(n int) error {
	once := func(n int) error {
		var p profile
		err := peer.Once(&cache.Item{
			Key: "peer:" + keys[n], Value: &p, TTL: fiveMinutes,
			Do: func(*cache.Item) (any, error) { return profileOf(int64(n)), nil },
		})
		return isProfile(p, n, err)
	}
	for n := range keys {
		must(b, once(n))
	}
	return once
}

func isProfile(p profile, id int, err error) error {
	if err == nil && p.ID != int64(id) {
		err = fmt.Errorf("asked for %d, answered %d", id, p.ID)
	}
	return err
}

// BenchmarkRedisGetMany is 100 hits at once by 64 callers: through the store, and as an MGET of the same client with the
// same decoding.
func BenchmarkRedisGetMany(b *testing.B) {
	addr := redistest.Start(b).Addr()
	keys := profileKeys(100)
	plain, pipelining := goRedis(b, addr), rueidisOf(b, addr)
	raw := map[string]func(ctx context.Context, into [][]byte) error{
		"go-redis": func(ctx context.Context, into [][]byte) error {
			found, err := plain.MGet(ctx, keys...).Result()
			for i := range found {
				text, _ := found[i].(string)
				into[i] = []byte(text)
			}
			return err
		},
		"rueidis": func(ctx context.Context, into [][]byte) error {
			found, err := pipelining.Do(ctx, pipelining.B().Mget().Key(keys...).Build()).ToArray()
			for i := range found {
				into[i], _ = found[i].AsBytes()
			}
			return err
		},
	}
	for _, a := range adapters {
		b.Run("client="+a.name, func(b *testing.B) {
			s, ctx := inRedis(a.of(b, addr)), context.Background()
			storeProfiles(b, s, plain, keys)
			b.Run("via=raw", func(b *testing.B) {
				inParallel(b, func(int) error {
					texts, profiles := make([][]byte, len(keys)), make([]profile, len(keys))
					if err := raw[a.name](ctx, texts); err != nil {
						return err
					}
					for i, text := range texts {
						p, err := decoded(text)
						if err := isProfile(p, i, err); err != nil {
							return err
						}
						profiles[i] = p
					}
					return nil
				})
			})
			b.Run("via=tarn", func(b *testing.B) {
				inParallel(b, func(int) error {
					found := make([]tarn.Lookup[profile], len(keys))
					err := s.GetMany(ctx, keys, found)
					for i := range found {
						if err := isProfile(found[i].Entry.Value, i, err); err != nil {
							return err
						}
					}
					return err
				})
			})
		})
	}
}

// BenchmarkNear is a hit in the memory of a process whose cache is in Redis, by 64 callers: tarn's tiered store through
// ReadThrough, beside the memory store alone and what others have for it. rueidis keeps the answer of Redis and leaves
// its decoding to the caller at each hit; go-redis/cache keeps bytes and decodes them.
func BenchmarkNear(b *testing.B) {
	addr := redistest.Start(b).Addr()
	keys, ctx := profileKeys(hot), context.Background()
	plain, pipelining := goRedis(b, addr), rueidisOf(b, addr)
	s := inRedis(adapters[0].of(b, addr))
	storeProfiles(b, s, plain, keys)
	t := newTier(b, s, 0)
	mask := len(keys) - 1
	b.Run("via=memory", func(b *testing.B) {
		t.keepNear(b, keys)
		inParallel(b, func(n int) error {
			e, _, err := t.near.Get(ctx, keys[n&mask])
			return isProfile(e.Value, n&mask, err)
		})
	})
	b.Run("via=tiered", func(b *testing.B) {
		t.keepNear(b, keys)
		inParallel(b, func(n int) error {
			p, err := t.reads.Get(ctx, keys[n&mask])
			return isProfile(p, n&mask, err)
		})
		if n := t.loads.Load(); n > 0 {
			b.Errorf("%d reads were no hits", n)
		}
	})
	nearPointers(b, adapters[0].of(b, addr), keys)
	doCache := func(n int) ([]byte, error) {
		return pipelining.DoCache(ctx, pipelining.B().Get().Key(keys[n]).Cache(), fiveMinutes).AsBytes()
	}
	for n := range keys {
		_, err := doCache(n)
		must(b, err)
	}
	b.Run("via=docache", func(b *testing.B) {
		inParallel(b, func(n int) error {
			_, err := doCache(n & mask)
			return err
		})
	})
	b.Run("via=docache-decoded", func(b *testing.B) {
		inParallel(b, func(n int) error {
			text, err := doCache(n & mask)
			if err != nil {
				return err
			}
			p, err := decoded(text)
			return isProfile(p, n&mask, err)
		})
	})
	b.Run("via=go-redis-cache", func(b *testing.B) {
		peer := cache.New(&cache.Options{Redis: plain, LocalCache: cache.NewTinyLFU(4*hot, time.Hour)})
		once := onceOf(b, peer, keys)
		inParallel(b, func(n int) error { return once(n & mask) })
	})
}

// nearPointers is the same where the value is a pointer to the struct.
func nearPointers(b *testing.B, client redisstore.Client, keys []string) {
	ctx := context.Background()
	near := memory.New(memory.Options[string, *profile]{MaxEntries: 4 * hot})
	defer near.Close()
	both := tiered.New(near, redisstore.New(client, redisstore.Config[string, *profile]{Namespace: "profiles"}))
	defer both.Close()
	load := tarn.LoadFunc(func(context.Context, string) (*profile, error) { return nil, errors.New("not in Redis") })
	reads := strategies.ReadThrough(both, load, strategies.WithTTL(ttl.Policy{Fresh: fiveMinutes}))
	defer reads.Close(ctx)
	for start := time.Now(); near.Len() < len(keys); {
		if time.Since(start) > time.Minute {
			b.Fatal("no copies are kept")
		}
		for _, key := range keys {
			_, err := reads.Get(ctx, key)
			must(b, err)
		}
	}
	mask := len(keys) - 1
	b.Run("via=memory-pointer", func(b *testing.B) {
		inParallel(b, func(n int) error {
			e, _, err := near.Get(ctx, keys[n&mask])
			return isProfile(*e.Value, n&mask, err)
		})
	})
	b.Run("via=tiered-pointer", func(b *testing.B) {
		inParallel(b, func(n int) error {
			p, err := reads.Get(ctx, keys[n&mask])
			if err != nil {
				return err
			}
			return isProfile(*p, n&mask, nil)
		})
	})
}
