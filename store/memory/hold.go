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
	var c change[K, V]
	s.mu.Lock()
	err := s.hold(&c, keys, life, tokens)
	if err == nil {
		for i, key := range keys {
			s.empty(&c, key, hashes[i], Deleted)
		}
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	told := false
	defer func() {
		if !told {
			s.letGo(keys, tokens)
		}
	}()
	s.after(ctx, &c)
	told = true
	return nil
}

// letGo ends holds under which nothing was written.
func (s *Store[K, V]) letGo(keys []K, tokens []tarn.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for i, key := range keys {
		if r := s.records.find(key); r != nil {
			r.Settle(tokens[i], now)
			s.records.tidy(r, now)
		}
	}
}

// hold puts all holds in place, or none. The caller has mu.
func (s *Store[K, V]) hold(c *change[K, V], keys []K, life time.Duration, tokens []tarn.Token) error {
	if s.closed {
		return tarn.ErrClosed
	}
	now := s.now(c)
	before := make([]guard.Record, len(keys)) // to go back to
	for i, key := range keys {
		if !storable(key) {
			continue
		}
		r := s.records.take(key, now)
		r.Held(now) // sheds what is over, so that nothing but the new hold differs from before
		before[i] = r.Record
		if !r.Hold(tokens[i], now, now.Add(life)) {
			s.unhold(keys[:i+1], before, now)
			return fmt.Errorf("memory: hold: %w", tarn.ErrTooManyHolds)
		}
	}
	return nil
}

// unhold gives keys back the records they had before. The caller has mu.
func (s *Store[K, V]) unhold(keys []K, before []guard.Record, now ttl.Time) {
	for i := len(keys) - 1; i >= 0; i-- {
		if r := s.records.find(keys[i]); r != nil {
			r.Record = before[i]
			s.records.tidy(r, now)
		}
	}
}

// Settle ends holds. An entry that is too heavy, or has expired, leaves its key empty; that is no error, for its
// source has it. Stored is false then, and [Stats] counts what was refused. If Weigh or OnRemove panics, the holds
// end all the same, those that had not ended by then with their keys empty.
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
		if t.Store {
			weight = s.weigh(t.Key, t.Entry)
		}
		done++
		if err := s.settleOne(ctx, t, weight); err != nil {
			return err
		}
	}
	return nil
}

// forsake ends a hold and empties its key, while a panic is on its way to the caller.
func (s *Store[K, V]) forsake(ctx context.Context, t tarn.Settlement[K, V]) {
	defer s.contain()
	t.Store = false
	_ = s.settleOne(ctx, &t, 0)
}

func (s *Store[K, V]) settleOne(ctx context.Context, t *tarn.Settlement[K, V], weight int64) error {
	hash := s.hash(t.Key)
	var c change[K, V]
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return tarn.ErrClosed
	}
	s.settle(&c, t, hash, weight)
	s.mu.Unlock()
	s.after(ctx, &c)
	return nil
}

// settle ends one hold. The caller has mu.
func (s *Store[K, V]) settle(c *change[K, V], t *tarn.Settlement[K, V], hash uint64, weight int64) {
	verdict := guard.Forget
	if r := s.records.find(t.Key); r != nil {
		verdict = r.Settle(t.Token, s.now(c))
		s.records.tidy(r, s.now(c))
	}
	switch {
	case verdict == guard.Leave:
	case verdict == guard.Store && t.Store:
		t.Stored, _ = s.put(c, t.Key, hash, t.Entry, weight)
	default:
		s.empty(c, t.Key, hash, Deleted)
	}
}
