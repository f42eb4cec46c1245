package bench

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"

	"github.com/redis/go-redis/v9"
)

// BenchmarkTags is an invalidation of one tag that all entries of a store have, as many as -entries says. It counts what an
// entry takes with the tag and without, and reads all of them afterwards: none may be there.
func BenchmarkTags(b *testing.B) {
	b.Run("store=memory", func(b *testing.B) {
		invalidate(b, memory.New(memory.Options[int64, int64]{MaxEntries: 2 * *large}), func() float64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc)
		})
	})
	b.Run("store=redis", func(b *testing.B) {
		server := redistest.Start(b)
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), ReadTimeout: time.Minute})
		b.Cleanup(func() { _ = client.Close() })
		s := redisstore.New(goredisclient.Wrap(client), redisstore.Config[int64, int64]{Namespace: "tags"})
		invalidate(b, s, func() float64 { return used(b, server) })
	})
}

// used is the memory that a server says it uses.
func used(b *testing.B, server *redistest.Server) float64 {
	_, rest, _ := strings.Cut(server.Call("INFO", "memory").Text, "used_memory:")
	text, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.ParseFloat(text, 64)
	must(b, err)
	return n
}

type tagged interface {
	tarn.Store[int64, int64]
	tarn.BatchStore[int64, int64]
	tarn.Tagger
	tarn.Clearer
}

func invalidate(b *testing.B, s tagged, held func() float64) {
	ctx := b.Context()
	empty := held()
	fill(b, s, nil)
	plain := held()
	for at := 0; at < *large; at += part {
		must(b, s.DeleteMany(ctx, numbersFrom(at)))
	}
	tags, err := tarn.NewTags(0, "all")
	must(b, err)
	fill(b, s, tags)
	with := held()
	begun := time.Now()
	must(b, s.InvalidateTags(ctx, "all"))
	first := time.Since(begun)
	after := held()
	for at := 0; at < *large; at += part {
		into := make([]tarn.Lookup[int64], part)
		must(b, s.GetMany(ctx, numbersFrom(at), into))
		for i := range into {
			if into[i].Found {
				b.Fatal(fmt.Errorf("entry %d is there, which was invalidated", at+i))
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		must(b, s.InvalidateTags(ctx, "all"))
	}
	n := float64(*large)
	b.ReportMetric(float64(first.Nanoseconds()), "ns/first")
	b.ReportMetric((plain-empty)/n, "B/entry")
	b.ReportMetric((with-empty)/n, "B/tagged")
	b.ReportMetric(after-with, "B/invalidation")
}

const part = 1000

func fill(b *testing.B, s tagged, tags *tarn.Tags) {
	entries := make([]tarn.Entry[int64], part)
	for at := 0; at < *large; at += part {
		for i := range entries {
			entries[i] = tarn.Entry[int64]{Value: int64(at + i), Tags: tags}
		}
		must(b, s.SetMany(context.Background(), numbersFrom(at), entries))
	}
}

func numbersFrom(at int) []int64 {
	keys := make([]int64, part)
	for i := range keys {
		keys[i] = int64(at + i)
	}
	return keys
}
