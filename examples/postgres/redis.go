package main

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// askRedis returns an error if Redis does not answer.
func askRedis(ctx context.Context, addr string) error {
	client := redis.NewClient(redisOptions(addr))
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("the Redis at %s does not answer: %w", addr, err)
	}
	return nil
}

// forget removes the example's keys from a Redis that was there before.
func forget(ctx context.Context, addr, namespace string) error {
	client := redis.NewClient(redisOptions(addr))
	defer client.Close()
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
