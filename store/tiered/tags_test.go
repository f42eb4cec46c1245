package tiered_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/ttl"
)

// tagged returns tags that are to be stamped when they are stored.
func tagged(t testing.TB, names ...string) *tarn.Tags {
	t.Helper()
	tags, err := tarn.NewTags(0, names...)
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

// twoTagged is a fixture whose keys have copies: k with the tag t, l with the tag u, and m without.
func twoTagged(t *testing.T, opts ...tiered.Option) *fixture {
	f := newFixture(t, 0, opts...)
	for key, tags := range map[string]*tarn.Tags{"k": tagged(t, "t"), "l": tagged(t, "u"), "m": nil} {
		if err := f.other.Set(t.Context(), key, entry{Value: 1, Tags: tags}); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
	for _, key := range []string{"k", "l", "m"} {
		f.has(t, key, entry{Value: 1})
		f.copied(t, key, true)
	}
	return f
}

// TestInvalidateTags invalidates tags in all ways that can go wrong, and looks whose copies are left.
func TestInvalidateTags(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		rule        string
		do          func(ctx context.Context, f *fixture) error
		want        error
		k, l, m     bool // there is a copy
		kFar, trust bool // the far store has the entry of k; copies are trusted
	}{
		{"by this process: the copies of entries that have the tag go", func(ctx context.Context, f *fixture) error {
			return f.store.InvalidateTags(ctx, "t")
		}, nil, false, true, true, false, true},
		{"by another", func(ctx context.Context, f *fixture) error { return f.other.InvalidateTags(ctx, "t") },
			nil, false, true, true, false, true},
		{"several", func(ctx context.Context, f *fixture) error {
			return f.store.InvalidateTags(ctx, "t", "nobody's", "u", "t")
		},
			nil, false, false, true, false, true},
		{"one that no entry has", func(ctx context.Context, f *fixture) error { return f.store.InvalidateTags(ctx, "nobody's") },
			nil, true, true, true, true, true},
		{"none at all is a mistake, and nothing changes", func(ctx context.Context, f *fixture) error { return f.store.InvalidateTags(ctx) },
			tarn.ErrTags, true, true, true, true, true},
		{"so is a bad one beside a good one", func(ctx context.Context, f *fixture) error { return f.store.InvalidateTags(ctx, "t", "") },
			tarn.ErrTags, true, true, true, true, true},
		{"a caller who has gone changes nothing", func(_ context.Context, f *fixture) error { return f.store.InvalidateTags(ended, "t") },
			context.Canceled, true, true, true, true, true},
		{"the far store is down: the copies go, and the error says so", func(ctx context.Context, f *fixture) error {
			f.shared.Down(true)
			defer f.shared.Down(false)
			return f.store.InvalidateTags(ctx, "t")
		}, farstore.ErrDown, false, true, true, true, true},
		{"its reply is lost", func(ctx context.Context, f *fixture) error {
			f.far.Inject(faulty.Fault{Kind: faulty.LoseReply, Ops: faulty.InvalidateTags})
			return f.store.InvalidateTags(ctx, "t")
		}, faulty.ErrInjected, false, true, true, false, true},
		{"the store is closed", func(ctx context.Context, f *fixture) error {
			f.store.Close()
			return f.store.InvalidateTags(ctx, "t")
		}, tarn.ErrClosed, false, false, false, true, false},
	} {
		t.Run(c.rule, bubble(func(t *testing.T) {
			f := twoTagged(t)
			if err := c.do(t.Context(), f); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			synctest.Wait()
			f.copied(t, "k", c.k)
			f.copied(t, "l", c.l)
			f.copied(t, "m", c.m)
			if _, found, err := f.inner.Get(t.Context(), "k"); found != c.kFar || err != nil {
				t.Errorf("the far store has the entry: %v, %v; want %v", found, err, c.kFar)
			}
			if f.store.Trusted() != c.trust {
				t.Errorf("copies are trusted: %v", f.store.Trusted())
			}
		}))
	}
}

// tagReads are the ways to an entry of the store.
var tagReads = []struct {
	name string
	read func(ctx context.Context, s *tiered.Store[string, int], key string) (entry, bool)
}{
	{"Get", func(ctx context.Context, s *tiered.Store[string, int], key string) (entry, bool) {
		e, found, _ := s.Get(ctx, key)
		return e, found
	}},
	{"GetMany", func(ctx context.Context, s *tiered.Store[string, int], key string) (entry, bool) {
		into := make([]tarn.Lookup[int], 1)
		s.GetMany(ctx, []string{key}, into)
		return into[0].Entry, into[0].Found
	}},
	{"Lease", func(ctx context.Context, s *tiered.Store[string, int], key string) (entry, bool) {
		into := make([]tarn.Lease[int], 1)
		s.Lease(ctx, []string{key}, tarn.LeaseTerms{Life: time.Minute}, into)
		return into[0].Entry, into[0].Found
	}},
	{"Lease with Refresh", func(ctx context.Context, s *tiered.Store[string, int], key string) (entry, bool) {
		into := make([]tarn.Lease[int], 1)
		s.Lease(ctx, []string{key}, tarn.LeaseTerms{Life: time.Minute, Refresh: true}, into)
		s.Fill(ctx, []tarn.Fill[string, int]{{Key: key, Token: into[0].Token}})
		return into[0].Entry, into[0].Found
	}},
	{"Compute", func(ctx context.Context, s *tiered.Store[string, int], key string) (entry, bool) {
		e, found, _ := s.Compute(ctx, key, func(old entry, _ bool) (entry, tarn.ComputeOp) { return old, tarn.ComputeKeep })
		return e, found
	}},
}

// TestTagsAsFarHasThem has the counter of the near store ahead of that of the far one, or behind it: whether an entry is
// answered from near or from far, its tags are those of the far store, and its copy goes by the near one's.
func TestTagsAsFarHasThem(t *testing.T) {
	for _, apart := range []struct {
		name  string
		ahead func(f *fixture) tarn.TagInvalidator
	}{
		{"near ahead", func(f *fixture) tarn.TagInvalidator { return f.near }},
		{"far ahead", func(f *fixture) tarn.TagInvalidator { return f.inner }},
	} {
		for _, r := range tagReads {
			t.Run(apart.name+", "+r.name, bubble(func(t *testing.T) {
				f := newFixture(t, 0)
				ctx := t.Context()
				for range 1000 {
					apart.ahead(f).InvalidateTags(ctx, "nobody's")
				}
				f.other.Set(ctx, "k", entry{Value: 1, Tags: tagged(t, "t")})
				want, _, _ := f.inner.Get(ctx, "k")
				synctest.Wait()
				for range 2 {
					e, found := r.read(ctx, f.store, "k")
					if !found || e.Tags.Stamp() != want.Tags.Stamp() || len(e.Tags.Names()) != 1 {
						t.Errorf("%v, tags %q as of %d; want %d", found, e.Tags.Names(), e.Tags.Stamp(), want.Tags.Stamp())
					}
					f.store.Get(ctx, "k")
					f.copied(t, "k", true)
				}
				f.other.InvalidateTags(ctx, "t")
				synctest.Wait()
				f.copied(t, "k", false)
				if _, found := r.read(ctx, f.store, "k"); found {
					t.Error("it is still there")
				}
			}))
		}
	}
}

// TestStoredAgain has an entry that was answered from a copy stored again, as a strategy does that re-arms it, after its
// tag was invalidated, of which this process has not been told yet: it has the stamp of the far store that it had, so it
// stays gone. That of the near store would be later.
func TestStoredAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		store func(ctx context.Context, f *fixture, e entry)
	}{
		{"by a Fill", func(ctx context.Context, f *fixture, e entry) {
			leases := make([]tarn.Lease[int], 1)
			f.store.Lease(ctx, []string{"k"}, tarn.LeaseTerms{Life: time.Minute, Refresh: true}, leases)
			fills := []tarn.Fill[string, int]{{Key: "k", Token: leases[0].Token, Store: true, Entry: e}}
			f.store.Fill(ctx, fills)
		}},
		{"by a Settle", func(ctx context.Context, f *fixture, e entry) {
			tokens := make([]tarn.Token, 1)
			f.store.Hold(ctx, []string{"k"}, time.Minute, tokens)
			f.store.Settle(ctx, []tarn.Settlement[string, int]{{Key: "k", Token: tokens[0], Store: true, Entry: e}})
		}},
		{"by a Set", func(ctx context.Context, f *fixture, e entry) { f.store.Set(ctx, "k", e) }},
		{"by a SetMany", func(ctx context.Context, f *fixture, e entry) { f.store.SetMany(ctx, []string{"k"}, []entry{e}) }},
		{"by an Add", func(ctx context.Context, f *fixture, e entry) { f.store.Add(ctx, "k", e) }},
		{"by a Compute", func(ctx context.Context, f *fixture, e entry) {
			f.store.Compute(ctx, "k", func(entry, bool) (entry, tarn.ComputeOp) { return e, tarn.ComputeStore })
		}},
		{"by a Touch", func(ctx context.Context, f *fixture, _ entry) { f.store.Touch(ctx, "k", f.in(time.Hour)) }},
	} {
		for _, late := range []bool{false, true} {
			name := c.name
			if late {
				name += ", and then invalidated"
			}
			t.Run(name, bubble(func(t *testing.T) {
				f := newFixture(t, 0)
				ctx := t.Context()
				for range 1000 {
					f.near.InvalidateTags(ctx, "nobody's")
				}
				f.other.Set(ctx, "k", entry{Value: 1, Tags: tagged(t, "t")})
				synctest.Wait()
				f.has(t, "k", entry{Value: 1})
				f.copied(t, "k", true)
				f.shared.Mute(farstore.Tags)
				e, _, _ := f.store.Get(ctx, "k")
				if late {
					c.store(ctx, f, e)
					f.has(t, "k", entry{Value: 1, Expires: expires(ctx, f)})
					f.shared.Mute(0)
					f.other.InvalidateTags(ctx, "t")
					synctest.Wait()
				} else {
					f.other.InvalidateTags(ctx, "t")
					c.store(ctx, f, e)
				}
				for range 2 {
					if e, found, err := f.store.Get(ctx, "k"); found || err != nil {
						t.Errorf("it is back: %+v, %v", e, err)
					}
				}
			}))
		}
	}
}

