package redisstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// During a rolling deploy two versions share a namespace.
func TestTwoVersions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	cfg := redisstore.Config[string, string]{Namespace: "rolling", Partitions: 1, WireVersion: 1}
	old := redisstore.New(server.Client(), cfg)
	polite := redisstore.Newer(redisstore.New(server.Client(), cfg), "rolling", false)
	eager := redisstore.Newer(redisstore.New(server.Client(), cfg), "rolling", true)
	stores := map[string]*redisstore.Store[string, string]{"old": old, "polite": polite, "eager": eager}
	for _, s := range stores {
		require.NoError(t, s.Delete(ctx, "begin"), "each script is loaded, which clears the namespace")
	}
	for _, tt := range []struct {
		writer, reader string
		found          bool
	}{
		{"old", "old", true}, {"old", "polite", true}, {"old", "eager", true},
		{"polite", "old", true}, {"polite", "polite", true}, {"polite", "eager", true},
		{"eager", "old", false}, {"eager", "polite", true}, {"eager", "eager", true},
	} {
		t.Run(tt.writer+" to "+tt.reader, func(t *testing.T) {
			w, r := stores[tt.writer], stores[tt.reader]
			require.NoError(t, w.Set(ctx, "k", tarn.Entry[string]{Value: "v"}))
			e, found, err := r.Get(ctx, "k")
			require.NoError(t, err, "what one cannot read is missing")
			require.Equal(t, tt.found, found)
			if found {
				require.Equal(t, "v", e.Value)
			}
			into := make([]tarn.Lease[string], 1)
			require.NoError(t, r.Lease(ctx, []string{"k"}, tarn.LeaseTerms{Life: time.Minute}, into))
			require.Equal(t, tt.found, into[0].State == tarn.Hit)

			tokens := make([]tarn.Token, 1)
			require.NoError(t, w.Hold(ctx, []string{"k"}, time.Minute, tokens))
			if tt.found {
				require.ErrorIs(t, r.Set(ctx, "k", tarn.Entry[string]{}), tarn.ErrHeld)
			}
			require.NoError(t, w.Settle(ctx, []tarn.Settlement[string, string]{{Key: "k", Token: tokens[0]}}))
		})
	}
}
