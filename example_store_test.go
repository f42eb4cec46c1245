package tarn_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/storetest"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// plainStore is about the least that a store can be. Package storetest tells whether one of yours keeps the rules.
type plainStore[V any] struct {
	clock ttl.Clock

	mu      sync.Mutex // protects entries
	entries map[string]tarn.Entry[V]
}

func (s *plainStore[V]) Get(_ context.Context, key string) (tarn.Entry[V], bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, found := s.entries[key]
	now := s.clock.Now()
	if !found || e.Expires.Passed(now) {
		return tarn.Entry[V]{}, false, nil
	}
	e.Stale = e.Fresh.Passed(now)
	return e, true, nil
}

func (s *plainStore[V]) Set(ctx context.Context, key string, e tarn.Entry[V]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries[key] = e
	return nil
}

func (s *plainStore[V]) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, key)
	return nil
}

func TestStoreOfTheExample(t *testing.T) {
	storetest.Run(t, func(testing.TB) tarn.Store[string, string] {
		return &plainStore[string]{clock: ttl.NewClock(), entries: make(map[string]tarn.Entry[string])}
	})
}

func ExampleStore() {
	store := &plainStore[int]{clock: ttl.NewClock(), entries: make(map[string]tarn.Entry[int])}
	lengths := strategies.ReadThrough(store, tarn.LoadFunc(func(_ context.Context, key string) (int, error) {
		fmt.Println("loading")
		return len(key), nil
	}))

	for range 2 {
		n, err := lengths.Get(context.Background(), "tarn")
		fmt.Println(n, err)
	}
	// Output:
	// loading
	// 4 <nil>
	// 4 <nil>
}
