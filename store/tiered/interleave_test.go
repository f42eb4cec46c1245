package tiered_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/interleave"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/ttl"
)

// scene is a race between what goes on in a process that has copies, the one that is watched here, and writers.
type scene struct {
	name, rule string

	readers int  // in the process
	batch   bool // they read by GetMany
	leases  bool // they read by Lease alone
	reads   int  // of each
	own     bool // the writer is in the process too
	tagged  bool // what is read and loaded has the tag
	unheld  bool // the near store cannot hold keys
	write   func(w *world, ctx context.Context, s tarn.Store[int, int])
	warm    bool // the far store begins with the value
	near    bool // and the near one with a copy
	lost    bool // the connection is lost once, and made again
	sample  int  // run so many random orders, for there are too many; zero: all
}

var scenes = []scene{
	{
		name: "a copy and an invalidation", rule: "a copy is kept only if the near lease from before the far read stands",
		readers: 1, reads: 2, write: (*world).invalidate, warm: true,
	}, {
		name: "a copy that is there and an invalidation", rule: "what is told to have changed is dropped",
		readers: 1, reads: 2, write: (*world).invalidate, warm: true, near: true,
	}, {
		name: "a copy by a batch and an invalidation", rule: "a batch is copied as a single key is",
		readers: 1, reads: 2, batch: true, write: (*world).invalidate, warm: true,
	}, {
		name: "a copy by a lease and an invalidation", rule: "what a lease has found is copied as what was read",
		readers: 1, reads: 2, leases: true, write: (*world).invalidate, warm: true,
	}, {
		name: "a load and an invalidation", rule: "what was loaded is kept only if the near lease from before the far fill stands",
		readers: 1, reads: 2, write: (*world).invalidate,
	}, {
		name: "a copy and a write", rule: "holds are told",
		readers: 1, reads: 2, write: (*world).hold, warm: true, near: true,
	}, {
		name: "two readers and an invalidation", rule: "readers who meet keep what one of them read",
		readers: 2, reads: 1, write: (*world).invalidate, warm: true, sample: 5000,
	}, {
		name: "an own write", rule: "a writer drops the copy of its own process before it acknowledges",
		readers: 1, reads: 2, own: true, write: (*world).invalidate, warm: true,
	}, {
		name: "an own write under a hold", rule: "a settle drops the copy of its own process before it acknowledges",
		readers: 1, reads: 2, own: true, write: (*world).hold, warm: true,
	}, {
		name: "an own settle whose hold is gone", rule: "a settle drops the copy when the far store has none any more",
		readers: 1, reads: 2, own: true, write: (*world).settleLate, warm: true,
	}, {
		name: "an own set", rule: "a set drops the copy",
		readers: 1, reads: 2, own: true, write: (*world).set, warm: true, near: true,
	}, {
		name: "an own write without holds", rule: "a writer drops the copy that was made while the far store was at it",
		readers: 1, reads: 2, own: true, unheld: true, write: (*world).invalidate, warm: true,
	}, {
		name: "an own load without holds", rule: "a fill that keeps no copy drops the one that it has replaced",
		readers: 1, reads: 2, own: true, unheld: true, write: (*world).refresh, warm: true,
	}, {
		name: "a copy and an invalidated tag", rule: "a copy is stamped with the near moment from before the far read",
		readers: 1, reads: 2, tagged: true, write: (*world).invalidateTag, warm: true,
	}, {
		name: "a copy that is there and an invalidated tag", rule: "a tag that is told to have been invalidated is, near too",
		readers: 1, reads: 2, tagged: true, write: (*world).invalidateTag, warm: true, near: true,
	}, {
		name: "a copy by a batch and an invalidated tag", rule: "a batch is stamped as a single key is",
		readers: 1, reads: 2, tagged: true, batch: true, write: (*world).invalidateTag, warm: true,
	}, {
		name: "a copy by a lease and an invalidated tag", rule: "what a lease has found is stamped as what was read",
		readers: 1, reads: 2, tagged: true, leases: true, write: (*world).invalidateTag, warm: true,
	}, {
		name: "a load and an invalidated tag", rule: "what was loaded is stamped with the near moment from before the far fill",
		readers: 1, reads: 2, tagged: true, write: (*world).invalidateTag,
	}, {
		name: "a copy, an invalidated tag and an invalidation", rule: "a copy is refused for its tag and for its key",
		readers: 1, reads: 1, tagged: true, write: (*world).invalidateBoth, warm: true,
	}, {
		name: "two readers and an invalidated tag", rule: "readers who meet keep what one of them read",
		readers: 2, reads: 1, tagged: true, write: (*world).invalidateTag, warm: true, sample: 5000,
	}, {
		name: "an own invalidation of a tag", rule: "copies are dropped before it is acknowledged",
		readers: 1, reads: 2, tagged: true, own: true, write: (*world).invalidateTag, warm: true,
	}, {
		name: "an own invalidation of a tag, and there is a copy", rule: "that which is there is dropped before it is acknowledged",
		readers: 1, reads: 2, tagged: true, own: true, write: (*world).invalidateTag, warm: true, near: true,
	}, {
		name: "an own invalidation of a tag and a load", rule: "what was loaded meanwhile is not kept",
		readers: 1, reads: 2, tagged: true, own: true, write: (*world).invalidateTag,
	}, {
		name: "the connection is lost, and a tag invalidated", rule: "what nobody told of is not kept, tags or not",
		readers: 1, reads: 1, tagged: true, write: (*world).invalidateTag, warm: true, lost: true,
	}, {
		name: "the connection is lost", rule: "no copy is kept of what was read before trust was lost, or without trust",
		readers: 1, reads: 1, write: (*world).invalidate, warm: true, lost: true,
	}, {
		name: "the connection is lost, and there is a copy", rule: "copies are dropped when trust is lost",
		readers: 1, reads: 2, write: (*world).invalidate, warm: true, near: true, lost: true,
	}, {
		name: "the connection is lost during a load", rule: "a fill keeps no copy if trust was lost meanwhile",
		readers: 1, reads: 1, write: (*world).invalidate, lost: true,
	},
}

