package memory

import (
	"context"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Add stores e if key has no entry and no writer holds it, and reports whether it did. An entry that has expired
// already, or one of whose tags was invalidated after its stamp, is not stored.
func (s *Store[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	hash, weight := s.hash(key), s.weigh(key, &e)
	free := func(g *segment[K, V]) bool {
		return storable(key) && !g.held(key) && g.live(key, short(hash)) == nil
	}
	g := s.lockToStore(hash, weight, func(g *segment[K, V]) bool { return free(g) && !g.gone(&e) })
	switch {
	case g.closed:
		err = tarn.ErrClosed
	case !free(g):
	default:
		g.changed(key)
		added, err = g.put(key, short(hash), &e, weight, nil)
	}
	c := g.unlock()
	s.after(ctx, &c)
	return added, err
}

// Touch gives the entry of key a new Expires, and reports whether there was an entry. Its Fresh stays. An Expires
// that has passed removes the entry.
func (s *Store[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	hash := s.hash(key)
	g := s.lock(hash)
	if g.closed {
		err = tarn.ErrClosed
	} else if n := g.live(key, short(hash)); n != nil {
		g.touch(n, expires)
		touched = true
	}
	c := g.unlock()
	s.after(ctx, &c)
	return touched, err
}

// touch moves the deadline of a node. The caller has mu.
func (g *segment[K, V]) touch(n *node[K, V], expires ttl.Time) {
	g.changed(n.key)
	if n.touch(expires) {
		n.marks.hit()
		g.table.due(g.table.shape().bucket(n.hash), n)
	} else {
		e := n.entry() // without tags, for what has some has room for deadlines
		e.Expires = expires
		n = g.rewrite(n, &e, 0, nil)
	}
	if g.passed(expires) {
		g.remove(n, Expired)
	} else if expires != 0 {
		g.change.deadline = expires
	}
}
