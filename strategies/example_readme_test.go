package strategies_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
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

func (r *userRepo) Rename(_ context.Context, id int64, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table[id] = User{id, name}
	return nil
}

var (
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
		return errors.Join(repo.Rename(ctx, 1, "Ada L."), repo.Rename(ctx, 2, "Grace H."))
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

	err = users.Close(ctx) // writes what is pending, and says what it could not write
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
}
