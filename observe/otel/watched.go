package otel

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tarncache/tarn/observe"
)

// watched is a source, and the instruments for its numbers.
type watched struct {
	cache   attribute.KeyValue
	source  observe.Source
	numbers map[string]metric.Float64Observable // by name
	all     []metric.Observable
}

// watched makes the instruments for a source. The caller holds mu.
func (m *Metrics) watched(source observe.Source) (*watched, error) {
	w := &watched{cache: cacheName(m.name), source: source, numbers: make(map[string]metric.Float64Observable)}
	for _, stat := range source.Stats() {
		name := nameOf(stat)
		if m.names[name] {
			return nil, fmt.Errorf("cache %q has a source named %q already; give this one Metrics of its own", m.name, stat.Of)
		}
		if w.numbers[name] != nil {
			continue // of another value of its label
		}
		number, err := m.instrument(name, stat)
		if err != nil {
			return nil, err
		}
		w.numbers[name] = number
		w.all = append(w.all, number)
	}
	return w, nil
}

func nameOf(stat observe.Stat) string { return "tarn." + stat.Of + "." + stat.Name }

// instrument makes a counter of what only grows. Of the rest, a number of things adds up over several caches; a time does
// not.
func (m *Metrics) instrument(name string, stat observe.Stat) (metric.Float64Observable, error) {
	unit := metric.WithUnit(units[stat.Unit])
	help := metric.WithDescription(stat.Help)
	switch {
	case stat.Count:
		return m.meter.Float64ObservableCounter(name, unit, help)
	case stat.Unit == "seconds":
		return m.meter.Float64ObservableGauge(name, unit, help)
	}
	return m.meter.Float64ObservableUpDownCounter(name, unit, help)
}

// units are the names of units by the Unified Code for Units of Measure.
var units = map[string]string{"": "1", "seconds": "s", "bytes": "By", "keys": "{key}"}

// observe hands the numbers over.
func (w *watched) observe(_ context.Context, to metric.Observer) error {
	for _, stat := range w.source.Stats() {
		number := w.numbers[nameOf(stat)]
		if number == nil {
			continue // there is one, if the source keeps its word
		}
		attrs := []attribute.KeyValue{w.cache}
		if stat.Label != "" {
			attrs = append(attrs, attribute.String("tarn."+stat.Label, stat.LabelValue))
		}
		to.ObserveFloat64(number, stat.Value, metric.WithAttributes(attrs...))
	}
	return nil
}
