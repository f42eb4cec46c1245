package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// node is what one process of the application has: connections to PostgreSQL and to Redis, and copies in its memory.
// This example has two of them in one process, which know nothing of each other.
type node struct {
	db       *pgxpool.Pool
	redis    *redis.Client
	memory   *memory.Store[int64, Product]
	store    *tiered.Store[int64, Product]
	products *strategies.WriteThroughCache[int64, Product]

	// For the example: how many queries read, and by how many nanoseconds they are slower than they would be.
	queries, slower atomic.Int64
}

// newNode is all that an application has to write, once for each kind of thing that it caches.
func newNode(db *pgxpool.Pool, redisAddr, namespace string) *node {
	n := &node{db: db}
	repo := &Products{n.db}

	n.redis = redis.NewClient(redisOptions(redisAddr))
	far := redisstore.New(goredisclient.Wrap(n.redis), redisstore.Config[int64, Product]{Namespace: namespace})
	n.memory = memory.New(memory.Options[int64, Product]{MaxEntries: 10_000})
	n.store = tiered.New(n.memory, far)

	find := tarn.LoadManyFunc(n.counted(repo.Find), n.countedMany(repo.FindMany), pgx.ErrNoRows)
	save := tarn.WriteValueFuncs(repo.Save, repo.Remove)
	life := strategies.WithTTL(ttl.Policy{Fresh: 5 * time.Minute, Negative: 10 * time.Second, Jitter: 0.1})
	n.products = strategies.WriteThrough(strategies.ReadThrough(n.store, find, life), save)
	return n
}

// redisOptions connect to Redis. A cache need not try hard: when Redis does not answer, the database is asked.
func redisOptions(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, DialerRetries: 1, MaxRetries: -1,
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
	}
}

// close ends the node, the last part made first.
func (n *node) close(ctx context.Context) error {
	err := errors.Join(n.products.Close(ctx), n.store.Close(), n.memory.Close(), n.redis.Close())
	n.db.Close()
	return err
}

// counted is find, whose calls are counted: each is one query.
func (n *node) counted(
	find func(context.Context, int64) (Product, error),
) func(context.Context, int64) (Product, error) {
	return func(ctx context.Context, id int64) (Product, error) {
		n.queries.Add(1)
		time.Sleep(time.Duration(n.slower.Load()))
		return find(ctx, id)
	}
}

func (n *node) countedMany(
	find func(context.Context, []int64) (map[int64]Product, error),
) func(context.Context, []int64) (map[int64]Product, error) {
	return func(ctx context.Context, ids []int64) (map[int64]Product, error) {
		n.queries.Add(1)
		time.Sleep(time.Duration(n.slower.Load()))
		return find(ctx, ids)
	}
}
