// Package memory keeps entries in this process, as they are: typed values, never encoded, in a bounded store that
// evicts what is used least.
//
// A [Store] is what the strategies of tarn are put in front of a source with, and serves by itself as well, with
// [Store.Put] and [Store.Value].
//
// Values are kept as they are given. If V is a pointer, a slice or a map, the caller and every reader share what
// it refers to, and nobody may change it.
package memory

import (
	"context"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/guard"
	"github.com/tarncache/tarn/ttl"
)

// Store is a [tarn.Store] in memory, for any number of goroutines. Make one with [New].
//
// It has every capability that package tarn names: batches, add, touch, compute, clear, scan, a clock, leases and
// holds.
//
// A hit waits for no writer for longer than the change of one entry takes, allocates nothing, and reads the clock
// once, or not at all if the entry has no deadline. No method waits for anything but the store's locks, and all user
// functions run outside them. A lock is held for the work of some hundred entries at most, but for three: an entry
// that is as heavy as very many others puts them all out at once; where the number of entries doubles, so does the
// sketch that counts uses, which is copied; and a Hold takes all of its keys at once.
//
// A key that is not equal to itself, such as NaN or a struct with one in it, could never be found again. It is
// treated like an entry that is evicted at once: Set returns nil and keeps nothing, and OnRemove is told so.
// A key of an interface type whose dynamic type cannot be compared panics, as in a Go map, and changes nothing.
type Store[K comparable, V any] struct {
	options Options[K, V]
	clock   ttl.Clock
	seed    maphash.Seed
	shards  []shard[K, V] // the length is a power of two
	tokens  guard.Tokens
	births  atomic.Uint64 // counts the keys inserted; rises under mu

	// A change of the store happens under mu, and takes the lock of the shard it changes within. Readers lock the
	// shard alone. So an entry, its record, its deadline and its place in the policy change together.
	mu          sync.Mutex // protects all below, but for the sweeper
	closed      bool
	bound       int64 // as the options or Resize have it
	policy      policy[K, V]
	deadlines   deadlines[K, V]
	records     records[K]
	evictions   uint64
	expirations uint64
	refused     uint64

	resizing sync.Mutex // one Resize at a time; taken before mu
	sweeper  sweeper    // has its own lock, under which mu is never taken
}

// New returns an empty Store. It panics if the options make no sense.
//
// While entries with deadlines are in it, the store removes them when they have expired, on a goroutine that runs
// for as long as that takes, one at a time. Close ends it and waits. A store that nobody refers to any more is
// collected, closed or not.
func New[K comparable, V any](opts Options[K, V]) *Store[K, V] {
	bound := opts.check()
	n := 8
	for n < 4*runtime.GOMAXPROCS(0) && n < 256 {
		n *= 2
	}
	s := &Store[K, V]{
		options: opts,
		clock:   ttl.NewClock(),
		seed:    maphash.MakeSeed(),
		shards:  make([]shard[K, V], n),
		bound:   bound,
		policy:  newPolicy[K, V](bound),
		records: records[K]{byKey: make(map[K]*record[K])},
	}
	for i := range s.shards {
		s.shards[i].nodes = make(map[K]*node[K, V])
	}
	s.sweeper.next.Store(int64(ttl.End))
	s.sweeper.idle.L = &s.sweeper.mu
	return s
}

// hash hashes a key. It panics if the key's dynamic type cannot be compared.
func (s *Store[K, V]) hash(key K) uint64 { return maphash.Comparable(s.seed, key) }

func (s *Store[K, V]) shard(hash uint64) *shard[K, V] {
	return &s.shards[hash>>8&uint64(len(s.shards)-1)]
}

// storable reports whether a key can be found again.
func storable[K comparable](key K) bool { return key == key }

// Clock returns the clock by which the deadlines of entries go.
func (s *Store[K, V]) Clock() ttl.Clock { return s.clock }

// Get returns the entry of key. It does not look at ctx, since it never waits. The only error is
// [tarn.ErrClosed].
func (s *Store[K, V]) Get(_ context.Context, key K) (tarn.Entry[V], bool, error) {
	sh := s.shard(s.hash(key))
	sh.mu.RLock()
	n := sh.nodes[key]
	if n == nil {
		closed := sh.closed
		sh.mu.RUnlock()
		if closed {
			return tarn.Entry[V]{}, false, tarn.ErrClosed
		}
		sh.misses.Add(1)
		return tarn.Entry[V]{}, false, nil
	}
	e := n.entry
	sh.mu.RUnlock()
	if e.Expires|e.Fresh != 0 {
		now := s.clock.Now()
		if e.Expires.Passed(now) {
			sh.misses.Add(1)
			return tarn.Entry[V]{}, false, nil
		}
		e.Stale = e.Fresh.Passed(now)
	}
	n.marks.hit()
	sh.hits.Add(1)
	return e, true, nil
}

