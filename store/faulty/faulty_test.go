package faulty_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/storetest"
	"github.com/tarncache/tarn/ttl"
)

type (
	entry = tarn.Entry[string]
	store = faulty.Store[string, string]
)

func newInner() *memory.Store[string, string] {
	return memory.New(memory.Options[string, string]{MaxEntries: 20_000})
}

// offered is all but tarn.Hitter, which has no way to fail.
const offered = storetest.All &^ storetest.Hitter

// TestWithoutFaults says that a wrapper without faults is as good a store as what it wraps.
func TestWithoutFaults(t *testing.T) {
	storetest.Run(t, func(testing.TB) tarn.Store[string, string] { return faulty.New(newInner()) },
		storetest.Require(offered))
}

// TestTwice wraps a wrapper: capabilities are passed on through both.
func TestTwice(t *testing.T) {
	storetest.Run(t, func(testing.TB) tarn.Store[string, string] { return faulty.New(faulty.New(newInner())) },
		storetest.Require(offered))
}

type bare struct{ tarn.Store[string, string] }

func TestAs(t *testing.T) {
	t.Run("claims nothing that the inner store lacks", func(t *testing.T) {
		s := faulty.New(bare{newInner()})
		refuses[tarn.BatchStore[string, string]](t, s)
		refuses[tarn.Adder[string, string]](t, s)
		refuses[tarn.Toucher[string, string]](t, s)
		refuses[tarn.Computer[string, string]](t, s)
		refuses[tarn.Clearer](t, s)
		refuses[tarn.Scanner[string, string]](t, s)
		refuses[tarn.Clocker](t, s)
		refuses[tarn.Leaser[string, string]](t, s)
		refuses[tarn.Holder[string, string]](t, s)
		refuses[tarn.TagInvalidator](t, s)
		refuses[tarn.Tagger](t, s)
		refuses[interface{ Close() error }](t, s)
	})
	t.Run("lets nothing slip past the faults", func(t *testing.T) {
		s := faulty.New(newInner())
		refuses[interface {
			tarn.Leaser[string, string]
			tarn.Holder[string, string]
		}](t, s)
		refuses[interface {
			DeleteMany(context.Context, []string) error
		}](t, s)
		refuses[interface {
			Stamp(context.Context) (tarn.Stamp, error)
		}](t, s)
		refuses[tarn.Hitter[string, string]](t, s)
		refuses[tarn.Hitter[string, string]](t, faulty.New(s))
		refuses[interface {
			tarn.Hitter[string, string]
			Len() int
		}](t, s)
		if got, ok := tarn.As[tarn.Store[string, string]](s); !ok || got != tarn.Store[string, string](s) {
			t.Error("as a Store, it is another than itself")
		}
		if got, ok := tarn.As[any](s); !ok || got != any(s) {
			t.Error("as anything, it is another than itself")
		}
	})
	t.Run("passes on what no fault concerns", func(t *testing.T) {
		inner := newInner()
		got, ok := tarn.As[interface{ Len() int }](faulty.New(inner))
		if !ok || got != any(inner) {
			t.Error("the inner store's Len is not offered")
		}
	})
}

func refuses[T any](t *testing.T, s *store) {
	t.Helper()
	if _, ok := tarn.As[T](s); ok {
		t.Errorf("As says yes to %T", new(T))
	}
}

// write is an operation that leaves a trace in the store. do is called once, after prepare.
type write struct {
	op      faulty.Op
	prepare func(t *testing.T, w *world)
	do      func(ctx context.Context, w *world) error
	done    func(w *world) bool // whether the inner store shows it
	// forget overwrites the slices that do passed, as their owner may when do has returned.
	forget func(w *world)
}

// world is a faulty store, what it wraps, and what operations need.
type world struct {
	inner       *memory.Store[string, string]
	s           *store
	keys        []string
	entries     []entry
	tokens      []tarn.Token
	fills       []tarn.Fill[string, string]
	settlements []tarn.Settlement[string, string]
	answer      bool
}

