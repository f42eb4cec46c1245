package memory_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

func ExampleNew() {
	users := memory.New(memory.Options[int64, string]{MaxEntries: 100_000})
	defer users.Close()

	_ = users.Put(42, "Ada", 0) // until it is evicted
	fmt.Println(users.Value(42))
	fmt.Println(users.Value(7))
	// Output:
	// Ada true
	//  false
}

func ExampleStore_Put() {
	sessions := memory.New(memory.Options[string, string]{MaxEntries: 1000})
	defer sessions.Close()

	if err := sessions.Put("c0ffee", "Ada", 30*time.Minute); err != nil {
		fmt.Println(err)
	}
	user, found := sessions.Value("c0ffee")
	fmt.Println(user, found)
	fmt.Println(sessions.Put("c0ffee", "Ada", -time.Second))
	// Output:
	// Ada true
	// memory: put: life is negative: -1s
}

func ExampleStore_Value() {
	prices := memory.New(memory.Options[string, float64]{MaxEntries: 1000})
	defer prices.Close()

	_ = prices.Put("tea", 3.5, time.Minute)
	if price, found := prices.Value("tea"); found {
		fmt.Println(price)
	}
	// Output: 3.5
}

func ExampleOptions_weigh() {
	pages := memory.New(memory.Options[string, []byte]{
		MaxWeight: 1 << 20, // bytes
		Weigh:     func(path string, page []byte) int64 { return int64(len(path) + len(page)) },
	})
	defer pages.Close()

	_ = pages.Put("/", make([]byte, 500_000), 0)
	fmt.Println(pages.Stats().Weight)
	fmt.Println(pages.Put("/film", make([]byte, 2<<20), 0))
	// Output:
	// 500001
	// tarn: entry is heavier than the limit
}

func ExampleOptions_onRemove() {
	files := memory.New(memory.Options[string, int]{
		MaxEntries: 2,
		OnRemove: func(r memory.Removal[string, int]) {
			fmt.Println(r.Key, r.Value, r.Cause)
		},
	})
	defer files.Close()

	_ = files.Put("a", 1, 0)
	_ = files.Put("a", 2, 0)
	_ = files.Delete(context.Background(), "a")
	_ = files.Put("b", 3, 0)
	_ = files.Clear(context.Background())
	// Output:
	// a 1 replaced
	// a 2 deleted
	// b 3 cleared
}

func ExampleStore_Compute() {
	visits := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer visits.Close()

	count := func(old tarn.Entry[int], found bool) (tarn.Entry[int], tarn.ComputeOp) {
		old.Value++
		return old, tarn.ComputeStore
	}
	for range 3 {
		e, _, err := visits.Compute(context.Background(), "/", count)
		fmt.Println(e.Value, err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
}

func ExampleStore_All() {
	s := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer s.Close()

	_ = s.Put("one", 1, 0)
	_ = s.Put("two", 2, 0)
	sum := 0
	for _, v := range s.All() {
		sum += v
	}
	fmt.Println(s.Len(), sum)
	// Output: 2 3
}
