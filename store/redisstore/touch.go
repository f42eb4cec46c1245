package redisstore

import (
	"context"
	"strconv"

	"github.com/tarncache/tarn/ttl"
)

// Touch gives the entry of key a new Expires, and reports whether there was an entry. Its Fresh and its tags stay. An
// Expires that has passed removes the entry. It takes one round trip, and two more for an entry with tags.
func (s *Store[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	name, err := s.writing(ctx, key)
	if err != nil {
		return false, wrap("touch", err)
	}
	life, ms := "", s.life(expires, s.clock.Now())
	if ms > 0 {
		life = strconv.FormatInt(ms, 10)
	}
	var t *tagging // of an entry that was there
	there := ""    // its ID
	for range maxUntold {
		var r [1]Reply
		now := s.clock.Now()
		s.runTagged(ctx, t, []Command{s.call("touch", name, 2, life, there)}, r[:])
		seen, untold := untoldOf(r[0])
		if !untold {
			err = answered(r[0], "touched", "none")
			return err == nil && r[0].Text == "touched", wrap("touch", err)
		}
		var found bool
		if t, found, err = s.told(ctx, seen, name, now, r[0].Items[2].Int); err != nil || !found {
			return false, wrap("touch", err)
		}
		t.extend(ms)
		there = seen.id()
	}
	return false, wrap("touch", errContended)
}

// extend lets the records live as long as an entry that is given a new life.
func (t *tagging) extend(life int64) {
	for i := range t.uses {
		t.uses[i].life = life
	}
}
