package goredisclient_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// User is what the repository of the example keeps.
type User struct {
	ID   int64
	Name string
}

var repo users

type users struct{}

func (users) Find(context.Context, int64) (User, error)   { return User{}, sql.ErrNoRows }
func (users) Save(context.Context, User) error            { return nil }
func (users) Remove(context.Context, int64) error         { return nil }
func (users) Rename(context.Context, int64, string) error { return nil }

// It has no output: the test of examples/postgres runs the same with a server.
func ExampleWrap_readme() {
	ctx := context.Background()
	rdb := redis.NewClient(&redis.Options{ // or the one you have: Sentinel, Cluster, TLS; or rueidis
		Addr: "localhost:6379", ContextTimeoutEnabled: true, DialerRetries: 1, MaxRetries: 1,
		DialTimeout: 300 * time.Millisecond, ReadTimeout: 300 * time.Millisecond,
	})
	far := redisstore.New(goredisclient.Wrap(rdb), redisstore.Config[int64, User]{Namespace: "users"})

	near := memory.New(memory.Options[int64, User]{MaxEntries: 10_000})
	both := tiered.New(near, far) // or far alone: each is a store
	defer both.Close()            // near and rdb stay yours to close

	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)
	save := tarn.WriteValueFuncs(repo.Save, repo.Remove)
	life := strategies.WithTTL(ttl.Policy{Fresh: 5 * time.Minute, Jitter: 0.1})
	users := strategies.WriteThrough(strategies.ReadThrough(both, find, life), save)
	defer users.Close(ctx)

	err := users.Set(ctx, 1, User{1, "Ada L."}) // no other process answers "Ada" once it returned, but for the bound below
	fmt.Println(err)
}
