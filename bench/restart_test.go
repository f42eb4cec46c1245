package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// restartRoom is how many keys may be pending: what is replayed beyond that waits until the source has taken some.
const restartRoom = 10_000

// BenchmarkRestart is a process that starts with a journal of so many records, each of a key of its own, and a source
// that takes at once whatever it is given. from=journal opens the journal and reads all of it; from=writeback makes a
// write-back cache of it as well, which returns when all but restartRoom at most are at the source.
//
// peak-MB is by how much the heap in use grew at most from before. Pages of the journal's file are not in it: they are
// mapped, and the system's to keep or to drop. file-MB is the file's size.
func BenchmarkRestart(b *testing.B) {
	for records := 1000; records <= *large; records *= 10 {
		if records == 10_000 {
			continue
		}
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			made := sync.OnceValue(func() string { return leftBehind(b, records) })
			b.Run("from=journal", func(b *testing.B) { restarts(b, records, made(), replayed) })
			b.Run("from=writeback", func(b *testing.B) { restarts(b, records, made(), writtenBack) })
		})
	}
}

// restarts has start take a copy of a journal, and returns how many records it was told of.
func restarts(b *testing.B, records int, made string, start func(b *testing.B, path string) (told int)) {
	for b.Loop() {
		b.StopTimer()
		path := copied(b, made)
		peak := watchHeap()
		b.StartTimer()
		told := start(b, path)
		b.StopTimer()
		b.ReportMetric(float64(peak())/1e6, "peak-MB")
		if told != records {
			b.Fatalf("%d of %d records were replayed", told, records)
		}
		must(b, os.Remove(path))
		b.StartTimer()
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	info, err := os.Stat(made)
	must(b, err)
	b.ReportMetric(float64(info.Size())/1e6, "file-MB")
}

// replayed reads a journal and does nothing with it.
func replayed(b *testing.B, path string) (told int) {
	j, err := bolt.Open(path, bolt.Options{})
	must(b, err)
	_, err = j.Replay(b.Context(), func(journal.Record) error { told++; return nil })
	must(b, err)
	b.StopTimer()
	must(b, j.Close())
	return told
}

// writtenBack starts write-back.
func writtenBack(b *testing.B, path string) (told int) {
	j, err := bolt.Open(path, bolt.Options{})
	must(b, err)
	source := &sink{}
	back := backTo(b, source, strategies.WriteBackConfig[int64, Product]{Journal: j, MaxPending: restartRoom})
	b.StopTimer()
	told = int(back.Stats().Replayed)
	must(b, back.Close(context.Background()))
	must(b, j.Close())
	if n := int(source.ops.Load()); n != told {
		b.Fatalf("of %d operations %d reached the source", told, n)
	}
	return told
}

// leftBehind makes a journal of what a source does not have that is down.
func leftBehind(b *testing.B, records int) string {
	path := filepath.Join(b.TempDir(), "journal")
	j, err := bolt.Open(path, bolt.Options{})
	must(b, err)
	const many = 10_000
	back := backTo(b, &sink{down: errors.New("down")}, strategies.WriteBackConfig[int64, Product]{
		Journal: j, MaxPending: records, MaxBatch: many, MaxDelay: time.Hour,
	})
	must(b, back.Pause(b.Context()))
	keys, values := make([]int64, 0, many), make([]Product, 0, many)
	for id := range int64(records) {
		keys, values = append(keys, id), append(values, product(id))
		if len(keys) == many || id == int64(records)-1 {
			must(b, back.SetMany(b.Context(), keys, values))
			keys, values = keys[:0], values[:0]
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := back.Close(ctx); err == nil {
		b.Fatal("what no source has was not told of")
	}
	must(b, j.Close())
	return path
}

func backTo(b *testing.B, source *sink, config strategies.WriteBackConfig[int64, Product],
) *strategies.WriteBackCache[int64, Product] {
	loader, _ := discard[int64]()
	inner := strategies.ReadThrough(memory.New(memory.Options[int64, Product]{MaxEntries: writeKeys}), loader)
	back, err := strategies.WriteBack(inner, source, config)
	must(b, err)
	return back
}

// sink counts what it is given, or refuses it.
type sink struct {
	down error
	ops  atomic.Int64
}

func (s *sink) Apply(_ context.Context, ops []tarn.Op[int64, Product]) error {
	if s.down == nil {
		s.ops.Add(int64(len(ops)))
	}
	return s.down
}

func (s *sink) Save(context.Context, int64, Product) error { panic("batches are asked for") }
func (s *sink) Delete(context.Context, int64) error        { panic("batches are asked for") }

// watchHeap looks at the heap in use until the function that it returns is called, which says by how much it grew at most.
func watchHeap() (peak func() int64) {
	before := heap()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	most, stop, stopped := before, make(chan struct{}), make(chan struct{})
	look := func() {
		metrics.Read(sample)
		most = max(most, int64(sample[0].Value.Uint64()))
	}
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-tick.C:
				look()
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-stopped
		look()
		return most - before
	}
}

// copied copies a file into a folder of its own.
func copied(b *testing.B, name string) string {
	from, err := os.Open(name)
	must(b, err)
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(b.TempDir(), "copy"), os.O_CREATE|os.O_WRONLY, 0o600)
	must(b, err)
	_, err = io.Copy(to, from)
	must(b, err)
	must(b, to.Sync()) // or what is measured would wait for it
	must(b, to.Close())
	return to.Name()
}
