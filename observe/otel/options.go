package otel

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name under which meters and tracers are made.
const scope = "github.com/tarncache/tarn/observe/otel"

// Options are the options of everything here. The zero value is a good one for a program that sets OpenTelemetry's global
// providers.
type Options struct {
	// MeterProvider makes what [New] and [Client] measure with. Nil: the global one, as of the call.
	MeterProvider metric.MeterProvider

	// TracerProvider makes the spans of [Loader], [Writer] and [Client]. Nil: the global one, as of the call.
	TracerProvider trace.TracerProvider

	// Buckets are the upper bounds of the histograms' buckets, in seconds and ascending. Nil: from a millisecond to ten
	// seconds, as the conventions for calls of a database have them. Views of the SDK go before either.
	Buckets []float64

	// ErrorText puts the text of an error into the status of its span. It is the source's text, and may name keys and values
	// where the source does, as databases do of a violated constraint. False: a span tells the type of the error alone.
	ErrorText bool
}

func (o Options) meter() metric.Meter {
	if o.MeterProvider == nil {
		return otel.GetMeterProvider().Meter(scope)
	}
	return o.MeterProvider.Meter(scope)
}

func (o Options) tracer() trace.Tracer {
	if o.TracerProvider == nil {
		return otel.GetTracerProvider().Tracer(scope)
	}
	return o.TracerProvider.Tracer(scope)
}

func (o Options) buckets() []float64 {
	if o.Buckets == nil {
		return []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}
	}
	return o.Buckets
}

// duration makes a histogram of seconds.
func (o Options) duration(name, help string) (metric.Float64Histogram, error) {
	return o.meter().Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(help),
		metric.WithExplicitBucketBoundaries(o.buckets()...))
}
