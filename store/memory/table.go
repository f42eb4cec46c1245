package memory

import (
	"math/bits"
	"sync/atomic"

	"github.com/tarncache/tarn/internal/policy"
)

// table finds the nodes of a segment by key. Readers take no lock; whoever changes it has the segment's mu.
//
// It is a hash table that grows and shrinks by one bucket at a time (Litwin: Linear Hashing, VLDB 1980), so that no
// operation moves more than the nodes of one bucket. A bucket is a cache line where a pointer has 64 bits: a byte of
// the hash for each of its nodes, by which a reader passes over most that are not looked for, the nodes, and what did
// not fit.
//
// A node that is moved is first put where it belongs from then on, then the geometry gets another version, and only
// then it is taken away where it was. A reader that finds nothing looks at the geometry again, and starts anew if it
// has changed. So it never misses a node that was there all the while.
type table[K comparable, V any] struct {
	geometry atomic.Uint64                    // how many buckets are in use, and a version in the upper half
	chunks   atomic.Pointer[[][]bucket[K, V]] // all of one length but for the first of a small table; see room
	words    words                            // of V
	_        [32]byte                         // what every write changes is not on the cache line that readers need

	// The segment's mu protects the rest.
	count  int           // nodes
	spare  *bucket[K, V] // a list, by next, of buckets that were behind others and emptied
	spares int
	dues   dues
}

type bucket[K comparable, V any] struct {
	tags  atomic.Uint64 // a byte for each slot that is in use
	slots [bucketSlots]atomic.Pointer[node[K, V]]
	next  atomic.Pointer[bucket[K, V]] // more nodes of this bucket
}

const (
	bucketSlots  = 6
	chunkBuckets = 512
	leastBuckets = 8

	// Nodes per bucket, in halves: above the one a bucket is added, below the other one is taken away.
	mostNodes  = 9
	leastNodes = 4

	tagOnes  = 0x0000_0101_0101_0101
	tagHighs = 0x0000_8080_8080_8080

	oneMove = 1 << 32 // in a geometry: its version
)

// tagOf returns the byte of a hash that a bucket keeps. It is never zero, which is a free slot, and lies above the bits
// by which buckets are chosen.
func tagOf(hash uint32) uint64 { return uint64(hash>>(policy.HashBits-7)) | 0x80 }

// matches returns the slots whose tags are tag, as the high bits of their bytes; some others, seldom, with them (Warren:
// Hacker's Delight, 2nd edition, 6-1).
func matches(tags, tag uint64) uint64 {
	x := tags ^ tag*tagOnes
	return (x - tagOnes) &^ x & tagHighs
}

// free returns a free slot, or bucketSlots if there is none.
func free(tags uint64) int { return bits.TrailingZeros64(^tags&tagHighs|1<<(8*bucketSlots+7)) / 8 }

// geometry says how many buckets are in use, and in the upper bits how many bits of a hash that takes.
type geometry uint32

const (
	bucketBits = 27
	maxBuckets = 1 << (bucketBits - 1)
)

func geometryOf(buckets uint32) geometry {
	return geometry(bits.Len32(buckets-1)<<bucketBits) | geometry(buckets)
}

func (g geometry) buckets() uint32 { return uint32(g) & (1<<bucketBits - 1) }

// bucket returns which bucket a hash belongs to.
func (g geometry) bucket(hash uint32) uint32 {
	half := uint32(1) << (g >> bucketBits) / 2
	i := hash & (2*half - 1)
	beyond := uint32(int32(g.buckets()-1-i) >> 31) // all ones if there is no such bucket yet; a branch would be guessed
	return i - half&beyond
}

func (t *table[K, V]) init() {
	chunks := [][]bucket[K, V]{make([]bucket[K, V], leastBuckets)}
	t.chunks.Store(&chunks)
	t.publish(leastBuckets)
	t.count, t.spare, t.spares = 0, nil, 0
	t.dues = dues{}
}

