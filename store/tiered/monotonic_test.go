package tiered_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/interleave"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/ttl"
)

// order is a race between two readers and a writer of one process, of which what was read first is not to be read again
// once somebody has read what the writer has written.
type order struct {
	name   string
	write  func(w *world, ctx context.Context)
	absent int                         // the version that an absent key stands for; 0: it says nothing
	of     func(e tarn.Entry[int]) int // the version of an entry; nil: its value
	unheld bool                        // it is in order without a hold in the near store too
	tagged bool                        // the entry has the tag
}

const written = 2 // the version that the writer writes; the key has version 1 before

var two = tarn.Entry[int]{Value: written}

var orders = []order{
	{name: "Set", write: func(w *world, ctx context.Context) { w.store.Set(ctx, 0, two) }},
	{name: "Delete", absent: written, write: func(w *world, ctx context.Context) { w.store.Delete(ctx, 0) }},
	{name: "SetMany", write: func(w *world, ctx context.Context) {
		w.store.SetMany(ctx, []int{0, 1, 0}, []tarn.Entry[int]{two, two, two})
	}},
	{name: "DeleteMany", absent: written, write: func(w *world, ctx context.Context) { w.store.DeleteMany(ctx, []int{0, 0, 1}) }},
	{name: "Add where the far store has forgotten", unheld: true, write: func(w *world, ctx context.Context) {
		w.forget(ctx)
		w.store.Add(ctx, 0, two)
	}},
	{name: "Touch", of: versionByLife, write: func(w *world, ctx context.Context) { w.store.Touch(ctx, 0, ttl.End-1) }},
	{name: "Compute", write: func(w *world, ctx context.Context) {
		w.store.Compute(ctx, 0, func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) { return two, tarn.ComputeStore })
	}},
	{name: "Clear", absent: written, unheld: true, write: func(w *world, ctx context.Context) { w.store.Clear(ctx) }},
	{name: "InvalidateTags", absent: written, unheld: true, tagged: true, write: func(w *world, ctx context.Context) {
		w.Step(ctx, "invalidate the tag")
		w.Touch(isLeaving)
		w.store.InvalidateTags(ctx, "t")
	}},
	{name: "Hold", absent: written, write: func(w *world, ctx context.Context) {
		w.store.Hold(ctx, []int{0}, time.Hour, make([]tarn.Token, 1))
	}},
	{name: "Settle where the hold has ended", absent: written, write: func(w *world, ctx context.Context) {
		w.store.Settle(ctx, []tarn.Settlement[int, int]{{Token: tarn.Token{1}}})
	}},
	{name: "Fill in place of an entry", write: func(w *world, ctx context.Context) {
		leases := make([]tarn.Lease[int], 1)
		w.far.Lease(ctx, []int{0}, tarn.LeaseTerms{Life: time.Hour, Refresh: true}, leases)
		w.store.Fill(ctx, []tarn.Fill[int, int]{{Token: leases[0].Token, Store: true, Entry: two}})
	}},
	{name: "Fill where the far store has forgotten", unheld: true, write: func(w *world, ctx context.Context) {
		w.forget(ctx)
		leases := make([]tarn.Lease[int], 1)
		w.far.Lease(ctx, []int{0}, tarn.LeaseTerms{Life: time.Hour}, leases)
		w.store.Fill(ctx, []tarn.Fill[int, int]{{Token: leases[0].Token, Store: true, Entry: two}})
	}},
}

func versionByLife(e tarn.Entry[int]) int {
	if e.Expires != 0 {
		return written
	}
	return 1
}

// forget has the far store forget the key, as a server does that is short of memory.
func (w *world) forget(ctx context.Context) {
	w.Step(ctx, "far forgets")
	w.Touch(inFar)
	w.far.Delete(ctx, 0)
}

// TestReadersDoNotGoBack runs two readers and a writer in every order of their steps: a read that begins after another
// has returned never returns an older value.
func TestReadersDoNotGoBack(t *testing.T) {
	oneByOne(t)
	eachOrder(t, 0)
}

func TestSomeReadersDoNotGoBack(t *testing.T) {
	t.Parallel()
	eachOrder(t, some)
}

// eachOrder runs so many random orders of each race, or all of them.
func eachOrder(t *testing.T, sample int) {
	for _, o := range orders {
		for _, near := range []bool{false, true} {
			name := o.name
			if near {
				name += ", and there is a copy"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				report := exploreOrder(t, o, near, sample, func(n steppingNear) tarn.Store[int, int] { return n })
				if f := report.Failure; f != nil {
					t.Errorf("%v, after %q", f.Err, f.Steps)
				} else if !report.Exhausted && sample == 0 {
					t.Error("not every order was run")
				}
			})
		}
	}
}

