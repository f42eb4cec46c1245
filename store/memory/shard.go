package memory

import (
	"sync"
	"sync/atomic"
)

// shard is a part of the table. Readers lock a shard alone; whoever changes it holds Store.mu too.
type shard[K comparable, V any] struct {
	mu     sync.RWMutex      // protects nodes, most, clears, closed
	nodes  map[K]*node[K, V] // nil once closed
	most   int               // the largest len(nodes) since it was made
	clears uint64            // counts the maps put in place of nodes
	closed bool

	hits, misses atomic.Uint64

	_ [56]byte // so that neighbours do not share a cache line: 128 bytes in all
}

// swap puts a map, or nil, in place of nodes, which it returns.
func (sh *shard[K, V]) swap(nodes map[K]*node[K, V]) map[K]*node[K, V] {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.nodes
	sh.nodes = nodes
	sh.most = 0
	sh.clears++
	sh.closed = nodes == nil
	return old
}

func (sh *shard[K, V]) insert(n *node[K, V]) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.nodes[n.key] = n
	sh.most = max(sh.most, len(sh.nodes))
}

func (sh *shard[K, V]) remove(key K) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.nodes, key)
	if len(sh.nodes) == 0 && sh.most > shrinkAbove {
		sh.nodes = make(map[K]*node[K, V]) // a Go map does not shrink
		sh.most = 0
		sh.clears++
	}
}

const shrinkAbove = 1024 // entries that a map once had, for which an empty one is worth replacing
