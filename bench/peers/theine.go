package peers

import (
	"time"

	"github.com/Yiling-J/theine-go"
)

// theineCache is theine as its README makes one: the size is all that is required. The entry pool is off, as it is by
// default and since the README warns of races with it; so is the doorkeeper, which would drop Sets.
type theineCache[K Key, V any] struct {
	cache *theine.Cache[K, V]
	life  time.Duration
}

// waitingTheine waits after each Set, as theine's and otter's simulators do, since its policy has a goroutine of its
// own.
type waitingTheine[K Key, V any] struct{ theineCache[K, V] }

func newTheine[K Key, V any](o Options) (*Peer[K, V], error) {
	c, err := theine.NewBuilder[K, V](int64(o.Capacity)).Build()
	if err != nil {
		return nil, err
	}
	p := &Peer[K, V]{
		Cache: theineCache[K, V]{c, o.Life},
		Len:   c.Len,
		Wait:  c.Wait,
		Close: c.Close,
		SetUntil: func(key K, value V, until time.Time) {
			c.SetWithTTL(key, value, 1, time.Until(until))
		},
	}
	if o.Replay {
		p.Cache = waitingTheine[K, V]{theineCache[K, V]{c, o.Life}}
	}
	return p, nil
}

func (c theineCache[K, V]) Get(key K) (V, bool) { return c.cache.Get(key) }

func (c theineCache[K, V]) Set(key K, value V) { c.cache.SetWithTTL(key, value, 1, c.life) }

func (c waitingTheine[K, V]) Set(key K, value V) {
	c.cache.SetWithTTL(key, value, 1, c.life)
	c.cache.Wait()
}

func (c theineCache[K, V]) Run(l Load[K, V]) (hits int) {
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
