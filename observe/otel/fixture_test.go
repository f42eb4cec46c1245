package otel_test

import (
	"errors"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	tarnotel "github.com/tarncache/tarn/observe/otel"
)

var errDown = errors.New("down: key (email)=(ada@example.org)")

// sdk is a reader of metrics and a recorder of spans.
type sdk struct {
	reader   *metric.ManualReader
	meters   *metric.MeterProvider
	recorder *tracetest.SpanRecorder
	tracers  *trace.TracerProvider
}

func newSDK(t *testing.T) sdk {
	t.Helper()
	s := sdk{reader: metric.NewManualReader(), recorder: tracetest.NewSpanRecorder()}
	s.meters = metric.NewMeterProvider(metric.WithReader(s.reader))
	s.tracers = trace.NewTracerProvider(trace.WithSpanProcessor(s.recorder))
	return s
}

func (s sdk) options() tarnotel.Options {
	return tarnotel.Options{MeterProvider: s.meters, TracerProvider: s.tracers}
}

// number is what was measured with one set of attributes.
type number struct {
	value float64
	count uint64 // of a histogram
	unit  string
	shape string // counter, up and down, gauge, histogram
}

// numbers collects everything, by names such as "tarn.cache.hits users fresh".
func (s sdk) numbers(t *testing.T) map[string]number {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]number)
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			put := func(attrs attribute.Set, n number) {
				name := m.Name
				for _, a := range attrs.ToSlice() {
					name += " " + a.Value.String()
				}
				if _, twice := found[name]; twice {
					t.Errorf("%s is there twice", name)
				}
				n.unit = m.Unit
				found[name] = n
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[float64]:
				shape := "up and down"
				if data.IsMonotonic {
					shape = "counter"
				}
				for _, p := range data.DataPoints {
					put(p.Attributes, number{value: p.Value, shape: shape})
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					put(p.Attributes, number{value: p.Value, shape: "gauge"})
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					put(p.Attributes, number{value: p.Sum, count: p.Count, shape: "histogram"})
				}
			default:
				t.Errorf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	return found
}

// span is what matters of a span.
type span struct {
	name   string
	kind   string
	status codes.Code
	text   string // of the status
	attrs  map[string]any
}

// spans returns those that have ended.
func (s sdk) spans() []span {
	var all []span
	for _, ended := range s.recorder.Ended() {
		attrs := make(map[string]any)
		for _, a := range ended.Attributes() {
			attrs[string(a.Key)] = a.Value.AsInterface()
		}
		all = append(all, span{ended.Name(), ended.SpanKind().String(), ended.Status().Code, ended.Status().Description, attrs})
	}
	return all
}