func newWorld() *world {
	w := &world{inner: newInner()}
	w.s = faulty.New(w.inner)
	return w
}

func (w *world) value() string {
	e, _, _ := w.inner.Get(context.Background(), "a")
	return e.Value
}

func as[T any](s *store) T {
	capability, ok := tarn.As[T](s)
	if !ok {
		panic("the capability is missing")
	}
	return capability
}

func (w *world) leaser() tarn.Leaser[string, string] { return as[tarn.Leaser[string, string]](w.s) }
func (w *world) holder() tarn.Holder[string, string] { return as[tarn.Holder[string, string]](w.s) }
func (w *world) batch() tarn.BatchStore[string, string] {
	return as[tarn.BatchStore[string, string]](w.s)
}

func putOld(t *testing.T, w *world) {
	if err := w.inner.Set(t.Context(), "a", entry{Value: "old"}); err != nil {
		t.Fatal(err)
	}
}

func isNew(w *world) bool  { return w.value() == "new" }
func isGone(w *world) bool { return w.value() == "" }

func toNew(entry, bool) (entry, tarn.ComputeOp) { return entry{Value: "new"}, tarn.ComputeStore }

func forgetKeys(w *world) { clear(w.keys) }

var writes = []write{
	{op: faulty.Set, prepare: putOld, done: isNew, do: func(ctx context.Context, w *world) error {
		return w.s.Set(ctx, "a", entry{Value: "new"})
	}},
	{op: faulty.Delete, prepare: putOld, done: isGone, do: func(ctx context.Context, w *world) error {
		return w.s.Delete(ctx, "a")
	}},
	{op: faulty.SetMany, prepare: putOld, done: isNew, do: func(ctx context.Context, w *world) error {
		w.keys, w.entries = []string{"a"}, []entry{{Value: "new"}}
		return w.batch().SetMany(ctx, w.keys, w.entries)
	}, forget: func(w *world) { clear(w.keys); clear(w.entries) }},
	{op: faulty.DeleteMany, prepare: putOld, done: isGone, do: func(ctx context.Context, w *world) error {
		w.keys = []string{"a"}
		return w.batch().DeleteMany(ctx, w.keys)
	}, forget: forgetKeys},
	{op: faulty.Add, done: isNew, do: func(ctx context.Context, w *world) (err error) {
		w.answer, err = as[tarn.Adder[string, string]](w.s).Add(ctx, "a", entry{Value: "new"})
		return err
	}},
	{op: faulty.Touch, prepare: putOld, do: func(ctx context.Context, w *world) (err error) {
		w.answer, err = as[tarn.Toucher[string, string]](w.s).Touch(ctx, "a", ttl.End-1)
		return err
	}, done: func(w *world) bool {
		e, _, _ := w.inner.Get(context.Background(), "a")
		return e.Expires == ttl.End-1
	}},
	{op: faulty.Compute, prepare: putOld, done: isNew, do: func(ctx context.Context, w *world) error {
		e, found, err := as[tarn.Computer[string, string]](w.s).Compute(ctx, "a", toNew)
		w.answer = found && e.Value == "new"
		return err
	}},
	{op: faulty.Clear, prepare: putOld, done: isGone, do: func(ctx context.Context, w *world) error {
		return as[tarn.Clearer](w.s).Clear(ctx)
	}},
	{op: faulty.Lease, do: func(ctx context.Context, w *world) error {
		w.keys = []string{"a"}
		into := make([]tarn.Lease[string], 1)
		err := w.leaser().Lease(ctx, w.keys, tarn.LeaseTerms{Life: time.Hour}, into)
		w.answer = into[0].State == tarn.Granted && into[0].Token != tarn.Token{}
		return err
	}, done: func(w *world) bool {
		into := make([]tarn.Lease[string], 1)
		_ = w.inner.Lease(context.Background(), []string{"a"}, tarn.LeaseTerms{Life: time.Hour}, into)
		if into[0].State == tarn.Granted {
			_ = w.inner.Fill(context.Background(), []tarn.Fill[string, string]{{Key: "a", Token: into[0].Token}})
		}
		return into[0].State == tarn.Leased
	}, forget: forgetKeys},
	{op: faulty.Fill, done: isNew, prepare: func(t *testing.T, w *world) {
		into := make([]tarn.Lease[string], 1)
		if err := w.inner.Lease(t.Context(), []string{"a"}, tarn.LeaseTerms{Life: time.Hour}, into); err != nil {
			t.Fatal(err)
		}
		w.fills = []tarn.Fill[string, string]{{Key: "a", Token: into[0].Token, Store: true, Entry: entry{Value: "new"}}}
	}, do: func(ctx context.Context, w *world) error {
		err := w.leaser().Fill(ctx, w.fills)
		w.answer = w.fills[0].Stored
		return err
	}, forget: func(w *world) { clear(w.fills) }},
	{op: faulty.Hold, do: func(ctx context.Context, w *world) error {
		w.keys, w.tokens = []string{"a"}, make([]tarn.Token, 1)
		err := w.holder().Hold(ctx, w.keys, time.Hour, w.tokens)
		w.answer = w.tokens[0] != tarn.Token{}
		return err
	}, done: func(w *world) bool {
		return errors.Is(w.inner.Set(context.Background(), "a", entry{}), tarn.ErrHeld)
	}, forget: func(w *world) { clear(w.keys); clear(w.tokens) }},
	{op: faulty.Settle, done: isNew, prepare: func(t *testing.T, w *world) {
		tokens := make([]tarn.Token, 1)
		if err := w.inner.Hold(t.Context(), []string{"a"}, time.Hour, tokens); err != nil {
			t.Fatal(err)
		}
		w.settlements = []tarn.Settlement[string, string]{
			{Key: "a", Token: tokens[0], Store: true, Entry: entry{Value: "new"}},
		}
	}, do: func(ctx context.Context, w *world) error {
		err := w.holder().Settle(ctx, w.settlements)
		w.answer = w.settlements[0].Stored
		return err
	}, forget: func(w *world) { clear(w.settlements) }},
	{op: faulty.InvalidateTags, done: isGone, prepare: func(t *testing.T, w *world) {
		tags, err := tarn.NewTags(0, "t")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.inner.Set(t.Context(), "a", entry{Value: "old", Tags: tags}); err != nil {
			t.Fatal(err)
		}
	}, do: func(ctx context.Context, w *world) error {
		w.keys = []string{"t"}
		return as[tarn.TagInvalidator](w.s).InvalidateTags(ctx, w.keys...)
	}, forget: forgetKeys},
}

