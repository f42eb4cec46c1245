package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/ttl"
)

type (
	nearStore = memory.Store[string, int]
	entry     = tarn.Entry[int]
)

// fixture is a store whose far one is another's too.
type fixture struct {
	store  *tiered.Store[string, int]
	near   *nearStore
	far    *faulty.Store[string, int] // in front of the store's view
	shared *farstore.Far[string, int]
	inner  *nearStore
	view   *farstore.View[string, int]
	other  *farstore.View[string, int]
}

// newFixture makes one in a bubble. apart is how far the clocks are.
func newFixture(t *testing.T, apart time.Duration, opts ...tiered.Option) *fixture {
	f := &fixture{near: memory.New(memory.Options[string, int]{MaxEntries: 100})}
	time.Sleep(apart)
	inner := memory.New(memory.Options[string, int]{MaxEntries: 100})
	f.inner, f.shared = inner, farstore.New(inner)
	f.view, f.other = f.shared.View(), f.shared.View()
	f.far = faulty.New(f.view)
	f.store = tiered.New(f.near, f.far, opts...)
	t.Cleanup(func() {
		f.store.Close()
		f.near.Close()
		inner.Close()
	})
	synctest.Wait()
	return f
}

// in is the instant that is d away, by the clock of the store.
func (f *fixture) in(d time.Duration) ttl.Time { return f.store.Clock().Now().Add(d) }

// has expects Get to answer with an entry.
func (f *fixture) has(t *testing.T, key string, want entry) {
	t.Helper()
	e, found, err := f.store.Get(t.Context(), key)
	if want.Tags == nil {
		e.Tags = nil // which is not what is looked at
	}
	if e != want || !found || err != nil {
		t.Errorf("Get(%s): %+v, %v, %v; want %+v", key, e, found, err, want)
	}
}

// copied expects a copy of a key, or none.
func (f *fixture) copied(t *testing.T, key string, want bool) {
	t.Helper()
	if _, found, err := f.near.Get(t.Context(), key); found != want || err != nil {
		t.Errorf("there is a copy of %s: %v, %v; want %v", key, found, err, want)
	}
}

