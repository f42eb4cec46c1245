package crash

import (
	"fmt"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/pgtest"
)

// way is a way to use write-back.
type way struct {
	name     string
	promises string // beyond that each acknowledged write, or a later one of its key, gets to the source, in order
	set      func(t *trial)
}

var ways = []way{
	{"sync", "", func(*trial) {}},
	{"sync, a fence", "no write is written twice", withFence},
	{"sync, batches of writes", "", func(t *trial) { t.spec.Load.Batch, t.spec.Load.Writers = 1, 6 }},
	{"buffered", "what is lost is younger than SyncEvery", func(t *trial) {
		t.spec.SyncEvery = 20 * time.Millisecond
		t.terms.Loses = t.spec.SyncEvery
	}},
	{"buffered, a fence", "as above, and no write is written twice", func(t *trial) {
		withFence(t)
		t.spec.SyncEvery = 20 * time.Millisecond
		t.terms.Loses = t.spec.SyncEvery
	}},
	// The table is small, so that a replay has to wait for the source, and the source is slow.
	{"no room, callers wait", "", func(t *trial) {
		t.spec.MaxPending, t.spec.MaxBatch, t.spec.Fault.Slow = 20, 4, 10*time.Millisecond
	}},
	{"no room, written through", "", writtenThrough},
	{"no room, written through, a fence", "no write is written twice", func(t *trial) {
		writtenThrough(t)
		withFence(t)
	}},
	// Some keys are refused until the last process, which retries them; so is what fails twice in a row.
	{"dead letters", "none is retried over a newer write of its key", func(t *trial) {
		t.spec.Fault = Fault{What: "permanent", Key: 3}
	}},
	{"dead letters of what fails often", "none is retried over a newer write of its key", func(t *trial) {
		t.spec.Fault, t.spec.MaxAttempts = Fault{What: "partly", P: 0.5}, 2
		withFence(t)
	}},
}

func withFence(t *trial) { t.spec.Fence, t.terms.Once = "fence", true }

func writtenThrough(t *trial) {
	t.spec.MaxPending, t.spec.MaxBatch, t.spec.Fault.Slow = 20, 4, 4*time.Millisecond
	t.spec.WriteThrough = true
}

// crashes is how often a way's processes are killed, unless there is time for more.
const crashes = 5

// TestSoakCrashes kills processes under load, and wants everything that they acknowledged. With TARN_SOAK there are at
// least 200 crashes on each database, and as many more as there is time for.
func TestSoakCrashes(t *testing.T) {
	limit, often := soak(t), crashes
	if limit > 0 {
		often = 20 // of ten ways
	}
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			server := serverOf(t, driver)
			for round, end := 1, time.Now().Add(limit/2); round == 1 || time.Now().Before(end) && !t.Failed(); round++ {
				t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
					for _, w := range ways {
						t.Run(w.name, func(t *testing.T) {
							t.Parallel()
							t.Logf("promised: %s", w.promises)
							tr := newTrial(t, server)
							w.set(tr)
							for range often {
								tr.crash(120 * time.Millisecond)
							}
							tr.drained()
							tr.judge()
						})
					}
				})
				t.Logf("after round %d: %v", round, &total)
			}
		})
	}
}

// serverOf starts a server if the driver needs one.
func serverOf(t *testing.T, driver string) *pgtest.Server {
	if driver == "sqlite" {
		return nil
	}
	return pgtest.Start(t)
}