// answers says whether the operation has an answer beside its error.
func (w write) answers() bool {
	return w.op&(faulty.Add|faulty.Touch|faulty.Compute|faulty.Lease|faulty.Fill|faulty.Hold|faulty.Settle) != 0
}

// TestWrites runs every write under every kind of fault, and looks at the inner store for what became of it.
func TestWrites(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, w *world, op write)
	}{
		{"Fail", func(t *testing.T, w *world, op write) {
			w.s.Inject(faulty.Fault{Kind: faulty.Fail, Ops: op.op})
			expect(t, w, op, op.do(t.Context(), w), faulty.ErrInjected, false)
		}},
		{"LoseReply", func(t *testing.T, w *world, op write) {
			w.s.Inject(faulty.Fault{Kind: faulty.LoseReply, Ops: op.op})
			expect(t, w, op, op.do(t.Context(), w), faulty.ErrInjected, true)
			if w.answer {
				t.Error("the answer was not lost")
			}
		}},
		{"Lie", func(t *testing.T, w *world, op write) {
			w.s.Inject(faulty.Fault{Kind: faulty.Lie, Ops: op.op})
			expect(t, w, op, op.do(t.Context(), w), nil, false)
			if op.answers() && !w.answer {
				t.Error("the answer is not that of a success")
			}
		}},
		{"Stall until released", func(t *testing.T, w *world, op write) {
			stall := w.s.Inject(faulty.Fault{Kind: faulty.Stall, Ops: op.op})
			err := make(chan error, 1)
			go func() { err <- op.do(t.Context(), w) }()
			synctest.Wait()
			if n := stall.Waiting(); n != 1 || op.done(w) {
				t.Errorf("%d calls wait, done: %v", n, op.done(w))
			}
			stall.Release()
			expect(t, w, op, <-err, nil, true)
		}},
		{"Stall until given up", func(t *testing.T, w *world, op write) {
			stall := w.s.Inject(faulty.Fault{Kind: faulty.Stall, Ops: op.op})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			expect(t, w, op, op.do(ctx, w), context.DeadlineExceeded, false)
			stall.Release()
			if op.done(w) || stall.Waiting() != 0 {
				t.Error("done after all")
			}
		}},
		{"Late", func(t *testing.T, w *world, op write) {
			late := w.s.Inject(faulty.Fault{Kind: faulty.Late, Ops: op.op})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			expect(t, w, op, op.do(ctx, w), context.DeadlineExceeded, false)
			if op.forget != nil {
				op.forget(w)
			}
			late.Release()
			late.Release()
			if !op.done(w) {
				t.Error("it never came")
			}
		}},
		{"Late without an end", func(t *testing.T, w *world, op write) {
			late := w.s.Inject(faulty.Fault{Kind: faulty.Late, Ops: op.op})
			expect(t, w, op, op.do(context.Background(), w), faulty.ErrInjected, false)
			late.Release()
			if !op.done(w) {
				t.Error("it never came")
			}
		}},
		{"Late, released in time", func(t *testing.T, w *world, op write) {
			late := w.s.Inject(faulty.Fault{Kind: faulty.Late, Ops: op.op})
			err := make(chan error, 1)
			go func() { err <- op.do(t.Context(), w) }()
			synctest.Wait()
			late.Release()
			expect(t, w, op, <-err, nil, true)
		}},
	} {
		for _, op := range writes {
			t.Run(c.name+"/"+op.op.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld()
					defer w.inner.Close()
					if op.prepare != nil {
						op.prepare(t, w)
					}
					c.test(t, w, op)
				})
			})
		}
	}
}

