package memory

import (
	"context"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Add stores e if key has no entry and no writer holds it, and reports whether it did. An entry that has expired
// already is not stored.
func (s *Store[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	hash, weight := s.hash(key), s.weigh(key, e)
	var c change[K, V]
	s.mu.Lock()
	switch {
	case s.closed:
		err = tarn.ErrClosed
	case !storable(key), s.held(&c, key), s.live(&c, key, hash) != nil:
	default:
		s.changed(&c, key)
		added, err = s.put(&c, key, hash, e, weight)
	}
	s.mu.Unlock()
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
	var c change[K, V]
	s.mu.Lock()
	if s.closed {
		err = tarn.ErrClosed
	} else if n := s.live(&c, key, hash); n != nil {
		s.touch(&c, n, expires)
		touched = true
	}
	s.mu.Unlock()
	s.after(ctx, &c)
	return touched, err
}

// touch moves the deadline of a node. The caller has mu.
func (s *Store[K, V]) touch(c *change[K, V], n *node[K, V], expires ttl.Time) {
	s.changed(c, n.key)
	e := n.entry
	e.Expires = expires
	s.setEntry(n, e)
	n.marks.hit()
	if s.passed(c, expires) {
		s.remove(c, n, Expired)
	} else if expires != 0 {
		c.deadline = expires
	}
}
