package goredisclient_test

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
)

func ExampleWrap() {
	// The application's client, of one server, of Sentinel's master or of a cluster.
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 []string{"localhost:6379"},
		ContextTimeoutEnabled: true, // a deadline ends the wait for Redis
		DialerRetries:         1,    // while Redis is away, the source is asked soon
		MaxRetries:            1,
	})
	defer client.Close()

	type user struct{ Name string }
	users := redisstore.New(goredisclient.Wrap(client), redisstore.Config[int64, user]{Namespace: "users"})

	ctx := context.Background()
	if err := users.Set(ctx, 42, tarn.Entry[user]{Value: user{"Ada"}}); err != nil {
		fmt.Println(err)
		return
	}
	e, found, err := users.Get(ctx, 42)
	fmt.Println(e.Value.Name, found, err)
}
