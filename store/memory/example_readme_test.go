package memory_test

import (
	"fmt"
	"time"

	"github.com/tarncache/tarn/store/memory"
)

func ExampleStore_readme() {
	sessions := memory.New(memory.Options[string, int64]{MaxEntries: 10_000})
	defer sessions.Close()

	err := sessions.Put("token", 42, 30*time.Minute)
	fmt.Println(err)

	user, ok := sessions.Value("token")
	fmt.Println(user, ok)
	// Output:
	// <nil>
	// 42 true
}
