package tarn_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Users is a repository as people write them.
type Users struct{ names map[int64]string }

func NewUsers() *Users { return &Users{names: map[int64]string{1: "Ada", 2: "Grace"}} }

func (u *Users) Find(_ context.Context, id int64) (string, error) {
	name, ok := u.names[id]
	if !ok {
		return "", sql.ErrNoRows
	}
	return name, nil
}

func (u *Users) FindMany(_ context.Context, ids []int64) (map[int64]string, error) {
	found := map[int64]string{}
	for _, id := range ids {
		if name, ok := u.names[id]; ok {
			found[id] = name
		}
	}
	return found, nil
}

func (u *Users) Save(_ context.Context, id int64, name string) error {
	u.names[id] = name
	return nil
}

func (u *Users) Remove(_ context.Context, id int64) error {
	delete(u.names, id)
	return nil
}

func ExampleLoadFunc() {
	repo := NewUsers()
	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)

	name, err := find.Load(context.Background(), 1)
	fmt.Println(name, err)
	_, err = find.Load(context.Background(), 3)
	fmt.Println(errors.Is(err, tarn.ErrNotFound))
	// Output:
	// Ada <nil>
	// true
}

func ExampleLoadManyFunc() {
	repo := NewUsers()
	find := tarn.LoadManyFunc(repo.Find, repo.FindMany, sql.ErrNoRows)

	many, _ := tarn.As[tarn.BatchLoader[int64, string]](find)
	loaded := make([]tarn.Loaded[string], 3)
	if err := many.LoadMany(context.Background(), []int64{2, 3, 1}, loaded); err != nil {
		fmt.Println(err)
	}
	for _, l := range loaded {
		fmt.Printf("%q %v\n", l.Value, l.Err)
	}
	// Output:
	// "Grace" <nil>
	// "" tarn: not found
	// "Ada" <nil>
}

func ExampleLoadEntryFunc() {
	// A row knows how long it may be cached.
	find := func(_ context.Context, id int64) (tarn.Loaded[string], error) {
		if id != 1 {
			return tarn.Loaded[string]{Policy: &ttl.Policy{Negative: time.Second}}, sql.ErrNoRows
		}
		return tarn.Loaded[string]{Value: "Ada", Policy: &ttl.Policy{Fresh: 90 * time.Second}}, nil
	}
	loader, _ := tarn.As[tarn.EntryLoader[int64, string]](tarn.LoadEntryFunc(find, sql.ErrNoRows))

	loaded, err := loader.LoadEntry(context.Background(), 1)
	fmt.Println(loaded.Value, loaded.Policy.Fresh, err)
	loaded, err = loader.LoadEntry(context.Background(), 2)
	fmt.Println(loaded.Policy.Negative, err)
	// Output:
	// Ada 1m30s <nil>
	// 1s tarn: not found
}

func ExampleWriteFuncs() {
	repo := NewUsers()
	save := tarn.WriteFuncs(repo.Save, repo.Remove)

	fmt.Println(save.Save(context.Background(), 1, "Ada Lovelace"))
	fmt.Println(save.Delete(context.Background(), 2))
	fmt.Println(repo.names)
	// Output:
	// <nil>
	// <nil>
	// map[1:Ada Lovelace]
}

func ExampleWriteValueFuncs() {
	type product struct{ sku, name string }
	shelf := map[string]product{}
	put := func(_ context.Context, p product) error { shelf[p.sku] = p; return nil }
	remove := func(_ context.Context, sku string) error { delete(shelf, sku); return nil }

	save := tarn.WriteValueFuncs(put, remove)
	fmt.Println(save.Save(context.Background(), "A1", product{"A1", "lamp"}))
	fmt.Println(shelf)
	// Output:
	// <nil>
	// map[A1:{A1 lamp}]
}

