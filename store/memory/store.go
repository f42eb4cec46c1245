// Package memory keeps entries in this process, as they are: typed values, never encoded, in a bounded store that
// evicts what it expects to be asked for least.
//
// A [Store] is what the strategies of tarn are put in front of a source with, and serves by itself as well, with
// [Store.Put] and [Store.Value].
//
// # Inside
//
// A read waits for no lock. It finds its entry in a hash table that grows and shrinks by one bucket at a time (Litwin:
// Linear Hashing, VLDB 1980), marks it, and is done; one that meets a write of that entry reads again, and after sixteen
// times takes the lock. A write locks one segment of the store, and all only where that one cannot make room for its
// entry. It changes a value of one to eight whole machine words in place, and allocates once for any other, for a key
// that was not there, and for the first life of an entry that had none.
//
// New makes a segment for each 2,048 entries of MaxEntries, or for each 2^26 of MaxWeight, rounded down to a power of
// two: at least one, and about eight for each of GOMAXPROCS at most. Resize does not change how many there are. So where
// many goroutines write, count weight in bytes rather than in a large unit.
//
// Which entries leave is up to a policy that works on the keys' hashes and, when it has to choose, on the marks. It is
// W-TinyLFU with CLOCK (Einziger, Friedman, Manes: TinyLFU, ACM Transactions on Storage 2017; Corbató: A Paging
// Experiment with the Multics System, 1968). How it is set depends on what the store is asked for: small simulations of
// several settings, on a sample of the keys, tell which does best (Waldspurger, Saemundsson, Ahmad, Park: Cache Modeling
// and Optimization using Miniature Simulations, USENIX ATC 2017). One of them is S3-FIFO's (Yang, Zhang, Qiu, Yue,
// Rashmi: FIFO Queues are All You Need for Cache Eviction, SOSP 2023). The simulations count entries, whatever they
// weigh.
//
// Remembered absences have a policy of their own, and a share of the bound ([Options.MaxNegative]): beyond it they leave
// for one another, so that whoever asks for random keys does not flush values.
//
// The bound is one for all segments, which take room from it as their keys come. What has expired leaves in parts of
// some hundred entries, each under a lock of its own.
//
// An entry with tags points to a record of each, which says when the tag was last invalidated; so an invalidation writes
// to one record, and a hit reads those of its entry. Entries without tags have no room for them.
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
	"github.com/tarncache/tarn/internal/policy"
	"github.com/tarncache/tarn/ttl"
)

// Store is a [tarn.Store] in memory, for any number of goroutines. Make one with [New].
//
// It has every capability that package tarn names: batches, add, touch, compute, clear, scan, a clock, leases, holds
// and tags.
//
// A hit allocates nothing, and reads the clock once, or not at all if the entry has no deadline. It waits for nothing,
// unless it meets writes of its own entry time and again, when it takes their lock in the end. No method waits for
// anything but the store's locks, and all user functions run outside them. A lock is held for the work of some hundred
// entries at most, but for two: an entry that is as heavy as very many others puts them all out at once, and a Hold
// takes all of its keys at once.
//
// A key that is not equal to itself, such as NaN or a struct with one in it, could never be found again. It is
// treated like an entry that is evicted at once: Set returns nil and keeps nothing, and OnRemove is told so.
// A key of an interface type whose dynamic type cannot be compared panics, as in a Go map, and changes nothing.
type Store[K comparable, V any] struct {
	options  Options[K, V]
	clock    ttl.Clock
	seed     maphash.Seed
	segments []segment[K, V] // the length is a power of two
	plain    bool            // entries are not weighed, and nobody is told of anything
	closed   atomic.Bool
	choice   policy.Choice // what the first segment's policy found out for all
	counts   counts        // nil unless the options ask for them

	_ [64]byte // what writes change is not on a cache line that every operation reads

	room          // whose bound and what is taken of it all segments share
	absences room // the same by number, of remembered absences
	tags     tags
	tokens   guard.Tokens
	resizing sync.Mutex // one Resize at a time; taken before any segment's mu
	sweeper  sweeper    // has its own lock, under which no segment's mu is taken
}

// New returns an empty Store. It panics if the options make no sense.
//
// While entries with deadlines are in it, the store removes them when they have expired, on a goroutine that runs for as
// long as that takes, one at a time. So it removes what was invalidated by a tag, once that has come to 1,000 since the
// last time, or to a quarter of the entries that were left then if that is more; an entry counts once for each of its tags
// that was invalidated. Close ends the goroutine and waits. A store that nobody refers to any more is collected, closed or
// not.
func New[K comparable, V any](opts Options[K, V]) *Store[K, V] {
	bound := opts.check()
	s := &Store[K, V]{
		options:  opts,
		clock:    ttl.NewClock(),
		seed:     maphash.MakeSeed(),
		segments: make([]segment[K, V], segmentsFor(bound, opts.Weigh != nil)),
		plain:    opts.Weigh == nil && opts.OnRemove == nil && opts.Observer == nil,
	}
	if opts.CountReads {
		s.counts = newCounts()
	}
	s.setBounds(bound)
	s.tags.moment.Store(1)
	s.tags.litter.init()
	for i := range s.segments {
		s.segments[i].init(s)
	}
	s.sweeper.next.Store(int64(ttl.End))
	s.sweeper.idle.L = &s.sweeper.mu
	return s
}

