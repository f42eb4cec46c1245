package memory

import (
	"sync/atomic"
	"unsafe"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/policy"
	"github.com/tarncache/tarn/ttl"
)

// node is one key and its entry. Once it is in the table its key and entry never change, but for the deadline that a
// Touch moves: another entry of the key is another node in its place, so readers need no lock.
type node[K comparable, V any] struct {
	marks marks  // what the hits left
	hash  uint32 // the bits of the key's hash by which the table and the policy go
	flags uint8
	place policy.Place // protected by the segment's mu
	key   K
	value V
}

const (
	isTimed    = 1 << iota // it is the first field of a timedNode
	isNegative             // Entry.Negative
)

// timedNode is a node whose entry has deadlines. Most entries of a store without lives need no room for them.
type timedNode[K comparable, V any] struct {
	node[K, V]
	fresh  ttl.Time
	expiry atomic.Int64 // a ttl.Time
}

func (n *timedNode[K, V]) expires() ttl.Time { return ttl.Time(n.expiry.Load()) }

func newNode[K comparable, V any](key K, hash uint32, e *tarn.Entry[V]) *node[K, V] {
	var n *node[K, V]
	if e.Fresh|e.Expires != 0 {
		timed := &timedNode[K, V]{fresh: e.Fresh}
		timed.expiry.Store(int64(e.Expires))
		n = &timed.node
		n.flags = isTimed
	} else {
		n = new(node[K, V])
	}
	if e.Negative {
		n.flags |= isNegative
	}
	n.key, n.hash, n.value = key, hash, e.Value
	return n
}

// timed returns the node with its deadlines. It has them only if flags say so.
func (n *node[K, V]) timed() *timedNode[K, V] {
	return (*timedNode[K, V])(unsafe.Pointer(n)) // n is the first field of one: newNode allocated it so
}

func (n *node[K, V]) isTimed() bool  { return n.flags&isTimed != 0 }
func (n *node[K, V]) negative() bool { return n.flags&isNegative != 0 }

// expires returns when the entry is gone; 0: never.
func (n *node[K, V]) expires() ttl.Time {
	if !n.isTimed() {
		return 0
	}
	return n.timed().expires()
}

// entry returns the entry, but for Stale.
func (n *node[K, V]) entry() tarn.Entry[V] {
	e := tarn.Entry[V]{Value: n.value, Negative: n.negative()}
	if n.isTimed() {
		t := n.timed()
		e.Fresh, e.Expires = t.fresh, t.expires()
	}
	return e
}

// marks are what hits leave at an entry, in one word: up to 15 uses that the policy has not been told of, and whether
// the policy watches the entry. At 15 a hit writes nothing, so what is used by all is not written by all. Hits only
// raise the uses, by compare and swap, and lose one where two meet; the policy, under the segment's mu, takes them.
type marks struct{ word atomic.Uint32 }

const (
	maxUses = 15
	watched = maxUses + 1
)

// hit counts a use and reports whether the policy watches the entry.
func (m *marks) hit() bool {
	word := m.word.Load()
	if word&maxUses != maxUses {
		m.word.CompareAndSwap(word, word+1)
	}
	return word >= watched
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
		m.word.Or(watched)
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
