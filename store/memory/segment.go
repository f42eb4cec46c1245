package memory

import (
	"sync"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/policy"
	"github.com/tarncache/tarn/ttl"
)

// segment is a part of the store, by the hashes of keys: a small store of its own, but for the bound, which all
// segments share. An entry, its record, its deadline and its place with the policy change together, under mu.
// Readers take no lock; they look only into the table.
type segment[K comparable, V any] struct {
	table table[K, V]

	mu          sync.Mutex // protects all below, and changes of the table
	store       *Store[K, V]
	policy      *policy.Policy // of values; its limit is what this segment has taken of the store's bound for them
	absent      *policy.Policy // of absences; nil: there were none yet
	records     records[K]
	change      change[K, V]
	left        int // entries that left the table in this operation
	closed      bool
	evictions   uint64
	expirations uint64
	refused     uint64

	_ [40]byte // so that neighbours do not share a cache line, and all begin alike
}

// change gathers what one operation does and has to tell once it has let go of mu.
type change[K comparable, V any] struct {
	now      ttl.Time // when it happens; 0: the clock was not read yet
	deadline ttl.Time // the first that it set; 0: none
	removed  []Removal[K, V]
	evicted  int
	expired  int
}

// isNothing reports whether nothing was gathered, nor the clock read.
func (c *change[K, V]) isNothing() bool {
	return c.now|c.deadline == 0 && len(c.removed)|c.evicted|c.expired == 0
}

// add adds what another operation has to tell.
func (c *change[K, V]) add(other *change[K, V]) {
	c.removed = append(c.removed, other.removed...)
	c.evicted += other.evicted
	c.expired += other.expired
}

func (g *segment[K, V]) init(s *Store[K, V]) {
	g.store, g.table.words = s, wordsOf[V]()
	g.table.init()
	g.policy = policy.New((*entries[K, V])(g), policy.Options{
		Weighted: s.options.Weigh != nil,
		Choice:   &s.choice,
		Lab:      g == &s.segments[0],
	})
	g.records = records[K]{byKey: make(map[K]*record[K])}
}

// unlock ends an operation, and returns what it has to tell.
func (g *segment[K, V]) unlock() (c change[K, V]) {
	if !g.change.isNothing() {
		c, g.change = g.change, change[K, V]{}
	}
	g.unlockPlain()
	return c
}

// unlockPlain ends an operation that has nothing to tell.
func (g *segment[K, V]) unlockPlain() {
	g.giveBack()
	if left := g.left; left > 0 {
		g.left = 0
		g.table.shrink(left)
	}
	g.mu.Unlock()
}

// The methods below are parts of operations. Their callers have mu.

// giveBack gives back what the segment has taken of the bound and does not need.
func (g *segment[K, V]) giveBack() {
	if excess := g.policy.Limit() - g.policy.Weight(); excess > 0 {
		g.policy.SetLimit(g.policy.Weight())
		g.store.give(excess)
	}
	if g.absent != nil {
		g.giveBackAbsences()
	}
}

// now returns the instant of the operation, reading the clock once.
func (g *segment[K, V]) now() ttl.Time {
	if g.change.now == 0 {
		g.change.now = g.store.clock.Now()
	}
	return g.change.now
}

// passed reports whether a deadline has passed. It reads no clock if there is none.
func (g *segment[K, V]) passed(deadline ttl.Time) bool {
	return deadline != 0 && deadline != ttl.End && deadline.Passed(g.now())
}

// live returns the node of key, or nil if there is none, or it has expired or was invalidated.
func (g *segment[K, V]) live(key K, hash uint32) *node[K, V] {
	n := g.table.find(key, hash)
	if n == nil || g.passed(n.expires()) || n.invalidated() {
		return nil
	}
	return n
}

// entryOf returns the entry of a node as callers see it.
func (g *segment[K, V]) entryOf(n *node[K, V]) tarn.Entry[V] {
	e := n.entry()
	e.Stale = g.passed(e.Fresh)
	return e
}

// set is put for callers who are told nothing but an error: what is accepted and yet not kept, because its key cannot
// be found again, its life is over or one of its tags was invalidated, has left at once.
func (g *segment[K, V]) set(key K, hash uint32, e *tarn.Entry[V], weight int64, fresh *node[K, V]) error {
	stored, err := false, error(nil)
	if storable(key) {
		stored, err = g.put(key, hash, e, weight, fresh)
	}
	if !stored && err == nil {
		cause := Evicted
		if storable(key) {
			cause = Invalidated // unless it has expired
		}
		g.note(key, e.Value, e.Negative, e.Expires, cause)
	}
	return err
}

// put gives key an entry of weight in place of any other, and reports whether it stored it: one that has expired or was
// invalidated already leaves the key empty, and so does one that it refuses with an error. A node for the entry may be
// at hand.
func (g *segment[K, V]) put(
	key K, hash uint32, e *tarn.Entry[V], weight int64, fresh *node[K, V],
) (bool, error) {
	weight, err := g.store.admissible(e, weight)
	if err != nil {
		g.refused++
	}
	keep := err == nil && !g.passed(e.Expires)
	if keep && e.Tags != nil {
		if fresh = g.newTagged(key, hash, e); fresh.invalidated() {
			g.store.refuse(fresh)
			keep = false
		}
	}
	if !keep {
		g.empty(key, hash, Replaced)
		return false, err
	}
	if n := g.table.find(key, hash); n != nil {
		g.replace(n, e, uint64(weight), fresh)
	} else {
		if fresh == nil {
			fresh = newNode(key, hash, e)
		}
		g.insert(fresh, uint64(weight))
	}
	if e.Expires != 0 && e.Expires != ttl.End && (g.change.deadline == 0 || e.Expires < g.change.deadline) {
		g.change.deadline = e.Expires
	}
	return true, nil
}

