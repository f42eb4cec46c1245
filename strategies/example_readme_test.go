package strategies_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// User is what the repository of the examples keeps.
type User struct {
	ID   int64
	Name string
}

// userRepo is a repository written the way people write them. Here its table is a map.
type userRepo struct {
	mu    sync.Mutex
	table map[int64]User // protected by mu
	reads int            // protected by mu
}

func newUserRepo() *userRepo {
	return &userRepo{table: map[int64]User{1: {1, "Ada"}, 2: {2, "Grace"}}}
}

func (r *userRepo) Find(_ context.Context, id int64) (User, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	u, ok := r.table[id]
	if !ok {
		return User{}, sql.ErrNoRows
	}
	return u, nil
}

func (r *userRepo) Save(_ context.Context, u User) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table[u.ID] = u
	return nil
}

func (r *userRepo) Remove(_ context.Context, id int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.table, id)
	return nil
}

// Rename renames users in one transaction.
func (r *userRepo) Rename(_ context.Context, names map[int64]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, name := range names {
		r.table[id] = User{id, name}
	}
	return nil
}

func (r *userRepo) FindMany(_ context.Context, ids []int64) (map[int64]User, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := make(map[int64]User)
	for _, id := range ids {
		if u, ok := r.table[id]; ok {
			found[id] = u
		}
	}
	return found, nil
}

// Product is what the other repository of the examples keeps.
type Product struct {
	ID          int64
	Name, Brand string
}

type productRepo struct {
	mu    sync.Mutex
	table map[int64]Product // protected by mu
}

func (r *productRepo) Find(_ context.Context, id int64) (Product, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.table[id]
	if !ok {
		return p, sql.ErrNoRows
	}
	return p, nil
}

func (r *productRepo) RenameBrand(_ context.Context, from, to string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.table {
		if p.Brand == from {
			p.Brand = to
			r.table[id] = p
		}
	}
	return nil
}

var (
	shop = &productRepo{table: map[int64]Product{1: {1, "anvil", "Acme"}, 2: {2, "rocket", "Acme"}}}

	ctx  = context.Background()
	repo = newUserRepo()
	mem  = memory.New(memory.Options[int64, User]{MaxEntries: 1000})
)

func ExampleReadThrough_readme() {
	mem := memory.New(memory.Options[int64, User]{MaxEntries: 100_000})
	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)
	life := strategies.WithTTL(ttl.Policy{Fresh: 5 * time.Minute, Negative: 10 * time.Second, Jitter: 0.1})

	users := strategies.ReadThrough(mem, find, life)

	ada, err := users.Get(ctx, 1) // from the repository; the next five minutes from memory
	fmt.Println(ada.Name, err)

	_, err = users.Get(ctx, 404)
	fmt.Println(errors.Is(err, tarn.ErrNotFound)) // remembered for ten seconds
	// Output:
	// Ada <nil>
	// true
}

func ExampleLookAside_readme() {
	users := strategies.LookAside(mem)

	ada, err := users.Fetch(ctx, 1, tarn.LoadFunc(repo.Find, sql.ErrNoRows))
	fmt.Println(ada.Name, err)

	err = users.Update(ctx, []int64{1, 2}, func(ctx context.Context) error { // any transaction, many keys
		return repo.Rename(ctx, map[int64]string{1: "Ada L.", 2: "Grace H."})
	})
	fmt.Println(err)
	// Output:
	// Ada <nil>
	// <nil>
}

func ExampleWriteThrough_readme() {
	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)
	save := tarn.WriteValueFuncs(repo.Save, repo.Remove)

	users := strategies.WriteThrough(strategies.ReadThrough(mem, find), save)

	err := users.Set(ctx, 3, User{3, "Barbara"}) // the repository first, then the cache
	fmt.Println(err)
	// Output:
	// <nil>
}

func ExampleWriteAround_readme() {
	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)
	save := tarn.WriteValueFuncs(repo.Save, repo.Remove)

	users := strategies.WriteAround(strategies.ReadThrough(mem, find), save)

	err := users.Set(ctx, 4, User{4, "Edsger"}) // the repository alone; a cached copy is dropped
	fmt.Println(err)
	// Output:
	// <nil>
}

func ExampleWriteBack_readme() {
	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)
	save := tarn.WriteValueFuncs(repo.Save, repo.Remove)

	users, err := strategies.WriteBack(strategies.ReadThrough(mem, find), save,
		strategies.WriteBackConfig[int64, User]{MaxDelay: time.Second})
	if err != nil {
		panic(err) // a field of the config makes no sense
	}

	err = users.Set(ctx, 5, User{5, "Radia"}) // readable at once; the repository within a second, in batches
	fmt.Println(err)

	stop, cancel := context.WithTimeout(context.Background(), 10*time.Second) // not the context of what just ended
	defer cancel()
	if err := users.Close(stop); err != nil { // writes what is pending
		for op := range users.Pending() { // what it could not write
			fmt.Println("unwritten:", op.Key)
		}
	}
	// Output:
	// <nil>
}