// bubble makes a test of a function that runs in a bubble.
func bubble(f func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

// TestLives sets entries by another process, and looks when their copies end.
func TestLives(t *testing.T) {
	const cap = 10 * time.Second
	at := func(d time.Duration) time.Duration { return d }
	for _, c := range []struct {
		rule            string
		fresh, expires  time.Duration // of the entry; 0: none
		options         []tiered.Option
		copy            time.Duration // the life of the copy; 0: for ever
		copyFresh, told time.Duration // Fresh and Expires as they are answered from near
	}{
		{"without a cap a copy has the deadlines of its entry", at(time.Second), at(time.Minute), nil, time.Minute, time.Second, time.Minute},
		{"and none if that has none", 0, 0, nil, 0, 0, 0},
		{"a short life is not prolonged", 0, at(time.Second), []tiered.Option{tiered.MaxLife(cap)}, time.Second, 0, time.Second},
		{"nor is that of a stale one", at(time.Second), at(2 * time.Second), []tiered.Option{tiered.MaxLife(cap)}, 2 * time.Second, time.Second, 2 * time.Second},
		{"Fresh after Expires says nothing", at(time.Minute), at(time.Second), []tiered.Option{tiered.MaxLife(cap)}, time.Second, 0, time.Second},
		{"a cap ends an endless life, of which Get does not tell", 0, 0, []tiered.Option{tiered.MaxLife(cap)}, cap, 0, 0},
		{"and a long one", 0, at(time.Hour), []tiered.Option{tiered.MaxLife(cap)}, cap, 0, time.Hour},
		{"where two deadlines are later, Get tells the first", at(time.Minute), at(time.Hour), []tiered.Option{tiered.MaxLife(cap)}, cap, 0, time.Minute},
		{"Fresh stays", at(time.Second), at(time.Hour), []tiered.Option{tiered.MaxLife(cap)}, cap, time.Second, cap},
		{"unwatched as watched", 0, at(time.Hour), []tiered.Option{tiered.Unwatched(cap)}, cap, 0, time.Hour},
		{"for ever is without a cap", 0, 0, []tiered.Option{tiered.Unwatched(ttl.Forever)}, 0, 0, 0},
	} {
		for _, apart := range []time.Duration{0, 5 * time.Hour} {
			t.Run(fmt.Sprint(c.rule, ", clocks apart by ", apart), bubble(func(t *testing.T) {
				f := newFixture(t, apart, c.options...)
				deadline := func(d time.Duration) ttl.Time {
					if d == 0 {
						return 0
					}
					return f.in(d)
				}
				ctx := t.Context()
				set := entry{Value: 1, Fresh: deadline(c.fresh), Expires: deadline(c.expires)}
				told := entry{Value: 1, Fresh: deadline(c.copyFresh), Expires: deadline(c.told)}
				if err := f.other.Set(ctx, "k", set); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				f.has(t, "k", set)
				f.has(t, "k", told)
				life := c.copy
				if life == 0 {
					life = 30 * time.Hour
				}
				time.Sleep(life - 1)
				f.copied(t, "k", true)
				time.Sleep(time.Nanosecond)
				f.copied(t, "k", c.copy == 0)
				if c.copy != 0 && c.expires != c.copy {
					set.Stale = set.Fresh.Passed(f.in(0))
					f.has(t, "k", set) // by another read of the far store
					f.copied(t, "k", true)
				}
			}))
		}
	}
}

// changes are what others, or the store itself, can do to a key that has a copy.
var changes = []struct {
	name string
	do   func(ctx context.Context, s tarn.Store[string, int]) error
}{
	{"Set", func(ctx context.Context, s tarn.Store[string, int]) error { return s.Set(ctx, "k", entry{Value: 2}) }},
	{"Delete", func(ctx context.Context, s tarn.Store[string, int]) error { return s.Delete(ctx, "k") }},
	{"SetMany", func(ctx context.Context, s tarn.Store[string, int]) error {
		b, _ := tarn.As[tarn.BatchStore[string, int]](s)
		return b.SetMany(ctx, []string{"x", "k"}, make([]entry, 2))
	}},
	{"DeleteMany", func(ctx context.Context, s tarn.Store[string, int]) error {
		b, _ := tarn.As[tarn.BatchStore[string, int]](s)
		return b.DeleteMany(ctx, []string{"x", "k"})
	}},
	{"Add", func(ctx context.Context, s tarn.Store[string, int]) error {
		a, _ := tarn.As[tarn.Adder[string, int]](s)
		_, err := a.Add(ctx, "k", entry{Value: 2})
		return err
	}},
	{"Touch", func(ctx context.Context, s tarn.Store[string, int]) error {
		x, _ := tarn.As[tarn.Toucher[string, int]](s)
		_, err := x.Touch(ctx, "k", ttl.End)
		return err
	}},
	{"Compute", func(ctx context.Context, s tarn.Store[string, int]) error {
		c, _ := tarn.As[tarn.Computer[string, int]](s)
		_, _, err := c.Compute(ctx, "k", func(entry, bool) (entry, tarn.ComputeOp) { return entry{}, tarn.ComputeDelete })
		return err
	}},
	{"Clear", func(ctx context.Context, s tarn.Store[string, int]) error {
		c, _ := tarn.As[tarn.Clearer](s)
		return c.Clear(ctx)
	}},
	{"Hold", func(ctx context.Context, s tarn.Store[string, int]) error {
		h, _ := tarn.HolderOf(s)
		return h.Hold(ctx, []string{"x", "k"}, time.Minute, make([]tarn.Token, 2))
	}},
	{"Settle", func(ctx context.Context, s tarn.Store[string, int]) error {
		h, _ := tarn.HolderOf(s)
		return h.Settle(ctx, []tarn.Settlement[string, int]{{Key: "x"}, {Key: "k"}})
	}},
	{"InvalidateTags", func(ctx context.Context, s tarn.Store[string, int]) error {
		t, _ := tarn.As[tarn.TagInvalidator](s)
		return t.InvalidateTags(ctx, "other", "t")
	}},
	{"Fill", func(ctx context.Context, s tarn.Store[string, int]) error {
		l, _ := tarn.LeaserOf(s)
		leases := make([]tarn.Lease[int], 1)
		l.Lease(ctx, []string{"k"}, tarn.LeaseTerms{Life: time.Minute, Refresh: true}, leases)
		return l.Fill(ctx, []tarn.Fill[string, int]{{Key: "k", Token: leases[0].Token, Store: true}})
	}},
}

// TestChanges makes each change through the store and through another process, with all that can go wrong in between.
func TestChanges(t *testing.T) {
	for _, c := range changes {
		for _, w := range []struct {
			name    string
			disturb func(f *fixture, cancel func()) tarn.Store[string, int]
			fails   bool
			trusts  bool
		}{
			{"here", func(f *fixture, cancel func()) tarn.Store[string, int] { return f.store }, false, true},
			{"in another process", func(f *fixture, cancel func()) tarn.Store[string, int] { return f.other }, false, true},
			{"here, and the reply is lost", func(f *fixture, cancel func()) tarn.Store[string, int] {
				f.far.Inject(faulty.Fault{Kind: faulty.LoseReply, Ops: faulty.All &^ (faulty.Lease | faulty.Get)})
				return f.store
			}, true, true},
			{"here, while nothing is trusted", func(f *fixture, cancel func()) tarn.Store[string, int] {
				f.shared.Down(true)
				time.Sleep(5*farstore.Bound + farstore.Heartbeat/2)
				f.shared.Down(false)
				return f.store
			}, false, false},
			{"here, and the caller goes away meanwhile", func(f *fixture, cancel func()) tarn.Store[string, int] {
				f.view.Fate(func() farstore.Fate { cancel(); return farstore.Fate{} })
				return f.store
			}, false, true},
		} {
			t.Run(c.name+" "+w.name, bubble(func(t *testing.T) {
				f := newFixture(t, 0)
				ctx := t.Context()
				f.other.Set(ctx, "k", entry{Value: 1, Fresh: f.in(-1), Tags: tagged(t, "t", "u")})
				synctest.Wait()
				f.store.Get(ctx, "k")
				f.copied(t, "k", true)
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				if c.name == "Add" {
					f.inner.Delete(ctx, "k") // as the far store evicts an entry, of which nobody is told
				}
				if err := c.do(ctx, w.disturb(f, cancel)); (err != nil) != w.fails {
					t.Fatal(err)
				}
				synctest.Wait()
				f.far.Heal()
				ctx = t.Context()
				if f.store.Trusted() != w.trusts {
					t.Errorf("copies are trusted: %v, want %v", f.store.Trusted(), w.trusts)
				}
				if e, found, _ := f.near.Get(ctx, "k"); found && e.Stale {
					t.Error("the old copy is still there")
				}
				if c.name == "Fill" && w.name == "here" {
					f.copied(t, "k", true)
				}
				want, there, _ := f.other.Get(ctx, "k")
				for range 2 {
					if e, found, err := f.store.Get(ctx, "k"); e != want || found != there || err != nil {
						t.Errorf("Get: %+v, %v, %v; want %+v, %v", e, found, err, want, there)
					}
				}
			}))
		}
	}
}

// TestReads counts what the reads of a key with a copy, and of others, ask of the far store.
func TestReads(t *testing.T) {
	ctx := context.Background()
	lease := func(f *fixture, refresh bool, keys ...string) string {
		into := make([]tarn.Lease[int], len(keys))
		err := f.store.Lease(ctx, keys, tarn.LeaseTerms{Life: time.Minute, Refresh: refresh}, into)
		s := fmt.Sprint(err)
		for _, l := range into {
			s += fmt.Sprint(" ", l.State, l.Found, l.Entry.Value)
		}
		return s
	}
	many := func(f *fixture, keys ...string) string {
		into := make([]tarn.Lookup[int], len(keys))
		err := f.store.GetMany(ctx, keys, into)
		s := fmt.Sprint(err)
		for _, l := range into {
			s += fmt.Sprint(" ", l.Found, l.Entry.Value)
		}
		return s
	}
	for _, c := range []struct {
		rule string
		read func(f *fixture) string // of a and b, of which there are copies, c and d, of which there are none, and e
		want string
		asks string
	}{
		{"a copy is answered from near", func(f *fixture) string { return many(f, "a", "b", "a") }, "<nil> true1 true2 true1", ""},
		{"the others are read at once, each once, and copied", func(f *fixture) string { return many(f, "c", "a", "d", "c", "e") + many(f, "d", "c") },
			"<nil> true3 true1 true4 true3 false0<nil> true4 true3", "GetMany"},
		{"an absence is not copied", func(f *fixture) string { return many(f, "e") + many(f, "e") }, "<nil> false0<nil> false0", "GetMany GetMany"},
		{"nothing is asked for", func(f *fixture) string { return many(f) }, "<nil>", ""},
		{"a lease finds the copies", func(f *fixture) string { return lease(f, false, "a", "b") }, "<nil> 1true1 1true2", ""},
		{"and asks for the others, and copies what is there", func(f *fixture) string { return lease(f, false, "a", "c", "e") + lease(f, false, "c") },
			"<nil> 1true1 1true3 2false0<nil> 1true3", "Lease"},
		{"one that may replace what is there asks for all", func(f *fixture) string { return lease(f, true, "a", "c") + many(f, "c") },
			"<nil> 2true1 2true3<nil> true3", "Lease"},
		{"a cancelled context hinders no copy", func(f *fixture) string {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			e, found, err := f.store.Get(ctx, "a")
			return fmt.Sprint(e.Value, found, err)
		}, "1 true <nil>", ""},
		{"a read that fails leaves no copy, and no lease", func(f *fixture) string {
			f.far.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Get, Times: 1})
			_, _, err := f.store.Get(ctx, "c")
			f.store.Get(ctx, "c")
			e, found, _ := f.near.Get(ctx, "c")
			return fmt.Sprint(err, found, e.Value)
		}, "faulty: injected fault true 3", "Get Get"},
		{"a batch that fails leaves the copies", func(f *fixture) string {
			f.far.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.GetMany, Times: 1})
			return many(f, "c", "a") + many(f, "c", "a")
		}, "faulty: injected fault false0 true1<nil> true3 true1", "GetMany GetMany"},
		{"a read whose caller has gone makes its copy", func(f *fixture) string {
			ctx, cancel := context.WithCancel(ctx)
			f.far.Inject(faulty.Fault{Kind: faulty.Stall, Ops: faulty.Get, Times: 1})
			_ = cancel
			go func() { time.Sleep(time.Second); cancel() }()
			_, _, err := f.store.Get(ctx, "c")
			f.store.Get(context.Background(), "c")
			_, found, _ := f.near.Get(ctx, "c")
			return fmt.Sprint(err, found)
		}, "context canceled true", "Get Get"},
		{"stale copies are answered, and remembered absences", func(f *fixture) string {
			f.other.Set(ctx, "c", entry{Value: 5, Fresh: f.in(-1)})
			f.other.Set(ctx, "d", entry{Negative: true})
			synctest.Wait()
			s := ""
			for range 2 {
				for _, key := range []string{"c", "d"} {
					e, found, err := f.store.Get(ctx, key)
					s += fmt.Sprint(e.Stale, e.Negative, found, err, " ")
				}
			}
			return s
		}, "true falsetrue <nil> false truetrue <nil> true falsetrue <nil> false truetrue <nil> ", "Get Get"},
		{"without trust everything is asked for, and nothing copied", func(f *fixture) string {
			f.view.Cut()
			synctest.Wait()
			_, hit := f.store.Hit("a")
			e, _, _ := f.store.Get(ctx, "a")
			return fmt.Sprint(hit, e.Value) + many(f, "b", "c") + lease(f, false, "d") + fmt.Sprint(f.near.Len())
		}, "false 1<nil> true2 true3<nil> 1true40", "Get GetMany Lease"},
	} {
		t.Run(c.rule, bubble(func(t *testing.T) {
			f := newFixture(t, 0)
			for i, key := range []string{"a", "b", "c", "d"} {
				f.other.Set(ctx, key, entry{Value: i + 1})
			}
			synctest.Wait()
			f.store.Get(ctx, "a")
			f.store.Get(ctx, "b")
			counts := func() (n [3]int) {
				for i, op := range []faulty.Op{faulty.Get, faulty.GetMany, faulty.Lease} {
					n[i] = f.far.Calls(op)
				}
				return n
			}
			before := counts()
			got := c.read(f)
			after := counts()
			var asks []string
			for i, name := range []string{"Get", "GetMany", "Lease"} {
				for range after[i] - before[i] {
					asks = append(asks, name)
				}
			}
			if asked := strings.Join(asks, " "); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(c.want, " ", "") || asked != c.asks {
				t.Errorf("got %q, asking %q\nwant %q, asking %q", got, asked, c.want, c.asks)
			}
		}))
	}
}

