package memory

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// change gathers what one operation does under the store's mu and has to tell once it has let go of it.
type change[K comparable, V any] struct {
	now      ttl.Time // when it happens; 0: the clock was not read yet
	deadline ttl.Time // the first that it set; 0: none
	removed  []Removal[K, V]
	evicted  int
	expired  int
}

// now returns the instant of a change, reading the clock once.
func (s *Store[K, V]) now(c *change[K, V]) ttl.Time {
	if c.now == 0 {
		c.now = s.clock.Now()
	}
	return c.now
}

// passed reports whether a deadline has passed. It reads no clock if there is none.
func (s *Store[K, V]) passed(c *change[K, V], deadline ttl.Time) bool {
	return deadline != 0 && deadline != ttl.End && deadline.Passed(s.now(c))
}

// after tells what a change did. The caller has let go of mu.
func (s *Store[K, V]) after(ctx context.Context, c *change[K, V]) {
	if c.deadline != 0 {
		s.wake(c.deadline)
	}
	if len(c.removed) > 0 {
		defer s.tell(c.removed) // also if the observer panics
	}
	if o := s.options.Observer; o != nil {
		if c.evicted > 0 {
			o.Observe(ctx, tarn.Event{Kind: tarn.EventEvicted, N: c.evicted})
		}
		if c.expired > 0 {
			o.Observe(ctx, tarn.Event{Kind: tarn.EventExpired, N: c.expired})
		}
	}
}

// tell tells the listener of every removal. If it panics at one, the others are told before the panic goes on.
func (s *Store[K, V]) tell(removed []Removal[K, V]) {
	i := 0
	defer func() {
		for i++; i < len(removed); i++ {
			s.tellContained(removed[i])
		}
	}()
	for ; i < len(removed); i++ {
		s.options.OnRemove(removed[i])
	}
}

// tellContained tells the listener of one removal, and the observer if that panics.
func (s *Store[K, V]) tellContained(r Removal[K, V]) {
	defer s.contain()
	s.options.OnRemove(r)
}

// contain, deferred, ends a panic of the listener or the observer that no caller could see, and tells the observer of
// it, who may panic again.
func (s *Store[K, V]) contain() {
	p := recover()
	if p == nil || s.options.Observer == nil {
		return
	}
	err := &tarn.PanicError{Value: p, Stack: debug.Stack()}
	defer func() { _ = recover() }()
	s.options.Observer.Observe(context.Background(), tarn.Event{Kind: tarn.EventPanicked, N: 1, Err: err})
}

// The methods below change the store. Their callers have mu.

// find returns the node of key, expired or not, or nil.
func (s *Store[K, V]) find(key K, hash uint64) *node[K, V] {
	return s.shard(hash).nodes[key]
}

// live returns the node of key, or nil if there is none or it has expired.
func (s *Store[K, V]) live(c *change[K, V], key K, hash uint64) *node[K, V] {
	n := s.find(key, hash)
	if n == nil || s.passed(c, n.entry.Expires) {
		return nil
	}
	return n
}

// entryOf returns the entry of a node as callers see it.
func (s *Store[K, V]) entryOf(c *change[K, V], n *node[K, V]) tarn.Entry[V] {
	e := n.entry
	e.Stale = s.passed(c, e.Fresh)
	return e
}

// store is put for callers who are told nothing but an error: what is accepted and yet not kept, because its key
// cannot be found again or its life is over, has left at once.
func (s *Store[K, V]) store(c *change[K, V], key K, hash uint64, e tarn.Entry[V], weight int64) error {
	stored, err := false, error(nil)
	if storable(key) {
		stored, err = s.put(c, key, hash, e, weight)
	}
	if !stored && err == nil {
		s.note(c, key, &e, Evicted)
	}
	return err
}

