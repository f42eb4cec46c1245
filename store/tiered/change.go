package tiered

import (
	"context"
	"slices"
	"time"

	"github.com/tarncache/tarn"
)

// change is a change of keys that the far store is making for this process. Until it has ended, the keys are held in the
// near store: they have no copies there, and nobody makes any. Were the copy dropped afterwards instead, reads would go
// back:
//
//	one reader                 another                    writer
//	take the near lease
//	read far: old value
//	                                                      write far: new value
//	                           read far: new value
//	keep a copy: the old value
//	                           read near: old value
//	                                                      drop the copy
//
// A hold never waits: changes of one key that meet leave no copy.
type change[K comparable, V any] struct {
	s      *Store[K, V]
	keys   []K          // distinct
	tokens []tarn.Token // of the holds of as many keys; what is left of the keys is not held
	stamp  tarn.Stamp   // the near store's moment before the change, where begin was asked for it
}

const (
	// changeLife is the life of a hold in the near store, which ends with the change. It is for a near store that could
	// not end it, and longer than a change of the far store takes.
	changeLife = time.Hour

	// holdAtOnce is how many keys are held by one call, during which others may have to wait for the near store.
	holdAtOnce = 128
)

// change does what changes the keys in the far store. Whatever becomes of that, and also if it panics, no copy remains.
func (s *Store[K, V]) change(ctx context.Context, keys []K, do func() error) error {
	c := change[K, V]{s: s, keys: distinct(keys)}
	defer c.end(ctx)
	c.begin(ctx)
	return do()
}

// begin holds the keys in the near store, which drops their copies. What cannot be held is dropped alone; then a reader
// who comes before the end may keep a copy until then.
func (c *change[K, V]) begin(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if c.s.near.holder != nil {
		tokens := make([]tarn.Token, len(c.keys))
		for len(c.tokens) < len(c.keys) {
			from, to := len(c.tokens), min(len(c.tokens)+holdAtOnce, len(c.keys))
			if c.s.near.holder.Hold(ctx, c.keys[from:to], changeLife, tokens[from:to]) != nil {
				break
			}
			c.tokens = tokens[:to]
		}
	}
	c.s.drop(ctx, c.keys[len(c.tokens):]...)
}

// end ends the holds, and drops the copies of what was not held.
func (c *change[K, V]) end(ctx context.Context) {
	c.keep(ctx, nil, func(int) (e tarn.Entry[V], found bool) { return e, false })
}

// keep is end, and keeps copies of what found says the far store has under keys that were held, unless it was told
// meanwhile that somebody has changed them. word is what was known of copies before, nil if nothing may be kept.
func (c *change[K, V]) keep(ctx context.Context, word *word, found func(i int) (tarn.Entry[V], bool)) {
	ctx, s := context.WithoutCancel(ctx), c.s
	if len(c.tokens) > 0 {
		stands := word != nil && s.trust.now.Load().epoch == word.epoch
		settlements := make([]tarn.Settlement[K, V], len(c.tokens))
		for i, token := range c.tokens {
			settlements[i] = tarn.Settlement[K, V]{Key: c.keys[i], Token: token}
			if e, ok := found(i); ok && stands {
				settlements[i].Entry, settlements[i].Store = s.copyOf(e, c.stamp)
			}
		}
		if s.near.holder.Settle(ctx, settlements) != nil {
			s.drop(ctx, c.keys...)
			return
		}
		for i := range settlements {
			_, ok := found(i)
			s.counts.copied(settlements[i].Stored, ok && word != nil)
		}
	}
	s.drop(ctx, c.keys[len(c.tokens):]...)
}

// distinct returns keys without those that come again.
func distinct[K comparable](keys []K) []K {
	if len(keys) < 2 {
		return keys
	}
	seen := make(map[K]struct{}, len(keys))
	for i, key := range keys {
		if _, again := seen[key]; again {
			rest := slices.Clone(keys[:i])
			for _, key := range keys[i:] {
				if _, again := seen[key]; !again {
					seen[key] = struct{}{}
					rest = append(rest, key)
				}
			}
			return rest
		}
		seen[key] = struct{}{}
	}
	return keys
}
