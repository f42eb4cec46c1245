package rueidisclient_test

import (
	"context"
	"testing"

	"github.com/redis/rueidis"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/internal/redistest/clienttest"
	"github.com/tarncache/tarn/store/redisstore/rueidisclient"
)

func BenchmarkReads(b *testing.B) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{redistest.Start(b).Addr()}})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	clienttest.BenchmarkReads(b, rueidisclient.Wrap(client),
		func(ctx context.Context, key string) error {
			return client.Do(ctx, client.B().Get().Key(key).Build()).Error()
		},
		func(ctx context.Context, keys []string) error {
			return client.Do(ctx, client.B().Mget().Key(keys...).Build()).Error()
		})
}
