package otel

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
)

// Metrics are the metrics of one cache: a [tarn.Observer] for its strategies and, if wanted, its store. Being told of a hit
// allocates nothing and takes a few nanoseconds: counts are handed over when they are collected. Make them with [New], and
// Close them when the cache is gone. All methods may be called by any number of goroutines.
type Metrics struct {
	name    string
	meter   metric.Meter
	counter *observe.Counter
	calls   map[[2]string]calls // by op and outcome

	mu            sync.Mutex // protects what follows
	closed        bool
	names         map[string]bool // of what is watched
	registrations []metric.Registration
}

// calls is where the durations of calls go.
type calls struct {
	taken metric.Float64Histogram
	with  metric.RecordOption
}

var _ tarn.Observer = (*Metrics)(nil)

// New returns the metrics of the cache called name, the value of the attribute tarn.cache.name. The error is the meter's. It
// panics if name is empty.
func New(name string, o Options) (*Metrics, error) {
	if name == "" {
		panic("otel: New: name is empty")
	}
	m := &Metrics{
		name:    name,
		meter:   o.meter(),
		counter: observe.NewCounter(),
		calls:   make(map[[2]string]calls),
		names:   make(map[string]bool),
	}
	for op, help := range map[string]string{
		"load":  "How long the source took to answer a load, of one key or of many.",
		"write": "How long the source took to be written, with one key or with many.",
	} {
		taken, err := o.duration("tarn.cache."+op+".duration", help)
		if err != nil {
			return nil, fmt.Errorf("otel: new: %w", err)
		}
		for _, outcome := range []string{"success", "error"} {
			with := metric.WithAttributeSet(attribute.NewSet(cacheName(name), attribute.String("tarn.outcome", outcome)))
			m.calls[[2]string{op, outcome}] = calls{taken, with}
		}
	}
	if err := m.Watch(m.counter); err != nil {
		return nil, err
	}
	return m, nil
}

func cacheName(name string) attribute.KeyValue { return attribute.String("tarn.cache.name", name) }

// Observe counts e, and records how long the source took, with ctx, so that a measurement can lead to its trace.
func (m *Metrics) Observe(ctx context.Context, e tarn.Event) {
	m.counter.Observe(ctx, e)
	if op, outcome, ok := observe.Timed(e); ok {
		c := m.calls[[2]string{op, outcome}]
		c.taken.Record(ctx, e.Duration.Seconds(), c.with)
	}
}

// Watch adds sources, which are read whenever metrics are collected, until Close: what [observe.StatsOf] makes of a store or
// a strategy. It refuses a source whose name another one has: the second store of a kind needs Metrics of its own, with
// another name. Any other error is the meter's, or tarn.ErrClosed. It panics if a source is nil.
func (m *Metrics) Watch(sources ...observe.Source) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, source := range sources {
		if source == nil {
			panic("otel: Watch: a source is nil")
		}
		if m.closed {
			return fmt.Errorf("otel: watch: %w", tarn.ErrClosed)
		}
		w, err := m.watched(source)
		if err != nil {
			return fmt.Errorf("otel: watch: %w", err)
		}
		registration, err := m.meter.RegisterCallback(w.observe, w.all...)
		if err != nil {
			return fmt.Errorf("otel: watch: %w", err)
		}
		m.registrations = append(m.registrations, registration)
		for name := range w.numbers {
			m.names[name] = true
		}
	}
	return nil
}

// Close ends what Watch began: nothing is read any more. Durations can be recorded still.
func (m *Metrics) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	var errs []error
	for _, registration := range m.registrations {
		errs = append(errs, registration.Unregister())
	}
	m.registrations = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("otel: close: %w", err)
	}
	return nil
}
