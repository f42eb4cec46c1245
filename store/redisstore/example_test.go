package redisstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/strategies"
)

// client stands for what goredisclient.Wrap or rueidisclient.Wrap returns.
var client redisstore.Client

type User struct{ Name string }

func ExampleNew() {
	users := redisstore.New(client, redisstore.Config[int64, User]{
		Namespace: "users",
		MaxLife:   time.Hour,
	})
	cache := strategies.ReadThrough(users, tarn.LoadFunc(func(ctx context.Context, id int64) (User, error) {
		return User{fmt.Sprint("user ", id)}, nil
	}, nil))
	u, err := cache.Get(context.Background(), 42)
	fmt.Println(u.Name, err)
}

func ExampleConfig_appendKey() {
	type page struct {
		Site string
		No   uint32
	}
	_ = redisstore.New(client, redisstore.Config[page, []byte]{
		Namespace: "pages",
		// The number first, which always has as many digits, so that no two pages have the same bytes.
		AppendKey: func(dst []byte, p page) ([]byte, error) { return fmt.Appendf(dst, "%08x%s", p.No, p.Site), nil },
	})
}
