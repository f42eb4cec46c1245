package bolt_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// User is what the repository of the example keeps.
type User struct {
	ID   int64
	Name string
}

// userRepo is a repository whose table is a map, and which refuses a user without a name, as a constraint would.
type userRepo struct {
	mu    sync.Mutex
	table map[int64]User // protected by mu
}

func (r *userRepo) Find(_ context.Context, id int64) (User, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.table[id]
	if !ok {
		return User{}, sql.ErrNoRows
	}
	return u, nil
}

func (r *userRepo) Save(_ context.Context, u User) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.Name == "" {
		return tarn.Permanent(errors.New("a user needs a name")) // trying again will not mend it
	}
	r.table[u.ID] = u
	return nil
}

func (r *userRepo) Remove(_ context.Context, id int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.table, id)
	return nil
}

var (
	ctx  = context.Background()
	repo = &userRepo{table: map[int64]User{}}
	mem  = memory.New(memory.Options[int64, User]{MaxEntries: 1000})
	dir  string // made and removed by TestMain
)

func ExampleOpen_readme() {
	pending, err := bolt.Open(filepath.Join(dir, "users.journal"), bolt.Options{}) // dir is on a local disk
	if err != nil {
		panic(err) // another process has it, or it is damaged, for example
	}
	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)
	save := tarn.WriteValueFuncs(repo.Save, repo.Remove) // or a fence, see below

	users, err := strategies.WriteBack(strategies.ReadThrough(mem, find), save,
		strategies.WriteBackConfig[int64, User]{Journal: pending})
	if err != nil {
		panic(err) // the journal has something that cannot be read, for example
	}
	fmt.Println(users.Stats().Replayed) // found of an earlier process

	err = users.Set(ctx, 5, User{5, "Radia"}) // on the disk when it returns
	fmt.Println(err)
	err = users.Set(ctx, 6, User{6, ""}) // so is this, which the repository will refuse
	fmt.Println(err, users.Flush(ctx))

	for letter := range users.DeadLetters() { // they stay in the journal until somebody decides
		fmt.Println("given up:", letter.Op.Key, letter.Err)
	}
	n, err := users.DropDeadLetters(ctx, 6) // or RetryDeadLetters, or Set anew
	fmt.Println(n, err)

	stop, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(users.Close(stop), pending.Close()) // what Close cannot write is for the next process
	// Output:
	// 0
	// <nil>
	// <nil> <nil>
	// given up: 6 a user needs a name
	// 1 <nil>
	// <nil> <nil>
}
