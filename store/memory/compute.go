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
			weight = s.weigh(key, &e)
		}
		g := s.lockToStore(hash, weight, func(g *segment[K, V]) bool {
			return storable(key) && g.mayChange(key) == nil && g.stands(seen, key, short(hash)) && !g.gone(&e)
		})
		now, done, err := g.commit(seen, key, short(hash), &e, op, weight)
		c := g.unlock()
		s.after(ctx, &c)
		if done {
			return now.entry, now.node != nil, err
		}
	}
}

// sight is what a Compute has seen under its key.
type sight[K comparable, V any] struct {
	node    *node[K, V] // nil: nothing
	version uint32      // of node
	entry   tarn.Entry[V]
}

// see looks at what stands under key.
func (s *Store[K, V]) see(ctx context.Context, key K, hash uint64) (sight[K, V], error) {
	if err := ctx.Err(); err != nil {
		return sight[K, V]{}, err
	}
	g := s.lock(hash)
	defer g.unlock()
	if err := g.mayChange(key); err != nil {
		return sight[K, V]{}, err
	}
	return g.sightOf(g.live(key, short(hash))), nil
}

func (g *segment[K, V]) sightOf(n *node[K, V]) sight[K, V] {
	if n == nil {
		return sight[K, V]{}
	}
	return sight[K, V]{n, n.version.Load(), g.entryOf(n)}
}

// stands reports whether what was seen under a key is there still. The caller has mu.
func (g *segment[K, V]) stands(seen sight[K, V], key K, hash uint32) bool {
	n := g.live(key, hash)
	return n == seen.node && (n == nil || n.version.Load() == seen.version)
}

// stampFor gives an entry whose tags have no stamp of this store that of a moment before it is clear that what was seen
// still stands: what invalidates that afterwards reaches the entry too.
func (g *segment[K, V]) stampFor(seen sight[K, V], e *tarn.Entry[V]) {
	if seen.entry.Tags != nil && !g.store.isStamped(e.Tags) {
		e.Tags = e.Tags.Restamped(g.store.tags.settled())
	}
}

// commit does what f said, if what f saw still stands, and returns what stands then. The caller has mu.
func (g *segment[K, V]) commit(
	seen sight[K, V], key K, hash uint32, e *tarn.Entry[V], op tarn.ComputeOp, weight int64,
) (now sight[K, V], done bool, err error) {
	if err := g.mayChange(key); err != nil {
		return now, true, err
	}
	g.stampFor(seen, e)
	if !g.stands(seen, key, hash) {
		return now, false, nil
	}
	g.changed(key)
	if op != tarn.ComputeStore {
		g.empty(key, hash, Deleted)
		return now, true, nil
	}
	err = g.set(key, hash, e, weight, nil)
	return g.sightOf(g.live(key, hash)), true, err
}