// TestFailedFill sees to it that nothing is kept of a Fill that the far store refused, or whose outcome is unknown.
func TestFailedFill(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprint("lost: ", lost), bubble(func(t *testing.T) {
			f := newFixture(t, 0)
			ctx := t.Context()
			fill := tarn.Fill[string, int]{Key: "k", Token: tarn.Token{1}, Store: true, Entry: entry{Value: 9}}
			if lost {
				f.far.Inject(faulty.Fault{Kind: faulty.LoseReply, Ops: faulty.Fill})
			}
			if err := f.store.Fill(ctx, []tarn.Fill[string, int]{fill}); (err != nil) != lost {
				t.Fatal(err)
			}
			f.copied(t, "k", false)
		}))
	}
}

// TestFillCapped has a far store that gives entries shorter lives than it is asked for.
func TestFillCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near := memory.New(memory.Options[string, int]{MaxEntries: 100})
		far := memory.New(memory.Options[string, int]{MaxEntries: 100})
		s := tiered.New(near, capping{far}, tiered.Unwatched(ttl.Forever))
		defer far.Close()
		defer near.Close()
		leases := make([]tarn.Lease[int], 1)
		s.Lease(t.Context(), []string{"k"}, tarn.LeaseTerms{Life: time.Minute}, leases)
		s.Fill(t.Context(), []tarn.Fill[string, int]{{Key: "k", Token: leases[0].Token, Store: true, Entry: entry{Value: 1}}})
		if e, found, _ := near.Get(t.Context(), "k"); !found || e.Expires == 0 {
			t.Errorf("the copy outlives its entry: %+v, %v", e, found)
		}
	})
}

