package redisstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// TestSourceAnswers lets go wrong with Redis what can, in front of a source: that answers, and the observer is told.
func TestSourceAnswers(t *testing.T) {
	t.Parallel()
	const redis = "{loader:0}kk"
	for fault, tt := range map[string]struct {
		options []redistest.Option
		begin   func(s *redistest.Server)
		event   tarn.EventKind
	}{
		"WRONGTYPE": {nil, func(s *redistest.Server) { s.Call("DEL", redis); s.Call("RPUSH", redis, "a") }, tarn.EventStoreFailed},
		"damaged": {nil, func(s *redistest.Server) {
			stored := s.Call("GET", redis).Text
			s.Call("SET", redis, stored[:len(stored)-1], "KEEPTTL")
		}, tarn.EventUndecodable},
		"OOM": {[]redistest.Option{redistest.Line("maxmemory 10mb", "maxmemory-policy noeviction")}, func(s *redistest.Server) {
			s.Call("DEL", redis)
			s.Call("CONFIG", "SET", "maxmemory", "1")
		}, tarn.EventStoreFailed},
		"READONLY": {nil, func(s *redistest.Server) { s.Call("DEL", redis); s.Call("REPLICAOF", "127.0.0.1", "1") }, tarn.EventStoreFailed},
		"NOAUTH": {nil, func(s *redistest.Server) {
			s.Call("ACL", "SETUSER", "default", "resetpass", ">password")
			s.Call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		}, tarn.EventStoreFailed},
		"NOPERM": {nil, func(s *redistest.Server) { s.Call("ACL", "SETUSER", "default", "-@all") }, tarn.EventStoreFailed},
		"gone":   {nil, func(s *redistest.Server) { s.Kill() }, tarn.EventStoreFailed},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, tt.options...)
			var o events
			far := redisstore.New(server.Client(), redisstore.Config[string, string]{Namespace: "loader", Partitions: 1, Observer: &o})
			require.NoError(t, far.Set(t.Context(), "k", tarn.Entry[string]{Value: "cached"}))
			users := strategies.ReadThrough(far, tarn.LoadFunc(func(context.Context, string) (string, error) { return "source", nil }),
				strategies.WithObserver(&o), strategies.WithTTL(ttl.Policy{Fresh: time.Minute}))
			defer users.Close(context.Background())
			v, err := users.Get(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, "cached", v)
			tt.begin(server)
			o.take()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			v, err = users.Get(ctx, "k")
			require.NoError(t, err)
			require.Equal(t, "source", v)
			var told []tarn.EventKind
			for _, e := range o.take() {
				told = append(told, e.Kind)
			}
			require.Contains(t, told, tt.event)
		})
	}
}