func ExampleWriteManyFuncs() {
	// One statement, or one transaction, for many operations.
	apply := func(_ context.Context, ops []tarn.Op[int64, string]) error {
		for _, op := range ops {
			if op.Delete {
				fmt.Println("delete", op.Key)
				continue
			}
			fmt.Println("upsert", op.Key, op.Value)
		}
		return nil
	}
	save := tarn.WriteManyFuncs(apply)

	batch, _ := tarn.As[tarn.BatchWriter[int64, string]](save)
	fmt.Println(batch.Apply(context.Background(), []tarn.Op[int64, string]{
		{Key: 1, Value: "Ada"}, {Key: 2, Delete: true},
	}))
	// Output:
	// upsert 1 Ada
	// delete 2
	// <nil>
}

func ExampleGetMany() {
	cache := newMapCache[string, int]() // any Cache
	cache.values = map[string]int{"apples": 3, "pears": 5}

	stock, err := tarn.GetMany(context.Background(), cache, []string{"apples", "pears", "plums"})
	fmt.Println(stock, err)
	// Output: map[apples:3 pears:5] <nil>
}

func ExampleSetMany() {
	cache := newMapCache[string, int]() // any Cache
	err := tarn.SetMany(context.Background(), cache, map[string]int{"apples": 3, "pears": 5})
	fmt.Println(cache.values, err)
	// Output: map[apples:3 pears:5] <nil>
}

func ExampleDeleteMany() {
	cache := newMapCache[string, int]() // any Cache
	cache.values = map[string]int{"apples": 3, "pears": 5}
	err := tarn.DeleteMany(context.Background(), cache, []string{"apples", "plums"})
	fmt.Println(slices.Collect(maps.Keys(cache.values)), err)
	// Output: [pears] <nil>
}

func ExampleBatchError() {
	cache := newMapCache[string, int]() // any Cache, with two keys that fail
	cache.values["apples"] = 3
	cache.broken["pears"] = context.DeadlineExceeded
	cache.broken["plums"] = tarn.ErrClosed

	stock, err := tarn.GetMany(context.Background(), cache, []string{"apples", "pears", "plums"})
	fmt.Println(stock)
	var failed *tarn.BatchError[string]
	if errors.As(err, &failed) {
		for _, f := range failed.Failed {
			fmt.Println(f.Key, "-", f.Err)
		}
	}
	fmt.Println(errors.Is(err, tarn.ErrClosed))
	// Output:
	// map[apples:3]
	// pears - context deadline exceeded
	// plums - tarn: closed
	// true
}

// A decorator of a store answers for what it wraps, so that nothing is lost by it and nothing bypasses it.
func ExampleAs() {
	plain := mapStore[string, int]{}
	leasing := guardedStore{plain}

	_, ok := tarn.As[tarn.Leaser[string, int]](logged{plain})
	fmt.Println("around a plain store:", ok)
	_, ok = tarn.As[tarn.Leaser[string, int]](logged{leasing})
	fmt.Println("around one that leases:", ok)
	_, ok = tarn.As[tarn.Holder[string, int]](logged{leasing})
	fmt.Println("holds, which it does not pass on:", ok)
	// Output:
	// around a plain store: false
	// around one that leases: true
	// holds, which it does not pass on: false
}

func ExamplePermanent() {
	violated := errors.New("unique constraint violated")
	err := fmt.Errorf("save user: %w", tarn.Permanent(violated))
	fmt.Println(err)
	fmt.Println(tarn.IsPermanent(err), errors.Is(err, violated))
	// Output:
	// save user: unique constraint violated
	// true true
}

func ExampleObserverFunc() {
	counts := map[tarn.EventKind]int{}
	observer := tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
		counts[e.Kind] += e.N // a real one counts atomically
	})
	observer.Observe(context.Background(), tarn.Event{Kind: tarn.EventHit, N: 1})
	observer.Observe(context.Background(), tarn.Event{Kind: tarn.EventMiss, N: 2})
	fmt.Println(tarn.EventHit, counts[tarn.EventHit])
	fmt.Println(tarn.EventMiss, counts[tarn.EventMiss])
	// Output:
	// hit 1
	// miss 2
}
