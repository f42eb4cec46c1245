package peers

// s3fifo is S3-FIFO as in algorithm 1 of "FIFO queues are all you need for cache eviction" (Yang, Zhang, Qiu, Yue and
// Rashmi, SOSP 2023), with the sizes that the paper names: a tenth for the small queue, the rest for the main one, and
// as many ghosts as the main one has entries. A ghost that comes back is none any more, as in the authors' libCacheSim,
// which leaves room for others. The Go modules that have it are not to be had from the module proxy.
type s3fifo[K Key, V any] struct {
	capacity, smallMost int
	nodes               map[K]*s3node[K, V]
	small, main         queue[*s3node[K, V]]
	ghost               map[K]int // when a key became one, by deaths
	ghosts              queue[s3ghost[K]]
	deaths              int
}

// s3ghost is a place in the queue of ghosts. If ghost says something else of the key, the place is empty.
type s3ghost[K Key] struct {
	key  K
	died int
}

type s3node[K Key, V any] struct {
	key   K
	value V
	uses  uint8 // 0 to 3
}

func newS3FIFO[K Key, V any](o Options) (*Peer[K, V], error) {
	c := &s3fifo[K, V]{
		capacity:  o.Capacity,
		smallMost: max(1, o.Capacity/10),
		nodes:     make(map[K]*s3node[K, V]),
		ghost:     make(map[K]int),
	}
	return &Peer[K, V]{Cache: c, Len: func() int { return len(c.nodes) }, Wait: nothing, Close: nothing}, nil
}

func (c *s3fifo[K, V]) Get(key K) (value V, found bool) {
	n := c.nodes[key]
	if n == nil {
		return value, false
	}
	n.uses = min(n.uses+1, 3)
	return n.value, true
}

func (c *s3fifo[K, V]) Set(key K, value V) {
	if n := c.nodes[key]; n != nil {
		n.value = value
		n.uses = min(n.uses+1, 3)
		return
	}
	for len(c.nodes) >= c.capacity {
		if c.small.n >= c.smallMost || c.main.n == 0 {
			c.evictSmall()
		} else {
			c.evictMain()
		}
	}
	n := &s3node[K, V]{key: key, value: value}
	c.nodes[key] = n
	if _, back := c.ghost[key]; back {
		delete(c.ghost, key)
		c.main.push(n)
	} else {
		c.small.push(n)
	}
}

// evictSmall looks at the small queue until one left the cache or the queue is empty.
func (c *s3fifo[K, V]) evictSmall() {
	for c.small.n > 0 {
		n := c.small.pop()
		if n.uses > 1 {
			n.uses = 0
			c.main.push(n)
			if c.main.n > c.capacity-c.smallMost {
				c.evictMain()
				return
			}
			continue
		}
		delete(c.nodes, n.key)
		c.remember(n.key)
		return
	}
}

func (c *s3fifo[K, V]) evictMain() {
	for c.main.n > 0 {
		n := c.main.pop()
		if n.uses == 0 {
			delete(c.nodes, n.key)
			return
		}
		n.uses--
		c.main.push(n)
	}
}

func (c *s3fifo[K, V]) remember(key K) {
	most := c.capacity - c.smallMost
	c.deaths++
	c.ghost[key] = c.deaths
	c.ghosts.push(s3ghost[K]{key, c.deaths})
	for len(c.ghost) > most {
		if g := c.ghosts.pop(); c.ghost[g.key] == g.died {
			delete(c.ghost, g.key)
		}
	}
	if c.ghosts.n > 2*most+16 { // mostly empty places
		for range c.ghosts.n {
			if g := c.ghosts.pop(); c.ghost[g.key] == g.died {
				c.ghosts.push(g)
			}
		}
	}
}

func (c *s3fifo[K, V]) Run(l Load[K, V]) (hits int) { return run(Cache[K, V](c), l) }
