package proof

import (
	"testing"
	"time"

	"github.com/tarncache/tarn"
)

// reloading are ways to serve old values and to reload them before anybody waits, of entries that have tags. Each is tried
// on a store in memory, on one Redis, and with near copies before it.
var reloading = []struct {
	name string
	beta float64 // of XFetch
	seen func(events map[string]int64) bool
}{
	{"every window for old values", 0, func(events map[string]int64) bool {
		return events[tarn.EventStaleHit.String()]+events[tarn.EventRescued.String()] > 0
	}},
	// Such a beta has every hit reload its key.
	{"XFetch", 1e6, func(events map[string]int64) bool { return events[tarn.EventHit.String()] > 20 }},
}

// TestReloadsAndTags lets nodes work whose entries have tags, and are reloaded in the background; then it switches off what
// reloads and tags are to each other, and wants reads that return to the past.
func TestReloadsAndTags(t *testing.T) {
	for _, tt := range reloading {
		for _, store := range []string{"memory", "redis", "tiered"} {
			t.Run(tt.name+"/"+store, func(t *testing.T) {
				t.Parallel()
				tr := beginReloads(t, store, tt.beta)
				for range 5 {
					if tr.work(calm, nil); tt.seen(tr.record.Events) {
						break
					}
				}
				tr.judge()
				if !tt.seen(tr.record.Events) {
					t.Errorf("no old value was served, or nothing reloaded before its end: %v", tr.record.Events)
				}
			})
		}
		for _, off := range []string{"leases", "stamps of leases"} {
			t.Run(tt.name+"/"+off+" off", func(t *testing.T) {
				t.Parallel()
				total.broken.Add(1)
				tr := beginReloads(t, "redis", tt.beta, off)
				for ; time.Since(tr.began) < patience; tr.round++ {
					tr.work(hasty, nil)
					for _, v := range tr.check() {
						if v.Kind == Past {
							t.Logf("caught after %d operations: %v", tr.record.Operations(), v)
							total.caught.Add(1)
							tr.close()
							return
						}
					}
				}
				t.Errorf("with this switched off nothing is found in %d operations; events: %v (TARN_PROOF_SEED=%d)",
					tr.record.Operations(), tr.record.Events, seed)
			})
		}
	}
}

// calm is so little written that values get old, and hasty so much that what is wrong is found soon.
var calm = Work{
	For: short, Keys: 40, Readers: 3, Writers: 1, Batch: 0.3, Cancel: 0.05, Rest: 10 * time.Millisecond, Tags: 0.1,
}

var hasty = Work{
	For: short, Keys: 12, Readers: 3, Writers: 1, Batch: 0.3, Cancel: 0.05, Rest: 5 * time.Millisecond, Clears: 0.02, Tags: 0.5,
}

func beginReloads(t *testing.T, store string, beta float64, off ...string) *trial {
	tr := newTrial(t, sourceOf{})
	tr.sqlite()
	tr.windows()
	tr.base.Tags, tr.base.Early = true, beta
	if beta > 0 {
		tr.base.Fresh = time.Second // or they are old before they are read
	}
	if store != "memory" && beta == 0 {
		tr.base.Fresh = 20 * time.Millisecond
	}
	if len(off) > 0 {
		tr.base.Break = off[0]
	}
	switch store {
	case "memory":
		tr.base.Store = store
		tr.open(nil)
	case "redis":
		tr.oneRedis()
		tr.openBoth()
	case "tiered":
		tr.oneRedis()
		openTiered(tr)
	}
	return tr
}
