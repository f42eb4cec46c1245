package fence_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/fence"
)

// User is what the application has in its database.
type User struct{ Name string }

// repository is the application's own; db is its database.
type repository struct{ f *fake }

// Find is
//
//	select name from users where id = $1 and not deleted
func (r repository) Find(_ context.Context, id int64) (User, error) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	row, ok := r.f.rows[id]
	if !ok || row.deleted {
		return User{}, sql.ErrNoRows
	}
	return User{row.name}, nil
}

var (
	ctx     = context.Background()
	mem     = memory.New(memory.Options[int64, User]{MaxEntries: 1000})
	fdb, db = openFake()
	repo    = repository{fdb}
)

func ExampleNew_readme() {
	table := fence.Table{
		Dialect: fence.Postgres, // or SQLite, or MySQL
		Name:    "users", Key: []string{"id"}, Values: []string{"name"},
	}
	save := fence.New(db, fence.Config[int64, User]{
		Statements: table.Statements(),
		Values:     func(u User) []any { return []any{u.Name} },
	})
	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows) // select name from users where id = $1 and not deleted

	users, err := strategies.WriteBack(strategies.ReadThrough(mem, find), save,
		strategies.WriteBackConfig[int64, User]{MaxDelay: time.Second})
	if err != nil {
		panic(err) // a field of the config makes no sense
	}
	err = users.Set(ctx, 5, User{"Radia"})
	fmt.Println(err, users.Flush(ctx), save.Stats().Applied)
	// Output:
	// <nil> <nil> 1
}

// What was sent before a delete, and arrives after it, brings nothing back.
func ExampleWriter_Apply() {
	f, db := openFake()
	defer db.Close()
	save := fence.New(db, fence.Config[int64, string]{
		Statements: usersTable.Statements(),
		Values:     func(name string) []any { return []any{name} },
	})
	first := tarn.Op[int64, string]{Key: 1, Value: "Ada", Epoch: 7, Seq: 1}
	second := tarn.Op[int64, string]{Key: 1, Delete: true, Epoch: 7, Seq: 2}
	for _, op := range []tarn.Op[int64, string]{first, second, first} {
		fmt.Println(save.Apply(context.Background(), []tarn.Op[int64, string]{op}), f.table())
	}
	fmt.Printf("%+v\n", save.Stats())
	// Output:
	// <nil> 1: Ada
	// <nil> 1: (deleted)
	// <nil> 1: (deleted)
	// {Applied:2 Refused:1 Singly:0}
}

func ExampleTable() {
	s := fence.Table{Dialect: fence.SQLite, Name: "users", Key: []string{"id"}, Values: []string{"name"}}.Statements()
	fmt.Println(strings.NewReplacer(" values", "\nvalues", " on", "\non", " set", "\nset", " where", "\nwhere").Replace(s.Save))
	fmt.Println(s.Version)
	// Output:
	// insert into users as prior (id, name, deleted, epoch, seq)
	// values (?, ?, false, ?, ?)
	// on conflict (id) do update
	// set name = excluded.name, deleted = excluded.deleted, epoch = excluded.epoch, seq = excluded.seq
	// where prior.epoch is not excluded.epoch or prior.seq < excluded.seq
	// select epoch, seq from users where id = ?
}

// A batch of merged writes is applied in the transaction that records it.
func ExampleLedger() {
	_, db := openFake()
	defer db.Close()
	ledger := fence.NewLedger(fence.Postgres, "batches") // ledger.Schema() makes the table

	views := map[int64]int{1: 3, 2: 4} // of two pages, since the last batch
	batch := fence.Batch{Epoch: 7, Seq: 12, Settled: 11}
	err := ledger.Do(context.Background(), db, batch, func(tx *sql.Tx) error {
		for page, n := range views {
			if _, err := tx.Exec(`update pages set views = views + $1 where id = $2`, n, page); err != nil {
				return err
			}
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// <nil>
}