// oneByOne leaves a test that runs every order of steps to a run without the race detector, which would take several
// times as long to find nothing: the steps come one after the other, each ordered before the next.
func oneByOne(t *testing.T) {
	if raceEnabled {
		t.Skip("every order is run without the race detector, and with it only some: see TestSomeInterleavings")
	}
}

// some is how many random orders of a scene are run with the race detector too: what goes on within a step is not
// ordered.
const some = 50

func TestInterleavings(t *testing.T) {
	oneByOne(t)
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			report := s.explore(t)
			if report.Failure == nil && !report.Exhausted && s.sample == 0 {
				t.Error("not every order was run")
			}
		})
	}
}

func TestSomeInterleavings(t *testing.T) {
	t.Parallel()
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			s.sample = some
			s.explore(t)
		})
	}
}

// explore runs the orders of a scene, and fails the test with the first that goes wrong.
func (s scene) explore(t *testing.T) (report interleave.Report) {
	synctest.Test(t, func(*testing.T) {
		options := interleave.Options{Wait: synctest.Wait, MaxRuns: 100_000, Sample: s.sample, Seed: 1}
		report = interleave.Explore(options, func(r *interleave.Run) { newWorld(r, s) })
	})
	t.Logf("%d orders, and %d cut short for being equivalent to another", report.Runs, report.Redundant)
	if f := report.Failure; f != nil {
		t.Errorf("%s: %v\n    %s", s.rule, f.Err, strings.Join(f.Steps, "\n    "))
	}
	return report
}

// What actors share.
type shared uint8

const (
	inNear shared = iota
	inFar
	inSource
	isAcked // and what the process was told
	isTrusted
	onBus
	isLeaving
)

