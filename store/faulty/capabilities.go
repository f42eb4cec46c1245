package faulty

import (
	"context"
	"encoding/binary"
	"iter"
	"slices"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// lieToken returns a token that the inner store does not know. Stores number theirs from the front or at random.
func (s *Store[K, V]) lieToken() (token tarn.Token) {
	copy(token[:8], "untruth!")
	binary.BigEndian.PutUint64(token[8:], s.tokens.Add(1))
	return token
}

// lieStamp is a moment before any that a store can be in once something was invalidated.
const lieStamp tarn.Stamp = 1

type batchStore[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.BatchStore[K, V]
}

func (b batchStore[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Lookup[V]) error {
	return b.s.faults.run(ctx, call{
		op:   GetMany,
		do:   func(ctx context.Context) error { return b.inner.GetMany(ctx, keys, into) },
		keep: nothing,
		lie:  func(context.Context) error { clear(into); return nil },
		lost: func() { clear(into) },
	})
}

func (b batchStore[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	return b.s.faults.run(ctx, call{
		op: SetMany,
		do: func(ctx context.Context) error { return b.inner.SetMany(ctx, keys, entries) },
		keep: func() func(context.Context) error {
			keys, entries := slices.Clone(keys), slices.Clone(entries)
			return func(ctx context.Context) error { return b.inner.SetMany(ctx, keys, entries) }
		},
		lie: success,
	})
}

func (b batchStore[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	return b.s.faults.run(ctx, call{
		op: DeleteMany,
		do: func(ctx context.Context) error { return b.inner.DeleteMany(ctx, keys) },
		keep: func() func(context.Context) error {
			keys := slices.Clone(keys)
			return func(ctx context.Context) error { return b.inner.DeleteMany(ctx, keys) }
		},
		lie: success,
	})
}

type adder[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Adder[K, V]
}

func (a adder[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	err = a.s.faults.run(ctx, call{
		op: Add,
		do: func(ctx context.Context) (err error) { added, err = a.inner.Add(ctx, key, e); return err },
		keep: func() func(context.Context) error {
			return func(ctx context.Context) error { _, err := a.inner.Add(ctx, key, e); return err }
		},
		lie: func(context.Context) error { added = true; return nil },
	})
	return added && err == nil, err
}

type toucher[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Toucher[K, V]
}

func (t toucher[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	err = t.s.faults.run(ctx, call{
		op: Touch,
		do: func(ctx context.Context) (err error) { touched, err = t.inner.Touch(ctx, key, expires); return err },
		keep: func() func(context.Context) error {
			return func(ctx context.Context) error { _, err := t.inner.Touch(ctx, key, expires); return err }
		},
		lie: func(context.Context) error { touched = true; return nil },
	})
	return touched && err == nil, err
}

type computer[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Computer[K, V]
}

func (c computer[K, V]) Compute(
	ctx context.Context, key K, f func(old tarn.Entry[V], found bool) (tarn.Entry[V], tarn.ComputeOp),
) (e tarn.Entry[V], found bool, err error) {
	err = c.s.faults.run(ctx, call{
		op: Compute,
		do: func(ctx context.Context) (err error) { e, found, err = c.inner.Compute(ctx, key, f); return err },
		keep: func() func(context.Context) error {
			return func(ctx context.Context) error { _, _, err := c.inner.Compute(ctx, key, f); return err }
		},
		lie: func(ctx context.Context) (err error) {
			if e, found, err = c.s.inner.Get(ctx, key); err != nil {
				return err
			}
			switch to, op := f(e, found); op {
			case tarn.ComputeStore:
				e, found = to, true
			case tarn.ComputeDelete:
				e, found = tarn.Entry[V]{}, false
			}
			return nil
		},
	})
	if err != nil {
		return tarn.Entry[V]{}, false, err
	}
	return e, found, nil
}

type clearer[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Clearer
}

func (c clearer[K, V]) Clear(ctx context.Context) error {
	return c.s.faults.run(ctx, call{op: Clear, do: c.inner.Clear, lie: success})
}

type scanner[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Scanner[K, V]
}

func (s scanner[K, V]) Count(ctx context.Context) (n int, err error) {
	err = s.s.faults.run(ctx, call{
		op:   Count,
		do:   func(ctx context.Context) (err error) { n, err = s.inner.Count(ctx); return err },
		keep: nothing,
		lie:  success,
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Scan fails after its last entry, where its reply is lost, and before the first otherwise.
func (s scanner[K, V]) Scan(ctx context.Context) (iter.Seq2[K, tarn.Entry[V]], func() error) {
	seq := func(func(K, tarn.Entry[V]) bool) {}
	end := func() error { return nil }
	err := s.s.faults.run(ctx, call{
		op: Scan,
		do: func(ctx context.Context) error {
			innerSeq, innerEnd := s.inner.Scan(ctx)
			seq, end = innerSeq, innerEnd
			return nil
		},
		keep: nothing,
		lie:  success,
	})
	if err != nil {
		end = func() error { return err }
	}
	return seq, end
}

type leaser[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Leaser[K, V]
}

func (l leaser[K, V]) Lease(ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V]) error {
	return l.s.faults.run(ctx, call{
		op: Lease,
		do: func(ctx context.Context) error { return l.inner.Lease(ctx, keys, terms, into) },
		keep: func() func(context.Context) error {
			keys, into := slices.Clone(keys), make([]tarn.Lease[V], len(into))
			return func(ctx context.Context) error { return l.inner.Lease(ctx, keys, terms, into) }
		},
		lie: func(context.Context) error {
			for i := range into {
				into[i] = tarn.Lease[V]{State: tarn.Granted, Token: l.s.lieToken()}
				if terms.Stamp {
					into[i].Stamp = lieStamp
				}
			}
			return nil
		},
		lost: func() { clear(into) },
	})
}

func (l leaser[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	return l.s.faults.run(ctx, call{
		op: Fill,
		do: func(ctx context.Context) error { return l.inner.Fill(ctx, fills) },
		keep: func() func(context.Context) error {
			fills := slices.Clone(fills)
			return func(ctx context.Context) error { return l.inner.Fill(ctx, fills) }
		},
		lie: func(context.Context) error {
			for i := range fills {
				fills[i].Stored = fills[i].Store
			}
			return nil
		},
		lost: func() {
			for i := range fills {
				fills[i].Stored = false
			}
		},
	})
}

func (l leaser[K, V]) Stands(ctx context.Context, keys []K, tokens []tarn.Token, into []bool) error {
	return l.s.faults.run(ctx, call{
		op:   Stands,
		do:   func(ctx context.Context) error { return l.inner.Stands(ctx, keys, tokens, into) },
		keep: nothing,
		lie: func(context.Context) error {
			for i := range into {
				into[i] = true
			}
			return nil
		},
		lost: func() { clear(into) },
	})
}

type holder[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Holder[K, V]
}

func (h holder[K, V]) Hold(ctx context.Context, keys []K, life time.Duration, tokens []tarn.Token) error {
	return h.s.faults.run(ctx, call{
		op: Hold,
		do: func(ctx context.Context) error { return h.inner.Hold(ctx, keys, life, tokens) },
		keep: func() func(context.Context) error {
			keys, tokens := slices.Clone(keys), make([]tarn.Token, len(tokens))
			return func(ctx context.Context) error { return h.inner.Hold(ctx, keys, life, tokens) }
		},
		lie: func(context.Context) error {
			for i := range tokens {
				tokens[i] = h.s.lieToken()
			}
			return nil
		},
		lost: func() { clear(tokens) },
	})
}

func (h holder[K, V]) Settle(ctx context.Context, settlements []tarn.Settlement[K, V]) error {
	return h.s.faults.run(ctx, call{
		op: Settle,
		do: func(ctx context.Context) error { return h.inner.Settle(ctx, settlements) },
		keep: func() func(context.Context) error {
			settlements := slices.Clone(settlements)
			return func(ctx context.Context) error { return h.inner.Settle(ctx, settlements) }
		},
		lie: func(context.Context) error {
			for i := range settlements {
				settlements[i].Stored = settlements[i].Store
			}
			return nil
		},
		lost: func() {
			for i := range settlements {
				settlements[i].Stored = false
			}
		},
	})
}

type tagInvalidator[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.TagInvalidator
}

func (t tagInvalidator[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	return t.s.faults.run(ctx, call{
		op: InvalidateTags,
		do: func(ctx context.Context) error { return t.inner.InvalidateTags(ctx, tags...) },
		keep: func() func(context.Context) error {
			tags := slices.Clone(tags)
			return func(ctx context.Context) error { return t.inner.InvalidateTags(ctx, tags...) }
		},
		lie: success,
	})
}

type tagger[K comparable, V any] struct {
	tagInvalidator[K, V]
	stamps tarn.Tagger
}

func (t tagger[K, V]) Stamp(ctx context.Context) (stamp tarn.Stamp, err error) {
	err = t.s.faults.run(ctx, call{
		op:   Stamp,
		do:   func(ctx context.Context) (err error) { stamp, err = t.stamps.Stamp(ctx); return err },
		keep: nothing,
		lie:  func(context.Context) error { stamp = lieStamp; return nil },
	})
	if err != nil {
		return 0, err
	}
	return stamp, nil
}
