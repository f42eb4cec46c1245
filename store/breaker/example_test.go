package breaker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarncache/tarn/store/breaker"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
)

func ExampleNew() {
	ctx := context.Background()
	mem := memory.New(memory.Options[string, int]{MaxEntries: 100})
	defer mem.Close()
	down := faulty.New(mem)
	down.Inject(faulty.Fault{Kind: faulty.Fail})

	s := breaker.New(down, breaker.Config{Failures: 2})
	for range 3 {
		_, _, err := s.Get(ctx, "ada")
		fmt.Println(errors.Is(err, breaker.ErrOpen))
	}
	fmt.Println(s.State(), down.Calls(faulty.Get))

	// What keeps old values from being read is never left out.
	s.Delete(ctx, "ada")
	fmt.Println(down.Calls(faulty.Delete))

	// Output:
	// false
	// false
	// true
	// open 2
	// 1
}
