package crash

import (
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/pgtest"
	"github.com/tarncache/tarn/internal/proof"
)

// TestEachMechanismIsNeeded switches each mechanism off, and wants Judge to find a broken promise; with the mechanism, the
// other tests find none.
func TestEachMechanismIsNeeded(t *testing.T) {
	server := pgtest.Start(t)
	for _, tt := range []struct {
		name string
		want []Rule // one of them
		set  func(t *trial)
	}{
		{"the journal", []Rule{Lost}, func(t *trial) { t.spec.Journal = "" }},
		{"acknowledged before the append", []Rule{Lost}, nil},
		{"removed before the source has it", []Rule{Lost}, nil},
		{"no replay", []Rule{Lost}, nil},
		{"nothing is removed", []Rule{Backwards}, func(t *trial) { t.spec.MaxPending = 10 }},
		{"removals out of order", []Rule{Backwards}, func(t *trial) { t.spec.MaxPending = 10 }},
		{"replayed backwards", []Rule{Backwards, Lost}, func(t *trial) {
			t.spec.Fault.Slow = 20 * time.Millisecond // something has to be left, also of one key
		}},
		{"numbers begin at 1", []Rule{Lost, Backwards}, withFence},
		{"the fence", []Rule{Backwards}, func(t *trial) {
			// The statements of a process that was killed arrive after those of the next one.
			late(t, "late")
		}},
		{"the fence, where all is written once", []Rule{Twice}, func(t *trial) { t.terms.Once = true }},
		{"nothing is appended", []Rule{TooMuch}, func(t *trial) {
			t.spec.SyncEvery, t.terms.Loses = 20*time.Millisecond, 20*time.Millisecond
			t.terms.Slack = 100 * time.Millisecond
		}},
	} {
		t.Run(tt.name+" off", func(t *testing.T) {
			t.Parallel()
			total.broken.Add(1)
			tr := newTrial(t, server)
			if _, ok := Breaks[tt.name]; ok {
				tr.spec.Break = tt.name
			}
			if tt.set != nil {
				tt.set(tr)
			}
			for began := time.Now(); time.Since(began) < patience; {
				tr.crash(200 * time.Millisecond)
				tr.crash(200 * time.Millisecond)
				if f, ok := tr.caught(tt.want); ok {
					t.Logf("caught after %d processes, %v: %v", len(tr.record.Lives), time.Since(began), f)
					total.caught.Add(1)
					return
				}
			}
			t.Errorf("with this switched off nothing is found in %d processes (TARN_PROOF_SEED=%d)", len(tr.record.Lives), seed)
		})
	}
	t.Run("the fence on", func(t *testing.T) {
		t.Parallel()
		tr := newTrial(t, server)
		late(tr, "late fence")
		tr.terms.Once = true
		for range 4 {
			tr.crash(120 * time.Millisecond)
		}
		tr.drained()
		time.Sleep(tr.spec.Late) // what is late comes now
		tr.versions()
		tr.judge()
	})
}

// patience is how long processes are killed at most until something is found. It takes a few seconds, and half a minute was
// seen where the machine is eight times as slow.
const patience = 3 * time.Minute

// late lets statements outlive their process, and the start of the next one.
func late(t *trial, fence string) {
	t.spec.Fence, t.spec.Late = fence, 300*time.Millisecond
	t.spec.Load.Keys, t.spec.MaxBatch, t.spec.Load.Batch = 10, 1, 0
}

// caught lets a process write what is left, and returns what is found that is wanted.
func (t *trial) caught(want []Rule) (Finding, bool) {
	t.Helper()
	t.drained()
	found, _ := Judge(&t.record, t.terms)
	for _, f := range found {
		for _, rule := range want {
			if f.Rule == rule {
				return f, true
			}
		}
	}
	return Finding{}, false
}

// TestHistoryWithCrashes lets callers read, too, while processes are killed: all of it together has to be what registers
// could have answered.
func TestHistoryWithCrashes(t *testing.T) {
	for _, tt := range []struct {
		name, off string
		ok        bool
		set       func(t *trial)
	}{
		{"with a journal", "", true, func(*trial) {}},
		{"with a slow source", "", true, func(t *trial) { t.spec.Fault.Slow = 20 * time.Millisecond }},
		{"no room, written through", "", true, writtenThrough},
		{"acknowledged before the append", "acknowledged before the append", false, func(*trial) {}},
		{"no replay", "no replay", false, func(*trial) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for began := time.Now(); ; {
				tr := newTrial(t, nil)
				tt.set(tr)
				tr.spec.Break = tt.off
				ok := tr.hasOneOrder()
				switch {
				case tt.ok:
					tr.judge()
				case ok && time.Since(began) < patience: // what was lost, nobody may have looked at
					continue
				}
				if ok != tt.ok {
					t.Errorf("there is one order of all operations: %v, want %v (TARN_PROOF_SEED=%d)", ok, tt.ok, seed)
				}
				return
			}
		})
	}
}

// hasOneOrder kills some processes, and reports whether there is one order of what all callers did, or it cannot be found
// out.
func (t *trial) hasOneOrder() bool {
	t.Helper()
	t.spec.Load = Load{Writers: 3, Readers: 3, Keys: 6, Batch: 0.2, Deletes: 0.25, Rest: 6 * time.Millisecond}
	for range 5 {
		t.crash(150 * time.Millisecond)
	}
	t.drained()
	h := t.operations()
	ok, decided := proof.Linearizable(&h, 20*time.Second)
	t.Logf("%d writes, %d reads; one order: %v (decided: %v)", len(h.Writes), len(h.Reads), ok, decided)
	return ok
}
