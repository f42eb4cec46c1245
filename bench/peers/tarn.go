package peers

import (
	"context"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// tarnStore is the memory store by itself, through the two methods that every store has. Lives go by its exact clock.
type tarnStore[K Key, V any] struct {
	store *memory.Store[K, V]
	life  time.Duration
}

func newTarn[K Key, V any](o Options) (*Peer[K, V], error) {
	return Tarn(memory.New(memory.Options[K, V]{MaxEntries: o.Capacity}), o.Life), nil
}

// Tarn makes a peer of a store, for who needs one with other options than New gives it.
func Tarn[K Key, V any](s *memory.Store[K, V], life time.Duration) *Peer[K, V] {
	return &Peer[K, V]{
		Cache: tarnStore[K, V]{s, life},
		Facts: All()[0],
		Len:   s.Len,
		Wait:  nothing, // a Set has had its effect when it returns
		Close: func() { _ = s.Close() },
		SetUntil: func(key K, value V, until time.Time) {
			e := tarn.Entry[V]{Value: value, Expires: s.Clock().Now().Add(time.Until(until))}
			if err := s.Set(context.Background(), key, e); err != nil {
				panic(err)
			}
		},
	}
}

func (c tarnStore[K, V]) Get(key K) (V, bool) {
	e, found, _ := c.store.Get(context.Background(), key)
	return e.Value, found
}

func (c tarnStore[K, V]) Set(key K, value V) {
	e := tarn.Entry[V]{Value: value}
	if c.life > 0 {
		e.Expires = c.store.Clock().Now().Add(c.life)
	}
	if err := c.store.Set(context.Background(), key, e); err != nil {
		panic(err)
	}
}

func (c tarnStore[K, V]) Run(l Load[K, V]) (hits int) {
	ctx := context.Background()
	for i := l.From; i < l.From+l.Ops; i++ {
		at := i & l.Mask
		if i&3 < l.Reads {
			if _, found, _ := c.store.Get(ctx, l.Keys[at]); found {
				hits++
			}
		} else {
			c.Set(l.Keys[at], l.Values[at])
		}
	}
	return hits
}