func expires(ctx context.Context, f *fixture) ttl.Time {
	e, _, _ := f.inner.Get(ctx, "k")
	return e.Expires
}

// TestStampsAreOfFar has leases with the far store's moment, and Stamp.
func TestStampsAreOfFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, 0)
		ctx := t.Context()
		for range 1000 {
			f.near.InvalidateTags(ctx, "nobody's")
		}
		f.inner.InvalidateTags(ctx, "nobody's")
		want, _ := f.inner.Stamp(ctx)
		leases := make([]tarn.Lease[int], 2)
		err := f.store.Lease(ctx, []string{"k", "l"}, tarn.LeaseTerms{Life: time.Minute, Stamp: true}, leases)
		stamp, stampErr := f.store.Stamp(ctx)
		if err != nil || stampErr != nil || leases[1].Stamp != want || stamp != want {
			t.Errorf("%v, %v: a lease has stamp %d, Stamp is %d, want %d", err, stampErr, leases[1].Stamp, stamp, want)
		}
		f.shared.Down(true)
		if stamp, err := f.store.Stamp(ctx); stamp != 0 || !errors.Is(err, farstore.ErrDown) {
			t.Errorf("with the far store down: %d, %v", stamp, err)
		}
		f.store.Close()
		if _, err := f.store.Stamp(ctx); !errors.Is(err, tarn.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestLoadIsCopied fills in what was loaded with tags: it has a copy at once, which goes with its tag.
func TestLoadIsCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, 0)
		ctx := t.Context()
		leases := make([]tarn.Lease[int], 1)
		f.store.Lease(ctx, []string{"k"}, tarn.LeaseTerms{Life: time.Minute, Stamp: true}, leases)
		tags, err := tarn.NewTags(leases[0].Stamp, "t")
		if err != nil {
			t.Fatal(err)
		}
		fills := []tarn.Fill[string, int]{{Key: "k", Token: leases[0].Token, Store: true, Entry: entry{Value: 1, Tags: tags}}}
		if err := f.store.Fill(ctx, fills); err != nil || !fills[0].Stored {
			t.Fatalf("Fill: %v, stored: %v", err, fills[0].Stored)
		}
		f.copied(t, "k", true)
		f.has(t, "k", entry{Value: 1})
		f.other.InvalidateTags(ctx, "t")
		synctest.Wait()
		f.copied(t, "k", false)
	})
}

