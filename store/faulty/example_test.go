package faulty_test

import (
	"context"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
)

func ExampleNew() {
	ctx := context.Background()
	inner := memory.New(memory.Options[string, int]{MaxEntries: 100})
	defer inner.Close()
	s := faulty.New(inner)

	// The reply to one Set is lost: it is done, and fails.
	s.Inject(faulty.Fault{Kind: faulty.LoseReply, Ops: faulty.Set, Times: 1})
	fmt.Println(s.Set(ctx, "ada", tarn.Entry[int]{Value: 36}))
	e, found, err := s.Get(ctx, "ada")
	fmt.Println(e.Value, found, err)

	// The store is down, and comes back.
	down := s.Inject(faulty.Fault{Kind: faulty.Fail})
	_, _, err = s.Get(ctx, "ada")
	fmt.Println(err)
	down.Release()
	_, found, err = s.Get(ctx, "ada")
	fmt.Println(found, err)
	// Output:
	// faulty: injected fault
	// 36 true <nil>
	// faulty: injected fault
	// true <nil>
}
