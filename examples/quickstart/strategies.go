package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// catalogue is what the workload drives: the products, read and written in one way or another.
type catalogue struct {
	read  func(ctx context.Context, id int64) (Product, error)
	write func(ctx context.Context, p Product) error
	close func(ctx context.Context) error
}

// way is one way to the products. It opens a catalogue over a repository; mem is an empty cache of its own, and
// watch tells what happens in it.
type way struct {
	name   string
	cached bool
	open   func(repo *source, mem tarn.Store[int64, Product], watch strategies.Option) (catalogue, error)
}

var ways = []way{
	{"bare database", false, bare},
	{"look-aside", true, lookAside},
	{"read-through", true, readThrough},
	{"write-through", true, writeThrough},
	{"write-around", true, writeAround},
	{"write-back", true, writeBack},
}

// life is how long a product stays cached, unless it is written, or evicted, before.
var life = strategies.WithTTL(ttl.Policy{Fresh: 5 * time.Minute, Negative: 10 * time.Second, Jitter: 0.1})

// bare uses no cache.
func bare(repo *source, _ tarn.Store[int64, Product], _ strategies.Option) (catalogue, error) {
	return catalogue{
		read:  repo.Find,
		write: repo.Save,
		close: func(context.Context) error { return nil },
	}, nil
}

// lookAside: the application asks the cache and says how to load what it lacks; it writes the database itself, and
// Update keeps the cache right meanwhile.
func lookAside(repo *source, mem tarn.Store[int64, Product], watch strategies.Option) (catalogue, error) {
	find := tarn.LoadManyFunc(repo.Find, repo.FindMany, sql.ErrNoRows)
	products := strategies.LookAside(mem, life, watch)
	return catalogue{
		read: func(ctx context.Context, id int64) (Product, error) {
			return products.Fetch(ctx, id, find)
		},
		write: func(ctx context.Context, p Product) error {
			return products.Update(ctx, []int64{p.ID}, func(ctx context.Context) error {
				return repo.Save(ctx, p)
			})
		},
		close: products.Close,
	}, nil
}

// readThrough: the cache loads what it lacks; the application writes the database itself and then drops the
// cached copy.
func readThrough(repo *source, mem tarn.Store[int64, Product], watch strategies.Option) (catalogue, error) {
	find := tarn.LoadManyFunc(repo.Find, repo.FindMany, sql.ErrNoRows)
	products := strategies.ReadThrough(mem, find, life, watch)
	return catalogue{
		read: products.Get,
		write: func(ctx context.Context, p Product) error {
			err := repo.Save(ctx, p)
			// Also if Save failed, for the row may have changed all the same, and if ctx has ended meanwhile.
			return errors.Join(err, products.Delete(context.WithoutCancel(ctx), p.ID))
		},
		close: products.Close,
	}, nil
}

// writeThrough: a write goes to the database and then into the cache.
func writeThrough(repo *source, mem tarn.Store[int64, Product], watch strategies.Option) (catalogue, error) {
	find := tarn.LoadManyFunc(repo.Find, repo.FindMany, sql.ErrNoRows)
	save := tarn.WriteValueFuncs(repo.Save, repo.Remove)
	products := strategies.WriteThrough(strategies.ReadThrough(mem, find, life, watch), save, watch)
	return cached(products), nil
}

// writeAround: a write goes to the database alone, and the cached copy is dropped.
func writeAround(repo *source, mem tarn.Store[int64, Product], watch strategies.Option) (catalogue, error) {
	find := tarn.LoadManyFunc(repo.Find, repo.FindMany, sql.ErrNoRows)
	save := tarn.WriteValueFuncs(repo.Save, repo.Remove)
	products := strategies.WriteAround(strategies.ReadThrough(mem, find, life, watch), save, watch)
	return cached(products), nil
}

// writeBack: a write is acknowledged at once and reaches the database soon after, in a batch, and together with
// later writes of the same product. There is no journal here: a crash would lose what is pending. With -redis, other
// processes could read older values meanwhile, but there are none.
func writeBack(repo *source, mem tarn.Store[int64, Product], watch strategies.Option) (catalogue, error) {
	find := tarn.LoadManyFunc(repo.Find, repo.FindMany, sql.ErrNoRows)
	save := tarn.WriteManyFuncs(repo.Apply)
	products, err := strategies.WriteBack(strategies.ReadThrough(mem, find, life, watch), save,
		strategies.WriteBackConfig[int64, Product]{}, watch, strategies.WithSharedStore())
	if err != nil {
		return catalogue{}, err
	}
	return cached(products), nil
}

// cached is the catalogue of a cache that writes too.
func cached(products interface {
	tarn.Cache[int64, Product]
	Close(ctx context.Context) error
}) catalogue {
	return catalogue{
		read:  products.Get,
		write: func(ctx context.Context, p Product) error { return products.Set(ctx, p.ID, p) },
		close: products.Close,
	}
}