func expect(t *testing.T, w *world, op write, got, want error, done bool) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
	if op.done(w) != done {
		t.Errorf("done is %v, want %v", !done, done)
	}
}

// TestReads says what reads answer under the faults that answer at once.
func TestReads(t *testing.T) {
	reads := []struct {
		op   faulty.Op
		read func(w *world) (found bool, err error)
		lie  bool // what a lie finds
	}{
		{faulty.Get, func(w *world) (bool, error) {
			e, found, err := w.s.Get(context.Background(), "a")
			return found || e.Value != "", err
		}, false},
		{faulty.GetMany, func(w *world) (bool, error) {
			into := make([]tarn.Lookup[string], 1)
			err := w.batch().GetMany(context.Background(), []string{"a"}, into)
			return into[0].Found, err
		}, false},
		{faulty.Count, func(w *world) (bool, error) {
			n, err := as[tarn.Scanner[string, string]](w.s).Count(context.Background())
			return n > 0, err
		}, false},
		{faulty.Stands, func(w *world) (bool, error) {
			into := make([]bool, 1)
			err := w.leaser().Stands(context.Background(), []string{"leased"}, w.tokens, into)
			return into[0], err
		}, true},
		{faulty.Scan, func(w *world) (found bool, err error) {
			seq, end := as[tarn.Scanner[string, string]](w.s).Scan(context.Background())
			for range seq {
				found = true
			}
			return found, end()
		}, false},
		{faulty.Stamp, func(w *world) (bool, error) {
			stamp, err := as[tarn.Tagger](w.s).Stamp(context.Background())
			return stamp != 0, err
		}, true},
	}
	for _, r := range reads {
		t.Run(r.op.String(), func(t *testing.T) {
			w := newWorld()
			defer w.inner.Close()
			putOld(t, w)
			into := make([]tarn.Lease[string], 1)
			if err := w.inner.Lease(t.Context(), []string{"leased"}, tarn.LeaseTerms{Life: time.Hour}, into); err != nil {
				t.Fatal(err)
			}
			w.tokens = []tarn.Token{into[0].Token}
			check := func(kind string, wantFound bool, want error) {
				t.Helper()
				if found, err := r.read(w); found != wantFound || !errors.Is(err, want) {
					t.Errorf("%s: found %v, error %v; want %v, %v", kind, found, err, wantFound, want)
				}
				w.s.Heal()
			}
			check("no fault", true, nil)
			w.s.Inject(faulty.Fault{Kind: faulty.Fail, Ops: r.op})
			check("Fail", false, faulty.ErrInjected)
			w.s.Inject(faulty.Fault{Kind: faulty.LoseReply, Ops: r.op})
			check("LoseReply", r.op == faulty.Scan, faulty.ErrInjected)
			w.s.Inject(faulty.Fault{Kind: faulty.Lie, Ops: r.op})
			check("Lie", r.lie, nil)
			w.s.Inject(faulty.Fault{Kind: faulty.Late, Ops: r.op})
			check("Late", false, faulty.ErrInjected)
			check("healed", true, nil)
		})
	}
}

