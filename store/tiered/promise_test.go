package tiered_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
)

// holdLife is how long writers hold their keys, and much longer than the bound on old copies.
const holdLife = 20 * time.Second

// processes are two processes on one far store, with one source.
type processes struct {
	far    *farstore.Far[string, int]
	source atomic.Int64
	a, b   *process
}

type process struct {
	view    *farstore.View[string, int]
	faults  *faulty.Store[string, int] // in front of view
	store   *tiered.Store[string, int]
	through *strategies.WriteThroughCache[string, int]
}

func newProcesses(t *testing.T) *processes {
	inner := memory.New(memory.Options[string, int]{MaxEntries: 100})
	t.Cleanup(func() { inner.Close() })
	p := &processes{far: farstore.New(inner)}
	p.source.Store(1)
	p.a, p.b = p.newProcess(t), p.newProcess(t)
	synctest.Wait() // both have been told that they are told of everything
	return p
}

func (p *processes) newProcess(t *testing.T) *process {
	near := memory.New(memory.Options[string, int]{MaxEntries: 100})
	x := &process{view: p.far.View()}
	x.faults = faulty.New(x.view)
	x.store = tiered.New(near, x.faults)
	load := tarn.LoadFunc(func(context.Context, string) (int, error) { return int(p.source.Load()), nil })
	save := tarn.WriteFuncs(
		func(_ context.Context, _ string, value int) error { p.source.Store(int64(value)); return nil },
		func(context.Context, string) error { return nil },
	)
	x.through = strategies.WriteThrough(
		strategies.ReadThrough(x.store, load, strategies.WithHoldLife(holdLife)), save)
	t.Cleanup(func() {
		x.through.Close(context.Background())
		x.store.Close()
		near.Close()
	})
	return x
}

// invalidate writes the source and deletes the key, as an application does.
func (p *processes) invalidate(value int) error {
	p.source.Store(int64(value))
	return p.a.store.Delete(context.Background(), "k")
}

// tag gives the entry a tag, and B a copy of that.
func (p *processes) tag() {
	ctx := context.Background()
	tags, err := tarn.NewTags(0, "t")
	if err == nil {
		err = p.a.store.Set(ctx, "k", tarn.Entry[int]{Value: 1, Tags: tags})
	}
	if err != nil {
		panic(err)
	}
	synctest.Wait()
	for _, x := range []*process{p.a, p.b} {
		if v, err := x.through.Get(ctx, "k"); v != 1 || err != nil {
			panic("the entry is not there")
		}
		if _, ok := x.store.Hit("k"); !ok {
			panic("there is no copy of the entry with a tag")
		}
	}
}

// invalidateTag writes the source and invalidates the tag of what it has written.
func (p *processes) invalidateTag() error {
	p.source.Store(2)
	return p.a.store.InvalidateTags(context.Background(), "t")
}

// dropping drops the messages that come next.
func dropping(n int) func() farstore.Fate {
	return func() farstore.Fate {
		n--
		return farstore.Fate{Dropped: n >= 0}
	}
}

