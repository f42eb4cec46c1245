package strategies_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

func ExampleWriteBack() {
	ctx := context.Background()
	names := map[int64]string{1: "Ada"} // the source
	find := tarn.LoadFunc(func(_ context.Context, id int64) (string, error) {
		name, ok := names[id]
		if !ok {
			return "", tarn.ErrNotFound
		}
		return name, nil
	})
	save := tarn.WriteFuncs(
		func(_ context.Context, id int64, name string) error { names[id] = name; return nil },
		func(_ context.Context, id int64) error { delete(names, id); return nil })

	mem := memory.New(memory.Options[int64, string]{MaxEntries: 1000})
	defer mem.Close()
	users, err := strategies.WriteBack(strategies.ReadThrough(mem, find), save,
		strategies.WriteBackConfig[int64, string]{})
	if err != nil {
		fmt.Println(err)
		return
	}

	for _, name := range []string{"Grace", "Barbara", "Radia"} {
		if err := users.Set(ctx, 2, name); err != nil {
			fmt.Println(err)
		}
	}
	name, err := users.Get(ctx, 2) // at once
	fmt.Println(name, err)

	err = users.Flush(ctx)
	fmt.Println(names[2], err, users.Stats().Flushed)
	fmt.Println(users.Close(ctx))
	// Output:
	// Radia <nil>
	// Radia <nil> 1
	// <nil>
}

// An application that shuts down keeps what could not be written.
func ExampleWriteBackCache_Pending() {
	ctx := context.Background()
	find := tarn.LoadFunc(func(context.Context, string) (int, error) { return 0, tarn.ErrNotFound })
	save := tarn.WriteManyFuncs(func(context.Context, []tarn.Op[string, int]) error {
		return errors.New("the database is away")
	})
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()
	stock, err := strategies.WriteBack(strategies.ReadThrough(mem, find), save,
		strategies.WriteBackConfig[string, int]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := stock.Set(ctx, "apples", 7); err != nil {
		fmt.Println(err)
	}

	ended, cancel := context.WithCancel(ctx)
	cancel() // no time is left
	err = stock.Close(ended)
	var unwritten *strategies.UnwrittenError[string]
	if errors.As(err, &unwritten) {
		fmt.Println(unwritten.Keys, errors.Is(err, context.Canceled))
	}
	for op := range stock.Pending() {
		fmt.Println(op.Key, op.Value, op.Delete)
	}
	// Output:
	// [apples] true
	// apples 7 false
}
