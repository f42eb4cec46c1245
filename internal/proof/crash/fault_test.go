package crash

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/pgtest"
)

// TestFaultySources kills processes whose source fails in all ways that there are.
func TestFaultySources(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(t *trial)
	}{
		{"fails at first", func(t *trial) { t.spec.Fault = Fault{What: "first", Times: 4} }},
		{"fails now and then", func(t *trial) { t.spec.Fault = Fault{What: "some", P: 0.5} }},
		{"fails always", func(t *trial) { t.spec.Fault = Fault{What: "some", P: 1} }},
		{"fails for some keys", func(t *trial) { t.spec.Fault = Fault{What: "key", Key: 7} }},
		{"hangs", func(t *trial) {
			t.spec.Fault, t.spec.WriteTimeout = Fault{What: "hangs", P: 0.3}, 20*time.Millisecond
		}},
		{"hangs and applies", func(t *trial) {
			t.spec.Fault, t.spec.WriteTimeout = Fault{What: "hangs and applies", P: 0.3}, 20*time.Millisecond
		}},
		{"panics", func(t *trial) { t.spec.Fault = Fault{What: "panics", P: 0.3} }},
		{"panics after it has applied", func(t *trial) { t.spec.Fault = Fault{What: "applies and panics", P: 0.3} }},
		{"fails in part", func(t *trial) { t.spec.Fault = Fault{What: "partly", P: 0.5} }},
		{"applies and says it failed", func(t *trial) { t.spec.Fault = Fault{What: "applies and says it failed", P: 0.3} }},
	} {
		for _, fenced := range []bool{false, true} {
			name := tt.name
			if fenced {
				name += ", a fence"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tr := newTrial(t, nil)
				tt.set(tr)
				if fenced {
					withFence(tr)
				}
				for range 3 {
					tr.crash(200 * time.Millisecond)
				}
				tr.drained()
				tr.judge()
			})
		}
	}
}

// TestFullDisk lets no file of a process grow for a while: the journal refuses writes, and says that it is full. What was
// acknowledged stays, and writes go on when there is room.
func TestFullDisk(t *testing.T) {
	const leaves = 200 * time.Millisecond // when who waits for room does: soon, since else all of them come to wait
	server := pgtest.Start(t)             // whose files may grow
	for _, tt := range []struct {
		name string
		set  func(t *trial)
	}{
		{"sync", func(t *trial) { t.spec.Load.Patience = leaves }},
		{"sync, written through", func(t *trial) { t.spec.WriteThrough = true }},
		{"buffered", func(t *trial) {
			t.spec.Load.Patience = leaves
			t.spec.SyncEvery, t.terms.Loses = 10*time.Millisecond, 10*time.Millisecond
			t.terms.Slack = awaited // the disk stays full for long
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t, server)
			tr.spec.Fault = Fault{What: "some", P: 1} // so that all that is written stays in the journal
			tr.spec.Load = Load{Writers: 8, Keys: 100_000, Batch: 0.3, Deletes: 0.1, Rest: time.Millisecond, Fill: 2000}
			tt.set(tr)
			p := tr.start()
			tr.open(p)
			time.Sleep(100 * time.Millisecond)
			info, err := os.Stat(tr.spec.Journal)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.LimitFiles(uint64(info.Size())); err != nil {
				t.Fatal(err)
			}
			tr.await("writes that are refused", func() bool { return tr.unaccepted() > 20 })
			before := tr.acknowledged()
			time.Sleep(200 * time.Millisecond)
			t.Logf("%d writes were acknowledged before the disk was full, and %d in 200ms while it was", before,
				tr.acknowledged()-before)
			if err := p.LimitFiles(0); err != nil {
				t.Fatal(err)
			}
			full := tr.acknowledged()
			tr.await("writes that go on", func() bool { return tr.acknowledged() > full+100 })
			if tr.rng.IntN(2) == 0 || tr.spec.SyncEvery == 0 {
				tr.kill(p)
			} else {
				tr.ended(p, "close 100ms")
			}
			tr.drained()
			tr.judge()
		})
	}
}

func (t *trial) acknowledged() int {
	return t.count(func(m *Message) bool { return m.Kind == Acknowledged })
}

// unaccepted counts the writes that found no room in the journal.
func (t *trial) unaccepted() int {
	return t.count(func(m *Message) bool {
		return m.Kind == Refused || m.Kind == Failed && strings.Contains(m.Text, "deadline")
	})
}

func (t *trial) count(which func(m *Message) bool) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.record.Writes {
		if which(&t.record.Writes[i]) {
			n++
		}
	}
	return n
}

// TestStopped stops processes for a while, as a debugger or a machine that sleeps does: every deadline is over when they go
// on. Nothing is lost, nor written in a wrong order.
func TestStopped(t *testing.T) {
	const stop = 1500 * time.Millisecond
	for _, tt := range []struct {
		name string
		set  func(t *trial)
	}{
		{"sync", func(*trial) {}},
		{"sync, a fence", withFence},
		{"buffered", func(t *trial) {
			t.spec.SyncEvery, t.terms.Loses = 20*time.Millisecond, 20*time.Millisecond
			t.terms.Slack += stop // what a process that stands still has accepted, it has not appended
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t, nil)
			tr.spec.WriteTimeout, tr.spec.Fault.Slow = 300*time.Millisecond, 5*time.Millisecond
			tt.set(tr)
			p := tr.start()
			tr.open(p)
			for range 2 {
				time.Sleep(50 * time.Millisecond)
				if err := p.Signal(syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				time.Sleep(stop)
				before := tr.acknowledged()
				if err := p.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				tr.await("writes that go on", func() bool { return tr.acknowledged() > before+50 })
			}
			tr.kill(p)
			tr.drained()
			tr.judge()
		})
	}
}
