package strategies

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
)

// How says how a read was answered.
type How uint8

const (
	HowUnknown  How = iota // it failed, or nothing was found
	HowFresh               // from the cache
	HowNegative            // by a remembered absence
	HowStale               // from the cache, with a stale value that is being replaced
	HowRescued             // from the cache, with an old value, since the source has failed or was too slow
	HowLoaded              // by the source: that it has no such key is an answer too
	HowPending             // by what write-back has accepted and the source is yet to have, which may be a delete
)

var hows = [...]string{"unknown", "fresh", "negative", "stale", "rescued", "loaded", "pending"}

// String returns it in a word.
func (h How) String() string {
	if int(h) < len(hows) {
		return hows[h]
	}
	return hows[HowUnknown]
}

// Answer is a value, and how it was come by.
type Answer[V any] struct {
	Value V
	How   How

	// FreshFor is how long the value, or the absence, will be fresh; negative: for how long it has not been. Zero: it has
	// no end, or it is not the cache's: neither the source nor what is pending says how long it will be.
	FreshFor time.Duration

	// ExpiresIn is how long the cache will keep it. Zero: it has no end, or as with FreshFor.
	ExpiresIn time.Duration
}

// Answer is Get for who wants to know how old the value may be. Where it returns an error, How says whose that is: with
// [tarn.ErrNotFound] HowNegative is the cache's, and HowLoaded the source's.
func (c *ReadThroughCache[K, V]) Answer(ctx context.Context, key K) (Answer[V], error) {
	return c.reader.answer(ctx, key, c.loader)
}

// Answer is Fetch for who wants to know how old the value may be, or Get if loader is nil. Where it returns an error, How
// says whose that is: with [tarn.ErrNotFound] HowNegative is the cache's, and HowLoaded the source's.
func (c *LookAsideCache[K, V]) Answer(ctx context.Context, key K, loader tarn.Loader[K, V]) (Answer[V], error) {
	return c.reader.answer(ctx, key, loader)
}

// Answer is Get for who wants to know how old the value may be, as the inner cache says it: see [ReadThroughCache.Answer].
// If that cannot say, the error is [errors.ErrUnsupported].
func (c *WriteThroughCache[K, V]) Answer(ctx context.Context, key K) (Answer[V], error) {
	return answerOf[K, V](ctx, c.inner, key)
}

// Answer is Get for who wants to know how old the value may be, as the inner cache says it: see [ReadThroughCache.Answer].
// If that cannot say, the error is [errors.ErrUnsupported].
func (c *WriteAroundCache[K, V]) Answer(ctx context.Context, key K) (Answer[V], error) {
	return answerOf[K, V](ctx, c.inner, key)
}

// Answer is Get for who wants to know how old the value may be. What is pending is HowPending, with [tarn.ErrNotFound] if
// that is a delete; the rest is as the inner cache says it: see [ReadThroughCache.Answer]. If that cannot say, the error is
// [errors.ErrUnsupported].
func (c *WriteBackCache[K, V]) Answer(ctx context.Context, key K) (a Answer[V], err error) {
	if c.closed.Load() {
		return a, tarn.ErrClosed
	}
	if value, deleted, ok := c.table.lookup(key); ok {
		a.How = HowPending
		a.Value, err = c.answer(ctx, key, value, deleted)
		return a, err
	}
	return answerOf[K, V](ctx, c.inner, key)
}

// answerOf is Answer of a cache inside another; look-aside has one that may load, and needs no loader.
func answerOf[K comparable, V any](ctx context.Context, inner any, key K) (Answer[V], error) {
	type read interface {
		Answer(ctx context.Context, key K) (Answer[V], error)
	}
	type fetch interface {
		Answer(ctx context.Context, key K, loader tarn.Loader[K, V]) (Answer[V], error)
	}
	if c, ok := tarn.As[read](inner); ok {
		return c.Answer(ctx, key)
	}
	if c, ok := tarn.As[fetch](inner); ok {
		return c.Answer(ctx, key, nil)
	}
	return Answer[V]{}, fmt.Errorf("tarn: answer: the inner cache cannot say how: %w", errors.ErrUnsupported)
}

func (r *reader[K, V]) answer(ctx context.Context, key K, loader tarn.Loader[K, V]) (a Answer[V], err error) {
	var from origin[V]
	a.Value, err = r.getEntry(ctx, key, loader, &from)
	if a.How = from.how; from.entry != nil {
		now := r.clock.Now()
		if end := r.endOf(from.entry); end != 0 {
			a.FreshFor = end.Sub(now)
		}
		if from.entry.Expires != 0 {
			a.ExpiresIn = from.entry.Expires.Sub(now)
		}
	}
	return a, err
}

// origin is where a read's answer came from, for who wants to know; nil for who does not.
type origin[V any] struct {
	how   How
	entry *tarn.Entry[V] // nil: it is not the store's
}

// is notes where the answer came from.
func (o *origin[V]) is(how How, e *tarn.Entry[V]) {
	if o != nil {
		o.how = how
		if e != nil {
			entry := *e
			o.entry = &entry
		}
	}
}

// howHit is how an entry answers that need not be replaced.
func howHit[V any](e *tarn.Entry[V]) (how How, kind tarn.EventKind) {
	switch {
	case e.Negative:
		return HowNegative, tarn.EventNegativeHit
	case e.Rescued:
		return HowRescued, tarn.EventRescued
	}
	return HowFresh, tarn.EventHit
}
