package memory_test

import (
	"testing"

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