func (t *table[K, V]) shape() geometry { return geometry(t.geometry.Load()) }
func (t *table[K, V]) buckets() uint32 { return t.shape().buckets() }

// publish lets readers know the number of buckets, and those of them who found nothing look again.
func (t *table[K, V]) publish(buckets uint32) {
	t.geometry.Store((t.geometry.Load()/oneMove+1)*oneMove | uint64(geometryOf(buckets)))
}

// find returns the node of key, or nil. Anybody may call it at any time.
func (t *table[K, V]) find(key K, hash uint32) *node[K, V] {
	// Nearly always the node is the first that matches in its bucket, or nothing does, and nothing has moved.
	seen := t.geometry.Load()
	i := geometry(seen).bucket(hash)
	chunks := *t.chunks.Load()
	if c := int(i / chunkBuckets); c < len(chunks) && int(i%chunkBuckets) < len(chunks[c]) {
		b := &chunks[c][i%chunkBuckets]
		if m := matches(b.tags.Load(), tagOf(hash)); m != 0 {
			if n := b.slots[bits.TrailingZeros64(m)/8].Load(); n != nil && n.hash == hash && n.key == key {
				return n
			}
		} else if b.next.Load() == nil && t.geometry.Load() == seen {
			return nil
		}
	}
	return t.search(key, hash)
}

// search is find for every case.
func (t *table[K, V]) search(key K, hash uint32) *node[K, V] {
	for {
		seen := t.geometry.Load()
		i := geometry(seen).bucket(hash)
		chunks := *t.chunks.Load()
		if c := int(i / chunkBuckets); c < len(chunks) && int(i%chunkBuckets) < len(chunks[c]) {
			if n := chunks[c][i%chunkBuckets].find(key, hash); n != nil {
				return n
			}
		}
		if t.geometry.Load() == seen {
			return nil
		}
	}
}

// find returns the node of key in a bucket and its chain, or nil.
func (b *bucket[K, V]) find(key K, hash uint32) *node[K, V] {
	for ; b != nil; b = b.next.Load() {
		for m := matches(b.tags.Load(), tagOf(hash)); m != 0; m &= m - 1 {
			if n := b.slots[bits.TrailingZeros64(m)/8].Load(); n != nil && n.hash == hash && n.key == key {
				return n
			}
		}
	}
	return nil
}

// The methods below are for whoever has the segment's mu.

func (t *table[K, V]) bucket(i uint32) *bucket[K, V] {
	return &(*t.chunks.Load())[i/chunkBuckets][i%chunkBuckets]
}

func (t *table[K, V]) bucketFor(hash uint32) *bucket[K, V] {
	return t.bucket(t.shape().bucket(hash))
}

// findAt returns the node that has a place with the policy for values, or for what is isNegative.
func (t *table[K, V]) findAt(hash uint32, place policy.Place, kind uint32) *node[K, V] {
	for b := t.bucketFor(hash); b != nil; b = b.next.Load() {
		for m := matches(b.tags.Load(), tagOf(hash)); m != 0; m &= m - 1 {
			n := b.slots[bits.TrailingZeros64(m)/8].Load()
			if n != nil && n.place == place && n.hash == hash && n.version.Load()&isNegative == kind {
				return n
			}
		}
	}
	return nil
}

// has reports whether a node that was found is still there.
func (t *table[K, V]) has(n *node[K, V]) bool {
	b, _ := t.bucketFor(n.hash).locate(n)
	return b != nil
}

// insert puts a node in whose key is not there, and makes room for the next.
func (t *table[K, V]) insert(n *node[K, V]) {
	i := t.shape().bucket(n.hash)
	t.fit(t.bucket(i), n)
	t.count++
	t.due(i, n)
	if buckets := t.buckets(); 2*t.count > mostNodes*int(buckets) && buckets < maxBuckets {
		t.split()
	}
}

// replace puts a node in the place of another of the same key.
func (t *table[K, V]) replace(old, n *node[K, V]) {
	i := t.shape().bucket(n.hash)
	b, slot := t.bucket(i).locate(old)
	b.slots[slot].Store(n)
	t.due(i, n)
}

