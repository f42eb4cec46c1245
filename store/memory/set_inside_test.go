package memory

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tarncache/tarn"
)

// TestWhatComesBetween: a Set looks for its node before it locks the segment. Whatever others do until it has the lock,
// afterwards its value is there, once, and the table and the policy agree.
func TestWhatComesBetween(t *testing.T) {
	for _, life := range []time.Duration{0, time.Hour} {
		t.Run("in place, life="+life.String(), func(t *testing.T) {
			comeBetween(t, life, func(i int) int { return i })
		})
		t.Run("in a new node, life="+life.String(), func(t *testing.T) {
			comeBetween(t, life, func(i int) [9]int { return [9]int{i, 8: i} })
		})
	}
}

func comeBetween[V comparable](t *testing.T, life time.Duration, value func(int) V) {
	const key, bound = 1, 20
	ctx := context.Background()
	for _, row := range []struct {
		name   string
		before bool // the key is there when the Set looks for it
		do     func(s *Store[int, V]) error
	}{
		{"nothing, and there is none", false, func(s *Store[int, V]) error { return nil }},
		{"nothing, and there is one", true, func(s *Store[int, V]) error { return nil }},
		{"another Set of a new key", false, func(s *Store[int, V]) error { return s.Put(key, value(2), 0) }},
		{"another Set", true, func(s *Store[int, V]) error { return s.Put(key, value(2), 0) }},
		{"another Set, with a life", true, func(s *Store[int, V]) error { return s.Put(key, value(2), time.Minute) }},
		{"another Set, with a tag", true, func(s *Store[int, V]) error {
			tags, err := tarn.NewTags(1, "tag")
			return errors.Join(err, s.Set(ctx, key, tarn.Entry[V]{Value: value(2), Tags: tags}))
		}},
		{"a Delete", true, func(s *Store[int, V]) error { return s.Delete(ctx, key) }},
		{"a Set and a Delete", false, func(s *Store[int, V]) error {
			return errors.Join(s.Put(key, value(2), 0), s.Delete(ctx, key))
		}},
		{"a Delete and a Set", true, func(s *Store[int, V]) error {
			return errors.Join(s.Delete(ctx, key), s.Put(key, value(2), 0))
		}},
		{"a Clear", true, func(s *Store[int, V]) error { return s.Clear(ctx) }},
		{"a Clear and a Set", true, func(s *Store[int, V]) error {
			return errors.Join(s.Clear(ctx), s.Put(key, value(2), 0))
		}},
		{"an eviction", true, func(s *Store[int, V]) error {
			return errors.Join(s.Resize(1), s.Put(2, value(2), 0), s.Resize(bound))
		}},
		{"a table that grows and shrinks", true, func(s *Store[int, V]) error {
			err := s.Resize(10 * bound)
			for i := range 10 * bound {
				err = errors.Join(err, s.Put(2+i, value(2), 0))
			}
			return errors.Join(err, s.Resize(bound))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := New(Options[int, V]{MaxEntries: bound})
			for other := range 5 {
				if err := s.Put(100+other, value(0), 0); err != nil {
					t.Fatal(err)
				}
			}
			if row.before {
				if err := s.Put(key, value(1), 0); err != nil {
					t.Fatal(err)
				}
			}
			hash, e := s.hash(key), tarn.Entry[V]{Value: value(3)}
			if life > 0 {
				e.Expires = s.clock.Now().Add(life)
			}
			at, fresh := s.prepare(key, hash, &e)
			if (at != nil) != row.before {
				t.Fatalf("there before: %v", at != nil)
			}
			if err := row.do(s); err != nil {
				t.Fatal(err)
			}
			g := s.lockToStore(hash, 1, func(*segment[int, V]) bool { return true })
			if !s.plain || !g.isQuiet() {
				t.Fatal("the store is not quiet")
			}
			g.setQuickly(at, fresh, key, short(hash), &e)
			g.unlockPlain()
			if got, found, _ := s.Get(ctx, key); !found || got != e {
				t.Errorf("%v, %v was set last", got, found)
			}
			times := 0
			for k := range s.All() {
				if k == key {
					times++
				}
			}
			if st := s.Stats(); times != 1 || st.Entries != g.policy.Len() || st.Entries > bound {
				t.Errorf("%d times there; %d entries, the policy has %d", times, st.Entries, g.policy.Len())
			}
			if err := s.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
			if _, found := s.Value(key); found {
				t.Error("it is there after a Delete")
			}
		})
	}
}

