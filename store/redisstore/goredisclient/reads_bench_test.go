package goredisclient_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/internal/redistest/clienttest"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
)

func BenchmarkReads(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(b).Addr(), ContextTimeoutEnabled: true})
	defer client.Close()
	clienttest.BenchmarkReads(b, goredisclient.Wrap(client),
		func(ctx context.Context, key string) error { return client.Get(ctx, key).Err() },
		func(ctx context.Context, keys []string) error { return client.MGet(ctx, keys...).Err() })
}
