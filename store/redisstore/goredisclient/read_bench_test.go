package goredisclient_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
)

const callers = 64

// BenchmarkRead compares ways to read a value with its partition's record and what is left of its life, with a plain
// GET by the client itself, on 300-byte values; and the same for 100 keys at once.
func BenchmarkRead(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(b).Addr(), ContextTimeoutEnabled: true})
	defer client.Close()
	ctx := context.Background()
	fill(b, client)
	wrapped := goredisclient.Wrap(client)
	key, record := valueKey(0), recordKey(0)
	hundred, records := make([]string, 100), make([]string, 80)
	for i := range hundred {
		hundred[i] = valueKey(i)
	}
	for i := range records {
		records[i] = recordKey(i)
	}

	b.Run("1/raw", func(b *testing.B) {
		parallel(b, func() error { return client.Get(ctx, key).Err() })
	})
	for _, way := range ways(key, record) {
		b.Run("1/"+way.name, func(b *testing.B) { measure(b, wrapped, way.commands) })
	}
	b.Run("100/raw", func(b *testing.B) {
		parallel(b, func() error { return client.MGet(ctx, hundred...).Err() })
	})
	for _, way := range waysOfMany(hundred, records) {
		b.Run("100/"+way.name, func(b *testing.B) { measure(b, wrapped, way.commands) })
	}
}

type way struct {
	name     string
	commands []redisstore.Command
}

func get(key string) redisstore.Command  { return command("GET", key) }
func pttl(key string) redisstore.Command { return command("PTTL", key) }
func mget(keys ...string) redisstore.Command {
	return command("MGET", keys...)
}

func command(word string, keys ...string) redisstore.Command {
	return redisstore.Command{Words: []string{word}, Keys: keys}
}

func ways(key, record string) []way {
	return []way{
		{"get", []redisstore.Command{get(key)}},
		{"get+pttl+get", []redisstore.Command{get(key), pttl(key), get(record)}},
		{"get+get", []redisstore.Command{get(key), get(record)}},
		{"mget+pttl", []redisstore.Command{mget(key, record), pttl(key)}},
		{"mget", []redisstore.Command{mget(key, record)}},
	}
}

func waysOfMany(keys, records []string) []way {
	all := append(append([]string(nil), keys...), records...)
	mgetAndPTTLs := []redisstore.Command{mget(all...)}
	gets := make([]redisstore.Command, 0, 280)
	getsAndPTTLs := make([]redisstore.Command, 0, 280)
	for _, k := range keys {
		mgetAndPTTLs = append(mgetAndPTTLs, pttl(k))
		gets = append(gets, get(k))
		getsAndPTTLs = append(getsAndPTTLs, get(k), pttl(k))
	}
	for _, r := range records {
		gets = append(gets, get(r))
		getsAndPTTLs = append(getsAndPTTLs, get(r))
	}
	return []way{
		{"mget-values", []redisstore.Command{mget(keys...)}},
		{"mget-values-records", []redisstore.Command{mget(all...)}},
		{"mget-values-records+pttl", []redisstore.Command{mget(all...), pttl(keys[0])}},
		{"mget-values-records+pttls", mgetAndPTTLs},
		{"gets", gets},
		{"gets+pttls", getsAndPTTLs},
	}
}

func measure(b *testing.B, c redisstore.Client, commands []redisstore.Command) {
	ctx := context.Background()
	parallel(b, func() error {
		replies := make([]redisstore.Reply, len(commands))
		c.Do(ctx, commands, replies)
		for i := range replies {
			if replies[i].Kind == redisstore.Failed {
				return replies[i].Err
			}
		}
		return nil
	})
}

// parallel measures one read by 64 callers at once.
func parallel(b *testing.B, read func() error) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := read(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func valueKey(i int) string  { return fmt.Sprintf("{users:%d}kuser-%d", i%80, i) }
func recordKey(i int) string { return fmt.Sprintf("{users:%d}r", i) }

func fill(b *testing.B, client *redis.Client) {
	b.Helper()
	ctx := context.Background()
	for i := range 100 {
		if err := client.Set(ctx, valueKey(i), strings.Repeat("v", 300), time.Hour).Err(); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 80 {
		if err := client.Set(ctx, recordKey(i), strings.Repeat("r", 16), 0).Err(); err != nil {
			b.Fatal(err)
		}
	}
}