// remove takes a node out. The caller calls shrink afterwards.
func (t *table[K, V]) remove(n *node[K, V]) {
	head := t.bucketFor(n.hash)
	b, slot := head.locate(n)
	b.empty(slot)
	t.count--
	if head.next.Load() != nil {
		t.compact(head)
	}
}

// shrink gives back what removals left over: as many buckets as nodes were removed, at most.
func (t *table[K, V]) shrink(removed int) {
	if t.count == 0 && t.buckets() > leastBuckets {
		t.init()
		return
	}
	for ; removed > 0 && t.buckets() > leastBuckets && 2*t.count < leastNodes*int(t.buckets()); removed-- {
		t.merge()
	}
}

// split adds a bucket, and moves there what belongs there.
func (t *table[K, V]) split() {
	buckets := t.buckets()
	after := geometryOf(buckets + 1)
	t.room(buckets + 1)
	from := buckets &^ (1 << (bits.Len32(buckets) - 1))
	head, added := t.bucket(from), t.bucket(buckets)
	t.dues.copy(from, buckets)
	for b := head; b != nil; b = b.next.Load() {
		b.each(func(_ int, n *node[K, V]) {
			if after.bucket(n.hash) == buckets {
				t.fit(added, n)
			}
		})
	}
	t.publish(buckets + 1)
	for b := head; b != nil; b = b.next.Load() {
		b.each(func(slot int, n *node[K, V]) {
			if after.bucket(n.hash) == buckets {
				b.empty(slot)
			}
		})
	}
	if head.next.Load() != nil {
		t.compact(head)
	}
}

// merge takes the last bucket away, and moves its nodes to the bucket that it was split from.
func (t *table[K, V]) merge() {
	last := t.buckets() - 1
	into := last &^ (1 << (bits.Len32(last) - 1))
	head, gone := t.bucket(into), t.bucket(last)
	for b := gone; b != nil; b = b.next.Load() {
		b.each(func(_ int, n *node[K, V]) { t.fit(head, n) })
	}
	t.dues.merge(last, into)
	t.publish(last)
	gone.next.Store(nil)
	gone.each(func(slot int, _ *node[K, V]) { gone.empty(slot) })
	if last%chunkBuckets == 0 {
		chunks := *t.chunks.Load()
		fewer := append([][]bucket[K, V](nil), chunks[:last/chunkBuckets]...)
		t.chunks.Store(&fewer)
		t.dues.cut(int(last / chunkBuckets))
	}
}

// contents are the nodes of a table that was emptied.
type contents[K comparable, V any] [][]bucket[K, V]

// takeAll empties the table and returns what was in it.
func (t *table[K, V]) takeAll() contents[K, V] {
	old := *t.chunks.Load()
	t.init()
	return old
}

func (c contents[K, V]) each(f func(*node[K, V])) {
	for _, chunk := range c {
		for i := range chunk {
			for b := &chunk[i]; b != nil; b = b.next.Load() {
				b.each(func(_ int, n *node[K, V]) { f(n) })
			}
		}
	}
}

// room sees to it that there are so many buckets to use. The first chunk of a small table is copied to one of twice
// its length; a reader of the old one sees it as it was when the reader began.
func (t *table[K, V]) room(buckets uint32) {
	chunks := *t.chunks.Load()
	first := chunks[0]
	switch {
	case int(buckets) <= len(first), len(first) == chunkBuckets && int(buckets) <= len(chunks)*chunkBuckets:
		return
	case len(first) == chunkBuckets:
		chunks = append(chunks, make([]bucket[K, V], chunkBuckets))
	default:
		longer := make([]bucket[K, V], 2*len(first))
		for i := range first {
			longer[i].copy(&first[i])
		}
		chunks = [][]bucket[K, V]{longer}
	}
	t.chunks.Store(&chunks)
}