// put gives key an entry of weight in place of any other, and reports whether it stored it: one that has expired
// already leaves the key empty, and so does one that it refuses with an error.
func (s *Store[K, V]) put(c *change[K, V], key K, hash uint64, e tarn.Entry[V], weight int64) (bool, error) {
	weight, err := s.admissible(e, weight)
	if err != nil {
		s.refused++
	}
	if err != nil || s.passed(c, e.Expires) {
		s.empty(c, key, hash, Replaced)
		return false, err
	}
	e.Stale = false
	if n := s.find(key, hash); n != nil {
		s.replace(c, n, e, weight)
	} else {
		s.insert(c, key, hash, e, weight)
	}
	if e.Expires != 0 && e.Expires != ttl.End && (c.deadline == 0 || e.Expires < c.deadline) {
		c.deadline = e.Expires
	}
	return true, nil
}

// admissible returns the weight that counts, or why an entry of weight cannot be stored.
func (s *Store[K, V]) admissible(e tarn.Entry[V], weight int64) (int64, error) {
	switch {
	case s.options.Weigh == nil:
		return 1, nil
	case e.Negative:
		return (s.bound-1)>>16 + 1, nil
	case weight < 0:
		return 0, errNegativeWeight
	case weight > s.bound:
		return 0, tarn.ErrTooHeavy
	}
	return max(weight, 1), nil
}

var errNegativeWeight = errors.New("memory: Options.Weigh returned a negative weight")

func (s *Store[K, V]) replace(c *change[K, V], n *node[K, V], e tarn.Entry[V], weight int64) {
	s.note(c, n.key, &n.entry, Replaced)
	s.setEntry(n, e)
	s.policy.reweigh(n, uint64(weight))
	s.dropEvicted(c)
}

// setEntry changes the entry of a node.
func (s *Store[K, V]) setEntry(n *node[K, V], e tarn.Entry[V]) {
	sh := s.shard(n.hash)
	sh.mu.Lock()
	n.entry = e
	sh.mu.Unlock()
	n.version++
	s.deadlines.set(n)
}

func (s *Store[K, V]) insert(c *change[K, V], key K, hash uint64, e tarn.Entry[V], weight int64) {
	// What has expired makes room before what has not.
	for range 8 {
		if s.policy.weight()+uint64(weight) <= s.policy.bound || len(s.deadlines) == 0 || !s.expireFirst(c) {
			break
		}
	}
	n := &node[K, V]{key: key, hash: hash, born: s.births.Add(1), entry: e, weight: uint64(weight)}
	s.policy.insert(n)
	s.dropEvicted(c) // before n is there for readers, so that there never are too many
	s.deadlines.set(n)
	s.shard(hash).insert(n)
}

// empty removes what stands under key.
func (s *Store[K, V]) empty(c *change[K, V], key K, hash uint64, cause Cause) {
	if n := s.find(key, hash); n != nil {
		s.remove(c, n, cause)
	}
}

func (s *Store[K, V]) remove(c *change[K, V], n *node[K, V], cause Cause) {
	s.policy.remove(n)
	s.drop(c, n, cause)
}

// expireFirst removes the entry that expires first, if it has expired.
func (s *Store[K, V]) expireFirst(c *change[K, V]) bool {
	if len(s.deadlines) == 0 || !s.passed(c, s.deadlines.next()) {
		return false
	}
	s.remove(c, s.deadlines[0], Expired)
	return true
}

// dropEvicted drops what the policy put out.
func (s *Store[K, V]) dropEvicted(c *change[K, V]) {
	for n := s.policy.takeOut(); n != nil; {
		next := n.next
		n.next = nil
		s.drop(c, n, Evicted)
		n = next
	}
}

// drop forgets a node that the policy has let go.
func (s *Store[K, V]) drop(c *change[K, V], n *node[K, V], cause Cause) {
	s.deadlines.remove(n)
	s.shard(n.hash).remove(n.key)
	s.note(c, n.key, &n.entry, cause)
}

// note counts that an entry leaves, and remembers whom to tell.
func (s *Store[K, V]) note(c *change[K, V], key K, e *tarn.Entry[V], cause Cause) {
	if s.passed(c, e.Expires) {
		cause = Expired
	}
	switch cause {
	case Evicted:
		s.evictions++
		c.evicted++
	case Expired:
		s.expirations++
		c.expired++
	}
	if s.options.OnRemove != nil && !e.Negative {
		c.removed = append(c.removed, Removal[K, V]{Key: key, Value: e.Value, Cause: cause})
	}
}
