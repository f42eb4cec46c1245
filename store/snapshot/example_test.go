package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/snapshot"
)

// A process saves what it has before it ends, and the next one begins with it.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "snapshot")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "products.snapshot")
	products := snapshot.New(snapshot.Config[int64, string]{Name: "products"})

	old := memory.New(memory.Options[int64, string]{MaxEntries: 1000})
	defer old.Close()
	if err := old.Set(ctx, 1, tarn.Entry[string]{Value: "lamp"}); err != nil {
		panic(err)
	}
	saved, err := products.SaveFile(ctx, path, old)
	fmt.Printf("%+v %v\n", saved, err)

	mem := memory.New(memory.Options[int64, string]{MaxEntries: 1000})
	defer mem.Close()
	loaded, err := products.LoadFile(ctx, path, mem)
	fmt.Printf("%+v %v\n", loaded, err)
	e, found, err := mem.Get(ctx, 1)
	fmt.Println(e.Value, found, err)
	// Output:
	// {Entries:1 Expired:0 Skipped:0} <nil>
	// {Entries:1 Expired:0 Skipped:0} <nil>
	// lamp true <nil>
}
