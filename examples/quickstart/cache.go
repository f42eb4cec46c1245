package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
	"github.com/tarncache/tarn/store/tiered"
)

// cache says where the cache is.
func (s settings) cache() string {
	if s.redis == "" {
		return "memory"
	}
	return "the Redis at " + s.redis + ", and copies in memory"
}

// openCache returns an empty cache, and what closes it.
func (s settings) openCache(ctx context.Context) (tarn.Store[int64, Product], func() error, error) {
	mem := memory.New(memory.Options[int64, Product]{MaxEntries: s.entries()})
	if s.redis == "" {
		return mem, mem.Close, nil
	}
	client := redis.NewClient(&redis.Options{Addr: s.redis, ContextTimeoutEnabled: true, DialerRetries: 1, MaxRetries: -1})
	namespace := "tarn-quickstart-" + rand.Text()
	shared := redisstore.New(goredisclient.Wrap(client), redisstore.Config[int64, Product]{Namespace: namespace})
	both := tiered.New(mem, shared)
	closeAll := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		return errors.Join(both.Close(), forget(ctx, client, namespace), client.Close(), mem.Close())
	}
	if err := untilTrusted(ctx, both, client); err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return both, closeAll, nil
}

// untilTrusted waits until Redis tells of changes: from then on copies in memory are answered.
func untilTrusted(ctx context.Context, both *tiered.Store[int64, Product], client *redis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, closing)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	for !both.Trusted() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("subscribe to Redis: %w", ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// forget removes what the quickstart has stored.
func forget(ctx context.Context, client *redis.Client, namespace string) error {
	keys := client.Scan(ctx, 0, "{"+namespace+":*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := client.Unlink(ctx, keys.Val()).Err(); err != nil {
			return fmt.Errorf("remove keys from Redis: %w", err)
		}
	}
	if err := keys.Err(); err != nil {
		return fmt.Errorf("remove keys from Redis: %w", err)
	}
	return nil
}