// TestOverlappingInvalidations has a tag invalidated twice at once: no copy is kept until the second has ended too.
func TestOverlappingInvalidations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := time.Second
		f := newStopping(t, func(*fixture) { d := takes; takes = 3 * time.Second; time.Sleep(d) })
		ctx := t.Context()
		go f.store.InvalidateTags(ctx, "t", "t")
		synctest.Wait()
		go f.store.InvalidateTags(ctx, "t")
		time.Sleep(time.Second / 2)
		for _, want := range []bool{false, false, true} { // one and a half seconds after they began, and each second
			time.Sleep(time.Second)
			f.other.Set(ctx, "k", entry{Value: 1, Tags: tagged(t, "t")})
			synctest.Wait()
			f.has(t, "k", entry{Value: 1})
			f.copied(t, "k", want)
		}
	})
}

// unnaming is a near store that cannot keep tags.
type unnaming struct {
	*nearStore
	t *testing.T
}

func (u unnaming) Fill(ctx context.Context, fills []tarn.Fill[string, int]) error {
	for _, f := range fills {
		if f.Entry.Tags != nil {
			u.t.Error("the near store is to fill in an entry with tags")
		}
	}
	return u.nearStore.Fill(ctx, fills)
}

func (u unnaming) Settle(ctx context.Context, settlements []tarn.Settlement[string, int]) error {
	for _, s := range settlements {
		if s.Entry.Tags != nil {
			u.t.Error("the near store is to settle with an entry with tags")
		}
	}
	return u.nearStore.Settle(ctx, settlements)
}

