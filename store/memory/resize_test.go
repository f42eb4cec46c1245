package memory_test

import (
	"runtime"
	"testing"

	"github.com/tarncache/tarn/store/memory"
)

// TestAResizeGivesMemoryBack, whatever was in the store before, and does so while the store is in use.
func TestAResizeGivesMemoryBack(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory is among what is measured")
	}
	const small, most = 1_000, 3
	for _, row := range []struct {
		name  string
		large int
		opts  memory.Options[int, int] // of a small store
	}{
		{"entries", 1_000_000, memory.Options[int, int]{MaxEntries: small}},
		{"weight", 200_000, memory.Options[int, int]{
			MaxWeight: small << 17, Weigh: func(int, int) int64 { return 1 << 17 },
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			large, opts := row.large, row.opts
			put := func(s *memory.Store[int, int], n int) {
				for key := range n {
					mustSet(t, s, key, key)
				}
			}
			var fresh, resized *memory.Store[int, int]
			want := held(func() {
				fresh = memory.New(opts)
				put(fresh, 2*small)
			})
			opts.MaxEntries, opts.MaxWeight = opts.MaxEntries*(large/small), opts.MaxWeight*int64(large/small)
			got := held(func() {
				resized = memory.New(opts)
				put(resized, large)
				if err := resized.Resize(fresh.Stats().Bound); err != nil {
					t.Fatal(err)
				}
			})
			if t.Logf("%d bytes, %d in a new store", got, want); got > most*want {
				t.Errorf("%d entries of at first %d hold %d bytes, in a new store %d", small, large, got, want)
			}
			before := got
			got += held(func() { put(resized, 2*small) })
			if n := resized.Len(); n != small || got > before+want {
				t.Errorf("%d entries of %d hold %d bytes, and before new ones came %d", n, small, got, before)
			}
			runtime.KeepAlive(fresh)
			_ = resized.Close()
		})
	}
}

// held returns how much more memory is in use after f than before.
func held(f func()) int64 {
	inUse := func() int64 {
		runtime.GC()
		runtime.GC() // what a pool kept through the first
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := inUse()
	f()
	return inUse() - before
}
