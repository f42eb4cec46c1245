package strategies

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// What a reader asks of its store on the way to a value has a time limit of its own, if one is set: reads, leases, fills
// and touches. What invalidates has none here, so that a slow store is told all the same.

// oneGetter is the part of a tarn.Store that reads.
type oneGetter[K comparable, V any] interface {
	Get(ctx context.Context, key K) (e tarn.Entry[V], found bool, err error)
}

// manyGetter is the part of a tarn.BatchStore that reads.
type manyGetter[K comparable, V any] interface {
	GetMany(ctx context.Context, keys []K, into []tarn.Lookup[V]) error
}

type (
	timelyOne[K comparable, V any] struct {
		inner oneGetter[K, V]
		limit time.Duration
	}
	timelyMany[K comparable, V any] struct {
		inner manyGetter[K, V]
		limit time.Duration
	}
	timelyLeaser[K comparable, V any] struct {
		inner tarn.Leaser[K, V]
		limit time.Duration
	}
	timelyToucher[K comparable, V any] struct {
		inner tarn.Toucher[K, V]
		limit time.Duration
	}
	timelyTagger struct {
		tarn.Tagger
		limit time.Duration
	}
)

// limitStore puts the time limit around what the reader asks of its store.
func (r *reader[K, V]) limitStore(limit time.Duration) {
	r.one = timelyOne[K, V]{r.one, limit}
	if r.many != nil {
		r.many = timelyMany[K, V]{r.many, limit}
	}
	if r.leaser != nil {
		r.leaser = timelyLeaser[K, V]{r.leaser, limit}
	}
	if r.toucher != nil {
		r.toucher = timelyToucher[K, V]{r.toucher, limit}
	}
	if r.tagger != nil {
		r.tagger = timelyTagger{r.tagger, limit}
	}
}

// inTime calls the store with a time limit, and says so if it was that which made it fail.
func inTime(ctx context.Context, limit time.Duration, call func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := call(limited)
	if err == nil || ctx.Err() != nil || limited.Err() == nil || !errors.Is(err, limited.Err()) {
		return err
	}
	return fmt.Errorf("%w of %v: %w", tarn.ErrStoreTimeout, limit, err)
}

func (s timelyOne[K, V]) Get(ctx context.Context, key K) (e tarn.Entry[V], found bool, err error) {
	err = inTime(ctx, s.limit, func(ctx context.Context) (err error) {
		e, found, err = s.inner.Get(ctx, key)
		return err
	})
	return e, found, err
}

func (s timelyMany[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Lookup[V]) error {
	return inTime(ctx, s.limit, func(ctx context.Context) error { return s.inner.GetMany(ctx, keys, into) })
}

func (s timelyLeaser[K, V]) Lease(ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V]) error {
	return inTime(ctx, s.limit, func(ctx context.Context) error { return s.inner.Lease(ctx, keys, terms, into) })
}

func (s timelyLeaser[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	return inTime(ctx, s.limit, func(ctx context.Context) error { return s.inner.Fill(ctx, fills) })
}

func (s timelyLeaser[K, V]) Stands(ctx context.Context, keys []K, tokens []tarn.Token, into []bool) error {
	return inTime(ctx, s.limit, func(ctx context.Context) error { return s.inner.Stands(ctx, keys, tokens, into) })
}

func (s timelyToucher[K, V]) Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error) {
	err = inTime(ctx, s.limit, func(ctx context.Context) (err error) {
		touched, err = s.inner.Touch(ctx, key, expires)
		return err
	})
	return touched, err
}

func (s timelyTagger) Stamp(ctx context.Context) (stamp tarn.Stamp, err error) {
	err = inTime(ctx, s.limit, func(ctx context.Context) (err error) {
		stamp, err = s.Tagger.Stamp(ctx)
		return err
	})
	return stamp, err
}
