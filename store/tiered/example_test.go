package tiered_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
)

func ExampleNew() {
	ctx := context.Background()
	shared := farstore.New(memory.New(memory.Options[string, int]{MaxEntries: 1000})) // in place of a Redis
	source := map[string]int{"ada": 36}
	find := tarn.LoadFunc(func(_ context.Context, name string) (int, error) { return source[name], nil })
	save := tarn.WriteFuncs(
		func(_ context.Context, name string, age int) error { source[name] = age; return nil },
		func(_ context.Context, name string) error { delete(source, name); return nil },
	)

	// Each process has a store of its own, near, in front of the one that they share.
	process := func() (*strategies.WriteThroughCache[string, int], func() error) {
		near := memory.New(memory.Options[string, int]{MaxEntries: 100})
		store := tiered.New(near, shared.View())
		return strategies.WriteThrough(strategies.ReadThrough(store, find), save), store.Close
	}
	one, closeOne := process()
	defer closeOne()
	two, closeTwo := process()
	defer closeTwo()

	fmt.Println(one.Get(ctx, "ada"))
	fmt.Println(two.Get(ctx, "ada"))
	fmt.Println(one.Set(ctx, "ada", 37))
	fmt.Println(one.Get(ctx, "ada")) // at once; within the bound the other process does so too
	// Output:
	// 36 <nil>
	// 36 <nil>
	// <nil>
	// 37 <nil>
}

func ExampleUnwatched() {
	ctx := context.Background()
	far := memory.New(memory.Options[string, int]{MaxEntries: 1000}) // tells nobody of changes
	defer far.Close()
	near := memory.New(memory.Options[string, int]{MaxEntries: 100})
	defer near.Close()
	store := tiered.New(near, far, tiered.Unwatched(5*time.Second))
	defer store.Close()

	store.Set(ctx, "ada", tarn.Entry[int]{Value: 36})
	store.Get(ctx, "ada")
	far.Set(ctx, "ada", tarn.Entry[int]{Value: 37}) // behind its back
	e, found, err := store.Get(ctx, "ada")
	fmt.Println(e.Value, found, err) // for five seconds
	// Output:
	// 36 true <nil>
}

func ExampleMaxLife() {
	ctx := context.Background()
	inner := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	near := memory.New(memory.Options[string, int]{MaxEntries: 100})
	store := tiered.New(near, farstore.New(inner).View(), tiered.MaxLife(time.Minute))
	defer store.Close()

	fmt.Println(store.Set(ctx, "ada", tarn.Entry[int]{Value: 36}))
	// Output:
	// <nil>
}