// replace gives a node another entry, or another node its place, which may be at hand.
func (g *segment[K, V]) replace(n *node[K, V], e *tarn.Entry[V], weight uint64, fresh *node[K, V]) {
	g.noteNode(n, Replaced)
	turns := n.negative() != e.Negative
	n = g.rewrite(n, e, weight, fresh)
	if turns || e.Negative || g.store.options.Weigh == nil {
		return
	}
	g.take(weight)
	at := n.place
	n.place = 0 // so that nobody is taken for it who gets its place
	n.place = g.policy.Reweigh(at, n.hash, weight)
}

// rewrite gives a node another entry, or another node its place, which it returns. That is a use. The other node may be
// at hand. The weight is looked at if an absence turns into a value.
func (g *segment[K, V]) rewrite(n *node[K, V], e *tarn.Entry[V], weight uint64, other *node[K, V]) *node[K, V] {
	if n.write(e, g.table.words) {
		n.marks.hit()
		if e.Expires != 0 {
			g.table.due(g.table.shape().bucket(n.hash), n)
		}
		return n
	}
	if other == nil {
		other = newNode(n.key, n.hash, e)
	}
	turns := n.negative() != other.negative()
	if turns {
		g.leave(n)
	}
	other.place = n.place
	other.marks.inherit(&n.marks)
	g.table.replace(n, other)
	if turns {
		g.turned(other, weight)
	}
	g.store.untag(n)
	return other
}

// insert puts a node in whose key is not there. What has to make room leaves before readers can find it, so that there
// never are too many.
func (g *segment[K, V]) insert(n *node[K, V], weight uint64) {
	n.place = g.enter(n, weight)
	g.table.insert(n)
}

// enter gives a node a place with its policy, which makes room for it.
func (g *segment[K, V]) enter(n *node[K, V], weight uint64) policy.Place {
	if n.negative() {
		return g.enterAbsence(n.hash)
	}
	g.take(weight)
	if g.policy.Weight()+weight > g.policy.Limit() && g.due() {
		g.expire(fewExpired) // what has expired makes room before what has not
	}
	return g.policy.Insert(n.hash, weight)
}

const fewExpired = 32 // entries

// due reports whether there may be something that has expired.
func (g *segment[K, V]) due() bool { return g.table.dues.any() && g.table.dues.next().Passed(g.now()) }

// take takes room for a weight from what the store has left, as far as there is some.
func (g *segment[K, V]) take(weight uint64) { g.reserve(g.policy.Weight() + weight) }

// empty removes what stands under key.
func (g *segment[K, V]) empty(key K, hash uint32, cause Cause) {
	if n := g.table.find(key, hash); n != nil {
		g.remove(n, cause)
	}
}

func (g *segment[K, V]) remove(n *node[K, V], cause Cause) {
	g.leave(n)
	g.drop(n, cause)
}

// drop forgets a node that the policy has let go.
func (g *segment[K, V]) drop(n *node[K, V], cause Cause) {
	g.table.remove(n)
	g.left++
	g.noteNode(n, cause)
	g.store.untag(n)
}

// expire removes some of what has expired, and reports whether there may be more.
func (g *segment[K, V]) expire(some int) (more bool) {
	return g.table.expire(g.now(), some, func(n *node[K, V]) { g.remove(n, Expired) })
}

func (g *segment[K, V]) noteNode(n *node[K, V], cause Cause) {
	if n.invalidated() {
		cause = Invalidated
	}
	g.note(n.key, n.value, n.negative(), n.expires(), cause)
}

// note counts that an entry leaves, and remembers whom to tell.
func (g *segment[K, V]) note(key K, value V, negative bool, expires ttl.Time, cause Cause) {
	if g.passed(expires) {
		cause = Expired
	}
	c := &g.change
	switch cause {
	case Evicted:
		g.evictions++
		if g.store.options.Observer != nil {
			c.evicted++
		}
	case Expired:
		g.expirations++
		if g.store.options.Observer != nil {
			c.expired++
		}
	}
	if g.store.options.OnRemove != nil && !negative {
		c.removed = append(c.removed, Removal[K, V]{Key: key, Value: value, Cause: cause})
	}
}

// entries is what the policy for values asks a segment.
type entries[K comparable, V any] segment[K, V]

func (g *entries[K, V]) Uses(hash uint32, at policy.Place) uint32 {
	return g.table.findAt(hash, at, 0).marks.take()
}

func (g *entries[K, V]) Moved(hash uint32, from, to policy.Place) {
	g.table.findAt(hash, from, 0).place = to
}

func (g *entries[K, V]) Evict(hash uint32, at policy.Place) {
	(*segment[K, V])(g).drop(g.table.findAt(hash, at, 0), Evicted)
}

func (g *entries[K, V]) Watch(hash uint32, at policy.Place, on bool) {
	g.table.findAt(hash, at, 0).marks.watch(on)
}
