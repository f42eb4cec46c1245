package redisstore

import (
	"context"
	"strconv"

	"github.com/tarncache/tarn/ttl"
)

// Touch gives the entry of key a new Expires, and reports whether there was an entry. Its Fresh stays. An Expires that
// has passed removes the entry.
func (s *Store[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	name, err := s.writing(ctx, key)
	if err != nil {
		return false, wrap("touch", err)
	}
	life := ""
	if ms := s.life(expires, s.clock.Now()); ms > 0 {
		life = strconv.FormatInt(ms, 10)
	}
	r := s.one(ctx, s.call("touch", name, 2, life))
	err = answered(r, "touched", "none")
	return err == nil && r.Text == "touched", wrap("touch", err)
}
