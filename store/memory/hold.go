package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/guard"
	"github.com/tarncache/tarn/ttl"
)

// Hold holds keys, all or, with an error, none of them, and removes their values. A key can be held by
// 1024 writers at once; more are [tarn.ErrTooManyHolds]. If OnRemove panics, none of them is held.
func (s *Store[K, V]) Hold(ctx context.Context, keys []K, life time.Duration, tokens []tarn.Token) error {
	switch {
	case life <= 0:
		return errHoldLife
	case len(keys) != len(tokens):
		return errLengths("hold", len(keys), len(tokens))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	hashes := make([]uint64, len(keys))
	for i, key := range keys {
		hashes[i] = s.hash(key)
		tokens[i] = s.tokens.Next()
	}
	locked := s.lockSegments(hashes)
	err := s.hold(keys, hashes, life, tokens)
	if err == nil {
		for i, key := range keys {
			s.segment(hashes[i]).empty(key, short(hashes[i]), Deleted)
		}
	}
	c := s.unlockSegments(&locked)
	if err != nil {
		return err
	}
	told := false
	defer func() {
		if !told {
			s.letGo(keys, hashes, tokens)
		}
	}()
	s.after(ctx, &c)
	told = true
	return nil
}

// segmentSet is a set of segments.
type segmentSet [mostSegments / 64]uint64

// lockSegments locks the segments of some hashes, in the order in which everybody does who locks several.
func (s *Store[K, V]) lockSegments(hashes []uint64) (set segmentSet) {
	for _, hash := range hashes {
		i := s.segmentOf(hash)
		set[i/64] |= 1 << (i % 64)
	}
	for i := range s.segments {
		if set[i/64]>>(i%64)&1 != 0 {
			s.segments[i].mu.Lock()
		}
	}
	return set
}

// unlockSegments unlocks segments, and returns what they have to tell.
func (s *Store[K, V]) unlockSegments(set *segmentSet) (all change[K, V]) {
	for i := range s.segments {
		if set[i/64]>>(i%64)&1 != 0 {
			c := s.segments[i].unlock()
			all.add(&c)
		}
	}
	return all
}

// letGo ends holds under which nothing was written.
func (s *Store[K, V]) letGo(keys []K, hashes []uint64, tokens []tarn.Token) {
	for i, key := range keys {
		g := s.lock(hashes[i])
		if r := g.records.find(key); r != nil {
			r.Settle(tokens[i], g.now())
			g.records.tidy(r, g.now())
		}
		g.unlock()
	}
}

// hold puts all holds in place, or none. The caller has locked the segments.
func (s *Store[K, V]) hold(keys []K, hashes []uint64, life time.Duration, tokens []tarn.Token) error {
	before := make([]guard.Record, len(keys)) // to go back to
	now := s.clock.Now()
	for i, key := range keys {
		g := s.segment(hashes[i])
		if g.closed {
			return tarn.ErrClosed
		}
		if !storable(key) {
			continue
		}
		r := g.records.take(key, now)
		r.Held(now) // sheds what is over, so that nothing but the new hold differs from before
		before[i] = r.Record
		if !r.Hold(tokens[i], now, now.Add(life)) {
			s.unhold(keys[:i+1], hashes, before, now)
			return fmt.Errorf("memory: hold: %w", tarn.ErrTooManyHolds)
		}
	}
	return nil
}

// unhold gives keys back the records they had before. The caller has locked the segments.
func (s *Store[K, V]) unhold(keys []K, hashes []uint64, before []guard.Record, now ttl.Time) {
	for i := len(keys) - 1; i >= 0; i-- {
		records := &s.segment(hashes[i]).records
		if r := records.find(keys[i]); r != nil {
			r.Record = before[i]
			records.tidy(r, now)
		}
	}
}

// Settle ends holds. An entry leaves its key empty if it is too heavy, has expired, or has tags one of which was
// invalidated after their stamp, or that have none, or one that is not of this store; that is no error, for its source
// has it. Stored is false then, and [Stats] counts what was refused. If Weigh or OnRemove panics, the holds end all the
// same, those that had not ended by then with their keys empty.
func (s *Store[K, V]) Settle(ctx context.Context, settlements []tarn.Settlement[K, V]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := 0
	defer func() {
		for _, t := range settlements[done:] { // a panic left them
			s.forsake(ctx, t)
		}
	}()
	for i := range settlements {
		t := &settlements[i]
		t.Stored = false
		var weight int64
		stamped := s.isStamped(t.Entry.Tags)
		if t.Store && stamped {
			weight = s.weigh(t.Key, &t.Entry)
		}
		done++
		if err := s.settleOne(ctx, t, weight, stamped); err != nil {
			return err
		}
	}
	return nil
}

// forsake ends a hold and empties its key, while a panic is on its way to the caller.
func (s *Store[K, V]) forsake(ctx context.Context, t tarn.Settlement[K, V]) {
	defer s.contain()
	t.Store = false
	_ = s.settleOne(ctx, &t, 0, false)
}

// settleOne ends a hold. What is not stamped was not weighed.
func (s *Store[K, V]) settleOne(ctx context.Context, t *tarn.Settlement[K, V], weight int64, stamped bool) error {
	hash := s.hash(t.Key)
	g := s.lockToStore(hash, weight, func(g *segment[K, V]) bool {
		return g.held(t.Key) && !g.gone(&t.Entry) // by others too, maybe, which only the end of the hold tells
	})
	if g.closed {
		g.mu.Unlock()
		return tarn.ErrClosed
	}
	g.settle(t, short(hash), weight, stamped)
	c := g.unlock()
	s.after(ctx, &c)
	return nil
}

// settle ends one hold. The caller has mu.
func (g *segment[K, V]) settle(t *tarn.Settlement[K, V], hash uint32, weight int64, stamped bool) {
	verdict := guard.Forget
	if r := g.records.find(t.Key); r != nil {
		verdict = r.Settle(t.Token, g.now())
		g.records.tidy(r, g.now())
	}
	switch {
	case verdict == guard.Leave:
	case verdict == guard.Store && t.Store && stamped:
		t.Stored, _ = g.put(t.Key, hash, &t.Entry, weight, nil)
	default:
		g.empty(t.Key, hash, Deleted)
	}
}