// world is what the actors of one run share.
type world struct {
	*interleave.Run
	scene
	source int // a version
	acks   []ack
	told   int // how many messages the process was told, or made up for by dropping everything
	sent   int
	away   bool      // the process knows that it is not told
	bus    chan bool // true: the tag was invalidated, and not the key
	far    *memory.Store[int, int]
	store  *tiered.Store[int, int]
	watch  tarn.Watch[int]
	begun  bool // the scene is set
}

// ack is a version that was acknowledged when so many messages had been sent.
type ack struct{ version, sent int }

func newWorld(r *interleave.Run, s scene) {
	w := &world{Run: r, scene: s, bus: make(chan bool, 10)}
	w.far = memory.New(memory.Options[int, int]{MaxEntries: 10})
	near := memory.New(memory.Options[int, int]{MaxEntries: 10})
	var stepping tarn.Store[int, int] = steppingNear{near, w}
	if s.unheld {
		stepping = unholding{steppingNear{near, w}}
	}
	w.store = tiered.New(stepping, steppingFar{w.far, w, true})
	r.End(func() {
		w.store.Close()
		near.Close()
		w.far.Close()
	})
	synctest.Wait() // the store watches
	ctx := context.Background()
	w.watch.Current(ttl.End)
	if s.warm {
		w.far.Set(ctx, 0, tarn.Entry[int]{Tags: w.tag(0)})
	}
	if s.near {
		keepCopy(w.far, near)
	}
	w.begun = true
	for i := range s.readers {
		r.Go(fmt.Sprint("reader ", i), func(ctx context.Context) {
			for range s.reads {
				w.Step(ctx, "get")
				w.read(ctx)
			}
		})
	}
	r.Go("writer", func(ctx context.Context) {
		defer close(w.bus)
		if s.own {
			s.write(w, ctx, w.store)
		} else {
			s.write(w, ctx, steppingFar{w.far, w, false})
		}
	})
	r.Go("watcher", func(ctx context.Context) {
		if s.lost {
			w.loseConnection(ctx)
		}
		for tag := range w.bus {
			w.Step(ctx, "told")
			w.Touch(onBus)
			if tag {
				w.watch.(tarn.TagWatch).Invalidated([]string{"t"})
			} else {
				w.watch.Changed([]int{0})
			}
			w.told++
			w.Touch(isAcked)
		}
	})
	r.Check(func() { w.read(context.Background()) })
}

// keepCopy keeps a copy of what the far store has.
func keepCopy(far, near *memory.Store[int, int]) {
	ctx := context.Background()
	leases := make([]tarn.Lease[int], 1)
	near.Lease(ctx, []int{0}, tarn.LeaseTerms{Life: time.Hour, Stamp: true}, leases)
	e, _, _ := far.Get(ctx, 0)
	e.Tags = e.Tags.Restamped(leases[0].Stamp)
	near.Fill(ctx, []tarn.Fill[int, int]{{Token: leases[0].Token, Store: true, Entry: e}})
}

// tag returns the tags of entries.
func (w *world) tag(stamp tarn.Stamp) *tarn.Tags {
	if !w.tagged {
		return nil
	}
	tags, err := tarn.NewTags(stamp, "t")
	if err != nil {
		w.Failf("tags: %w", err)
	}
	return tags
}

// loseConnection says that messages are lost, until they are not any more.
func (w *world) loseConnection(ctx context.Context) {
	w.Step(ctx, "lost")
	w.Touch(isTrusted)
	w.watch.Lost()
	w.away = true
	w.Touch(isAcked)
	w.Step(ctx, "there again")
	w.Touch(isAcked)
	w.Touch(isTrusted)
	w.Touch(onBus)
	for len(w.bus) > 0 {
		<-w.bus
	}
	w.told, w.away = w.sent, false
	w.watch.Current(ttl.End)
}

