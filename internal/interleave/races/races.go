// Package races is the table of races that the strategies have to survive: a few readers, writers and accidents on a
// key or two, run in every order of their steps over a real store. Each row says which rule it guards.
package races

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/interleave"
	"github.com/tarncache/tarn/strategies"
)

// Store makes an empty store. If what it makes has a Close() error, that is called when a run is over.
type Store func() tarn.Store[int, int]

// Row is a race.
type Row struct {
	Name string
	Rule string // what goes wrong without it, in the words of those who wrote the rule

	// Actors, by their constructors below. An actor belongs to a process: those of one process go through one
	// cache, and all processes share the store.
	Actors []Actor

	Options []strategies.ReadOption // of every cache
	Lost    int                     // how many settles may be lost
	Unknown int                     // how many commits of writers may be reported as failed
	Refused bool                    // and did fail
	Failing int                     // how many loads may fail
	Pause   bool                    // once, while a key is held, more time may pass than a hold lasts
	Age     bool                    // once, at any time, more time may pass than a value is fresh
	Costs   bool                    // every cache has learned, of another key, that a load takes time
	Asks    int                     // so often those who wait for others' loads ask again while there is something else to do
	Warm    bool                    // the store begins with what the source has
	TwoKeys bool                    // it is about both keys
	Batch   bool                    // loader and writer take batches
	Tagged  bool                    // what the loader brings has a tag
	Fine    bool                    // steps also end after operations of the store, not only before them
	Timeout bool                    // loads may exceed their time limit, and run beside their successors then
	Sample  int                     // run so many random orders, for there are too many; zero: all
}

// Settings say what to run a row on.
type Settings struct {
	Store Store

	// Plain hides what the store knows of leases and holds, so that the stand-in of the strategies is tested.
	Plain bool

	// Careless counts writes as acknowledged that were reported as perhaps stale.
	Careless bool

	// Options come after those of the row.
	Options []strategies.ReadOption

	// Rows are those to run, by name. Nil: all.
	Rows []string

	// Sample runs so many random orders of each row instead of all. Zero: as the row says.
	Sample int
}

const (
	holdLife = time.Second
	fresh    = time.Second
	pause    = 1500 * time.Millisecond // longer than a hold lasts, and shorter than everything else
	asking   = 60 * time.Millisecond   // longer than who waits for another's load pauses
	costs    = time.Millisecond        // what a load is learned to take
	maxRuns  = 100_000
)

// Run runs the table. Where the store keeps no tags, it leaves out the rows that have some. Where the store has no
// leases and holds, it leaves out the rows in which somebody goes past the one cache that has them: another process,
// or who uses the store itself.
func Run(t *testing.T, s Settings) {
	for _, row := range Table {
		if s.Rows != nil && !slices.Contains(s.Rows, row.Name) {
			continue
		}
		if slices.ContainsFunc(row.Actors, func(a Actor) bool { return a.needs&needsTags != 0 }) && !s.tags() {
			continue
		}
		if s.alone() && (row.processes() > 1 || row.needs(0, needsStore)) {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			var report interleave.Report
			synctest.Test(t, func(t *testing.T) { report = Explore(row, s) })
			Print(t, row, report)
			if report.Failure == nil && row.Sample == 0 && s.Sample == 0 && !report.Exhausted {
				t.Errorf("not every order was run: there are more than %d", maxRuns)
			}
		})
	}
}

// Print logs what was explored, and fails t if something went wrong.
func Print(t *testing.T, row Row, r interleave.Report) {
	t.Helper()
	t.Logf("%d orders, and %d cut short for being equivalent to another", r.Runs, r.Redundant)
	if r.Failure != nil {
		t.Errorf("%s: %v%s", row.Rule, r.Failure.Err, History(r.Failure))
	}
}

// History is a failure's steps, one a line.
func History(f *interleave.Failure) string {
	s := ""
	for _, step := range f.Steps {
		s += "\n    " + step
	}
	return s
}

// Find returns the row of a name. It panics if there is none.
func Find(name string) Row {
	i := slices.IndexFunc(Table, func(r Row) bool { return r.Name == name })
	if i < 0 {
		panic("races: no row of the name " + name)
	}
	return Table[i]
}

