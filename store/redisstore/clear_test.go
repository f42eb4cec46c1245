package redisstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// TestClearLeavesOtherCaches alone, though they are in the same Redis and have the same keys.
func TestClearLeavesOtherCaches(t *testing.T) {
	t.Parallel()
	ctx, server := t.Context(), redistest.Start(t)
	name := unique()
	var stores []*redisstore.Store[string, string]
	for _, namespace := range []string{name, name + "2", "2" + name} {
		s := redisstore.New(server.Client(), redisstore.Config[string, string]{Namespace: namespace})
		require.NoError(t, s.Set(ctx, "a", tarn.Entry[string]{Value: namespace}))
		stores = append(stores, s)
	}
	server.Call("SET", "stranger", "1")
	require.NoError(t, stores[0].Clear(ctx))
	for i, s := range stores {
		_, found, err := s.Get(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, i > 0, found, "namespace %d", i)
	}
	require.Equal(t, "1", server.Call("GET", "stranger").Text)
}
