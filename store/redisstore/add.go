package redisstore

import (
	"context"

	"github.com/tarncache/tarn"
)

// Add stores e if key has no entry and no writer holds it, and reports whether it did. An entry that has expired
// already is not stored.
func (s *Store[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	name, err := s.writing(ctx, key)
	if err != nil {
		return false, wrap("add", err)
	}
	args, err := s.lives(name, &e)
	if err != nil || args[0] == "" {
		return false, wrap("add", err)
	}
	r := s.one(ctx, s.call("add", name, 2, args[:]...))
	err = answered(r, "stored", "there", "held")
	return err == nil && r.Text == "stored", wrap("add", err)
}