// Explore runs a row, in a bubble of testing/synctest, until something goes wrong or there is no other order.
func Explore(row Row, s Settings) interleave.Report {
	options := interleave.Options{Wait: synctest.Wait, MaxRuns: maxRuns, Sample: cmp.Or(s.Sample, row.Sample), Seed: 1}
	options.Idle = func() { time.Sleep(asking) }
	return interleave.Explore(options, func(r *interleave.Run) { newWorld(r, row, s) })
}

// alone reports whether a cache over the store knows nothing of another one's leases and holds.
func (s Settings) alone() bool {
	store := s.Store()
	defer closeStore(store)
	_, leases := tarn.LeaserOf(store)
	_, holds := tarn.HolderOf(store)
	return s.Plain || !leases || !holds
}

// tags reports whether the store keeps tags.
func (s Settings) tags() bool {
	store := s.Store()
	defer closeStore(store)
	_, ok := tarn.As[tarn.Tagger](store)
	return ok
}

func closeStore(s tarn.Store[int, int]) {
	if c, ok := s.(interface{ Close() error }); ok {
		c.Close()
	}
}

func (r Row) processes() int {
	n := 0
	for _, a := range r.Actors {
		n = max(n, a.process+1)
	}
	return n
}

// keys are the keys that the row is about.
func (r Row) keys() []int {
	if r.TwoKeys {
		return keysOfAll
	}
	return keysOfAll[:1]
}

// world is what the actors of one run share.
type world struct {
	*interleave.Run
	row    Row
	store  *gated
	source *source
	procs  []*process
	held   int // how many holds were taken and not settled
	leased int // how many loads found others'
	plain  bool
	loose  bool
	ready  bool // false: the scene is being set, and steps wait for nobody
}

// Step is that of the run, once the scene is set.
func (w *world) Step(ctx context.Context, label string) { w.StepOr(ctx, label, "") }

// StepOr is too.
func (w *world) StepOr(ctx context.Context, label, fault string) bool {
	return w.ready && w.Run.StepOr(ctx, label, fault)
}

func newWorld(r *interleave.Run, row Row, s Settings) {
	w := &world{Run: r, row: row, plain: s.Plain, loose: s.Careless, source: newSource()}
	store := s.Store()
	if row.Warm {
		for _, key := range keysOfAll {
			store.Set(context.Background(), key, tarn.Entry[int]{Value: initial(key)})
		}
	}
	w.store = newGated(w, store)
	r.End(func() { closeStore(store) })
	r.Allow(lostSettle, row.Lost)
	r.Allow(unknownOutcome, row.Unknown)
	r.Allow(failedLoad, row.Failing)
	opts := slices.Concat([]strategies.ReadOption{strategies.WithHoldLife(holdLife)}, row.Options, s.Options)
	for i := range row.processes() {
		w.procs = append(w.procs, w.newProcess(i, opts))
	}
	if row.Costs {
		w.learn()
	}
	w.ready = true
	for i, a := range row.Actors {
		a.join(w, i)
	}
	if row.Pause {
		// A writer looks at its clock when it has committed.
		r.Event("the holds run out", func() bool { return w.held > 0 }, func() { time.Sleep(pause) },
			inStore(0), inStore(1), clock{})
	}
	if row.Age {
		r.Event("values get stale", func() bool { return true }, func() { time.Sleep(pause) })
	}
	for range row.Asks {
		r.Event("who waits asks again", func() bool { return w.leased > 0 }, func() { time.Sleep(asking) },
			w.flights()...)
	}
	r.Check(w.settled)
}

// learn has each process load the key that the row is not about.
func (w *world) learn() {
	ctx, key := context.Background(), keysOfAll[len(w.row.keys()):]
	for _, p := range w.procs {
		if err := p.get(ctx, key, make([]int, 1)); err != nil {
			panic(err)
		}
		time.Sleep(costs) // nothing of it goes on
		if err := w.store.inner.Delete(ctx, key[0]); err != nil {
			panic(err)
		}
	}
}

// flights are what the processes know of loads.
func (w *world) flights() (all []any) {
	for _, p := range w.procs {
		for _, key := range w.row.keys() {
			all = append(all, inFlight{p.index, key})
		}
	}
	return all
}

// settled checks what remains when all is quiet: what was acknowledged is read, at once and when all holds are over.
func (w *world) settled() {
	for range 2 {
		for _, p := range w.procs {
			for _, key := range w.row.keys() {
				p.observe(context.Background(), []int{key}, p.get)
			}
		}
		time.Sleep(pause)
	}
}