// TestReadersGoBackWithoutHolds has a near store that cannot hold the key meanwhile: the test above finds every write
// that needs it; for the others it does to drop the copy before.
func TestReadersGoBackWithoutHolds(t *testing.T) {
	oneByOne(t)
	for _, o := range orders {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			report := exploreOrder(t, o, false, 0, func(n steppingNear) tarn.Store[int, int] { return unholding{n} })
			if found := report.Failure != nil; found == o.unheld {
				t.Errorf("found something: %v", found)
			}
		})
	}
}

func exploreOrder(
	t *testing.T, o order, copied bool, sample int, nearOf func(steppingNear) tarn.Store[int, int],
) (report interleave.Report) {
	synctest.Test(t, func(*testing.T) {
		options := interleave.Options{Wait: synctest.Wait, MaxRuns: 100_000, Sample: sample, Seed: 1}
		report = interleave.Explore(options, func(r *interleave.Run) { newOrder(r, o, copied, nearOf) })
	})
	t.Logf("%d orders, and %d cut short for being equivalent to another", report.Runs, report.Redundant)
	return report
}

func newOrder(r *interleave.Run, o order, copied bool, nearOf func(steppingNear) tarn.Store[int, int]) {
	ctx := context.Background()
	w := &world{Run: r, scene: scene{tagged: o.tagged}, bus: make(chan bool, 10)}
	w.far = memory.New(memory.Options[int, int]{MaxEntries: 10})
	near := memory.New(memory.Options[int, int]{MaxEntries: 10})
	w.store = tiered.New(nearOf(steppingNear{near, w}), steppingFar{w.far, w, true})
	r.End(func() {
		w.store.Close()
		near.Close()
		w.far.Close()
	})
	synctest.Wait() // the store watches
	w.watch.Current(ttl.End)
	w.far.Set(ctx, 0, tarn.Entry[int]{Value: 1, Tags: w.tag(0)})
	if copied {
		keepCopy(w.far, near)
	}
	w.begun = true
	seen := 0 // at most
	version := func(e tarn.Entry[int], found bool) int {
		switch {
		case !found:
			return o.absent
		case o.of != nil:
			return o.of(e)
		}
		return e.Value
	}
	read := func(do func() int) {
		w.Look(isAcked)
		w.Look(isTrusted)
		w.Look(inNear)
		floor := seen
		got := do()
		w.Note(fmt.Sprint("returns version ", got))
		if got > seen {
			w.Touch(isAcked)
			seen = got
		}
		if got != 0 && got < floor {
			w.Failf("a read returned version %d, which began after one had returned %d", got, floor)
		}
	}
	get := func(ctx context.Context) func() int {
		return func() int {
			e, found, err := w.store.Get(ctx, 0)
			if err != nil {
				w.Failf("get: %w", err)
			}
			return version(e, found)
		}
	}
	r.Go("one reader", func(ctx context.Context) {
		w.Step(ctx, "get")
		read(get(ctx))
	})
	r.Go("another", func(ctx context.Context) {
		w.Step(ctx, "get")
		read(get(ctx))
		w.Step(ctx, "get the copy") // without one it would read the far store, which does not go back
		read(func() int {
			if e, found, _ := near.Get(ctx, 0); found && w.store.Trusted() {
				return version(e, found)
			}
			return 0
		})
	})
	r.Go("writer", func(ctx context.Context) { o.write(w, ctx) })
}

func (f steppingFar) SetMany(ctx context.Context, keys []int, entries []tarn.Entry[int]) error {
	f.changes(ctx, "set many")
	return f.Store.SetMany(ctx, keys, entries)
}

func (f steppingFar) DeleteMany(ctx context.Context, keys []int) error {
	f.changes(ctx, "delete many")
	return f.Store.DeleteMany(ctx, keys)
}

func (f steppingFar) Add(ctx context.Context, key int, e tarn.Entry[int]) (bool, error) {
	f.changes(ctx, "add")
	return f.Store.Add(ctx, key, e)
}

func (f steppingFar) Touch(ctx context.Context, key int, expires ttl.Time) (bool, error) {
	f.changes(ctx, "touch")
	return f.Store.Touch(ctx, key, expires)
}

func (f steppingFar) Compute(
	ctx context.Context, key int, do func(old tarn.Entry[int], found bool) (tarn.Entry[int], tarn.ComputeOp),
) (tarn.Entry[int], bool, error) {
	f.changes(ctx, "compute")
	return f.Store.Compute(ctx, key, do)
}

func (f steppingFar) Clear(ctx context.Context) error {
	f.changes(ctx, "clear")
	return f.Store.Clear(ctx)
}