func Example_readmeBatch() {
	find := tarn.LoadManyFunc(repo.Find, repo.FindMany, sql.ErrNoRows)
	users := strategies.ReadThrough(mem, find)

	many, err := tarn.GetMany(ctx, users, []int64{1, 2, 404}) // one FindMany for all that are not cached
	fmt.Println(len(many), err)
	// Output:
	// 2 <nil>
}

func Example_readmePolicies() {
	users := strategies.LookAside(mem, strategies.WithTTL(ttl.Policy{Fresh: time.Hour}))

	err := users.SetFor(ctx, 1, User{1, "Ada"}, ttl.Policy{Fresh: time.Minute}) // a life for this value
	fmt.Println(err)

	found := strategies.ReadThrough(mem, tarn.LoadEntryFunc(
		func(ctx context.Context, id int64) (tarn.Loaded[User], error) { // a life that the loader chooses
			u, err := repo.Find(ctx, id)
			life := ttl.Policy{Fresh: time.Duration(id) * time.Minute, Negative: 10 * time.Second}
			return tarn.Loaded[User]{Value: u, Policy: &life}, err
		}, sql.ErrNoRows))
	u, err := found.Get(ctx, 2)
	fmt.Println(u.ID, err)
	// Output:
	// <nil>
	// 2 <nil>
}

func Example_readmeObserver() {
	var hits, misses atomic.Int64
	count := strategies.WithObserver(tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
		switch e.Kind {
		case tarn.EventHit:
			hits.Add(int64(e.N))
		case tarn.EventMiss:
			misses.Add(int64(e.N))
		}
	}))
	users := strategies.ReadThrough(memory.New(memory.Options[int64, User]{MaxEntries: 10}),
		tarn.LoadFunc(repo.Find, sql.ErrNoRows), count) // and to the write strategy too, for its writes

	_, _ = users.Get(ctx, 2)
	_, _ = users.Get(ctx, 2)
	fmt.Println(hits.Load(), misses.Load())
	// Output:
	// 1 1
}

func Example_readmeResilience() {
	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)
	users := strategies.ReadThrough(memory.New(memory.Options[int64, User]{MaxEntries: 10_000}), find,
		strategies.WithTTL(ttl.Policy{
			Fresh:                time.Minute,
			RefreshAfter:         0.8,              // from 80 % of the life on, whoever uses it has it reloaded in the background
			StaleWhileRevalidate: time.Minute,      // after that minute, the old value at once while one caller reloads
			StaleIfError:         24 * time.Hour,   // and for a day, if the source fails
			Throttle:             10 * time.Second, // then it is asked again only after this time, by one caller
			Jitter:               0.1,
		}),
		strategies.WithSoftTimeout(100*time.Millisecond), // longer nobody waits who could be given an old value
		strategies.WithHardTimeout(2*time.Second),        // nor anybody longer than this
		strategies.WithLoadTimeout(10*time.Second),       // a load goes on without them for as long, and is stored
		strategies.WithStoreTimeout(50*time.Millisecond), // a Redis that is slower has failed; a read asks it up to twice first
	)

	a, err := users.Answer(ctx, 1) // Get, for who wants to know how it was answered, and how long that is fresh
	fmt.Println(a.How, err)
	a, err = users.Answer(ctx, 1)
	fmt.Println(a.How, a.FreshFor > 50*time.Second, err)
	// Output:
	// loaded <nil>
	// fresh true <nil>
}

func Example_readmeTags() {
	mem := memory.New(memory.Options[int64, Product]{MaxEntries: 100_000})
	find := tarn.LoadFunc(shop.Find, sql.ErrNoRows)
	tags := strategies.WithTags(func(_ int64, p Product) []string { return []string{"brand:" + p.Brand} })

	products := strategies.ReadThrough(mem, find, tags)

	p, err := products.Get(ctx, 1)
	fmt.Println(p.Brand, err)

	err = shop.RenameBrand(ctx, "Acme", "Ace") // one statement, and who knows how many products
	fmt.Println(err)
	err = products.InvalidateTags(ctx, "brand:Acme") // all of them are gone, at the cost of one
	fmt.Println(err)

	p, err = products.Get(ctx, 1)
	fmt.Println(p.Brand, err)
	// Output:
	// Acme <nil>
	// <nil>
	// <nil>
	// Ace <nil>
}

func Example_readmeDeadLetter() {
	save := tarn.WriteValueFuncs(func(context.Context, User) error {
		return tarn.Permanent(errors.New("name is taken")) // trying again will not mend it
	}, repo.Remove)
	users, err := strategies.WriteBack(strategies.ReadThrough(mem, tarn.LoadFunc(repo.Find, sql.ErrNoRows)), save,
		strategies.WriteBackConfig[int64, User]{
			DeadLetter: func(_ context.Context, letter strategies.DeadLetter[int64, User]) {
				fmt.Println("given up:", letter.Op.Value.Name, letter.Err)
			},
		})
	if err != nil {
		panic(err)
	}

	err = users.Set(ctx, 6, User{6, "Ada"})
	fmt.Println(err, users.Flush(ctx))
	_ = users.Close(ctx)
	// Output:
	// given up: Ada name is taken
	// <nil> <nil>
}
