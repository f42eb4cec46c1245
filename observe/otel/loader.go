package otel

import (
	"context"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/capability"
)

// Loader returns a Loader that does what inner does, within a span for each call: "load" and name, that of the cache. The
// context that inner gets is the span's. It is a [tarn.BatchLoader] and a [tarn.EntryLoader] if inner is one. Attributes are
// tarn.cache.name, tarn.keys, and where there are some, tarn.keys.missing and tarn.keys.failed; a failure has error.type. A
// key that the source does not have is no failure. It panics if name is empty or inner is nil.
func Loader[K comparable, V any](name string, inner tarn.Loader[K, V], o Options) tarn.Loader[K, V] {
	switch {
	case name == "":
		panic("otel: Loader: name is empty")
	case isNil(inner):
		panic("otel: Loader: inner is nil")
	}
	l := &loader[K, V]{spans: newSpans(name, o), inner: inner}
	l.many, _ = tarn.As[tarn.BatchLoader[K, V]](inner)
	l.entry, _ = tarn.As[tarn.EntryLoader[K, V]](inner)
	return l
}

type loader[K comparable, V any] struct {
	spans spans
	inner tarn.Loader[K, V]
	many  tarn.BatchLoader[K, V] // nil: inner is none
	entry tarn.EntryLoader[K, V]
}

func (l *loader[K, V]) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Loader[K, V]:
		*t = l
		return true
	case *tarn.BatchLoader[K, V]:
		*t = (*batchLoader[K, V])(l)
		return l.many != nil
	case *tarn.EntryLoader[K, V]:
		*t = (*entryLoader[K, V])(l)
		return l.entry != nil
	}
	return capability.PassOn(l.inner, target)
}

func (l *loader[K, V]) Load(ctx context.Context, key K) (V, error) {
	ctx, call := l.spans.begin(ctx, "load", 1)
	defer call.end()
	v, err := l.inner.Load(ctx, key)
	call.result(err)
	call.ended = true
	return v, err
}

// batchLoader is a loader whose inner one is a BatchLoader.
type batchLoader[K comparable, V any] loader[K, V]

func (l *batchLoader[K, V]) LoadMany(ctx context.Context, keys []K, into []tarn.Loaded[V]) error {
	ctx, call := l.spans.begin(ctx, "load", len(keys))
	defer call.end()
	err := l.many.LoadMany(ctx, keys, into)
	for i := range into {
		if err != nil {
			call.result(err)
			continue
		}
		call.result(into[i].Err)
	}
	call.ended = true
	return err
}

// entryLoader is a loader whose inner one is an EntryLoader.
type entryLoader[K comparable, V any] loader[K, V]

func (l *entryLoader[K, V]) LoadEntry(ctx context.Context, key K) (tarn.Loaded[V], error) {
	ctx, call := l.spans.begin(ctx, "load", 1)
	defer call.end()
	got, err := l.entry.LoadEntry(ctx, key)
	call.result(err)
	call.ended = true
	return got, err
}