// trim copies the first chunk of a small table to a shorter one, as room does to a longer one.
func (t *table[K, V]) trim() {
	chunks := *t.chunks.Load()
	size := len(chunks[0])
	for len(chunks) == 1 && size > leastBuckets && size/2 >= int(t.buckets()) {
		size /= 2
	}
	if size == len(chunks[0]) {
		return
	}
	shorter := make([]bucket[K, V], size)
	for i := range shorter {
		shorter[i].copy(&chunks[0][i])
	}
	chunks = [][]bucket[K, V]{shorter}
	t.chunks.Store(&chunks)
}

// compact moves nodes from the chain behind a bucket into free slots before them, and lets go of what is empty then.
func (t *table[K, V]) compact(head *bucket[K, V]) {
	tail := head.next.Load()
	moved := false
	tail.each(func(_ int, n *node[K, V]) {
		if slot := free(head.tags.Load()); slot < bucketSlots {
			head.put(slot, n)
			moved = true
		}
	})
	if moved {
		t.publish(t.buckets())
		tail.each(func(slot int, n *node[K, V]) {
			if b, _ := head.locate(n); b == head {
				tail.empty(slot)
			}
		})
	}
	switch {
	case tail.tags.Load() == 0:
		head.next.Store(tail.next.Load())
		t.keep(tail)
	case tail.next.Load() != nil:
		t.compact(tail)
	}
}

// locate returns where in a bucket and its chain a node is, or nil.
func (b *bucket[K, V]) locate(n *node[K, V]) (at *bucket[K, V], slot int) {
	for ; b != nil; b = b.next.Load() {
		for m := matches(b.tags.Load(), tagOf(n.hash)); m != 0; m &= m - 1 {
			if slot := bits.TrailingZeros64(m) / 8; b.slots[slot].Load() == n {
				return b, slot
			}
		}
	}
	return nil, 0
}

// fit puts a node into the first free slot of a bucket and its chain.
func (t *table[K, V]) fit(b *bucket[K, V], n *node[K, V]) {
	slot := free(b.tags.Load())
	for slot == bucketSlots {
		next := b.next.Load()
		if next == nil {
			next = t.another()
			next.put(0, n)
			b.next.Store(next)
			return
		}
		b = next
		slot = free(b.tags.Load())
	}
	b.put(slot, n)
}

// another returns an empty bucket to put behind one that is full. A reader may still be in a spare one, and come from
// there to where it does not belong; the new version of the geometry has it look again.
func (t *table[K, V]) another() *bucket[K, V] {
	b := t.spare
	if b == nil {
		return new(bucket[K, V])
	}
	t.publish(t.buckets())
	t.spare = b.next.Load()
	t.spares--
	b.next.Store(nil)
	return b
}

// keep keeps an empty bucket that nothing leads to any more, for another.
func (t *table[K, V]) keep(b *bucket[K, V]) {
	if t.spares == mostSpares {
		return
	}
	t.publish(t.buckets())
	b.next.Store(t.spare)
	t.spare = b
	t.spares++
}

const mostSpares = 16

func (b *bucket[K, V]) put(slot int, n *node[K, V]) {
	b.slots[slot].Store(n)
	b.tags.Store(b.tags.Load() | tagOf(n.hash)<<(8*slot))
}

func (b *bucket[K, V]) empty(slot int) {
	b.tags.Store(b.tags.Load() &^ (0xFF << (8 * slot)))
	b.slots[slot].Store(nil)
}

// copy makes b, which nobody else knows yet, as old is.
func (b *bucket[K, V]) copy(old *bucket[K, V]) {
	old.each(func(slot int, n *node[K, V]) { b.put(slot, n) })
	b.next.Store(old.next.Load())
}

// each calls f for each node of a bucket, but not of its chain. f may empty the slot.
func (b *bucket[K, V]) each(f func(slot int, n *node[K, V])) {
	for m := b.tags.Load() & tagHighs; m != 0; m &= m - 1 {
		slot := bits.TrailingZeros64(m) / 8
		f(slot, b.slots[slot].Load())
	}
}