// read reads the key as a strategy does, and checks what it gets against what was acknowledged and told before.
func (w *world) read(ctx context.Context) {
	floor := 0
	w.Look(isAcked)
	for _, a := range w.acks {
		if w.own || w.away || a.sent <= w.told {
			floor = max(floor, a.version)
		}
	}
	version := w.get(ctx)
	w.Note(fmt.Sprint("returns version ", version))
	if version < floor {
		w.Failf("a read returned to the past: version %d after %d was acknowledged and told", version, floor)
	}
}

func (w *world) get(ctx context.Context) int {
	w.Look(isTrusted)
	w.Look(inNear)
	if value, found := w.look(ctx); found {
		return value
	}
	leases := make([]tarn.Lease[int], 1)
	w.Look(isTrusted)
	terms := tarn.LeaseTerms{Life: time.Hour, Refresh: !w.leases, Stamp: w.tagged}
	if err := w.store.Lease(ctx, []int{0}, terms, leases); err != nil {
		w.Failf("lease: %w", err)
	}
	if leases[0].State == tarn.Hit {
		return leases[0].Entry.Value
	}
	w.Step(ctx, "load")
	w.Look(inSource)
	w.Look(isTrusted)
	version := w.source
	if leases[0].State == tarn.Granted {
		e := tarn.Entry[int]{Value: version, Tags: w.tag(leases[0].Stamp)}
		fills := []tarn.Fill[int, int]{{Token: leases[0].Token, Store: true, Entry: e}}
		if err := w.store.Fill(ctx, fills); err != nil {
			w.Failf("fill: %w", err)
		}
	}
	return version
}

// look asks for what is stored.
func (w *world) look(ctx context.Context) (value int, found bool) {
	switch {
	case w.leases:
		return 0, false
	case w.batch:
		into := make([]tarn.Lookup[int], 1)
		if err := w.store.GetMany(ctx, []int{0}, into); err != nil {
			w.Failf("get many: %w", err)
		}
		return into[0].Entry.Value, into[0].Found
	}
	e, found, err := w.store.Get(ctx, 0)
	if err != nil {
		w.Failf("get: %w", err)
	}
	return e.Value, found
}

// commit writes the source.
func (w *world) commit(ctx context.Context) {
	w.Step(ctx, "commit")
	w.Touch(inSource)
	w.source++
}

// acknowledge says that the write has returned.
func (w *world) acknowledge() {
	w.Touch(isAcked)
	w.acks = append(w.acks, ack{w.source, w.sent})
	w.Note(fmt.Sprint("acknowledges version ", w.source))
}

func (w *world) invalidate(ctx context.Context, s tarn.Store[int, int]) {
	w.commit(ctx)
	s.Delete(ctx, 0)
	w.acknowledge()
}

func (w *world) invalidateTag(ctx context.Context, s tarn.Store[int, int]) {
	w.commit(ctx)
	w.Step(ctx, "invalidate the tag")
	w.Touch(isLeaving)
	tagger, _ := tarn.As[tarn.TagInvalidator](s)
	if err := tagger.InvalidateTags(ctx, "t"); err != nil {
		w.Failf("invalidate tags: %w", err)
	}
	w.acknowledge()
}

func (w *world) invalidateBoth(ctx context.Context, s tarn.Store[int, int]) {
	w.invalidateTag(ctx, s)
	w.invalidate(ctx, s)
}

func (w *world) set(ctx context.Context, s tarn.Store[int, int]) {
	w.commit(ctx)
	s.Set(ctx, 0, tarn.Entry[int]{Value: w.source})
	w.acknowledge()
}

func (w *world) hold(ctx context.Context, s tarn.Store[int, int]) {
	holder, _ := tarn.HolderOf(s)
	tokens := make([]tarn.Token, 1)
	holder.Hold(ctx, []int{0}, time.Hour, tokens)
	w.commit(ctx)
	settlement := tarn.Settlement[int, int]{Token: tokens[0], Store: true, Entry: tarn.Entry[int]{Value: w.source}}
	holder.Settle(ctx, []tarn.Settlement[int, int]{settlement})
	w.acknowledge()
}

