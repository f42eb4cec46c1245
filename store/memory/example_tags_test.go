package memory_test

import (
	"context"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// Pages are tagged with what they show, and forgotten when that changes, however many they are.
func ExampleStore_InvalidateTags() {
	ctx := context.Background()
	pages := memory.New(memory.Options[string, string]{MaxEntries: 1000})
	defer pages.Close()

	put := func(path, page string, tags ...string) {
		t, err := tarn.NewTags(0, tags...) // as of the moment at which they are stored
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := pages.Set(ctx, path, tarn.Entry[string]{Value: page, Tags: t}); err != nil {
			fmt.Println(err)
		}
	}
	put("/", "welcome", "menu")
	put("/ada", "Ada's page", "menu", "user:1")
	put("/ada/notes", "Ada's notes", "user:1")

	if err := pages.InvalidateTags(ctx, "user:1"); err != nil {
		fmt.Println(err)
	}
	for _, path := range []string{"/", "/ada", "/ada/notes"} {
		_, found := pages.Value(path)
		fmt.Println(path, found)
	}
	// Output:
	// / true
	// /ada false
	// /ada/notes false
}
