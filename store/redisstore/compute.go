package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// maxComputes is how often a Compute starts again.
const maxComputes = 256

var errContended = errors.New("redisstore: others kept changing the key")

// Compute calls f with the entry of key and does what f says, if the key has not changed meanwhile; if it has, it starts
// again, up to 256 times and with growing pauses. A value that cannot be encoded, is too large, or for which a full
// Redis has no room is an error, and what was there stays.
//
// An entry that f wants stored, but that has expired already, leaves the key empty.
func (s *Store[K, V]) Compute(
	ctx context.Context, key K, f func(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp),
) (tarn.Entry[V], bool, error) {
	name, err := s.writing(ctx, key)
	if err != nil {
		return tarn.Entry[V]{}, false, wrap("compute", err)
	}
	for n := range maxComputes {
		e, found, done, err := s.compute(ctx, name, f)
		if done || err != nil {
			return e, found, wrap("compute", err)
		}
		if err := pause(ctx, n); err != nil {
			return tarn.Entry[V]{}, false, wrap("compute", err)
		}
	}
	return tarn.Entry[V]{}, false, wrap("compute", errContended)
}

// compute tries once.
func (s *Store[K, V]) compute(
	ctx context.Context, name keyName, f func(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp),
) (e tarn.Entry[V], found, done bool, err error) {
	seen, err := s.look(ctx, name)
	switch {
	case err != nil:
		return e, false, false, err
	case seen.kind == kindHold:
		return e, false, false, tarn.ErrHeld
	case seen.isEntry():
		if e, found, err = s.entry(seen, name, s.clockOf(name.partition)); err != nil {
			s.undecodable(ctx, err, damage{name, seen.text})
			return e, false, false, nil
		}
		if found && e.Tags != nil {
			if found, err = s.stands(ctx, e.Tags); err != nil {
				return tarn.Entry[V]{}, false, false, err
			}
			if !found {
				e = tarn.Entry[V]{}
			}
		}
	}
	next, op := f(e, found)
	var args [4]string
	var t *tagging
	switch op {
	case tarn.ComputeStore:
		t = s.tagging(ctx, next.Tags)
		if args, next.Tags, err = s.lives(name, &next, t, true); err != nil {
			return tarn.Entry[V]{}, false, false, err
		}
	case tarn.ComputeDelete:
	default:
		return e, found, true, nil
	}
	var replies [1]Reply
	s.runTagged(ctx, t, []Command{s.call("compute", name, 2, seen.id(), args[0], args[1], args[2], args[3])}, replies[:])
	r := replies[0]
	if err := answered(r, "stored", "held", "changed"); err != nil {
		return tarn.Entry[V]{}, false, false, err
	}
	switch {
	case r.Text == "held":
		return tarn.Entry[V]{}, false, false, tarn.ErrHeld
	case r.Text == "changed":
		return tarn.Entry[V]{}, false, false, nil
	case args[0] == "":
		return tarn.Entry[V]{}, false, true, nil
	}
	if stood, err := t.stood(next.Tags); err != nil || !stood {
		return tarn.Entry[V]{}, false, err == nil, err
	}
	return s.asStored(next), true, true, nil
}

// asStored returns an entry as a Get would that follows its Set.
func (s *Store[K, V]) asStored(e tarn.Entry[V]) tarn.Entry[V] {
	now := s.clock.Now()
	if life := s.life(e.Expires, now); life < (forever / 2).Milliseconds() {
		e.Expires = now.Add(time.Duration(life) * time.Millisecond)
	} else {
		e.Expires = 0
	}
	if e.Fresh == ttl.End {
		e.Fresh = 0
	}
	e.Stale = e.Fresh.Passed(now)
	return e
}

// pause waits after the nth time that somebody else was quicker.
func pause(ctx context.Context, n int) error {
	if n < 4 {
		return ctx.Err()
	}
	timer := time.NewTimer(rand.N(time.Duration(min(n, 20)) * time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