type capping struct{ *nearStore }

func (c capping) Fill(ctx context.Context, fills []tarn.Fill[string, int]) error {
	for i := range fills {
		fills[i].Entry.Expires = c.Clock().Now().Add(time.Hour)
	}
	return c.nearStore.Fill(ctx, fills)
}

// obstinate is a near store that can be told to refuse.
type obstinate struct {
	*nearStore
	refuses *atomic.Bool
	reads   *atomic.Bool
}

var errRefused = errors.New("refused")

func (o obstinate) Delete(ctx context.Context, key string) error {
	if o.refuses.Load() {
		return errRefused
	}
	return o.nearStore.Delete(ctx, key)
}

func (o obstinate) DeleteMany(ctx context.Context, keys []string) error {
	if o.refuses.Load() {
		return errRefused
	}
	return o.nearStore.DeleteMany(ctx, keys)
}

func (o obstinate) Clear(ctx context.Context) error {
	if o.refuses.Load() {
		return errRefused
	}
	return o.nearStore.Clear(ctx)
}

func (o obstinate) Hold(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
	if o.refuses.Load() {
		return errRefused
	}
	return o.nearStore.Hold(ctx, keys, life, tokens)
}

func (o obstinate) Settle(ctx context.Context, settlements []tarn.Settlement[string, int]) error {
	if o.refuses.Load() {
		return errRefused
	}
	return o.nearStore.Settle(ctx, settlements)
}

