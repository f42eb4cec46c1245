package otel

import (
	"context"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/capability"
)

// Writer returns a Writer that does what inner does, within a span for each call: "save", "delete", or for a batch, as of
// write-back, "write", and name, that of the cache. It is a [tarn.BatchWriter] if inner is one. For the rest see [Loader]. It
// panics if name is empty or inner is nil.
func Writer[K comparable, V any](name string, inner tarn.Writer[K, V], o Options) tarn.Writer[K, V] {
	switch {
	case name == "":
		panic("otel: Writer: name is empty")
	case isNil(inner):
		panic("otel: Writer: inner is nil")
	}
	w := &writer[K, V]{spans: newSpans(name, o), inner: inner}
	w.batch, _ = tarn.As[tarn.BatchWriter[K, V]](inner)
	return w
}

type writer[K comparable, V any] struct {
	spans spans
	inner tarn.Writer[K, V]
	batch tarn.BatchWriter[K, V] // nil: inner is none
}

func (w *writer[K, V]) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Writer[K, V]:
		*t = w
		return true
	case *tarn.BatchWriter[K, V]:
		*t = (*batchWriter[K, V])(w)
		return w.batch != nil
	}
	return capability.PassOn(w.inner, target)
}

func (w *writer[K, V]) Save(ctx context.Context, key K, value V) error {
	return w.call(ctx, "save", func(ctx context.Context) error { return w.inner.Save(ctx, key, value) })
}

func (w *writer[K, V]) Delete(ctx context.Context, key K) error {
	return w.call(ctx, "delete", func(ctx context.Context) error { return w.inner.Delete(ctx, key) })
}

func (w *writer[K, V]) call(ctx context.Context, op string, do func(ctx context.Context) error) error {
	ctx, call := w.spans.begin(ctx, op, 1)
	defer call.end()
	err := do(ctx)
	call.result(err)
	call.ended = true
	return err
}

// batchWriter is a writer whose inner one is a BatchWriter.
type batchWriter[K comparable, V any] writer[K, V]

func (w *batchWriter[K, V]) Apply(ctx context.Context, ops []tarn.Op[K, V]) error {
	ctx, call := w.spans.begin(ctx, "write", len(ops))
	defer call.end()
	err := w.batch.Apply(ctx, ops)
	for i := range ops {
		call.result(tarn.ErrAt(err, i, len(ops)))
	}
	call.ended = true
	return err
}
