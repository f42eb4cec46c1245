package rueidisclient_test

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/rueidisclient"
)

func ExampleWrap() {
	// The application's client, of one server, of Sentinel's master or of a cluster.
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"localhost:6379"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	type user struct{ Name string }
	users := redisstore.New(rueidisclient.Wrap(client), redisstore.Config[int64, user]{Namespace: "users"})

	ctx := context.Background()
	if err := users.Set(ctx, 42, tarn.Entry[user]{Value: user{"Ada"}}); err != nil {
		fmt.Println(err)
		return
	}
	e, found, err := users.Get(ctx, 42)
	fmt.Println(e.Value.Name, found, err)
}