func (o obstinate) InvalidateTags(ctx context.Context, tags ...string) error {
	if o.refuses.Load() {
		return errRefused
	}
	return o.nearStore.InvalidateTags(ctx, tags...)
}

func (o obstinate) Get(ctx context.Context, key string) (entry, bool, error) {
	e, found, err := o.nearStore.Get(ctx, key)
	if o.reads.Load() {
		err = errRefused
	}
	return e, found, err
}

// TestObstinateNear has a near store that fails: nothing is answered from it until it could be cleared.
func TestObstinateNear(t *testing.T) {
	for _, c := range []struct {
		name    string
		disturb func(ctx context.Context, f *fixture)
	}{
		{"a copy cannot be dropped", func(ctx context.Context, f *fixture) { f.store.Set(ctx, "k", entry{Value: 2}) }},
		{"copies cannot be dropped", func(ctx context.Context, f *fixture) {
			f.store.SetMany(ctx, []string{"k", "l"}, []entry{{Value: 2}, {}})
		}},
		{"a copy that another has changed cannot be dropped", func(ctx context.Context, f *fixture) { f.other.Set(ctx, "k", entry{Value: 2}) }},
		{"copies cannot be cleared", func(ctx context.Context, f *fixture) {
			f.store.Clear(ctx)
			f.other.Set(ctx, "k", entry{Value: 2})
		}},
		{"copies with a tag cannot be dropped", func(ctx context.Context, f *fixture) {
			f.store.InvalidateTags(ctx, "t")
			f.inner.Set(ctx, "k", entry{Value: 2})
		}},
		{"copies with a tag that another has invalidated cannot be dropped", func(ctx context.Context, f *fixture) {
			f.other.InvalidateTags(ctx, "t")
			f.inner.Set(ctx, "k", entry{Value: 2})
		}},
		{"when messages are lost", func(ctx context.Context, f *fixture) {
			f.view.Cut()
			synctest.Wait()
			f.other.Set(ctx, "k", entry{Value: 2})
			f.view.Mend()
		}},
	} {
		t.Run(c.name, bubble(func(t *testing.T) {
			var refuses, reads atomic.Bool
			f := newFixture(t, 0)
			f.store.Close()
			f.store = tiered.New(obstinate{f.near, &refuses, &reads}, f.far)
			defer f.store.Close()
			synctest.Wait()
			ctx := t.Context()
			f.other.Set(ctx, "k", entry{Value: 1, Tags: tagged(t, "t")})
			synctest.Wait()
			f.has(t, "k", entry{Value: 1})
			f.copied(t, "k", true)
			refuses.Store(true)
			c.disturb(ctx, f)
			for range 100 {
				synctest.Wait()
				f.has(t, "k", entry{Value: 2})
				if f.store.Trusted() {
					t.Fatal("copies are trusted")
				}
				time.Sleep(100 * time.Millisecond)
			}
			refuses.Store(false)
			time.Sleep(2 * farstore.Heartbeat)
			f.has(t, "k", entry{Value: 2})
			f.copied(t, "k", true)
			reads.Store(true)
			f.has(t, "k", entry{Value: 2})
		}))
	}
}

