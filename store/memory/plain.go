package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
)

// Put gives key a value for a life, or until it is evicted if life is 0. A negative life is an error and changes
// nothing. The other errors are those of Set.
func (s *Store[K, V]) Put(key K, value V, life time.Duration) error {
	e := tarn.Entry[V]{Value: value}
	switch {
	case life < 0:
		return fmt.Errorf("memory: put: life is negative: %v", life)
	case life > 0:
		e.Expires = s.clock.Now().Add(life)
	}
	return s.Set(context.Background(), key, e)
}

// Value returns the value of key, and whether there is one: of a remembered absence there is none.
func (s *Store[K, V]) Value(key K) (V, bool) {
	e, found, _ := s.Get(context.Background(), key)
	if e.Negative {
		var none V
		return none, false
	}
	return e.Value, found
}
