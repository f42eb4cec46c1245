package memory

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestMovesAreAnnounced: whatever takes a node away from where a reader may be looking for it gives the geometry another
// version first. A race that shows what happens otherwise is too narrow to be met in a test.
func TestMovesAreAnnounced(t *testing.T) {
	const step = 1 << 20 // hashes that differ by it stay in one bucket, however many there are here
	var table table[int, int]
	table.init()
	var nodes []*node[int, int]
	add := func(n int) {
		for range n {
			n := &node[int, int]{key: len(nodes), hash: uint32(len(nodes)) * step}
			nodes = append(nodes, n)
			table.insert(n)
		}
	}
	chain := func() (n int) {
		for b := table.bucket(0).next.Load(); b != nil; b = b.next.Load() {
			n++
		}
		return n
	}
	announced := func(what string, do func()) {
		t.Helper()
		before := table.geometry.Load() / oneMove
		do()
		if table.geometry.Load()/oneMove == before {
			t.Errorf("%s: the version is as before", what)
		}
		for i, n := range nodes {
			if n != nil && table.find(i, n.hash) != n {
				t.Errorf("%s: node %d is not found", what, i)
			}
		}
	}
	remove := func(i int) {
		table.remove(nodes[i])
		nodes[i] = nil
	}
	add(bucketSlots + 1)
	if chain() != 1 {
		t.Fatalf("%d buckets behind the first", chain())
	}
	announced("a node moves forward in its chain, and the last bucket is left", func() { remove(0) })
	if chain() != 0 || table.spares != 1 {
		t.Fatalf("%d buckets behind the first, %d spare", chain(), table.spares)
	}
	announced("a spare bucket is used", func() { add(1) })
	if chain() != 1 || table.spares != 0 {
		t.Fatalf("%d buckets behind the first, %d spare", chain(), table.spares)
	}
	announced("a bucket with the removed node alone is left", func() { remove(len(nodes) - 1) })
	add(2)
	announced("a node moves forward in its chain, and another stays", func() { remove(1) })
	if chain() != 1 {
		t.Fatalf("%d buckets behind the first", chain())
	}
	announced("a bucket is split", table.split)
	announced("a bucket is merged", table.merge)
	add(40 * bucketSlots)
	for i := range nodes {
		if nodes[i] != nil {
			remove(i)
		}
	}
	if table.spares > mostSpares || chain() != 0 {
		t.Errorf("%d spare buckets, %d in the chain", table.spares, chain())
	}
}

// TestTags: a bucket tells which of its slots may have a node by one byte of its hash, and misses none.
func TestTags(t *testing.T) {
	for slot := range bucketSlots {
		for _, hash := range []uint32{0, 1, 1 << 22, 1<<29 - 1, 0x155_5555} {
			tag := tagOf(hash)
			if tag&0x80 == 0 {
				t.Errorf("hash %x: tag %x is that of a free slot", hash, tag)
			}
			var others uint64
			for i := range bucketSlots {
				if i != slot {
					others |= (0x80 | uint64(i)) << (8 * i)
				}
			}
			if m := matches(others|tag<<(8*slot), tag); m>>(8*slot+7)&1 == 0 {
				t.Errorf("%s is not found", fmt.Sprintf("slot %d, tag %x", slot, tag))
			}
			if got := free(others); got != slot {
				t.Errorf("slot %d is free, got %d", slot, got)
			}
		}
	}
	if free(tagHighs) != bucketSlots {
		t.Error("a full bucket has a free slot")
	}
}

// TestATrimmedTableIsWhole: readers find what is there while the table grows, shrinks, and is trimmed, and it takes no
// more than twice as many buckets afterwards as are in use.
func TestATrimmedTableIsWhole(t *testing.T) {
	const kept, others = 40, 3000
	var table table[int, int]
	table.init()
	hash := func(key int) uint32 { return uint32(key) * 0x9E3779B1 >> 3 }
	nodes := make([]*node[int, int], kept+others)
	insert := func(from, to int) {
		for key := from; key < to; key++ {
			nodes[key] = &node[int, int]{key: key, hash: hash(key)}
			table.insert(nodes[key])
		}
	}
	insert(0, kept)
	var stop atomic.Bool
	var readers sync.WaitGroup
	readers.Go(func() {
		for !stop.Load() {
			for key := range kept {
				if table.find(key, hash(key)) == nil {
					t.Errorf("key %d is not found", key)
					return
				}
			}
		}
	})
	for range 30 {
		insert(kept, kept+others)
		for _, n := range nodes[kept:] {
			table.remove(n)
			table.shrink(1)
			table.trim()
		}
		if got := len((*table.chunks.Load())[0]); got >= 2*int(table.buckets()) && got > leastBuckets {
			t.Fatalf("%d buckets for the %d in use", got, table.buckets())
		}
	}
	stop.Store(true)
	readers.Wait()
}