// TestUnwatchedObstinateNear is that without anybody who tells.
func TestUnwatchedObstinateNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refuses, reads atomic.Bool
		near := obstinate{memory.New(memory.Options[string, int]{MaxEntries: 100}), &refuses, &reads}
		far := memory.New(memory.Options[string, int]{MaxEntries: 100})
		defer near.Close()
		defer far.Close()
		s := tiered.New(near, far, tiered.Unwatched(time.Hour))
		s.Set(t.Context(), "k", entry{Value: 1})
		s.Get(t.Context(), "k")
		refuses.Store(true)
		s.Set(t.Context(), "k", entry{Value: 2})
		if e, _, _ := s.Get(t.Context(), "k"); e.Value != 2 || s.Trusted() {
			t.Errorf("Get: %+v, trusted: %v", e, s.Trusted())
		}
		refuses.Store(false)
		s.Set(t.Context(), "k", entry{Value: 3})
		if !s.Trusted() {
			t.Error("once it could be cleared, the near store is not trusted again")
		}
		if s.Clear(t.Context()); !s.Trusted() {
			t.Error("not trusted after Clear")
		}
		refuses.Store(true)
		if s.InvalidateTags(t.Context(), "t"); s.Trusted() {
			t.Error("copies are trusted that may have an invalidated tag")
		}
		refuses.Store(false)
		if s.InvalidateTags(t.Context(), "t"); !s.Trusted() {
			t.Error("once it could be cleared, the near store is not trusted again after an invalidation")
		}
		s.Close()
		if s.Set(t.Context(), "k", entry{}); s.Trusted() {
			t.Error("trusted after Close")
		}
	})
}

// TestNewDropsWhatIsNear begins with a near store in which there is something.
func TestNewDropsWhatIsNear(t *testing.T) {
	for _, options := range [][]tiered.Option{nil, {tiered.Unwatched(time.Hour)}} {
		synctest.Test(t, func(t *testing.T) {
			near := memory.New(memory.Options[string, int]{MaxEntries: 100})
			defer near.Close()
			near.Set(t.Context(), "k", entry{Value: 1})
			inner := memory.New(memory.Options[string, int]{MaxEntries: 100})
			defer inner.Close()
			s := tiered.New(near, farstore.New(inner).View(), options...)
			defer s.Close()
			synctest.Wait()
			if _, found, err := s.Get(t.Context(), "k"); found || err != nil || !s.Trusted() {
				t.Errorf("Get: %v, %v; trusted: %v", found, err, s.Trusted())
			}
		})
	}
}

// fickle is a far store whose Watch ends by itself.
type fickle struct {
	*nearStore
	watches *atomic.Int32
}

