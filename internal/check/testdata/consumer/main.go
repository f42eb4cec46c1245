// Command consumer is a stranger's program: it has nothing of tarn but what a release has.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1)
	}
}

// run reads one name three times and one that is not there, and prints how often the source was asked.
func run(ctx context.Context) error {
	source := map[int64]string{42: "Ada"}
	loads := 0
	find := tarn.LoadFunc(func(_ context.Context, id int64) (string, error) {
		loads++
		name, ok := source[id]
		if !ok {
			return "", tarn.ErrNotFound
		}
		return name, nil
	})
	names := strategies.ReadThrough(memory.New(memory.Options[int64, string]{MaxEntries: 100}), find,
		strategies.WithTTL(ttl.Policy{Fresh: time.Minute}))

	for range 3 {
		name, err := names.Get(ctx, 42)
		if err != nil || name != "Ada" {
			return fmt.Errorf("got %q, %w", name, err)
		}
	}
	if _, err := names.Get(ctx, 7); !errors.Is(err, tarn.ErrNotFound) {
		return fmt.Errorf("not ErrNotFound: %w", err)
	}
	fmt.Println("loads:", loads)
	return nil
}
