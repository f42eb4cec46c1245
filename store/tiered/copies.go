package tiered

import (
	"context"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// copying is the making of copies: what is taken of the near store before the far one is read, and given back
// afterwards with what was found there.
type copying[K comparable, V any] struct {
	s      *Store[K, V]
	keys   []K
	leases []tarn.Lease[V] // nil: nothing may be kept
	word   *word           // as it was before
}

// copyLife is the life of a lease in the near store. A read of the far store that takes longer leaves no copy.
const copyLife = time.Minute

// copying takes leases on keys, which are distinct. word is what was known of copies when they were trusted.
// With refresh, copies that are there already may be replaced.
func (s *Store[K, V]) copying(ctx context.Context, keys []K, word *word, refresh bool) copying[K, V] {
	c := copying[K, V]{s: s, keys: keys, word: word}
	leases := make([]tarn.Lease[V], len(keys))
	terms := tarn.LeaseTerms{Life: copyLife, Refresh: refresh, Stamp: s.near.tagger != nil}
	if s.near.leaser.Lease(ctx, keys, terms, leases) == nil {
		c.leases = leases
	}
	return c
}

// keep ends the leases, and keeps copies of what found says the far store had under the keys.
func (c *copying[K, V]) keep(ctx context.Context, found func(i int) (tarn.Entry[V], bool)) {
	s := c.s
	fills := make([]tarn.Fill[K, V], 0, len(c.leases))
	at := make([]int, 0, len(c.leases))
	stands := len(c.leases) > 0 && s.trust.now.Load().epoch == c.word.epoch
	for i, l := range c.leases {
		if l.State != tarn.Granted {
			continue
		}
		f := tarn.Fill[K, V]{Key: c.keys[i], Token: l.Token}
		if e, ok := found(i); ok && stands {
			f.Entry, f.Store = s.copyOf(e, l.Stamp)
		}
		fills, at = append(fills, f), append(at, i)
	}
	if len(fills) == 0 || s.near.leaser.Fill(context.WithoutCancel(ctx), fills) != nil {
		return
	}
	for i, f := range fills {
		_, ok := found(at[i])
		s.counts.copied(f.Stored, ok)
	}
}

// copyOf returns the entry to keep near for one of the far store, which was read after the near one's moment stamp, and
// whether one is to be kept. See mayKeep.
func (s *Store[K, V]) copyOf(e tarn.Entry[V], stamp tarn.Stamp) (tarn.Entry[V], bool) {
	if e.Tags != nil {
		if !s.mayKeep(e.Tags, stamp) {
			return tarn.Entry[V]{}, false
		}
		e.Tags = e.Tags.Restamped(stamp)
	}
	return s.limited(e), true
}

// limited returns an entry of the far store with the deadlines of its copy: that does not live longer, and not longer than
// a copy may.
//
// Where a copy ends before its entry, an entry that is not stale by then has room in Fresh for when it is gone; see
// original.
func (s *Store[K, V]) limited(e tarn.Entry[V]) tarn.Entry[V] {
	e.Stale = false
	e.Fresh, e.Expires = s.nearTime(e.Fresh), s.nearTime(e.Expires)
	if s.life == 0 {
		return e
	}
	end := s.near.clock.Now().Add(s.life)
	if e.Expires != 0 && e.Expires <= end {
		if e.Fresh >= e.Expires {
			e.Fresh = 0 // which says the same
		}
		return e
	}
	switch {
	case e.Fresh != 0:
	case e.Expires != 0:
		e.Fresh = e.Expires
	default:
		e.Fresh = ttl.End
	}
	e.Expires = end
	return e
}

// original makes of a copy the entry that it was made of, as far as it tells.
func (s *Store[K, V]) original(e *tarn.Entry[V]) {
	if s.life != 0 && e.Expires != 0 && e.Fresh > e.Expires {
		e.Fresh, e.Expires = 0, e.Fresh
		if e.Expires == ttl.End {
			e.Expires = 0
		}
	}
	e.Fresh, e.Expires = s.farTime(e.Fresh), s.farTime(e.Expires)
	e.Tags = e.Tags.Original()
}

// nearTime returns an instant of the far store's clock by the near one's.
func (s *Store[K, V]) nearTime(t ttl.Time) ttl.Time { return moved(t, -s.ahead) }

// farTime returns an instant of the near store's clock by the far one's.
func (s *Store[K, V]) farTime(t ttl.Time) ttl.Time { return moved(t, s.ahead) }

// moved moves an instant, if it is one.
func moved(t ttl.Time, d time.Duration) ttl.Time {
	if t == 0 || t == ttl.End {
		return t
	}
	return t.Add(d)
}
