package crash

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// TestCloseUnderLoad closes a cache that is written to, and gives it too little time. What Close says is unwritten has
// to be what the database does not have, neither more nor less, and the journal has just that for the next process.
func TestCloseUnderLoad(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(t *trial)
	}{
		{"sync", func(*trial) {}},
		{"nothing is removed off", func(t *trial) { t.spec.Break = "nothing is removed" }},
		{"the journal off", func(t *trial) { t.spec.Journal = "" }},
		{"sync, a fence", withFence},
		{"sync, batches of writes", func(t *trial) { t.spec.Load.Batch = 1 }},
		{"sync, no room", func(t *trial) { t.spec.MaxPending = 50 }},
		{"buffered", func(t *trial) { t.spec.SyncEvery = 50 * time.Millisecond }},
		{"a source that fails", func(t *trial) { t.spec.Fault = Fault{What: "some", P: 0.5} }},
		{"a source that hangs", func(t *trial) { t.spec.Fault = Fault{What: "hangs", P: 0.7} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t, nil)
			tr.spec.Load.Cancel = 0 // what may have been accepted nobody could compare
			tr.spec.Load.Keys, tr.spec.MaxBatch = 500, 1
			tt.set(tr)
			tr.spec.Fault.Slow = 150 * time.Millisecond
			err := errors.Join(tr.closeUnderLoad(), tr.closeUnderLoad())
			if tr.spec.Break != "" || tr.spec.Journal == "" {
				total.broken.Add(1)
				if err == nil {
					t.Error("with this switched off nothing is found")
					return
				}
				t.Logf("caught: %v", err)
				total.caught.Add(1)
				return
			}
			if err != nil {
				t.Error(err)
			}
			tr.record.Left = nil
			tr.drained()
			if len(tr.record.Left) > 0 {
				t.Errorf("the last process left %d unwritten", len(tr.record.Left))
			}
			tr.judge()
		})
	}
}

// closeUnderLoad starts a process, which has to find in the journal just what the one before left, and closes it, until
// something is left: where writes come slowly, the source has to be slower yet.
func (t *trial) closeUnderLoad() error {
	t.Helper()
	for ; ; t.spec.Fault.Slow *= 4 {
		err := t.closeOnce()
		switch keys, _, _ := t.left(); {
		case err != nil || len(keys) > 0:
			return err
		case t.spec.Fault.Slow > 10*time.Second:
			return errors.New("Close has left nothing unwritten: there is nothing to compare")
		}
	}
}

func (t *trial) closeOnce() error {
	t.Helper()
	left, _, late := t.left()
	t.record.Left = slices.DeleteFunc(t.record.Left, func(m Message) bool { return m.Text != leftLate })
	p := t.start()
	t.open(p)
	if replayed := int(t.alive().Replayed); max(replayed-len(left), len(left)-replayed) > len(late) {
		t.ended(p, "close 1s")
		return fmt.Errorf("the process before left %d unwritten, and %d were replayed", len(left), replayed)
	}
	time.Sleep(200 * time.Millisecond)
	t.ended(p, "close 1s")
	t.versions()
	return t.leftExactly()
}

// left returns the keys that Close said are unwritten, the numbers of what is pending, and those of writes that were not done
// when they were recalled. These count as unwritten, and where the source is too busy to end them before Close does, it has
// them all the same.
func (t *trial) left() (keys map[int64]bool, seqs, late map[int64]int64) {
	keys, seqs, late = make(map[int64]bool), make(map[int64]int64), make(map[int64]int64)
	for _, m := range t.record.Left {
		switch m.Text {
		case leftKey:
			keys[m.Key] = true
		case leftLate:
			late[m.Key] = max(late[m.Key], m.N)
		default:
			seqs[m.Key] = m.N
		}
	}
	return keys, seqs, late
}

// leftExactly returns an error unless Close told of those keys whose newest write the database does not have.
func (t *trial) leftExactly() error {
	told, seqs, late := t.left()
	keys := maps.Clone(told)
	for key, seq := range late {
		if pending, ok := seqs[key]; !ok || pending == seq {
			delete(keys, key)
			delete(seqs, key)
		}
	}
	if len(keys) != len(seqs) {
		return fmt.Errorf("Close told of %d keys, and Pending has %d", len(keys), len(seqs))
	}
	for key := range keys {
		if _, ok := seqs[key]; !ok {
			return fmt.Errorf("Close told of key %d, and Pending does not", key)
		}
	}
	last := make(map[int64]Version)
	for _, v := range t.record.Versions {
		last[v.Key] = v
	}
	for key, seq := range seqs {
		if last[key].Seq >= seq {
			return fmt.Errorf("key %d is said to be unwritten, and the database has it", key)
		}
	}
	// What is unwritten counts as lost for Judge, and nothing else may.
	found, _ := Judge(&t.record, t.terms)
	for _, f := range found {
		if f.Rule != Lost || !told[f.Key] {
			return fmt.Errorf("not said to be unwritten: %v", f)
		}
	}
	return nil
}