func (f fickle) Watch(ctx context.Context, w tarn.Watch[string]) error {
	if f.watches.Add(1) > 1 {
		<-ctx.Done()
		time.Sleep(time.Minute) // it takes its time to end
		w.Current(ttl.End)
		return ctx.Err()
	}
	w.Current(ttl.End)
	time.Sleep(time.Second)
	return errors.New("no more")
}

// TestWatchEnds has a Watch that ends by itself, and one that takes long to end.
func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var watches atomic.Int32
		near := memory.New(memory.Options[string, int]{MaxEntries: 100})
		far := memory.New(memory.Options[string, int]{MaxEntries: 100})
		defer near.Close()
		defer far.Close()
		s := tiered.New(near, fickle{far, &watches})
		synctest.Wait()
		before := s.Trusted()
		time.Sleep(1500 * time.Millisecond)
		if !before || s.Trusted() || watches.Load() != 1 {
			t.Errorf("trusted %v, then %v; watches: %d", before, s.Trusted(), watches.Load())
		}
		time.Sleep(time.Second)
		if watches.Load() != 2 {
			t.Errorf("watches: %d", watches.Load())
		}
		begin := time.Now()
		s.Close()
		if time.Since(begin) != time.Minute || s.Trusted() {
			t.Errorf("Close took %v; trusted: %v", time.Since(begin), s.Trusted())
		}
		s.Close()
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, 0)
		ctx := t.Context()
		f.other.Set(ctx, "k", entry{Value: 1})
		synctest.Wait()
		f.store.Get(ctx, "k")
		f.other.InvalidateTags(ctx, "t", "u")
		synctest.Wait()
		f.shared.Slow(time.Second)
		go func() {
			time.Sleep(100 * time.Millisecond)
			f.store.Get(ctx, "other")
		}()
		f.view.Cut()
		synctest.Wait()
		if got, want := f.store.Stats(), (tiered.Stats{Kept: 1, Changed: 1, Tags: 2, Lost: 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		time.Sleep(5 * time.Second)
	})
}

// limited is a store that can do no more than it must.
type limited struct{ tarn.Store[string, int] }

func (l limited) As(target any) bool {
	switch target.(type) {
	case *tarn.Leaser[string, int], *tarn.Holder[string, int]:
		return l.Store.(tarn.Wrapper).As(target)
	}
	return false
}

type plainNear struct{ *nearStore }

func (p plainNear) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Leaser[string, int]:
		*t = p.nearStore
	case *tarn.Clearer:
		*t = p.nearStore
	default:
		return false
	}
	return true
}

