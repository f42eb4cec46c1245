package memory

import (
	"context"

	"github.com/tarncache/tarn"
)

// Compute calls f with the entry of key and does what f says. It looks before it calls f whether the key is held,
// and again afterwards whether the entry is still the one that f has seen; if not, it starts again. So of several
// callers one always succeeds. f may call the store.
//
// An entry that f wants stored, but that has expired already, leaves the key empty.
func (s *Store[K, V]) Compute(
	ctx context.Context, key K, f func(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp),
) (tarn.Entry[V], bool, error) {
	hash := s.hash(key)
	for {
		seen, err := s.see(ctx, key, hash)
		if err != nil {
			return tarn.Entry[V]{}, false, err
		}
		e, op := f(seen.entry, seen.node != nil)
		if op != tarn.ComputeStore && op != tarn.ComputeDelete {
			return seen.entry, seen.node != nil, nil
		}
		var weight int64
		if op == tarn.ComputeStore {
			weight = s.weigh(key, e)
		}
		var c change[K, V]
		s.mu.Lock()
		now, done, err := s.commit(&c, seen, key, hash, e, op, weight)
		s.mu.Unlock()
		s.after(ctx, &c)
		if done {
			return now.entry, now.node != nil, err
		}
	}
}

// sight is what a Compute has seen under its key.
type sight[K comparable, V any] struct {
	node    *node[K, V] // nil: nothing
	version uint32
	entry   tarn.Entry[V]
}

// see looks at what stands under key.
func (s *Store[K, V]) see(ctx context.Context, key K, hash uint64) (sight[K, V], error) {
	if err := ctx.Err(); err != nil {
		return sight[K, V]{}, err
	}
	var c change[K, V]
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return sight[K, V]{}, tarn.ErrClosed
	case s.held(&c, key):
		return sight[K, V]{}, tarn.ErrHeld
	}
	return s.sightOf(&c, s.live(&c, key, hash)), nil
}

func (s *Store[K, V]) sightOf(c *change[K, V], n *node[K, V]) sight[K, V] {
	if n == nil {
		return sight[K, V]{}
	}
	return sight[K, V]{n, n.version, s.entryOf(c, n)}
}

// commit does what f said, if what f saw still stands, and returns what stands then. The caller has mu.
func (s *Store[K, V]) commit(
	c *change[K, V], seen sight[K, V], key K, hash uint64, e tarn.Entry[V], op tarn.ComputeOp, weight int64,
) (now sight[K, V], done bool, err error) {
	switch {
	case s.closed:
		return now, true, tarn.ErrClosed
	case s.held(c, key):
		return now, true, tarn.ErrHeld
	}
	if n := s.live(c, key, hash); n != seen.node || n != nil && n.version != seen.version {
		return now, false, nil
	}
	s.changed(c, key)
	if op != tarn.ComputeStore {
		s.empty(c, key, hash, Deleted)
		return now, true, nil
	}
	err = s.store(c, key, hash, e, weight)
	return s.sightOf(c, s.live(c, key, hash)), true, err
}
