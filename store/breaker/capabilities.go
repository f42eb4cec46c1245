package breaker

import (
	"context"
	"iter"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/capability"
	"github.com/tarncache/tarn/ttl"
)

// As offers what the inner store offers, behind the breaker where it can fail. What this package does not know, such as
// io.Closer, is the inner store's own.
func (s *Store[K, V]) As(target any) bool {
	switch t := target.(type) {
	case *tarn.BatchStore[K, V]:
		return offer(s.inner, t, func(inner tarn.BatchStore[K, V]) tarn.BatchStore[K, V] { return batchStore[K, V]{s, inner} })
	case *tarn.Adder[K, V]:
		return offer(s.inner, t, func(inner tarn.Adder[K, V]) tarn.Adder[K, V] { return adder[K, V]{s, inner} })
	case *tarn.Toucher[K, V]:
		return offer(s.inner, t, func(inner tarn.Toucher[K, V]) tarn.Toucher[K, V] { return toucher[K, V]{s, inner} })
	case *tarn.Clearer:
		return offer(s.inner, t, func(inner tarn.Clearer) tarn.Clearer { return clearer[K, V]{s, inner} })
	case *tarn.Scanner[K, V]:
		return offer(s.inner, t, func(inner tarn.Scanner[K, V]) tarn.Scanner[K, V] { return scanner[K, V]{s, inner} })
	case *tarn.Leaser[K, V]:
		return offer(s.inner, t, func(inner tarn.Leaser[K, V]) tarn.Leaser[K, V] { return leaser[K, V]{s, inner} })
	case *tarn.Holder[K, V]:
		return offer(s.inner, t, func(inner tarn.Holder[K, V]) tarn.Holder[K, V] { return holder[K, V]{s, inner} })
	case *tarn.TagInvalidator:
		return offer(s.inner, t, func(inner tarn.TagInvalidator) tarn.TagInvalidator { return tagInvalidator[K, V]{s, inner} })
	case *tarn.Tagger:
		return offer(s.inner, t, func(inner tarn.Tagger) tarn.Tagger {
			return tagger[K, V]{tagInvalidator[K, V]{s, inner}, inner}
		})
	}
	// tarn.Hitter, tarn.Clocker and tarn.Watcher have nothing to be spared; a tarn.Computer runs a function of the
	// application, from whose time, panics and errors nothing is to be learnt about the store, and takes old values away: it
	// is never left out either.
	return capability.PassOn(s.inner, target)
}

// offer sets target to the wrapped capability of inner, if inner has it.
func offer[T any](inner any, target *T, wrap func(T) T) bool {
	capability, ok := tarn.As[T](inner)
	if ok {
		*target = wrap(capability)
	}
	return ok
}

type batchStore[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.BatchStore[K, V]
}

func (b batchStore[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Lookup[V]) error {
	return b.s.ask(ctx, func() error { return b.inner.GetMany(ctx, keys, into) })
}

func (b batchStore[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	return b.s.tell(ctx, func() error { return b.inner.SetMany(ctx, keys, entries) })
}

func (b batchStore[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	return b.s.tell(ctx, func() error { return b.inner.DeleteMany(ctx, keys) })
}

type adder[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Adder[K, V]
}

func (a adder[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	err = a.s.ask(ctx, func() (err error) { added, err = a.inner.Add(ctx, key, e); return err })
	return added, err
}

type toucher[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Toucher[K, V]
}

func (t toucher[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	err = t.s.ask(ctx, func() (err error) { touched, err = t.inner.Touch(ctx, key, expires); return err })
	return touched, err
}

type clearer[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Clearer
}

func (c clearer[K, V]) Clear(ctx context.Context) error {
	return c.s.tell(ctx, func() error { return c.inner.Clear(ctx) })
}

type scanner[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Scanner[K, V]
}

func (s scanner[K, V]) Count(ctx context.Context) (n int, err error) {
	err = s.s.ask(ctx, func() (err error) { n, err = s.inner.Count(ctx); return err })
	return n, err
}

// Scan takes as long as its caller does, so that nothing is learnt from it.
func (s scanner[K, V]) Scan(ctx context.Context) (iter.Seq2[K, tarn.Entry[V]], func() error) {
	if s.s.State() == Open {
		return func(func(K, tarn.Entry[V]) bool) {}, func() error { return ErrOpen }
	}
	return s.inner.Scan(ctx)
}

type leaser[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Leaser[K, V]
}

func (l leaser[K, V]) Lease(ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V]) error {
	return l.s.ask(ctx, func() error { return l.inner.Lease(ctx, keys, terms, into) })
}

// Fill is never left out: it gives leases back for which others wait, and may end an old value.
func (l leaser[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	return l.s.tell(ctx, func() error { return l.inner.Fill(ctx, fills) })
}

func (l leaser[K, V]) Stands(ctx context.Context, keys []K, tokens []tarn.Token, into []bool) error {
	return l.s.ask(ctx, func() error { return l.inner.Stands(ctx, keys, tokens, into) })
}

type holder[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.Holder[K, V]
}

func (h holder[K, V]) Hold(ctx context.Context, keys []K, life time.Duration, tokens []tarn.Token) error {
	return h.s.tell(ctx, func() error { return h.inner.Hold(ctx, keys, life, tokens) })
}

func (h holder[K, V]) Settle(ctx context.Context, settlements []tarn.Settlement[K, V]) error {
	return h.s.tell(ctx, func() error { return h.inner.Settle(ctx, settlements) })
}

type tagInvalidator[K comparable, V any] struct {
	s     *Store[K, V]
	inner tarn.TagInvalidator
}

func (t tagInvalidator[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	return t.s.tell(ctx, func() error { return t.inner.InvalidateTags(ctx, tags...) })
}

type tagger[K comparable, V any] struct {
	tagInvalidator[K, V]
	stamps tarn.Tagger
}

// Stamp is asked for only to store something later: without one nothing is stored, which is safe.
func (t tagger[K, V]) Stamp(ctx context.Context) (stamp tarn.Stamp, err error) {
	err = t.s.ask(ctx, func() (err error) { stamp, err = t.stamps.Stamp(ctx); return err })
	return stamp, err
}
