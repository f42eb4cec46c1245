package peers

import (
	"errors"
	"time"

	"github.com/viccon/sturdyc"
)

// sturdycCache is sturdyc as its README makes one: ten shards, of which a full one evicts the tenth that is to expire
// first, and a life of two hours where none is asked for, since it must have one. Then nothing expires while a
// benchmark runs, and the goroutine that looks for it, which never ends, is left out, as the README says for speed.
type sturdycCache[V any] struct{ cache *sturdyc.Client[V] }

var errStringKeys = errors.New("its keys are strings")

func newSturdyc[K Key, V any](o Options) (*Peer[K, V], error) {
	const shards, evictionPercentage = 10, 10
	life, options := o.Life, []sturdyc.Option(nil)
	if life == 0 {
		life, options = 2*time.Hour, []sturdyc.Option{sturdyc.WithNoContinuousEvictions()}
	}
	if o.Capacity < shards {
		return nil, errors.New("it needs a capacity of ten")
	}
	c := sturdyc.New[V](o.Capacity, shards, life, evictionPercentage, options...)
	cache, ok := any(sturdycCache[V]{c}).(Cache[K, V])
	if !ok {
		return nil, errStringKeys
	}
	return &Peer[K, V]{
		Cache: cache,
		Len:   c.Size,
		Wait:  nothing,
		Close: func() {
			for _, key := range c.ScanKeys() {
				c.Delete(key)
			}
		},
	}, nil
}

func (c sturdycCache[V]) Get(key string) (V, bool) { return c.cache.Get(key) }

func (c sturdycCache[V]) Set(key string, value V) { c.cache.Set(key, value) }

func (c sturdycCache[V]) Run(l Load[string, V]) (hits int) {
	for i := l.From; i < l.From+l.Ops; i++ {
		at := i & l.Mask
		if i&3 < l.Reads {
			if _, found := c.cache.Get(l.Keys[at]); found {
				hits++
			}
		} else {
			c.cache.Set(l.Keys[at], l.Values[at])
		}
	}
	return hits
}
