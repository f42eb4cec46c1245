package memory

import (
	"sync/atomic"
	"unsafe"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/policy"
	"github.com/tarncache/tarn/ttl"
)

// node is one key and its entry. Readers need no lock: the key never changes, and while the entry is changed in place,
// or has been since a reader began to read it, version says so. What is too large to be changed in place, or has
// deadlines where there is no room for them, is put into a new node that takes the old one's place in the table.
type node[K comparable, V any] struct {
	marks   marks         // what the hits left
	version atomic.Uint32 // counts the changes of the entry, above the flags below
	hash    uint32        // the bits of the key's hash by which the table and the policy go
	place   policy.Place  // protected by the segment's mu
	key     K
	value   V
}

const (
	isChanging = 1 << iota // the entry is being changed
	isNegative             // Entry.Negative
	isRescued              // Entry.Rescued
	isTimed                // the node is the first field of a timedNode; never changes
	isTagged               // the timedNode is the first field of a taggedNode; never changes
	oneChange

	isNoHit = isNegative | isRescued // what Hit leaves to Get
	isSeen  = isNoHit | isTagged     // what readers look at
)

// flagsOf returns what a node's version says of an entry.
func flagsOf[V any](e *tarn.Entry[V]) (flags uint32) {
	if e.Negative {
		flags |= isNegative
	}
	if e.Rescued {
		flags |= isRescued
	}
	return flags
}

// timedNode is a node whose entry has deadlines. Most entries of a store without lives need no room for them.
type timedNode[K comparable, V any] struct {
	node[K, V]
	fresh, expires atomic.Int64 // each a ttl.Time
}

// newNode returns a node for an entry without tags; see newTagged.
func newNode[K comparable, V any](key K, hash uint32, e *tarn.Entry[V]) *node[K, V] {
	var n *node[K, V]
	flags := flagsOf(e)
	if e.Fresh|e.Expires != 0 {
		timed := new(timedNode[K, V])
		timed.fresh.Store(int64(e.Fresh))
		timed.expires.Store(int64(e.Expires))
		n = &timed.node
		flags |= isTimed
	} else {
		n = new(node[K, V])
	}
	n.version.Store(flags)
	n.key, n.hash, n.value = key, hash, e.Value
	return n
}

// timed returns the node with its deadlines. It has them only if its version says so.
func (n *node[K, V]) timed() *timedNode[K, V] {
	return (*timedNode[K, V])(unsafe.Pointer(n)) // n is the first field of one: newNode allocated it so
}

// seen is an entry as a reader saw it, but for the value. It has so few fields that it stays in registers.
type seen struct {
	fresh, expires ttl.Time
	flags          uint32 // isSeen
}

func (s seen) negative() bool { return s.flags&isNegative != 0 }
func (s seen) rescued() bool  { return s.flags&isRescued != 0 }
func (s seen) tagged() bool   { return s.flags&isTagged != 0 }

// read returns the entry of a node as it was at one instant. It waits for the segment's mu only where others change the
// entry all the while.
func (g *segment[K, V]) read(n *node[K, V]) (value V, e seen) {
	for range maxReads {
		version := n.version.Load()
		if version&isChanging != 0 {
			continue
		}
		if w := g.table.words; w.n == 0 {
			value = n.value // never changes
		} else {
			value = load(&n.value, w)
		}
		if version&isTimed != 0 {
			t := n.timed()
			e.fresh, e.expires = ttl.Time(t.fresh.Load()), ttl.Time(t.expires.Load())
		}
		if n.version.Load() == version {
			e.flags = version & isSeen
			return value, e
		}
	}
	return g.readLocked(n)
}

const maxReads = 16

// readLocked is read for a node that others change all the while.
func (g *segment[K, V]) readLocked(n *node[K, V]) (V, seen) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := n.entry()
	return e.Value, seen{fresh: e.Fresh, expires: e.Expires, flags: n.version.Load() & isSeen}
}

// The methods below are for whoever has the segment's mu.

func (n *node[K, V]) negative() bool { return n.version.Load()&isNegative != 0 }

// expires returns when the entry is gone; 0: never.
func (n *node[K, V]) expires() ttl.Time {
	if n.version.Load()&isTimed == 0 {
		return 0
	}
	return ttl.Time(n.timed().expires.Load())
}

// entry returns the entry, but for Stale.
func (n *node[K, V]) entry() tarn.Entry[V] {
	version := n.version.Load()
	e := tarn.Entry[V]{Value: n.value, Negative: version&isNegative != 0, Rescued: version&isRescued != 0}
	if version&isTimed != 0 {
		t := n.timed()
		e.Fresh, e.Expires = ttl.Time(t.fresh.Load()), ttl.Time(t.expires.Load())
	}
	if version&isTagged != 0 {
		e.Tags = n.tagged().tags
	}
	return e
}

// write changes the entry in place, and reports whether it could. A value and an absence have different places.
func (n *node[K, V]) write(e *tarn.Entry[V], w words) bool {
	version, flags := n.version.Load(), flagsOf(e)
	if w.n == 0 || (version^flags)&isNegative != 0 || version&isTagged != 0 || e.Tags != nil ||
		version&isTimed == 0 && e.Fresh|e.Expires != 0 {
		return false
	}
	if w.n > 1 || version&isTimed != 0 || flags != version&isNoHit {
		n.version.Store(version | isChanging) // else one word changes
	}
	w.store(unsafe.Pointer(&n.value), unsafe.Pointer(&e.Value))
	n.writeLife(e.Fresh, e.Expires, version)
	n.version.Store(version&^isNoHit + oneChange | flags)
	return true
}

// touch changes when the entry expires, in place, and reports whether it could.
func (n *node[K, V]) touch(expires ttl.Time) bool {
	version := n.version.Load()
	if version&isTimed == 0 {
		return expires == 0
	}
	n.version.Store(version | isChanging)
	n.timed().expires.Store(int64(expires))
	n.version.Store(version + oneChange)
	return true
}

func (n *node[K, V]) writeLife(fresh, expires ttl.Time, version uint32) {
	if version&isTimed == 0 {
		return
	}
	t := n.timed()
	if t.fresh.Load() != int64(fresh) { // mostly there is none
		t.fresh.Store(int64(fresh))
	}
	t.expires.Store(int64(expires))
}

// marks are what hits leave at an entry, in one word: up to 15 uses that the policy has not been told of, and whether
// the policy watches the entry. At 15 a hit writes nothing, so what is used by all is not written by all. Hits only
// raise the uses, by compare and swap, and lose one where two meet; the policy, under the segment's mu, takes them.
type marks struct{ word atomic.Uint32 }

const (
	maxUses   = 15
	isWatched = maxUses + 1
)

// hit counts a use and reports whether the policy watches the entry.
func (m *marks) hit() bool {
	word := m.word.Load()
	if word&maxUses != maxUses {
		m.word.CompareAndSwap(word, word+1)
	}
	return word >= isWatched
}

// take returns the uses, and forgets them.
func (m *marks) take() uint32 {
	n := m.word.Load() & maxUses
	if n > 0 {
		m.word.Add(-n)
	}
	return n
}

// watch says whether the policy watches the entry.
func (m *marks) watch(on bool) {
	if on {
		m.word.Or(isWatched)
	} else {
		m.word.And(maxUses)
	}
}

// inherit takes over the marks of the node that this one is put in the place of, which counts as a use.
func (m *marks) inherit(old *marks) {
	word := old.word.Load()
	if word&maxUses != maxUses {
		word++
	}
	m.word.Store(word)
}