// A segment has a policy of its own, which needs some thousand entries to tell what is used often. How many entries
// there will be of those that are weighed nobody can say beforehand.
const (
	leastPerSegment   = 1 << 11 // entries of the bound
	leastWeight       = 1 << 26 // for a segment of those that are weighed
	mostSegments      = 256
	segmentsPerThread = 8
)

func segmentsFor(bound int64, weighed bool) int {
	least := int64(leastPerSegment)
	if weighed {
		least = leastWeight
	}
	n := 1
	for n < segmentsPerThread*runtime.GOMAXPROCS(0) && n < mostSegments && bound/int64(2*n) >= least {
		n *= 2
	}
	return n
}

// hash hashes a key. It panics if the key's dynamic type cannot be compared.
func (s *Store[K, V]) hash(key K) uint64 { return maphash.Comparable(s.seed, key) }

// segment returns the segment of a hash.
func (s *Store[K, V]) segment(hash uint64) *segment[K, V] {
	return &s.segments[s.segmentOf(hash)]
}

func (s *Store[K, V]) segmentOf(hash uint64) int {
	return int(hash>>40) & (len(s.segments) - 1)
}

// short returns the bits of a hash by which a segment tells keys apart.
func short(hash uint64) uint32 { return uint32(hash) & (1<<policy.HashBits - 1) }

// storable reports whether a key can be found again.
func storable[K comparable](key K) bool { return key == key }

// Clock returns the clock by which the deadlines of entries go.
func (s *Store[K, V]) Clock() ttl.Clock { return s.clock }

// Get returns the entry of key. It does not look at ctx, since it never waits. The only error is
// [tarn.ErrClosed].
func (s *Store[K, V]) Get(_ context.Context, key K) (e tarn.Entry[V], found bool, err error) {
	hash := s.hash(key)
	g := s.segment(hash)
	n := g.table.find(key, short(hash))
	if n == nil {
		return e, false, s.miss()
	}
	value, seen := g.read(n)
	if seen.expires|seen.fresh != 0 {
		now := s.clock.Now()
		if seen.expires.Passed(now) {
			return e, false, s.miss()
		}
		e.Fresh, e.Expires, e.Stale = seen.fresh, seen.expires, seen.fresh.Passed(now)
	}
	if seen.tagged() {
		t := n.tagged()
		if t.invalidated() {
			return tarn.Entry[V]{}, false, s.miss()
		}
		e.Tags = t.tags
	}
	if n.marks.hit() {
		g.watched(n)
	}
	s.counts.hit()
	e.Value, e.Negative, e.Rescued = value, seen.negative(), seen.rescued()
	return e, true, nil
}

// miss counts a miss, unless there is nothing because the store is closed.
func (s *Store[K, V]) miss() error {
	if s.closed.Load() {
		return tarn.ErrClosed
	}
	s.counts.miss()
	return nil
}

