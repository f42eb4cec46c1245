package peers

// sieve is SIEVE as in algorithm 1 of "SIEVE is simpler than LRU: an efficient turn-key eviction algorithm for web
// caches" (Zhang, Yang, Yue, Vigfusson and Rashmi, NSDI 2024): a queue in which a hand goes from the oldest to the
// newest and removes the first that was not visited since it last came by.
type sieve[K Key, V any] struct {
	capacity       int
	nodes          map[K]*sieveNode[K, V]
	newest, oldest *sieveNode[K, V]
	hand           *sieveNode[K, V] // nil: it starts at the oldest
}

type sieveNode[K Key, V any] struct {
	key          K
	value        V
	visited      bool
	newer, older *sieveNode[K, V]
}

func newSieve[K Key, V any](o Options) (*Peer[K, V], error) {
	c := &sieve[K, V]{capacity: o.Capacity, nodes: make(map[K]*sieveNode[K, V])}
	return &Peer[K, V]{Cache: c, Len: func() int { return len(c.nodes) }, Wait: nothing, Close: nothing}, nil
}

func (c *sieve[K, V]) Get(key K) (value V, found bool) {
	n := c.nodes[key]
	if n == nil {
		return value, false
	}
	n.visited = true
	return n.value, true
}

func (c *sieve[K, V]) Set(key K, value V) {
	if n := c.nodes[key]; n != nil {
		n.value, n.visited = value, true
		return
	}
	if len(c.nodes) >= c.capacity {
		c.evict()
	}
	n := &sieveNode[K, V]{key: key, value: value, older: c.newest}
	c.nodes[key] = n
	if c.newest != nil {
		c.newest.newer = n
	}
	c.newest = n
	if c.oldest == nil {
		c.oldest = n
	}
}

func (c *sieve[K, V]) evict() {
	n := c.hand
	if n == nil {
		n = c.oldest
	}
	for n.visited {
		n.visited = false
		if n = n.newer; n == nil {
			n = c.oldest
		}
	}
	c.hand = n.newer
	if n.newer != nil {
		n.newer.older = n.older
	} else {
		c.newest = n.older
	}
	if n.older != nil {
		n.older.newer = n.newer
	} else {
		c.oldest = n.newer
	}
	delete(c.nodes, n.key)
}

func (c *sieve[K, V]) Run(l Load[K, V]) (hits int) { return run(Cache[K, V](c), l) }
