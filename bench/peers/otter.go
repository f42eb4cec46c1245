package peers

import (
	"time"

	"github.com/maypok86/otter/v2"
)

// otterCache is otter as its own benchmarks have it (benchmarks/client/otter.go in its repository): MaximumSize, and
// InitialCapacity, which its documentation says avoids resizing. Entries with a life have ExpiryWriting, as in the
// example of its README. For replays its own simulator gives it an Executor that runs tasks at once.
type otterCache[K Key, V any] struct{ cache *otter.Cache[K, V] }

func newOtter[K Key, V any](o Options) (*Peer[K, V], error) {
	options := otter.Options[K, V]{MaximumSize: o.Capacity, InitialCapacity: o.Capacity}
	if o.Life > 0 {
		options.ExpiryCalculator = otter.ExpiryWriting[K, V](o.Life)
	}
	if o.Replay {
		options.Executor = func(task func()) { task() }
	}
	c, err := otter.New(&options)
	if err != nil {
		return nil, err
	}
	return &Peer[K, V]{
		Cache: otterCache[K, V]{c},
		Len:   c.EstimatedSize,
		Wait:  c.CleanUp,
		Close: func() {
			c.StopAllGoroutines()
			c.InvalidateAll()
		},
		SetUntil: func(key K, value V, until time.Time) {
			c.Set(key, value)
			c.SetExpiresAfter(key, time.Until(until))
		},
	}, nil
}

func (c otterCache[K, V]) Get(key K) (V, bool) { return c.cache.GetIfPresent(key) }

func (c otterCache[K, V]) Set(key K, value V) { c.cache.Set(key, value) }

func (c otterCache[K, V]) Run(l Load[K, V]) (hits int) {
	for i := l.From; i < l.From+l.Ops; i++ {
		at := i & l.Mask
		if i&3 < l.Reads {
			if _, found := c.cache.GetIfPresent(l.Keys[at]); found {
				hits++
			}
		} else {
			c.cache.Set(l.Keys[at], l.Values[at])
		}
	}
	return hits
}