var promises = []struct {
	name string

	before  func(p *processes)       // of the write, when B has a copy
	write   func(p *processes) error // nil: a write through A
	after   func(p *processes)       // that A's write was acknowledged
	mends   func(p *processes)       // some time later
	at      bool                     // B answers the new value at once, too
	unknown bool                     // the write may say that others may have an old value
}{
	{name: "nothing is wrong", at: true},
	{name: "an invalidation", write: func(p *processes) error { return p.invalidate(2) }, at: true},
	{
		name: "a batch of deletes", at: true,
		write: func(p *processes) error {
			p.source.Store(2)
			return p.a.store.DeleteMany(context.Background(), []string{"other", "k"})
		},
	}, {
		name: "everything is cleared", at: true,
		write: func(p *processes) error {
			p.source.Store(2)
			return p.a.store.Clear(context.Background())
		},
	}, {
		name: "a tag is invalidated", at: true,
		before: (*processes).tag, write: (*processes).invalidateTag,
	}, {
		name:   "a tag is invalidated, and the message is lost",
		before: func(p *processes) { p.tag(); p.b.view.Fate(dropping(1)) },
		write:  (*processes).invalidateTag,
	}, {
		name: "a tag is invalidated, and the message is late",
		before: func(p *processes) {
			p.tag()
			p.b.view.Fate(func() farstore.Fate { return farstore.Fate{Delay: 900 * time.Millisecond} })
		},
		write: (*processes).invalidateTag,
	}, {
		name:   "a tag is invalidated, and the store goes down",
		before: func(p *processes) { p.tag(); p.b.view.Fate(dropping(1)) },
		write:  (*processes).invalidateTag,
		after:  func(p *processes) { p.far.Down(true) },
		mends:  func(p *processes) { p.far.Down(false) },
	}, {
		name:   "a tag is invalidated while there is no connection",
		before: func(p *processes) { p.tag(); p.b.view.Cut() },
		write:  (*processes).invalidateTag,
		mends:  func(p *processes) { p.b.view.Mend() },
		at:     true,
	}, {
		name:   "all messages are lost",
		before: func(p *processes) { p.b.view.Fate(dropping(1 << 30)) },
		mends:  func(p *processes) { p.b.view.Fate(nil) },
	}, {
		name:   "the last message is lost",
		before: func(p *processes) { p.b.view.Fate(dropping(1)) },
		write:  func(p *processes) error { return p.invalidate(2) },
	}, {
		name:   "the first message is lost",
		before: func(p *processes) { p.b.view.Fate(dropping(1)) },
		at:     true, // of the second it is seen
	}, {
		name: "messages are late",
		before: func(p *processes) {
			p.b.view.Fate(func() farstore.Fate { return farstore.Fate{Delay: 900 * time.Millisecond} })
		},
	}, {
		name: "messages are very late",
		before: func(p *processes) {
			p.b.view.Fate(func() farstore.Fate { return farstore.Fate{Delay: 5 * time.Second} })
		},
		mends: func(p *processes) { p.b.view.Fate(nil) },
	}, {
		name: "messages change places",
		before: func(p *processes) {
			n := 0
			p.b.view.Fate(func() farstore.Fate { n++; return farstore.Fate{Delay: time.Duration(n%2) * 300 * time.Millisecond} })
		},
		mends: func(p *processes) { p.b.view.Fate(nil) },
	}, {
		name:   "the connection was lost",
		before: func(p *processes) { p.b.view.Cut() },
		mends:  func(p *processes) { p.b.view.Mend() },
		at:     true,
	}, {
		name:  "the connection is lost, with the message",
		write: func(p *processes) error { p.b.view.Cut(); defer p.b.view.Mend(); return p.invalidate(2) },
	}, {
		name:   "messages are lost, and the store is down",
		before: func(p *processes) { p.b.view.Fate(dropping(1 << 30)) },
		after:  func(p *processes) { p.far.Down(true) },
		mends:  func(p *processes) { p.far.Down(false); p.b.view.Fate(nil) },
	}, {
		name:   "messages are lost, and the store is slow",
		before: func(p *processes) { p.b.view.Fate(dropping(1 << 30)); p.far.Slow(200 * time.Millisecond) },
		mends:  func(p *processes) { p.b.view.Fate(nil); p.far.Slow(0) },
	}, {
		name:   "the store is slower than the heartbeat",
		before: func(p *processes) { p.b.view.Fate(dropping(1 << 30)); p.far.Slow(700 * time.Millisecond) },
		mends:  func(p *processes) { p.b.view.Fate(nil); p.far.Slow(0) },
	}, {
		name: "the hold's reply is lost",
		before: func(p *processes) {
			p.a.faults.Inject(faulty.Fault{Kind: faulty.LoseReply, Ops: faulty.Hold, Times: 1})
		},
		at: true,
	}, {
		name:   "the settle is lost",
		before: func(p *processes) { p.a.faults.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Settle, Times: 1}) },
		at:     true,
	}, {
		name: "the settle is lost, and all messages too",
		before: func(p *processes) {
			p.a.faults.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Settle, Times: 1})
			p.b.view.Fate(dropping(1 << 30))
		},
		mends: func(p *processes) { p.b.view.Fate(nil) },
	}, {
		name:  "the settle comes when the hold is gone",
		write: writesSlowly, at: true,
	}, {
		name: "the settle comes when the hold is gone, and its message is lost",
		write: func(p *processes) error {
			p.b.view.Fate(func() farstore.Fate { return farstore.Fate{Dropped: p.source.Load() == 2} })
			return writesSlowly(p)
		},
		mends: func(p *processes) { p.b.view.Fate(nil) },
	},
}

