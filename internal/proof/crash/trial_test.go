package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/pgtest"
	"github.com/tarncache/tarn/internal/proof"
)

// trial is one database and one journal, and the processes that there were on them, one after the other.
type trial struct {
	*testing.T
	spec  Spec
	terms Terms
	rng   *rand.Rand

	startup time.Duration // how long the first process took until its cache was open

	mu     sync.Mutex // protects record while a process runs
	record Record
}

var trials atomic.Int64

// newTrial makes the tables and begins. server is nil for SQLite.
func newTrial(t *testing.T, server *pgtest.Server) *trial {
	t.Helper()
	n := trials.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	place, err := sqlitePlace(filepath.Join(t.TempDir(), "source.db")), error(nil)
	if server != nil {
		place, err = postgresPlace(ctx, server.DSN(), fmt.Sprintf("trial%d", n))
	}
	if err == nil {
		err = place.Make(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	start := proof.Now()
	return &trial{
		T: t, rng: rand.New(rand.NewPCG(seed, uint64(n))), record: Record{Start: start},
		terms: Terms{Slack: 10 * time.Second}, // a process that waits for a slow disk ends when the disk has answered
		spec: Spec{
			Place: place, Journal: "" + filepath.Join(t.TempDir(), "journal"), Start: start,
			MaxDelay: 3 * time.Millisecond, MaxBatch: 40, Load: busy,
		},
	}
}

// busy is what most processes do.
var busy = Load{Writers: 12, Keys: 200, Batch: 0.15, Deletes: 0.25, Cancel: 0.02, Rest: 2 * time.Millisecond}

// start starts a process.
func (t *trial) start() *Process { return t.startAs(t.spec) }

func (t *trial) startAs(spec Spec) *Process {
	t.Helper()
	t.mu.Lock()
	life := len(t.record.Lives)
	t.record.Lives = append(t.record.Lives, Life{Begin: proof.Now()})
	spec.Seed = seed + uint64(life)
	t.mu.Unlock()
	p, err := Start(&spec, func(m Message) { t.hear(life, m) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it has ended already, unless the test has failed
	return p
}

func (t *trial) hear(life int, m Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &t.record.Lives[life]
	switch m.Kind {
	case Ready:
		l.Ready, l.Replayed = m.End, m.N
	case Appended:
		l.Appends = append(l.Appends, m)
	case Asked, Acknowledged, Refused, Failed:
		if m.Kind == Acknowledged {
			l.Writes++
		}
		t.record.Writes = append(t.record.Writes, m)
	case Read:
		t.record.Reads = append(t.record.Reads, m)
	case Unwritten:
		t.record.Left = append(t.record.Left, m)
	case Counted:
		t.record.Counts = append(t.record.Counts, m)
	case Closed:
		t.record.Closed = append(t.record.Closed, m)
	}
}

// over notes that the last process has ended.
func (t *trial) over() *Life {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &t.record.Lives[len(t.record.Lives)-1]
	l.End = proof.Now()
	return l
}

// kill kills a process, and notes it.
func (t *trial) kill(p *Process) {
	t.Helper()
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	life := t.over()
	total.crashes.Add(1)
	if life.Ready == 0 {
		total.early.Add(1)
	}
	total.replayed.Add(life.Replayed)
}

// crash starts a process and kills it after a while, of at most so long once it works: one in five while it starts.
func (t *trial) crash(most time.Duration) {
	t.Helper()
	began := time.Now()
	p := t.start()
	if t.startup > 0 && t.rng.IntN(5) == 0 {
		time.Sleep(time.Duration(t.rng.Int64N(int64(t.startup) * 3 / 2)))
		t.kill(p)
		return
	}
	t.open(p)
	if t.startup == 0 {
		t.startup = time.Since(began)
		if t.spec.Late > 0 { // than the next process
			t.spec.Late = max(t.spec.Late, 4*t.startup)
		}
	}
	t.await("writes", func() bool { return p.over() || t.alive().Writes >= 5 })
	time.Sleep(time.Duration(t.rng.Int64N(int64(most))))
	t.kill(p)
}

// awaited is for how long something is waited for that happens in another process, however slow the machine is.
const awaited = 2 * time.Minute

// open waits until a process has opened its cache, or has ended.
func (t *trial) open(p *Process) {
	t.Helper()
	select {
	case <-p.ready:
	case <-time.After(awaited):
		t.Fatalf("no cache is open after %v: %s", awaited, p.err.String())
	}
}

// alive is the last process.
func (t *trial) alive() Life {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.record.Lives[len(t.record.Lives)-1]
}

// await waits for something that happens in another process.
func (t *trial) await(what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(awaited); !happened(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.Fatalf("in %v there are no %s; errors: %v", awaited, what, t.errors())
		}
	}
}

// drained lets a last process write all that there is, from a source that has no faults, and reads what the database has.
func (t *trial) drained() {
	t.Helper()
	spec := t.spec
	spec.Load, spec.Fault, spec.Late, spec.MaxBatch = Load{}, Fault{}, 0, 0
	t.ended(t.startAs(spec), "drain "+awaited.String())
	t.versions()
}

// ended asks a process to end, and waits until it has.
func (t *trial) ended(p *Process, how string) {
	t.Helper()
	if err := p.Ask(how); err != nil {
		t.Error(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	total.replayed.Add(t.over().Replayed)
}

// versions reads what the database has had.
func (t *trial) versions() {
	t.Helper()
	db, err := t.spec.Place.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if t.record.Versions, err = db.Versions(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// operations returns the history of all processes as a register's. The database's values in the end are read, too. It has
// to be complete: a caller whose process died has failed, and what it began may have happened.
func (t *trial) operations() proof.History {
	var h proof.History
	outcomes := make(map[int64]proof.Write)
	for _, m := range t.record.Writes {
		w := proof.Write{Key: m.Key, Op: m.Op, Deleted: m.N == 1, Begin: begin(t.record.Start, m.Op), End: m.End}
		switch m.Kind {
		case Acknowledged:
			w.Outcome = proof.Acknowledged
		case Asked:
			if _, known := outcomes[m.Op]; known {
				continue
			}
			w.Deleted, w.Outcome = m.N == 1, proof.Failed
		case Failed:
			w.Outcome = proof.Failed
		case Refused:
			delete(outcomes, m.Op)
			continue
		}
		outcomes[m.Op] = w
	}
	for _, w := range outcomes {
		h.Writes = append(h.Writes, w)
	}
	for _, m := range t.record.Reads {
		h.Reads = append(h.Reads, proof.Read{Key: m.Key, Op: m.Op, Begin: m.Begin, End: m.End})
	}
	last := make(map[int64]int64) // what the database has
	for _, v := range t.record.Versions {
		last[v.Key] = v.Op
	}
	end := proof.Now()
	for key := int64(1); key <= t.spec.Load.Keys; key++ {
		h.Reads = append(h.Reads, proof.Read{Key: key, Op: last[key], Begin: end, End: end + 1})
	}
	return h
}

// judge is for a trial in which nothing is to be found.
func (t *trial) judge() {
	t.Helper()
	found, lost := Judge(&t.record, t.terms)
	acknowledged, repeated := t.figures()
	total.writes.Add(int64(acknowledged))
	total.versions.Add(int64(len(t.record.Versions)))
	total.repeated.Add(int64(repeated))
	total.findings.Add(int64(len(found)))
	total.lost.Add(int64(lost))
	t.Logf("%d processes, %d writes acknowledged, %d versions, %d of them again; %d lost that may be; errors: %v",
		len(t.record.Lives), acknowledged, len(t.record.Versions), repeated, lost, t.errors())
	for i, f := range found {
		if i == 8 {
			t.Errorf("and %d more", len(found)-i)
			break
		}
		t.Errorf("%v (TARN_PROOF_SEED=%d)", f, seed)
	}
	for _, m := range t.record.Reads {
		if m.Op < 0 {
			t.Errorf("key %d: another key's value was read", m.Key)
		}
	}
	if acknowledged < 5 { // as many as the first process waits for
		t.Errorf("only %d writes were acknowledged", acknowledged)
	}
}

// figures are how many writes were acknowledged, and how many arrived again.
func (t *trial) figures() (acknowledged, repeated int) {
	for _, m := range t.record.Writes {
		if m.Kind == Acknowledged {
			acknowledged++
		}
	}
	seen := make(map[[3]int64]bool, len(t.record.Versions))
	for _, v := range t.record.Versions {
		id := [3]int64{v.Key, v.Epoch, v.Seq}
		if seen[id] {
			repeated++
		}
		seen[id] = true
	}
	return acknowledged, repeated
}

// errors are what callers were told, and how often.
func (t *trial) errors() map[string]int {
	said := make(map[string]int)
	for _, m := range t.record.Writes {
		if m.Kind == Refused || m.Kind == Failed {
			said[string(m.Kind)+" "+m.Text]++
		}
	}
	return said
}
