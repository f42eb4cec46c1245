package memory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

// Rescued is kept with its entry, whichever way it is read and written, and is no hit.
func TestRescued(t *testing.T) {
	t.Run("in place", func(t *testing.T) { rescued(t, 7) })
	t.Run("in a new node", func(t *testing.T) { rescued(t, [20]int{7}) })
}

func rescued[V any](t *testing.T, value V) {
	ctx := t.Context()
	s := memory.New(memory.Options[string, V]{MaxEntries: 10})
	defer s.Close()
	gated := s.Gated(func() ttl.Time { return ttl.End })
	for _, is := range []bool{true, false, true, false} {
		require.NoError(t, s.Set(ctx, "a", tarn.Entry[V]{Value: value, Rescued: is}))
		e, found, err := s.Get(ctx, "a")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, is, e.Rescued)
		into := make([]tarn.Lookup[V], 1)
		require.NoError(t, s.GetMany(ctx, []string{"a"}, into))
		require.Equal(t, is, into[0].Entry.Rescued)
		leases := make([]tarn.Lease[V], 1)
		require.NoError(t, s.Lease(ctx, []string{"a"}, tarn.LeaseTerms{Life: 1}, leases))
		require.Equal(t, is, leases[0].Entry.Rescued)
		all, ended := s.Scan(ctx)
		for _, e := range all {
			require.Equal(t, is, e.Rescued)
		}
		require.NoError(t, ended())
		_, hit := s.Hit("a")
		require.Equal(t, !is, hit)
		_, hit = gated.Hit("a")
		require.Equal(t, !is, hit)
	}
}
