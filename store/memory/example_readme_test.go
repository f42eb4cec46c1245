package memory_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tarncache/tarn/store/memory"
)

func ExampleStore_readme() {
	sessions := memory.New(memory.Options[string, int64]{MaxEntries: 10_000})
	defer sessions.Close()

	err := sessions.Put("token", 42, 30*time.Minute) // a life of 0: until it is evicted
	fmt.Println(err)

	user, ok := sessions.Value("token")
	fmt.Println(user, ok)
	// Output:
	// <nil>
	// 42 true
}

func ExampleStore_readmeWeighed() {
	pages := memory.New(memory.Options[string, []byte]{
		MaxWeight: 256 << 20, // bytes, of which an entry takes some 80 beside its key and value
		Weigh:     func(path string, page []byte) int64 { return int64(len(path) + len(page) + 80) },
		OnRemove: func(r memory.Removal[string, []byte]) { // by whichever goroutine: several may call at once
			fmt.Println(r.Key, r.Cause) // evicted, expired, replaced, deleted or cleared
		},
	})
	defer pages.Close() // tells OnRemove nothing; Clear does

	_ = pages.Put("/", []byte("home"), 0)
	_ = pages.Put("/film", []byte("a film"), time.Hour)
	_ = pages.Delete(context.Background(), "/film")

	for path, page := range pages.All() {
		fmt.Println(path, len(page))
	}
	fmt.Println(pages.Resize(128<<20), pages.Stats().Entries)
	// Output:
	// /film deleted
	// / 4
	// <nil> 1
}
