package rueidisclient_test

import (
	"testing"

	"github.com/redis/rueidis"

	"github.com/tarncache/tarn/internal/redistest/clienttest"
	"github.com/tarncache/tarn/store/redisstore/rueidisclient"
)

func TestClient(t *testing.T) { clienttest.Run(t, dial) }

func dial(t testing.TB, to clienttest.To) (clienttest.Client, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: to.Addrs,
		Sentinel:    rueidis.SentinelOption{MasterSet: to.MasterName},
		Username:    to.Username,
		Password:    to.Password,
		TLSConfig:   to.TLS,
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(client.Close)
	return rueidisclient.Wrap(client), nil
}