// Set gives key an entry in place of any other. An entry that has expired already leaves the key empty, which is
// no error. It returns [tarn.ErrHeld] if a writer holds the key, which changes nothing, and [tarn.ErrTooHeavy],
// or another error if Weigh returned a negative weight, which leaves the key empty.
func (s *Store[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.setOne(ctx, key, e)
}

func (s *Store[K, V]) setOne(ctx context.Context, key K, e tarn.Entry[V]) error {
	hash, weight := s.hash(key), s.weigh(key, e)
	var c change[K, V]
	s.mu.Lock()
	err := s.set(&c, key, hash, e, weight)
	s.mu.Unlock()
	s.after(ctx, &c)
	return err
}

func (s *Store[K, V]) set(c *change[K, V], key K, hash uint64, e tarn.Entry[V], weight int64) error {
	switch {
	case s.closed:
		return tarn.ErrClosed
	case s.held(c, key):
		return tarn.ErrHeld
	}
	s.changed(c, key)
	return s.store(c, key, hash, e, weight)
}

// weigh asks how heavy an entry is. Nobody may have mu: it calls the application.
func (s *Store[K, V]) weigh(key K, e tarn.Entry[V]) int64 {
	if s.options.Weigh == nil || e.Negative {
		return 1
	}
	return s.options.Weigh(key, e.Value)
}

// Delete removes key, and voids a lease on it. A hold on it stays, and its value will not be stored.
func (s *Store[K, V]) Delete(ctx context.Context, key K) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.deleteOne(ctx, key)
}

func (s *Store[K, V]) deleteOne(ctx context.Context, key K) error {
	hash := s.hash(key)
	var c change[K, V]
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return tarn.ErrClosed
	}
	s.changed(&c, key)
	s.empty(&c, key, hash, Deleted)
	s.mu.Unlock()
	s.after(ctx, &c)
	return nil
}

// Clear removes every entry and voids every lease. Holds stay, and their values will not be stored. Reads that
// begin after it has returned find nothing that was there before.
func (s *Store[K, V]) Clear(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return tarn.ErrClosed
	}
	s.records.changeAll()
	old := s.takeAll(func() map[K]*node[K, V] { return make(map[K]*node[K, V]) })
	s.mu.Unlock()

	// The nodes are nobody else's now, but for readers that have found one already and only read it.
	var c change[K, V]
	for _, nodes := range old {
		for _, n := range nodes {
			s.noteCleared(&c, n)
		}
	}
	s.mu.Lock()
	s.expirations += uint64(c.expired)
	s.mu.Unlock()
	s.after(ctx, &c)
	return nil
}

// takeAll empties the store and returns what was in it. The caller has mu.
func (s *Store[K, V]) takeAll(fresh func() map[K]*node[K, V]) []map[K]*node[K, V] {
	old := make([]map[K]*node[K, V], len(s.shards))
	for i := range s.shards {
		old[i] = s.shards[i].swap(fresh())
	}
	s.policy.clear()
	s.deadlines = nil
	return old
}

func (s *Store[K, V]) noteCleared(c *change[K, V], n *node[K, V]) {
	cause := Cleared
	if s.passed(c, n.entry.Expires) {
		cause = Expired
		c.expired++
	}
	if s.options.OnRemove != nil && !n.entry.Negative {
		c.removed = append(c.removed, Removal[K, V]{Key: n.key, Value: n.entry.Value, Cause: cause})
	}
}

// Close empties the store, ends its goroutine and waits for it, unless it is called by OnRemove on that very
// goroutine. From then on every operation returns [tarn.ErrClosed], or finds nothing where it returns no error.
// OnRemove is not told of what was in the store: call Clear before if it should be. Close returns nil, and may be
// called again.
func (s *Store[K, V]) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.takeAll(func() map[K]*node[K, V] { return nil })
		s.records = records[K]{}
		s.policy.sketch = sketch{}
	}
	s.mu.Unlock()
	s.stopSweeper()
	return nil
}

var (
	_ tarn.Store[string, int]      = (*Store[string, int])(nil)
	_ tarn.BatchStore[string, int] = (*Store[string, int])(nil)
	_ tarn.Adder[string, int]      = (*Store[string, int])(nil)
	_ tarn.Toucher[string, int]    = (*Store[string, int])(nil)
	_ tarn.Computer[string, int]   = (*Store[string, int])(nil)
	_ tarn.Clearer                 = (*Store[string, int])(nil)
	_ tarn.Scanner[string, int]    = (*Store[string, int])(nil)
	_ tarn.Hitter[string, int]     = (*Store[string, int])(nil)
	_ tarn.Clocker                 = (*Store[string, int])(nil)
	_ tarn.Leaser[string, int]     = (*Store[string, int])(nil)
	_ tarn.Holder[string, int]     = (*Store[string, int])(nil)
)
