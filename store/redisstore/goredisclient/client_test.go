package goredisclient_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tarncache/tarn/internal/redistest/clienttest"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
)

func TestClient(t *testing.T) { clienttest.Run(t, dial) }

func dial(t testing.TB, to clienttest.To) (clienttest.Client, error) {
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 to.Addrs,
		MasterName:            to.MasterName,
		IsClusterMode:         to.Cluster,
		Username:              to.Username,
		Password:              to.Password,
		TLSConfig:             to.TLS,
		ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { client.Close() })
	return goredisclient.Wrap(client), nil
}