// Set gives key an entry in place of any other. An entry that has expired already leaves the key empty, which is
// no error. Tags whose stamp is later than the store's moment, of another store, are stamped now as those without are. It
// returns [tarn.ErrHeld] if a writer holds the key, which changes nothing, and [tarn.ErrTooHeavy], or another error if
// Weigh returned a negative weight, which leaves the key empty.
func (s *Store[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.setOne(ctx, key, &e)
}

func (s *Store[K, V]) setOne(ctx context.Context, key K, e *tarn.Entry[V]) error {
	hash, weight := s.hash(key), s.weigh(key, e)
	quick := s.plain && e.Tags == nil && storable(key)
	var now ttl.Time // 0: not read
	if quick && e.Expires != 0 && e.Expires != ttl.End {
		now = s.clock.Now()
		quick = !e.Expires.Passed(now)
	}
	var at, fresh *node[K, V]
	if quick {
		at, fresh = s.prepare(key, hash, e)
	}
	g := s.lockToStore(hash, weight, func(g *segment[K, V]) bool {
		return storable(key) && g.mayChange(key) == nil && !g.passed(e.Expires)
	})
	if quick && g.isQuiet() {
		g.change.now = now
		g.setQuickly(at, fresh, key, short(hash), e)
		g.change.now = 0
		g.unlockPlain()
		if now != 0 {
			s.wake(e.Expires)
		}
		return nil
	}
	err := g.mayChange(key)
	if err == nil {
		g.changed(key)
		err = g.set(key, short(hash), e, weight, fresh)
	}
	c := g.unlock()
	s.after(ctx, &c)
	return err
}

// prepare does what a Set can do before it locks the segment: it looks for the key's node, or else makes one.
func (s *Store[K, V]) prepare(key K, hash uint64, e *tarn.Entry[V]) (at, fresh *node[K, V]) {
	if at = s.segment(hash).table.find(key, short(hash)); at == nil {
		fresh = newNode(key, short(hash), e)
	}
	return at, fresh
}

// isQuiet reports whether nothing goes on at any key of the segment. The caller has mu.
func (g *segment[K, V]) isQuiet() bool { return !g.closed && len(g.records.byKey) == 0 }

// setQuickly is set where there is nobody to ask or to tell, as mostly: in a plain store and a quiet segment, of an entry
// without tags that has not expired, for which prepare found or made a node. The caller has mu.
func (g *segment[K, V]) setQuickly(at, fresh *node[K, V], key K, hash uint32, e *tarn.Entry[V]) {
	if at == nil || !g.table.has(at) { // somebody else came in between
		at = g.table.find(key, hash)
	}
	switch {
	case at != nil:
		g.noteNode(at, Replaced)
		g.rewrite(at, e, 1, fresh)
	case fresh != nil:
		g.insert(fresh, 1)
	default:
		g.insert(newNode(key, hash, e), 1)
	}
}

// mayChange says why an entry may not be stored under key: the store is closed, or the key held.
func (g *segment[K, V]) mayChange(key K) error {
	switch {
	case g.closed:
		return tarn.ErrClosed
	case g.held(key):
		return tarn.ErrHeld
	}
	return nil
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
	g := s.lock(hash)
	if g.closed {
		g.mu.Unlock()
		return tarn.ErrClosed
	}
	g.changed(key)
	g.empty(key, short(hash), Deleted)
	c := g.unlock()
	s.after(ctx, &c)
	return nil
}

// Clear removes every entry and voids every lease. Holds stay, and their values will not be stored. Reads that
// begin after it has returned find nothing that was there before.
func (s *Store[K, V]) Clear(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var all change[K, V]
	for i := range s.segments {
		g := &s.segments[i]
		g.mu.Lock()
		if g.closed {
			g.mu.Unlock()
			s.after(ctx, &all) // what Clear took out before Close came
			return tarn.ErrClosed
		}
		g.records.changeAll()
		old := g.takeAll()
		g.mu.Unlock()

		// The nodes are nobody else's now, but for readers that have found one already and only read it.
		expired := all.expired
		old.each(func(n *node[K, V]) { s.noteCleared(&all, n) })
		if expired = all.expired - expired; expired > 0 {
			g.mu.Lock()
			g.expirations += uint64(expired)
			g.mu.Unlock()
		}
	}
	s.after(ctx, &all)
	return nil
}

// takeAll empties the segment and returns what was in it.
func (g *segment[K, V]) takeAll() (old contents[K, V]) {
	old = g.table.takeAll()
	g.policy.Clear()
	g.clearAbsences()
	g.giveBack()
	return old
}

func (s *Store[K, V]) noteCleared(c *change[K, V], n *node[K, V]) {
	cause := Cleared
	if n.invalidated() {
		cause = Invalidated
	}
	s.untag(n)
	if at := n.expires(); at != 0 {
		if c.now == 0 {
			c.now = s.clock.Now()
		}
		if at.Passed(c.now) {
			cause = Expired
			c.expired++
		}
	}
	if s.options.OnRemove != nil && !n.negative() {
		c.removed = append(c.removed, Removal[K, V]{Key: n.key, Value: n.value, Cause: cause})
	}
}

// Close empties the store, ends its goroutine and waits for it, unless it is called by OnRemove on that very
// goroutine. From then on every operation returns [tarn.ErrClosed], or finds nothing where it returns no error.
// OnRemove is not told of what was in the store: call Clear before if it should be. Close returns nil, and may be
// called again.
func (s *Store[K, V]) Close() error {
	s.closed.Store(true)
	for i := range s.segments {
		g := &s.segments[i]
		g.mu.Lock()
		if !g.closed {
			g.closed = true
			g.takeAll()
			g.records = records[K]{}
			g.policy = policy.New((*entries[K, V])(g), policy.Options{}) // of no size
			g.absent = nil
		}
		g.mu.Unlock()
	}
	s.tags.parts.Store(nil)
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
	_ tarn.Tagger                  = (*Store[string, int])(nil)
)
