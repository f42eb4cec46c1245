package bench

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// latencies are the times that calls took.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration // protected by mu
}

func (l *latencies) add(some []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, some...)
}

// report reports the median, and what 99 of 100 calls took at most.
func (l *latencies) report(b *testing.B) {
	if len(l.all) == 0 {
		return
	}
	slices.Sort(l.all)
	at := func(percent int) float64 {
		return float64(l.all[(len(l.all)-1)*percent/100].Nanoseconds()) / 1e6
	}
	b.ReportMetric(at(50), "p50-ms")
	b.ReportMetric(at(99), "p99-ms")
}

// BenchmarkDisk is one page of 4 KiB that is written into a file that has its size already, and synced: what a durable
// write costs at least, on the disk that the other benchmarks use, in their process.
func BenchmarkDisk(b *testing.B) {
	const page, pages = 4096, 256
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	must(b, err)
	defer f.Close()
	_, err = f.Write(make([]byte, page*pages))
	must(b, err)
	must(b, f.Sync())
	data := make([]byte, page)
	took := &latencies{}
	for n := 0; b.Loop(); n++ {
		data[n%page]++
		begin := time.Now()
		_, err := f.WriteAt(data, int64(n%pages)*page)
		must(b, err)
		must(b, fdatasync(f))
		took.all = append(took.all, time.Since(begin))
	}
	took.report(b)
}