// TestWhichCallsAreStruck says which calls a fault strikes.
func TestWhichCallsAreStruck(t *testing.T) {
	own := errors.New("an error of the test's own")
	for _, c := range []struct {
		name   string
		faults []faulty.Fault
		want   string // of ten Sets: x is ErrInjected, o the test's own error, a point success
	}{
		{"every call", []faulty.Fault{{}}, "xxxxxxxxxx"},
		{"other operations only", []faulty.Fault{{Ops: faulty.Get | faulty.Delete}}, ".........."},
		{"this operation among others", []faulty.Fault{{Ops: faulty.Get | faulty.Set}}, "xxxxxxxxxx"},
		{"all writes", []faulty.Fault{{Ops: faulty.Writes}}, "xxxxxxxxxx"},
		{"all reads", []faulty.Fault{{Ops: faulty.Reads}}, ".........."},
		{"the next three", []faulty.Fault{{Times: 3}}, "xxx......."},
		{"every third", []faulty.Fault{{Every: 3}}, "..x..x..x."},
		{"every third, twice", []faulty.Fault{{Every: 3, Times: 2}}, "..x..x...."},
		{"an error of its own", []faulty.Fault{{Err: own}}, "oooooooooo"},
		{"the first that strikes", []faulty.Fault{{Times: 2}, {Times: 3, Err: own}}, "xxooo....."},
		{"certainly", []faulty.Fault{{Chance: 1}}, "xxxxxxxxxx"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			defer w.inner.Close()
			var injections []*faulty.Injection
			for _, f := range c.faults {
				f.Kind = faulty.Fail
				injections = append(injections, w.s.Inject(f))
			}
			got := ""
			for range 10 {
				switch err := w.s.Set(t.Context(), "a", entry{}); {
				case err == nil:
					got += "."
				case errors.Is(err, faulty.ErrInjected):
					got += "x"
				case errors.Is(err, own):
					got += "o"
				}
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			struck := 0
			for _, i := range injections {
				struck += i.Struck()
				i.Release()
			}
			if want := 10 - strings.Count(c.want, "."); struck != want {
				t.Errorf("Struck: got %d, want %d", struck, want)
			}
			if err := w.s.Set(t.Context(), "a", entry{}); err != nil {
				t.Errorf("after the release: %v", err)
			}
			if n, all := w.s.Calls(faulty.Set), w.s.Calls(faulty.All); n != 11 || all != 11 {
				t.Errorf("Calls: got %d and %d, want 11", n, all)
			}
		})
	}
}