// refresh replaces the entry by what the source has.
func (w *world) refresh(ctx context.Context, s tarn.Store[int, int]) {
	w.commit(ctx)
	leases := make([]tarn.Lease[int], 1)
	w.far.Lease(ctx, []int{0}, tarn.LeaseTerms{Life: time.Hour, Refresh: true}, leases)
	w.store.Fill(ctx, []tarn.Fill[int, int]{{Token: leases[0].Token, Store: true, Entry: tarn.Entry[int]{Value: w.source}}})
	w.acknowledge()
}

// settleLate settles a hold that is gone by now.
func (w *world) settleLate(ctx context.Context, s tarn.Store[int, int]) {
	w.commit(ctx)
	holder, _ := tarn.HolderOf(s)
	holder.Settle(ctx, []tarn.Settlement[int, int]{{Token: tarn.Token{1}}})
	w.acknowledge()
}

// steppingNear is a near store whose operations are steps.
type steppingNear struct {
	*memory.Store[int, int]
	w *world
}

func (n steppingNear) Lease(ctx context.Context, keys []int, terms tarn.LeaseTerms, into []tarn.Lease[int]) error {
	n.w.Step(ctx, "near lease")
	n.w.Touch(inNear)
	return n.Store.Lease(ctx, keys, terms, into)
}

func (n steppingNear) Fill(ctx context.Context, fills []tarn.Fill[int, int]) error {
	n.w.Step(ctx, "near fill")
	n.w.Touch(inNear)
	n.w.Look(isTrusted)
	return n.Store.Fill(ctx, fills)
}

func (n steppingNear) Delete(ctx context.Context, key int) error {
	n.w.Step(ctx, "near drop")
	n.w.Touch(inNear)
	return n.Store.Delete(ctx, key)
}

func (n steppingNear) DeleteMany(ctx context.Context, keys []int) error {
	n.w.Step(ctx, "near drop")
	n.w.Touch(inNear)
	return n.Store.DeleteMany(ctx, keys)
}

func (n steppingNear) Hold(ctx context.Context, keys []int, life time.Duration, tokens []tarn.Token) error {
	n.w.Step(ctx, "near hold")
	n.w.Touch(inNear)
	if slices.Contains(keys[1:], keys[0]) {
		n.w.Failf("the near store is to hold a key twice at once")
	}
	return n.Store.Hold(ctx, keys, life, tokens)
}

func (n steppingNear) Settle(ctx context.Context, settlements []tarn.Settlement[int, int]) error {
	n.w.Step(ctx, "near settle")
	n.w.Touch(inNear)
	n.w.Look(isTrusted)
	return n.Store.Settle(ctx, settlements)
}

func (n steppingNear) InvalidateTags(ctx context.Context, tags ...string) error {
	n.w.Step(ctx, "near invalidates")
	n.w.Touch(inNear)
	n.w.Touch(isLeaving)
	return n.Store.InvalidateTags(ctx, tags...)
}

func (n steppingNear) Stamp(ctx context.Context) (tarn.Stamp, error) {
	n.w.Step(ctx, "near stamp")
	n.w.Look(inNear)
	return n.Store.Stamp(ctx)
}

// unholding is a near store that cannot hold keys.
type unholding struct{ steppingNear }

func (n unholding) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Leaser[int, int]:
		*t = n
	case *tarn.Clearer:
		*t = n
	default:
		return false
	}
	return true
}

// Clear ends with a step too: to clear a large store takes time.
func (n steppingNear) Clear(ctx context.Context) error {
	if !n.w.begun {
		return n.Store.Clear(ctx)
	}
	n.w.Step(ctx, "near clear")
	n.w.Touch(inNear)
	n.w.Touch(isTrusted)
	err := n.Store.Clear(ctx)
	n.w.Step(ctx, "near cleared")
	n.w.Touch(isTrusted)
	n.w.Touch(isAcked)
	return err
}