// TestQuiet: what a quick Set does not care for keeps a Set from being one.
func TestQuiet(t *testing.T) {
	ctx := context.Background()
	for _, row := range []struct {
		name  string
		do    func(s *Store[int, int]) error
		quiet bool
	}{
		{"an entry", func(s *Store[int, int]) error { return s.Put(1, 1, 0) }, true},
		{"one with a deadline", func(s *Store[int, int]) error { return s.Put(1, 1, time.Hour) }, true},
		{"a lease", func(s *Store[int, int]) error {
			return s.Lease(ctx, []int{2}, tarn.LeaseTerms{Life: time.Hour}, make([]tarn.Lease[int], 1))
		}, false},
		{"a hold", func(s *Store[int, int]) error { return s.Hold(ctx, []int{2}, time.Hour, make([]tarn.Token, 1)) }, false},
		{"a Close", func(s *Store[int, int]) error { return s.Close() }, false},
	} {
		s := New(Options[int, int]{MaxEntries: 10})
		if err := row.do(s); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		if got := s.segments[0].isQuiet(); got != row.quiet {
			t.Errorf("%s: quiet: %v", row.name, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMarks: what hits leave at an entry is taken once, stops at the most it can be, and goes on at a node that takes
// another's place.
func TestMarks(t *testing.T) {
	var m, heir marks
	m.watch(true)
	for range 3 {
		if !m.hit() {
			t.Error("a hit of a watched entry is not told")
		}
	}
	heir.inherit(&m)
	if n := m.take(); n != 3 {
		t.Errorf("%d of 3 uses", n)
	}
	if n := m.take(); n != 0 {
		t.Errorf("%d uses were taken twice", n)
	}
	if !m.hit() {
		t.Error("taking uses ended the watch")
	}
	if n := heir.take(); n != 4 {
		t.Errorf("%d uses in another's place, of 3 and one that put it there", n)
	}
	if !heir.hit() {
		t.Error("the watch was not inherited")
	}
	for range 3 * maxUses {
		heir.hit()
	}
	var last marks
	last.inherit(&heir)
	if n := last.take(); n != maxUses || !last.hit() {
		t.Errorf("%d uses of many more than %d, or the watch ended", n, maxUses)
	}
	last.watch(false)
	if last.hit() {
		t.Error("the watch goes on")
	}
}

// TestAnOverwrittenEntryKeepsItsMarks, whether it stays in its node or not.
func TestAnOverwrittenEntryKeepsItsMarks(t *testing.T) {
	t.Run("in place", func(t *testing.T) { keepMarks[int](t, true, 0) })
	t.Run("in a new node", func(t *testing.T) { keepMarks[[9]int](t, false, 0) })
	t.Run("in a new node for its life", func(t *testing.T) { keepMarks[int](t, false, time.Hour) })
}

func keepMarks[V any](t *testing.T, inPlace bool, life time.Duration) {
	var value V
	s := New(Options[int, V]{MaxEntries: 10})
	defer func() { _ = s.Close() }()
	if err := s.Put(1, value, 0); err != nil {
		t.Fatal(err)
	}
	g, hash := &s.segments[0], short(s.hash(1))
	before := g.table.find(1, hash)
	s.Value(1)
	s.Value(1)
	if err := s.Put(1, value, life); err != nil {
		t.Fatal(err)
	}
	after := g.table.find(1, hash)
	if (after == before) != inPlace {
		t.Errorf("in place: %v", after == before)
	}
	if uses := after.marks.take(); uses != 3 || after.place == 0 {
		t.Errorf("%d uses, of 2 hits and a Set, at place %x", uses, after.place)
	}
}

// TestAWatchedHitIsTold: the policy hears of a hit of an entry that it watches, and here has no reason to go on watching.
func TestAWatchedHitIsTold(t *testing.T) {
	s := New(Options[int, int]{MaxEntries: 10})
	if err := s.Put(1, 1, 0); err != nil {
		t.Fatal(err)
	}
	n := s.segments[0].table.find(1, short(s.hash(1)))
	for name, read := range map[string]func() error{
		"get": func() error { _, _, err := s.Get(context.Background(), 1); return err },
		"hit": func() error { s.Hit(1); return nil },
		"get many": func() error {
			return s.GetMany(context.Background(), []int{1}, make([]tarn.Lookup[int], 1))
		},
	} {
		n.marks.watch(true)
		if err := read(); err != nil {
			t.Fatal(err)
		}
		if n.marks.word.Load()&isWatched != 0 {
			t.Errorf("%s: the policy was not told", name)
		}
	}
}
