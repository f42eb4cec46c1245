package snapshot_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/snapshot"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// User is what the examples keep.
type User struct {
	ID   int64
	Name string
}

// table is the source of the examples.
type table struct{ reads int }

func (r *table) Find(_ context.Context, id int64) (User, error) {
	r.reads++
	return User{id, "Ada"}, nil
}

var (
	ctx  = context.Background()
	repo table
	path = filepath.Join(os.TempDir(), fmt.Sprintf("users-%d.snapshot", os.Getpid())) // which TestMain removes
)

func Example_readme() {
	format := snapshot.New(snapshot.Config[int64, User]{Name: "users"})
	options := memory.Options[int64, User]{MaxEntries: 100_000}
	life := strategies.WithTTL(ttl.Policy{Fresh: time.Hour})
	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)

	mem := memory.New(options)
	users := strategies.ReadThrough(mem, find, life)
	_, _ = users.Get(ctx, 1)

	_ = users.Close(ctx)                          // before the process ends: first the strategy,
	saved, err := format.SaveFile(ctx, path, mem) // then the snapshot, which may be saved now and then, too,
	_ = mem.Close()                               // then the store
	fmt.Println(saved.Entries, err)

	next := memory.New(options) // in the process after it
	loaded, err := format.LoadFile(ctx, path, next)
	if err != nil {
		fmt.Println("it starts cold:", err) // no file yet, or one that was refused; nothing of it was loaded
	}
	ada, err := strategies.ReadThrough(next, find, life).Get(ctx, 1)
	fmt.Println(loaded.Entries, ada.Name, err, repo.reads) // the repository was read once, by the first process
	// Output:
	// 1 <nil>
	// 1 Ada <nil> 1
}