// TestChance says that chance strikes as often as told, and the same calls in each run.
func TestChance(t *testing.T) {
	pattern := func(opts ...faulty.Option) string {
		inner := newInner()
		defer inner.Close()
		s := faulty.New(inner, opts...)
		s.Inject(faulty.Fault{Kind: faulty.Fail, Chance: 0.25})
		var b strings.Builder
		for range 1000 {
			if s.Set(t.Context(), "a", entry{}) != nil {
				b.WriteByte('x')
			} else {
				b.WriteByte('.')
			}
		}
		return b.String()
	}
	first := pattern()
	if n := strings.Count(first, "x"); n < 200 || n > 300 {
		t.Errorf("a chance of a quarter struck %d of 1000 calls", n)
	}
	if pattern() != first {
		t.Error("two stores of one seed differ")
	}
	if pattern(faulty.Seed(2)) == first {
		t.Error("two stores of two seeds agree")
	}
}

// TestOrderOfWhatIsLate says that what is late is done in the order of the calls.
func TestOrderOfWhatIsLate(t *testing.T) {
	w := newWorld()
	defer w.inner.Close()
	late := w.s.Inject(faulty.Fault{Kind: faulty.Late, Ops: faulty.Set})
	for _, v := range []string{"1", "2", "3"} {
		if err := w.s.Set(context.Background(), "a", entry{Value: v}); !errors.Is(err, faulty.ErrInjected) {
			t.Fatal(err)
		}
	}
	late.Release()
	if got := w.value(); got != "3" {
		t.Errorf("got %q, want the last", got)
	}
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	w := newWorld()
	defer w.inner.Close()
	for field, do := range map[string]func(){
		"inner":        func() { faulty.New[string, string](nil) },
		"Fault.Kind":   func() { w.s.Inject(faulty.Fault{}) },
		"Fault.Ops":    func() { w.s.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.All + 1}) },
		"Fault.Every":  func() { w.s.Inject(faulty.Fault{Kind: faulty.Fail, Every: -1}) },
		"Fault.Times":  func() { w.s.Inject(faulty.Fault{Kind: faulty.Fail, Times: -1}) },
		"Fault.Chance": func() { w.s.Inject(faulty.Fault{Kind: faulty.Fail, Chance: 1.5}) },
	} {
		t.Run(field, func(t *testing.T) {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, field) {
					t.Errorf("got the panic %q, want one that names %s", p, field)
				}
			}()
			do()
		})
	}
}

// TestStampsOfLiesAreFromBefore has entries that are stored with the stamps of lies: what is invalidated reaches them.
func TestStampsOfLiesAreFromBefore(t *testing.T) {
	w := newWorld()
	defer w.inner.Close()
	ctx, tagger := t.Context(), as[tarn.Tagger](w.s)
	if err := tagger.InvalidateTags(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	w.s.Inject(faulty.Fault{Kind: faulty.Lie, Ops: faulty.Stamp | faulty.Lease})
	leases := make([]tarn.Lease[string], 1)
	stamp, err := tagger.Stamp(ctx)
	err = errors.Join(err, w.leaser().Lease(ctx, []string{"a"}, tarn.LeaseTerms{Life: time.Hour, Stamp: true}, leases))
	if err != nil || stamp == 0 || leases[0].Stamp != stamp {
		t.Fatalf("%v; stamp %d, and the lease has %d", err, stamp, leases[0].Stamp)
	}
	if err := w.leaser().Lease(ctx, []string{"a"}, tarn.LeaseTerms{Life: time.Hour}, leases); err != nil || leases[0].Stamp != 0 {
		t.Fatalf("%v; nobody has asked for stamp %d", err, leases[0].Stamp)
	}
	tags, err := tarn.NewTags(stamp, "t")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.s.Set(ctx, "a", entry{Value: "v", Tags: tags}); err != nil {
		t.Fatal(err)
	}
	if w.value() != "" {
		t.Error("what is stored with the stamp of a lie was not invalidated before")
	}
}
