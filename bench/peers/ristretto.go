package peers

import (
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// ristrettoCache is ristretto as the documentation of its Config advises: ten counters for each entry of the capacity,
// and BufferItems 64. IgnoreInternalCost, since costs here are entries, not bytes.
type ristrettoCache[K Key, V any] struct {
	cache *ristretto.Cache[K, V]
	life  time.Duration
}

// waitingRistretto waits after each Set, as its README does before it asks for what it has set.
type waitingRistretto[K Key, V any] struct{ ristrettoCache[K, V] }

func newRistretto[K Key, V any](o Options) (*Peer[K, V], error) {
	c, err := ristretto.NewCache(&ristretto.Config[K, V]{
		NumCounters:        10 * int64(o.Capacity),
		MaxCost:            int64(o.Capacity),
		BufferItems:        64,
		IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, err
	}
	p := &Peer[K, V]{
		Cache: ristrettoCache[K, V]{c, o.Life},
		Len:   func() int { return int(c.MaxCost() - c.RemainingCost()) },
		Wait:  c.Wait,
		Close: c.Close,
		SetUntil: func(key K, value V, until time.Time) {
			c.SetWithTTL(key, value, 1, time.Until(until))
		},
	}
	if o.Replay {
		p.Cache = waitingRistretto[K, V]{ristrettoCache[K, V]{c, o.Life}}
	}
	return p, nil
}

func (c ristrettoCache[K, V]) Get(key K) (V, bool) { return c.cache.Get(key) }

func (c ristrettoCache[K, V]) Set(key K, value V) { c.cache.SetWithTTL(key, value, 1, c.life) }

func (c waitingRistretto[K, V]) Set(key K, value V) {
	c.cache.SetWithTTL(key, value, 1, c.life)
	c.cache.Wait()
}

func (c ristrettoCache[K, V]) Run(l Load[K, V]) (hits int) {
	for i := l.From; i < l.From+l.Ops; i++ {
		at := i & l.Mask
		if i&3 < l.Reads {
			if _, found := c.cache.Get(l.Keys[at]); found {
				hits++
			}
		} else {
			c.cache.SetWithTTL(l.Keys[at], l.Values[at], 1, c.life)
		}
	}
	return hits
}
