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

func ExampleStore_InvalidateTags() {
	type Product struct{ Brand string }
	products := redisstore.New(client, redisstore.Config[int64, Product]{Namespace: "products"})
	cache := strategies.ReadThrough(products, tarn.LoadFunc(func(ctx context.Context, id int64) (Product, error) {
		return Product{Brand: "Acme"}, nil
	}, nil), strategies.WithTags(func(_ int64, p Product) []string { return []string{"brand:" + p.Brand} }))
	p, err := cache.Get(context.Background(), 42)
	fmt.Println(p.Brand, err)

	// Two round trips, and every process that has the namespace finds none of the brand's products any more.
	err = products.InvalidateTags(context.Background(), "brand:Acme")
	fmt.Println(err)
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
