package bench

import (
	"context"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// writeKeys and writeCallers are what the benchmarks of writes write with: 256 callers that write 1,000 hot keys.
const writeKeys, writeCallers = 1000, 256

// written is what callers write through. Close returns when the source has it all.
type written interface {
	tarn.Cache[int64, Product]
	Close(context.Context) error
}

// writeVia are the ways to write. With a journal the source syncs each of its commits too: what the journal forgets, the
// source must not lose.
var writeVia = []struct {
	name  string
	sync  synchronous
	every int64 // how many writes of a caller are one whose time is taken: reading the clock is what short ones would measure
	open  func(b *testing.B, source *table) written
}{
	{"writethrough", normal, 1, throughTable},
	{"writethrough-full", full, 1, throughTable},
	{"writeback", normal, 64, func(b *testing.B, source *table) written {
		return backOnTable(b, source, strategies.WriteBackConfig[int64, Product]{})
	}},
	{"batcher", normal, 64, func(b *testing.B, source *table) written { return newBatcher(b, source) }},
	{"writeback-buffered", full, 64, func(b *testing.B, source *table) written {
		return backOnTable(b, source, strategies.WriteBackConfig[int64, Product]{
			Journal: newJournal(b), SyncEvery: 100 * time.Millisecond,
		})
	}},
	{"writeback-sync", full, 1, func(b *testing.B, source *table) written {
		return backOnTable(b, source, strategies.WriteBackConfig[int64, Product]{Journal: newJournal(b)})
	}},
	{"writeback-sync-patient", full, 1, func(b *testing.B, source *table) written {
		return backOnTable(b, source, strategies.WriteBackConfig[int64, Product]{
			Journal: newJournal(b), MaxBatch: 2 * writeKeys, MaxDelay: 5 * time.Second,
		})
	}},
}

func readsOfTable(source *table) *strategies.ReadThroughCache[int64, Product] {
	store := memory.New(memory.Options[int64, Product]{MaxEntries: 2 * writeKeys})
	return strategies.ReadThrough(store, tarn.Loader[int64, Product](source))
}

func throughTable(_ *testing.B, source *table) written {
	return strategies.WriteThrough(readsOfTable(source), source)
}

func backOnTable(b *testing.B, source *table, config strategies.WriteBackConfig[int64, Product]) written {
	back, err := strategies.WriteBack(readsOfTable(source), source, config)
	must(b, err)
	return back
}

func newJournal(b *testing.B) *bolt.Journal {
	j, err := bolt.Open(filepath.Join(b.TempDir(), "journal"), bolt.Options{})
	must(b, err)
	b.Cleanup(func() { must(b, j.Close()) })
	return j
}

// BenchmarkWrite is writes of a table in SQLite. What is still pending at the end is written within the measured time.
// Afterwards the table must have what the cache had; of the batcher, which keeps no such promise, the rows that differ
// are counted.
func BenchmarkWrite(b *testing.B) {
	for _, via := range writeVia {
		b.Run("via="+via.name, func(b *testing.B) {
			source := newTable(b, via.sync)
			cache := via.open(b, source)
			var last atomic.Int64
			b.ReportAllocs()
			took := byCallers(b, via.every, func(n int64) error {
				p := Product{ID: n % writeKeys, Name: "lamp", Price: last.Add(1)}
				return cache.Set(b.Context(), p.ID, p)
			})
			want := map[int64]Product{}
			for id := range int64(writeKeys) {
				if p, err := cache.Get(b.Context(), id); err == nil {
					want[id] = p
				}
			}
			b.StartTimer()
			must(b, cache.Close(context.Background()))
			b.StopTimer()
			took.report(b)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
			b.ReportMetric(float64(source.statements.Load())/float64(b.N), "stmts/write")
			wrong := source.differing(b, want)
			if via.name == "batcher" {
				b.ReportMetric(float64(wrong), "wrong-rows")
			} else if wrong > 0 {
				b.Fatalf("%d rows are not what the cache had", wrong)
			}
		})
	}
}

// byCallers has all callers call f, each with numbers of its own that count up, and leaves the timer stopped. Of so many
// calls of a caller the time of one is taken.
func byCallers(b *testing.B, every int64, f func(n int64) error) *latencies {
	var seen atomic.Int64
	took := &latencies{}
	b.SetParallelism((writeCallers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		first := seen.Add(1) * 389 // a start for each
		var mine []time.Duration
		for n := first; pb.Next(); n++ {
			timed := (n-first)%every == every-1
			var begin time.Time
			if timed {
				begin = time.Now()
			}
			if err := f(n); err != nil {
				b.Error(err)
				return
			}
			if timed {
				mine = append(mine, time.Since(begin))
			}
		}
		took.add(mine)
	})
	b.StopTimer()
	return took
}
