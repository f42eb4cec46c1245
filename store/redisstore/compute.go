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

// Compute calls f with the entry of key and does what f says, if the key has not changed meanwhile, and no tag of the
// entry was invalidated; if so, it starts again, up to 256 times and with growing pauses. A value that cannot be encoded,
// is too large, or for which a full Redis has no room is an error, and what was there stays.
//
// What is made of an entry whose tags were invalidated before it is stored is never there. On a cluster it may be for a
// moment, until it is removed, where the tags lie in other partitions than the key and are not among the new ones: no
// script sees both.
//
// An entry that f wants stored, but that has expired already, leaves the key empty.
func (s *Store[K, V]) Compute(
	ctx context.Context, key K, f func(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp),
) (tarn.Entry[V], bool, error) {
	name, err := s.writing(ctx, key)
	if err != nil {
		return tarn.Entry[V]{}, false, wrap("compute", err)
	}
	c := computing[K, V]{Store: s, name: name, f: f}
	for n := range maxComputes {
		e, found, done, err := c.try(ctx)
		if done || err != nil {
			return e, found, wrap("compute", err)
		}
		if err := pause(ctx, n); err != nil {
			return tarn.Entry[V]{}, false, wrap("compute", err)
		}
	}
	return tarn.Entry[V]{}, false, wrap("compute", errContended)
}

// computing is one Compute.
type computing[K comparable, V any] struct {
	*Store[K, V]
	name  keyName
	f     func(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp)
	stamp tarn.Stamp // a moment before the next look; 0: none is known
}

// try tries once. Where it is not done, it is to be tried again.
func (c *computing[K, V]) try(ctx context.Context) (e tarn.Entry[V], found, done bool, err error) {
	c.stamp = max(c.stamp, tarn.Stamp(c.counter.Load()))
	seen, old, found, done, err := c.see(ctx)
	if !done || err != nil {
		return e, false, false, err
	}
	next, op := c.f(old, found)
	switch op {
	case tarn.ComputeStore:
		return c.store(ctx, seen, old.Tags, next)
	case tarn.ComputeDelete:
		done, err = c.send(ctx, nil, c.removal(c.name, seen.id()))
		return e, false, done, err
	}
	return old, found, true, nil
}

// see returns what stands, and the entry if there is one. Where it is not done, something has to be removed that no entry
// can be made of.
func (c *computing[K, V]) see(ctx context.Context) (seen sight, e tarn.Entry[V], found, done bool, err error) {
	seen, err = c.look(ctx, c.name)
	switch {
	case err != nil:
		return seen, e, false, false, err
	case seen.kind == kindHold:
		return seen, e, false, false, tarn.ErrHeld
	case !seen.isEntry():
		return seen, e, false, true, nil
	}
	if e, found, err = c.entry(seen, c.name, c.clockOf(c.name.partition)); err != nil {
		c.undecodable(ctx, err, damage{c.name, seen.text})
		return seen, e, false, false, nil
	}
	if found {
		found, err = c.stands(ctx, e.Tags)
	}
	if !found {
		e = tarn.Entry[V]{}
	}
	return seen, e, found, err == nil, err
}

// store stores what was made of an entry that had tags, or of none, unless these were invalidated meanwhile.
func (c *computing[K, V]) store(
	ctx context.Context, seen sight, had *tarn.Tags, next tarn.Entry[V],
) (e tarn.Entry[V], found, done bool, err error) {
	t := c.tagging(ctx, next.Tags, had)
	if there, err := t.there(had); !there {
		return e, false, false, err
	}
	if had != nil {
		if done, err = c.restamp(ctx, t, had, &next); !done {
			return e, false, false, err
		}
	}
	args, tags, err := c.lives(c.name, &next, t, true)
	if err != nil {
		return e, false, false, err
	}
	next.Tags = tags
	command := c.call("compute", c.name, 3, seen.id(), args[0], args[1], args[2], args[3])
	guarded := c.guard(&command, c.name, had)
	done, err = c.send(ctx, t, command)
	doubtful := !guarded && args[0] != "" && (done || err != nil && !errors.Is(err, tarn.ErrHeld))
	if doubtful && (!covers(tags, had) || tags.Stamp() > had.Stamp()) {
		if there, uerr := c.undoOvertakenStore(ctx, had, command, err); !there {
			return e, false, false, uerr
		}
	}
	if !done || err != nil || args[0] == "" {
		return e, false, done, err
	}
	if stood, err := t.stood(next.Tags); err != nil || !stood {
		return e, false, err == nil, err
	}
	return c.asStored(next), true, true, nil
}

// send sends a compute, and reports whether it was done, rather than that the key has changed.
func (c *computing[K, V]) send(ctx context.Context, t *tagging, command Command) (done bool, err error) {
	var replies [1]Reply
	c.runTagged(ctx, t, []Command{command}, replies[:])
	if err := answered(replies[0], "stored", "held", "changed"); err != nil {
		return false, err
	}
	if replies[0].Text == "held" {
		return false, tarn.ErrHeld
	}
	return replies[0].Text == "stored", nil
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
