package peers

import (
	"github.com/hashicorp/golang-lru/arc/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
)

// golangLRU is golang-lru, which has nothing to set but the size.
type golangLRU[K Key, V any] struct{ cache *lru.Cache[K, V] }

// expirableLRU is the package of golang-lru for entries with a life. Its goroutine never ends.
type expirableLRU[K Key, V any] struct{ cache *expirable.LRU[K, V] }

// golangARC is the ARC of golang-lru. It is here for its hit ratios.
type golangARC[K Key, V any] struct{ cache *arc.ARCCache[K, V] }

func newLRU[K Key, V any](o Options) (*Peer[K, V], error) {
	if o.Life > 0 {
		c := expirable.NewLRU[K, V](o.Capacity, nil, o.Life)
		return &Peer[K, V]{Cache: expirableLRU[K, V]{c}, Len: c.Len, Wait: nothing, Close: c.Purge}, nil
	}
	c, err := lru.New[K, V](o.Capacity)
	if err != nil {
		return nil, err
	}
	return &Peer[K, V]{Cache: golangLRU[K, V]{c}, Len: c.Len, Wait: nothing, Close: c.Purge}, nil
}

func newARC[K Key, V any](o Options) (*Peer[K, V], error) {
	c, err := arc.NewARC[K, V](o.Capacity)
	if err != nil {
		return nil, err
	}
	return &Peer[K, V]{Cache: golangARC[K, V]{c}, Len: c.Len, Wait: nothing, Close: c.Purge}, nil
}

func (c golangLRU[K, V]) Get(key K) (V, bool) { return c.cache.Get(key) }

func (c golangLRU[K, V]) Set(key K, value V) { c.cache.Add(key, value) }

func (c golangLRU[K, V]) Run(l Load[K, V]) (hits int) {
	for i := l.From; i < l.From+l.Ops; i++ {
		at := i & l.Mask
		if i&3 < l.Reads {
			if _, found := c.cache.Get(l.Keys[at]); found {
				hits++
			}
		} else {
			c.cache.Add(l.Keys[at], l.Values[at])
		}
	}
	return hits
}

func (c expirableLRU[K, V]) Get(key K) (V, bool) { return c.cache.Get(key) }

func (c expirableLRU[K, V]) Set(key K, value V) { c.cache.Add(key, value) }

func (c expirableLRU[K, V]) Run(l Load[K, V]) (hits int) {
	for i := l.From; i < l.From+l.Ops; i++ {
		at := i & l.Mask
		if i&3 < l.Reads {
			if _, found := c.cache.Get(l.Keys[at]); found {
				hits++
			}
		} else {
			c.cache.Add(l.Keys[at], l.Values[at])
		}
	}
	return hits
}

func (c golangARC[K, V]) Get(key K) (V, bool) { return c.cache.Get(key) }

func (c golangARC[K, V]) Set(key K, value V) { c.cache.Add(key, value) }

func (c golangARC[K, V]) Run(l Load[K, V]) (hits int) { return run(Cache[K, V](c), l) }
