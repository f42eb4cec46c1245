package memory_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

// tagsOf returns tags as of a moment.
func tagsOf(t testing.TB, stamp tarn.Stamp, names ...string) *tarn.Tags {
	t.Helper()
	tags, err := tarn.NewTags(stamp, names...)
	require.NoError(t, err)
	return tags
}

// Tags are kept with their entry, whichever way it is read, and an invalidation of one is seen whichever way.
func TestTagsEveryWay(t *testing.T) {
	t.Run("in place", func(t *testing.T) { tagsEveryWay(t, 7) })
	t.Run("in a new node", func(t *testing.T) { tagsEveryWay(t, [20]int{7}) })
}

func tagsEveryWay[V any](t *testing.T, value V) {
	ctx := t.Context()
	s := memory.New(memory.Options[string, V]{MaxEntries: 10})
	defer s.Close()
	gated := s.Gated(func() ttl.Time { return ttl.End })
	for _, tags := range []*tarn.Tags{nil, tagsOf(t, 0, "x"), nil, tagsOf(t, 0, "x", "y"), tagsOf(t, 0, "y", "z")} {
		require.NoError(t, s.Set(ctx, "a", tarn.Entry[V]{Value: value, Tags: tags}))
		looks := func(found bool) {
			t.Helper()
			want := tags.Names()
			if !found {
				want = nil
			}
			e, ok, err := s.Get(ctx, "a")
			require.NoError(t, err)
			require.Equal(t, found, ok)
			require.Equal(t, want, e.Tags.Names())
			into := make([]tarn.Lookup[V], 1)
			require.NoError(t, s.GetMany(ctx, []string{"a"}, into))
			require.Equal(t, found, into[0].Found)
			require.Equal(t, want, into[0].Entry.Tags.Names())
			leases := make([]tarn.Lease[V], 1)
			require.NoError(t, s.Lease(ctx, []string{"a"}, tarn.LeaseTerms{Life: 1}, leases))
			require.Equal(t, found, leases[0].Found)
			require.Equal(t, want, leases[0].Entry.Tags.Names())
			n := 0
			all, ended := s.Scan(ctx)
			for _, e := range all {
				n++
				require.Equal(t, want, e.Tags.Names())
			}
			require.NoError(t, ended())
			require.Equal(t, found, n == 1)
			_, hit := s.Hit("a")
			require.Equal(t, found, hit)
			_, hit = gated.Hit("a")
			require.Equal(t, found, hit)
		}
		looks(true)
		require.NoError(t, s.InvalidateTags(ctx, "y"))
		looks(len(tags.Names()) == 0 || tags.Names()[0] == "x" && len(tags.Names()) == 1)
		require.NoError(t, s.Delete(ctx, "a"))
	}
}

// What a Compute made of an entry goes with it: an invalidation that it did not see reaches what it stores, though that
// gets its stamp from the store.
func TestComputeAgainstInvalidateTags(t *testing.T) {
	s := memory.New(memory.Options[int, int]{MaxEntries: 10})
	defer s.Close()
	ctx := t.Context()
	for round := range 3000 {
		require.NoError(t, s.Set(ctx, 1, tarn.Entry[int]{Value: round, Tags: tagsOf(t, 0, "x")}))
		var both sync.WaitGroup
		both.Go(func() { _ = s.InvalidateTags(ctx, "y", "z", "x") })
		both.Go(func() {
			_, _, _ = s.Compute(ctx, 1, func(old tarn.Entry[int], found bool) (tarn.Entry[int], tarn.ComputeOp) {
				if !found {
					return old, tarn.ComputeKeep
				}
				return tarn.Entry[int]{Value: old.Value, Tags: tagsOf(t, 0, "x")}, tarn.ComputeStore
			})
		})
		both.Wait()
		if e, found, _ := s.Get(ctx, 1); found {
			t.Fatalf("round %d: found %+v", round, e)
		}
	}
}

// A stamp of another store can be one that this store comes to only later, or never: an entry that has it is as good as one
// without a stamp.
func TestStampsOfAnotherStore(t *testing.T) {
	ctx := t.Context()
	for name, set := range map[string]func(s *memory.Store[int, int], e tarn.Entry[int]) error{
		"Set": func(s *memory.Store[int, int], e tarn.Entry[int]) error { return s.Set(ctx, 1, e) },
		"SetMany": func(s *memory.Store[int, int], e tarn.Entry[int]) error {
			return s.SetMany(ctx, []int{1}, []tarn.Entry[int]{e})
		},
		"Add": func(s *memory.Store[int, int], e tarn.Entry[int]) error {
			_, err := s.Add(ctx, 1, e)
			return err
		},
		"Compute": func(s *memory.Store[int, int], e tarn.Entry[int]) error {
			_, _, err := s.Compute(ctx, 1, func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
				return e, tarn.ComputeStore
			})
			return err
		},
		"Compute of what is there": func(s *memory.Store[int, int], e tarn.Entry[int]) error {
			if err := s.Set(ctx, 1, tarn.Entry[int]{Tags: tagsOf(t, 0, "y")}); err != nil {
				return err
			}
			_, _, err := s.Compute(ctx, 1, func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
				return e, tarn.ComputeStore
			})
			return err
		},
	} {
		for _, ahead := range []tarn.Stamp{1, 2, 1 << 52} {
			t.Run(fmt.Sprint(name, " ", ahead), func(t *testing.T) {
				s := memory.New(memory.Options[int, int]{MaxEntries: 10})
				defer s.Close()
				now, err := s.Stamp(ctx)
				require.NoError(t, err)
				require.NoError(t, set(s, tarn.Entry[int]{Value: 7, Tags: tagsOf(t, now+ahead, "x")}))
				e, found, err := s.Get(ctx, 1)
				require.NoError(t, err)
				require.True(t, found)
				require.Equal(t, tarn.Entry[int]{Value: 7, Tags: e.Tags}, e)
				require.Equal(t, []string{"x"}, e.Tags.Names())
				require.Equal(t, now, e.Tags.Stamp())
				require.NoError(t, s.InvalidateTags(ctx, "x"))
				_, found, err = s.Get(ctx, 1)
				require.NoError(t, err)
				require.False(t, found)
			})
		}
	}
}