// steppingFar is the far store as a process sees it, whose operations are steps.
type steppingFar struct {
	*memory.Store[int, int]
	w   *world
	own bool // the process is the one that has copies, which is not told of its own changes
}

func (f steppingFar) Watch(ctx context.Context, watch tarn.Watch[int]) error {
	f.w.watch = watch
	<-ctx.Done()
	return ctx.Err()
}

// changes begins a step that changes the key, and of which others are told.
func (f steppingFar) changes(ctx context.Context, op string) {
	f.w.Step(ctx, "far "+op)
	f.w.Touch(inFar)
	f.w.Look(isTrusted)
	f.tell(false)
}

func (f steppingFar) tell(tag bool) {
	if !f.own {
		f.w.Touch(onBus)
		f.w.sent++
		f.w.bus <- tag
	}
}

func (f steppingFar) InvalidateTags(ctx context.Context, tags ...string) error {
	f.w.Step(ctx, "far invalidates")
	f.w.Touch(inFar)
	f.w.Touch(isLeaving) // if it were to end too soon
	f.w.Look(isTrusted)
	f.tell(true)
	return f.Store.InvalidateTags(ctx, tags...)
}

// answers ends a step that has read the far store: what comes next is the question whether a copy may be kept.
func (f steppingFar) answers(ctx context.Context) {
	if f.w.tagged {
		f.w.Step(ctx, "far answers")
		f.w.Look(isLeaving)
		f.w.Look(isTrusted)
	}
}

func (f steppingFar) Get(ctx context.Context, key int) (tarn.Entry[int], bool, error) {
	f.w.Step(ctx, "far get")
	f.w.Look(inFar)
	f.w.Look(isTrusted) // which is asked about next
	defer f.answers(ctx)
	return f.Store.Get(ctx, key)
}

func (f steppingFar) GetMany(ctx context.Context, keys []int, into []tarn.Lookup[int]) error {
	f.w.Step(ctx, "far get")
	f.w.Look(inFar)
	f.w.Look(isTrusted)
	defer f.answers(ctx)
	return f.Store.GetMany(ctx, keys, into)
}

func (f steppingFar) Set(ctx context.Context, key int, e tarn.Entry[int]) error {
	f.changes(ctx, "set")
	return f.Store.Set(ctx, key, e)
}

func (f steppingFar) Delete(ctx context.Context, key int) error {
	f.changes(ctx, "delete")
	return f.Store.Delete(ctx, key)
}

func (f steppingFar) Hold(ctx context.Context, keys []int, life time.Duration, tokens []tarn.Token) error {
	f.changes(ctx, "hold")
	return f.Store.Hold(ctx, keys, life, tokens)
}

func (f steppingFar) Settle(ctx context.Context, settlements []tarn.Settlement[int, int]) error {
	f.changes(ctx, "settle")
	return f.Store.Settle(ctx, settlements)
}

func (f steppingFar) Lease(ctx context.Context, keys []int, terms tarn.LeaseTerms, into []tarn.Lease[int]) error {
	f.w.Step(ctx, "far lease")
	f.w.Touch(inFar)
	f.w.Look(isTrusted)
	defer f.answers(ctx)
	return f.Store.Lease(ctx, keys, terms, into)
}

func (f steppingFar) Fill(ctx context.Context, fills []tarn.Fill[int, int]) error {
	f.w.Step(ctx, "far fill")
	f.w.Touch(inFar)
	f.w.Look(isTrusted)
	defer f.answers(ctx)
	there := slices.ContainsFunc(fills, func(x tarn.Fill[int, int]) bool {
		_, found, _ := f.Store.Get(ctx, x.Key)
		return found
	})
	err := f.Store.Fill(ctx, fills)
	if there {
		f.tell(false)
	}
	return err
}
