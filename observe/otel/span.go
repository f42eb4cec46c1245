package otel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.42.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tarncache/tarn"
)

// spans makes the spans of calls to a source.
type spans struct {
	name      string // of the cache
	tracer    trace.Tracer
	errorText bool
}

func newSpans(name string, o Options) spans { return spans{name, o.tracer(), o.ErrorText} }

// call is a call of a source within its span.
type call struct {
	spans   *spans
	span    trace.Span
	missing int // keys that the source does not have
	failed  int // keys that it failed for
	err     error
	ended   bool // by returning
}

// begin starts a span such as "load users", for a number of keys.
func (s *spans) begin(ctx context.Context, op string, keys int) (context.Context, *call) {
	ctx, span := s.tracer.Start(ctx, op+" "+s.name, trace.WithAttributes(cacheName(s.name), attribute.Int("tarn.keys", keys)))
	return ctx, &call{spans: s, span: span}
}

// result notes what became of a key.
func (c *call) result(err error) {
	switch {
	case err == nil:
	case errors.Is(err, tarn.ErrNotFound):
		c.missing++
	default:
		if c.failed++; c.failed == 1 {
			c.err = err
		}
	}
}

// end ends the span. It is deferred, so that a source that panics ends it too; the panic goes on.
func (c *call) end() {
	defer c.span.End()
	if !c.ended {
		c.span.SetAttributes(semconv.ErrorTypeKey.String("panic"))
		c.span.SetStatus(codes.Error, "")
		return
	}
	if c.missing > 0 {
		c.span.SetAttributes(attribute.Int("tarn.keys.missing", c.missing))
	}
	if c.failed > 0 {
		c.span.SetAttributes(attribute.Int("tarn.keys.failed", c.failed), errorType(c.err))
		text := ""
		if c.spans.errorText {
			text = c.err.Error()
		}
		c.span.SetStatus(codes.Error, text)
	}
}

// errorType is the type of what went wrong, or "timeout".
func errorType(err error) attribute.KeyValue {
	if errors.Is(err, context.DeadlineExceeded) {
		return semconv.ErrorTypeKey.String("timeout")
	}
	return semconv.ErrorType(err)
}