// What was loaded or written is not stored with such a stamp, nor over tags that have one: it tells nothing.
func TestFillWithAStampOfAnotherStore(t *testing.T) {
	ctx := t.Context()
	s := memory.New(memory.Options[int, int]{MaxEntries: 10})
	defer s.Close()
	now, err := s.Stamp(ctx)
	require.NoError(t, err)
	future := tagsOf(t, now+1, "x")
	for name, f := range map[string]tarn.Fill[int, int]{
		"tags": {Entry: tarn.Entry[int]{Value: 1, Tags: future}},
		"over": {Entry: tarn.Entry[int]{Value: 1}, Over: future},
	} {
		leases := make([]tarn.Lease[int], 1)
		require.NoError(t, s.Set(ctx, 1, tarn.Entry[int]{Value: 0}))
		require.NoError(t, s.Lease(ctx, []int{1}, tarn.LeaseTerms{Life: time.Second, Refresh: true}, leases))
		f.Key, f.Token, f.Store, f.Stored = 1, leases[0].Token, true, true
		fills := []tarn.Fill[int, int]{f}
		require.NoError(t, s.Fill(ctx, fills))
		require.False(t, fills[0].Stored, name)
		_, found, err := s.Get(ctx, 1)
		require.NoError(t, err)
		require.False(t, found, name)
	}
	tokens := make([]tarn.Token, 1)
	require.NoError(t, s.Hold(ctx, []int{1}, time.Second, tokens))
	settlements := []tarn.Settlement[int, int]{
		{Key: 1, Token: tokens[0], Store: true, Entry: tarn.Entry[int]{Value: 1, Tags: future}, Stored: true},
	}
	require.NoError(t, s.Settle(ctx, settlements))
	require.False(t, settlements[0].Stored)
	_, found, err := s.Get(ctx, 1)
	require.NoError(t, err)
	require.False(t, found)
}

// Neither a hit of what has tags nor an invalidation allocates.
func TestTagsAllocateNothing(t *testing.T) {
	s := memory.New(memory.Options[int, string]{MaxEntries: 1000})
	defer s.Close()
	ctx, into := t.Context(), make([]tarn.Lookup[string], 1)
	require.NoError(t, s.Set(ctx, 1, tarn.Entry[string]{Value: "v", Tags: tagsOf(t, 0, "x", "y")}))
	for name, f := range map[string]func(){
		"Get":            func() { _, _, _ = s.Get(ctx, 1) },
		"GetMany":        func() { _ = s.GetMany(ctx, []int{1}, into) },
		"Hit":            func() { s.Hit(1) },
		"InvalidateTags": func() { _ = s.InvalidateTags(ctx, "y", "none") },
		"Stamp":          func() { _, _ = s.Stamp(ctx) },
	} {
		if n := testing.AllocsPerRun(100, f); n > 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// BenchmarkInvalidateTags of one tag takes the same time whether one entry has it or a million.
func BenchmarkInvalidateTags(b *testing.B) {
	for _, entries := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprint(entries), func(b *testing.B) {
			s := memory.New(memory.Options[int, int]{MaxEntries: 2 * entries})
			defer s.Close()
			ctx, tags := b.Context(), tagsOf(b, 0, "x")
			fill := func() {
				for i := range entries {
					_ = s.Set(ctx, i, tarn.Entry[int]{Value: i, Tags: tags})
				}
			}
			fill()
			b.ReportAllocs()
			begun := time.Now()
			_ = s.InvalidateTags(ctx, "x")
			first := time.Since(begun)
			for i := range entries {
				if _, found, _ := s.Get(ctx, i); found {
					b.Fatal("found what was invalidated")
				}
			}
			for entries > 1000 && s.Len() > 0 {
				time.Sleep(time.Millisecond)
			}
			swept := time.Since(begun)
			for b.Loop() {
				_ = s.InvalidateTags(ctx, "x")
			}
			b.ReportMetric(float64(first), "ns/first")
			b.ReportMetric(float64(swept.Milliseconds()), "ms/swept")
		})
	}
}
