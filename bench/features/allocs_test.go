package features_test

import (
	"context"
	"testing"
	"time"
)

// TestHitsAllocate compares a hit of a read-through with what the table says of it.
func TestHitsAllocate(t *testing.T) {
	if racing {
		t.Skip("the race detector allocates")
	}
	const line = "A hit allocates nothing"
	table := readme(t)
	for name, make := range subjects {
		t.Run(name, func(t *testing.T) {
			s := make(t, source{load: func(context.Context, string) (string, error) { return "v", nil }}, lives{life: time.Hour})
			defer s.close()
			ctx := context.Background()
			if _, err := s.get(ctx, key); err != nil {
				t.Fatal(err)
			}
			allocs := testing.AllocsPerRun(1000, func() { _, _ = s.get(ctx, key) })
			t.Logf("%v allocations", allocs)
			table.agrees(t, line, name, allocs == 0)
		})
	}
}
