package clienttest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/tarncache/tarn/store/redisstore"
)

// BenchmarkReads measures ways to read a value together with its partition's record and what is left of its life, and
// the same for 100 keys at once, beside what the application's own client takes for the values alone: get reads a key
// through it, and getAll reads all of them. 64 callers read values of 300 bytes.
func BenchmarkReads(b *testing.B, c Client, get func(ctx context.Context, key string) error,
	getAll func(ctx context.Context, keys []string) error,
) {
	keys, records := benchmarkEntries(b, c)
	ctx := context.Background()
	b.Run("keys=1/raw", func(b *testing.B) { parallel(b, func() error { return get(ctx, keys[0]) }) })
	for _, w := range waysToRead(keys[0], records[0]) {
		b.Run("keys=1/"+w.name, func(b *testing.B) { w.measure(b, c) })
	}
	b.Run("keys=100/raw", func(b *testing.B) { parallel(b, func() error { return getAll(ctx, keys) }) })
	for _, w := range waysToReadAll(keys, records) {
		b.Run("keys=100/"+w.name, func(b *testing.B) { w.measure(b, c) })
	}
}

// benchmarkEntries stores a hundred values and the records of the eighty partitions that they are in.
func benchmarkEntries(b *testing.B, c Client) (keys, records []string) {
	b.Helper()
	var sets []redisstore.Command
	for i := range 100 {
		keys = append(keys, fmt.Sprintf("{users:%d}kuser-%d", i%80, i))
		sets = append(sets, command("SET", keys[i], strings.Repeat("v", 300), "PX", "3600000"))
	}
	for i := range 80 {
		records = append(records, fmt.Sprintf("{users:%d}r", i))
		sets = append(sets, command("SET", records[i], strings.Repeat("r", 16)))
	}
	for _, reply := range do(context.Background(), c, sets...) {
		if reply.Err != nil {
			b.Fatal(reply.Err)
		}
	}
	return keys, records
}

// way is commands by which to read.
type way struct {
	name     string
	commands []redisstore.Command
}

func waysToRead(key, record string) []way {
	get, pttl, both := command("GET", key), command("PTTL", key), mget(key, record)
	return []way{
		{"get", []redisstore.Command{get}},
		{"get+pttl+get", []redisstore.Command{get, pttl, command("GET", record)}},
		{"get+get", []redisstore.Command{get, command("GET", record)}},
		{"mget+pttl", []redisstore.Command{both, pttl}},
		{"mget", []redisstore.Command{both}},
	}
}

func waysToReadAll(keys, records []string) []way {
	all := mget(append(keys[:len(keys):len(keys)], records...)...)
	var gets, pttls []redisstore.Command
	for _, key := range all.Keys {
		gets = append(gets, command("GET", key))
	}
	for _, key := range keys {
		pttls = append(pttls, command("PTTL", key))
	}
	return []way{
		{"mget-values", []redisstore.Command{mget(keys...)}},
		{"mget", []redisstore.Command{all}},
		{"mget+pttl", []redisstore.Command{all, pttls[0]}},
		{"mget+pttls", append([]redisstore.Command{all}, pttls...)},
		{"gets", gets},
		{"gets+pttls", append(gets[:len(gets):len(gets)], pttls...)},
	}
}

func mget(keys ...string) redisstore.Command {
	return redisstore.Command{Words: []string{"MGET"}, Keys: keys}
}

func (w way) measure(b *testing.B, c Client) {
	ctx := context.Background()
	parallel(b, func() error {
		for _, reply := range do(ctx, c, w.commands...) {
			if reply.Err != nil {
				return reply.Err
			}
		}
		return nil
	})
}

// parallel measures one read, by 64 callers at once.
func parallel(b *testing.B, read func() error) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := read(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