func (u unnaming) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Tagger, *tarn.TagInvalidator:
		return false
	case *tarn.Leaser[string, int]:
		*t = u
	case *tarn.Holder[string, int]:
		*t = u
	case *tarn.Clearer:
		*t = u.nearStore
	default:
		return false
	}
	return true
}

// TestNearWithoutTags has a near store that is no Tagger: entries with tags have no copies, and others have.
func TestNearWithoutTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, 0)
		f.store.Close()
		f.store = tiered.New(unnaming{f.near, t}, f.far)
		defer f.store.Close()
		synctest.Wait()
		ctx := t.Context()
		f.other.Set(ctx, "k", entry{Value: 1, Tags: tagged(t, "t")})
		f.other.Set(ctx, "m", entry{Value: 1})
		synctest.Wait()
		for _, r := range tagReads {
			for range 2 {
				if e, found := r.read(ctx, f.store, "k"); !found || e.Value != 1 || e.Tags.Stamp() == 0 {
					t.Errorf("%s: %+v, %v", r.name, e, found)
				}
			}
			f.copied(t, "k", false)
		}
		leases := make([]tarn.Lease[int], 1)
		f.store.Lease(ctx, []string{"k"}, tarn.LeaseTerms{Life: time.Minute, Refresh: true}, leases)
		fills := []tarn.Fill[string, int]{{Key: "k", Token: leases[0].Token, Store: true, Entry: leases[0].Entry}}
		if err := f.store.Fill(ctx, fills); err != nil || !fills[0].Stored {
			t.Errorf("Fill: %v, stored: %v", err, fills[0].Stored)
		}
		f.copied(t, "k", false)
		f.has(t, "m", entry{Value: 1})
		f.copied(t, "m", true)
		f.other.InvalidateTags(ctx, "t")
		synctest.Wait()
		if _, found, err := f.store.Get(ctx, "k"); found || err != nil {
			t.Errorf("invalidated by another: %v, %v", found, err)
		}
		f.other.Set(ctx, "k", entry{Value: 1, Tags: tagged(t, "t")})
		if err := f.store.InvalidateTags(ctx, "t"); err != nil {
			t.Error(err)
		}
		if _, found, err := f.store.Get(ctx, "k"); found || err != nil {
			t.Errorf("invalidated here: %v, %v", found, err)
		}
		f.copied(t, "m", true)
	})
}

// TestTagsOverRedis has two processes on a real Redis: a tag that one invalidates is told to the other by its name.
func TestTagsOverRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	stores, nears := make([]*tiered.Store[string, int], 2), make([]*nearStore, 2)
	for i := range stores {
		nears[i] = memory.New(memory.Options[string, int]{MaxEntries: 100})
		t.Cleanup(func() { nears[i].Close() })
		stores[i] = tiered.New(nears[i], redisstore.New(server.Client(), redisstore.Config[string, int]{
			Namespace: "tags", Partitions: 4,
		}))
		t.Cleanup(func() { stores[i].Close() })
	}
	eventually := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it is never so that %s", what)
			}
		}
	}
	has := func(s *tiered.Store[string, int], key string) bool {
		_, found, err := s.Get(t.Context(), key)
		return found && err == nil
	}
	a, b := stores[0], stores[1]
	eventually("copies are trusted", func() bool { return a.Trusted() && b.Trusted() })
	for key, tag := range map[string]string{"k": "t", "l": "u"} {
		if err := a.Set(t.Context(), key, entry{Value: 1, Tags: tagged(t, tag)}); err != nil {
			t.Fatal(err)
		}
	}
	eventually("there are two copies", func() bool { return has(b, "k") && has(b, "l") && nears[1].Len() == 2 })
	before := b.Stats()
	if err := a.InvalidateTags(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if has(a, "k") {
		t.Error("the process that has invalidated the tag still has the entry")
	}
	eventually("the other process has it no more", func() bool { return !has(b, "k") })
	// On a machine that is busy for seconds a heartbeat may come too late; then everything is lost, and says nothing.
	if now := b.Stats(); now.Lost == before.Lost && now.Tags != before.Tags+1 || !has(b, "l") {
		t.Errorf("%+v, then %+v: it was not told by name", before, now)
	}
}