// writesSlowly writes through A's store for longer than a hold lasts, while B reads, and so has the old value again.
func writesSlowly(p *processes) error {
	ctx := context.Background()
	tokens := make([]tarn.Token, 1)
	if err := p.a.store.Hold(ctx, []string{"k"}, holdLife, tokens); err != nil {
		return err
	}
	time.Sleep(holdLife + time.Second)
	for range 2 {
		if v, err := p.b.through.Get(ctx, "k"); v != 1 || err != nil {
			return errors.New("B did not read the old value")
		}
	}
	p.source.Store(2)
	return p.a.store.Settle(ctx, []tarn.Settlement[string, int]{
		{Key: "k", Token: tokens[0], Store: true, Entry: tarn.Entry[int]{Value: 2}}})
}

// TestBound has B read what A has written, in the presence of faults: from the bound on, B answers nothing older, and in
// the end again from a copy. A itself sees what it has written at once.
func TestBound(t *testing.T) {
	for _, c := range promises {
		t.Run(c.name, func(t *testing.T) {
			// The write comes at any time between two heartbeats.
			for offset := time.Duration(0); offset < farstore.Heartbeat; offset += 130 * time.Millisecond {
				synctest.Test(t, func(t *testing.T) {
					p := newProcesses(t)
					time.Sleep(10*farstore.Heartbeat + offset)
					run := func(f func(p *processes)) {
						if f != nil {
							f(p)
						}
					}
					p.copied(t, 1)
					run(c.before)
					if c.write == nil {
						c.write = func(p *processes) error { return p.a.through.Set(context.Background(), "k", 2) }
					}
					if err := c.write(p); err != nil {
						t.Fatalf("the write: %v", err)
					}
					run(c.after)
					p.observe(t, c.at)
					run(c.mends)
					p.far.Down(false)
					time.Sleep(holdLife + 10*time.Second)
					p.copied(t, 2)
				})
			}
		})
	}
}

// copied expects B to answer value, the second time from its copy.
func (p *processes) copied(t *testing.T, value int) {
	t.Helper()
	for range 2 {
		for _, x := range []*process{p.a, p.b} {
			if v, err := x.through.Get(context.Background(), "k"); v != value || err != nil {
				t.Fatalf("a read returned %d, %v, want %d", v, err, value)
			}
			synctest.Wait()
		}
	}
	if v, ok := p.b.store.Hit("k"); !ok || v != value {
		t.Fatalf("B has a copy: %d, %v; want %d, and that it has one; trusted: %v", v, ok, value, p.b.store.Trusted())
	}
}

// observe reads for some time after A's write.
func (p *processes) observe(t *testing.T, atOnce bool) {
	t.Helper()
	acknowledged := time.Now()
	synctest.Wait()
	for time.Since(acknowledged) < 5*farstore.Bound {
		since := time.Since(acknowledged)
		if v, err := p.a.through.Get(context.Background(), "k"); v != 2 || err != nil {
			t.Fatalf("%v after its write A read %d, %v", since, v, err)
		}
		began := time.Since(acknowledged)
		v, err := p.b.through.Get(context.Background(), "k")
		switch {
		case err != nil:
			t.Fatalf("B: %v", err)
		case v == 1 && began >= farstore.Bound:
			t.Fatalf("B read the old value %v after it was overwritten", began)
		case v == 1 && atOnce:
			t.Fatalf("B read the old value %v after it was overwritten and told", began)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestBoundNeedsHoldsTold switches off that the far store tells of a hold, or of a settle that has found its hold gone.
func TestBoundNeedsHoldsTold(t *testing.T) {
	t.Run("holds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newProcesses(t)
			p.copied(t, 1)
			p.far.Mute(farstore.Holds)
			p.a.faults.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Settle, Times: 1})
			if err := p.a.through.Set(context.Background(), "k", 2); err != nil {
				t.Fatal(err)
			}
			p.returnsToThePast(t)
		})
	})
	t.Run("settles", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newProcesses(t)
			p.far.Mute(farstore.Settles)
			if err := writesSlowly(p); err != nil {
				t.Fatal(err)
			}
			p.returnsToThePast(t)
		})
	})
}

// TestBoundNeedsTagsTold switches off that the far store tells of invalidated tags.
func TestBoundNeedsTagsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcesses(t)
		p.tag()
		p.far.Mute(farstore.Tags)
		if err := p.invalidateTag(); err != nil {
			t.Fatal(err)
		}
		p.returnsToThePast(t)
	})
}

func (p *processes) returnsToThePast(t *testing.T) {
	t.Helper()
	time.Sleep(2 * farstore.Bound)
	if v, err := p.b.through.Get(context.Background(), "k"); v != 1 || err != nil {
		t.Errorf("B read %d, %v: what was switched off is not missed", v, err)
	}
}