// TestPlain has stores that can do no more than they must: nothing else is offered, and what is used nevertheless says
// so.
func TestPlain(t *testing.T) {
	near := memory.New(memory.Options[string, int]{MaxEntries: 100})
	far := memory.New(memory.Options[string, int]{MaxEntries: 100})
	s := tiered.New(plainNear{near}, limited{faulty.New(far)}, tiered.Unwatched(time.Hour))
	ctx := t.Context()
	for name, offered := range map[string]bool{
		"BatchStore": offers[tarn.BatchStore[string, int]](s), "Adder": offers[tarn.Adder[string, int]](s),
		"Toucher": offers[tarn.Toucher[string, int]](s), "Computer": offers[tarn.Computer[string, int]](s),
		"Clearer": offers[tarn.Clearer](s), "Scanner": offers[tarn.Scanner[string, int]](s),
		"Hitter": offers[tarn.Hitter[string, int]](s), "Clocker": offers[tarn.Clocker](s),
		"Watcher": offers[tarn.Watcher[string]](s), "Tagger": offers[tarn.Tagger](s),
		"TagInvalidator": offers[tarn.TagInvalidator](s),
	} {
		if offered {
			t.Errorf("%s is offered", name)
		}
	}
	if !offers[tarn.Leaser[string, int]](s) || !offers[tarn.Holder[string, int]](s) || !offers[io.Closer](s) {
		t.Error("leases, holds or Close are not offered")
	}
	_, addErr := s.Add(ctx, "k", entry{})
	_, touchErr := s.Touch(ctx, "k", 0)
	_, _, computeErr := s.Compute(ctx, "k", nil)
	_, countErr := s.Count(ctx)
	_, scanned := s.Scan(ctx)
	_, stampErr := s.Stamp(ctx)
	for i, err := range []error{
		s.GetMany(ctx, nil, nil), s.SetMany(ctx, nil, nil), s.DeleteMany(ctx, nil), addErr, touchErr, computeErr,
		s.Clear(ctx), countErr, scanned(), stampErr, s.InvalidateTags(ctx, "t"),
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	s.Set(ctx, "k", entry{Value: 1})
	for range 2 {
		if e, found, err := s.Get(ctx, "k"); !found || e.Value != 1 || err != nil {
			t.Errorf("Get: %+v, %v, %v", e, found, err)
		}
	}
	into := make([]tarn.Lease[int], 2)
	err := s.Lease(ctx, []string{"k", "l"}, tarn.LeaseTerms{Life: time.Minute}, into)
	if into[0].State != tarn.Hit || into[1].State != tarn.Granted || err != nil {
		t.Errorf("Lease: %+v, %v", into, err)
	}
	if s.Hold(ctx, []string{"k", "l"}, time.Minute, make([]tarn.Token, 2)); near.Len() != 0 {
		t.Errorf("copies of held keys: %d", near.Len())
	}
}

func offers[T any](s any) bool {
	_, ok := tarn.As[T](s)
	return ok
}

func TestNewPanics(t *testing.T) {
	mem := memory.New(memory.Options[string, int]{MaxEntries: 100})
	type store = tarn.Store[string, int]
	for want, f := range map[string]func(){
		"near is nil":                func() { tiered.New[string, int](nil, mem) },
		"far is nil":                 func() { tiered.New[string, int](mem, (*nearStore)(nil)) },
		"an option is nil":           func() { tiered.New(mem, mem, nil) },
		"near offers no tarn.Leaser": func() { tiered.New[string, int](struct{ store }{mem}, mem) },
		"far, without the option Unwatched, offers no tarn.Watcher": func() { tiered.New(mem, mem) },
		"far offers no tarn.Leaser":                                 func() { tiered.New[string, int](mem, struct{ store }{mem}) },
		"MaxLife: not positive: 0s":                                 func() { tiered.MaxLife(0) },
		"Unwatched: not positive: -1ns":                             func() { tiered.Unwatched(-1) },
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "tiered: ") || !strings.Contains(p, want) {
					t.Errorf("panic %q, want %q", p, want)
				}
			}()
			f()
		}()
	}
}

// TestNaN has keys that are not equal to themselves.
func TestNaN(t *testing.T) {
	near := memory.New(memory.Options[float64, int]{MaxEntries: 100})
	far := memory.New(memory.Options[float64, int]{MaxEntries: 100})
	s := tiered.New(near, far, tiered.Unwatched(time.Hour))
	ctx, nan := t.Context(), math.NaN()
	keys := []float64{nan, 1, nan, 1}
	s.SetMany(ctx, keys, make([]entry, 4))
	into := make([]tarn.Lookup[int], 4)
	err := s.GetMany(ctx, keys, into)
	if into[0].Found || !into[1].Found || into[2].Found || !into[3].Found || err != nil {
		t.Errorf("GetMany: %+v, %v", into, err)
	}
	s.Get(ctx, nan)
	if near.Len() != 1 || far.Len() != 1 {
		t.Errorf("%d near, %d far", near.Len(), far.Len())
	}
}

// TestHitAllocates nothing.
func TestHitAllocates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, time.Hour, tiered.MaxLife(time.Hour))
		ctx := t.Context()
		f.other.Set(ctx, "k", entry{Value: 1, Expires: f.in(time.Minute), Tags: tagged(t, "t", "u", "v")})
		synctest.Wait()
		f.store.Get(ctx, "k")
		keys, into := []string{"k", "k"}, make([]tarn.Lookup[int], 2)
		for name, read := range map[string]func() bool{
			"Hit":     func() bool { _, ok := f.store.Hit("k"); return ok },
			"Get":     func() bool { _, ok, _ := f.store.Get(ctx, "k"); return ok },
			"GetMany": func() bool { return f.store.GetMany(ctx, keys, into) == nil && into[1].Found },
		} {
			if n := testing.AllocsPerRun(100, func() {
				if !read() {
					t.Error("no hit")
				}
			}); n != 0 {
				t.Errorf("%s allocates %v times", name, n)
			}
		}
		if n := f.far.Calls(faulty.GetMany); n != 0 {
			t.Errorf("the far store was asked %d times", n)
		}
	})
}
