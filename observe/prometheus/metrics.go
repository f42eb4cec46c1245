// Package prometheus shows what a cache does to Prometheus: hits, misses, loads, writes and how long the source took, which
// a strategy tells [Metrics] as its Observer, and the Stats of its store and of what else has some, which Metrics reads when it
// is scraped.
//
// All names begin with "tarn_", and all metrics have the label "cache". From events come
//
//	tarn_cache_hits_total{kind}                "fresh", "negative" (a remembered absence), "stale", "rescued"
//	tarn_cache_misses_total
//	tarn_cache_loads_total{outcome}            keys; "success" (absence included), "error"
//	tarn_cache_writes_total{outcome}           keys
//	tarn_cache_removals_total{reason}          "evicted", "expired", if memory.Options.Observer has it too
//	tarn_cache_events_total{event}             keys; whatever else happens, as in "store_failed"
//	tarn_cache_load_duration_seconds{outcome}  histogram, of calls
//	tarn_cache_write_duration_seconds{outcome} histogram, of calls by write-back: the others tell no time
//
// and from Stats one metric for each field, such as tarn_memory_entries and tarn_write_back_oldest_pending_seconds.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
)

// Options are the options of [New].
type Options struct {
	// Buckets are the upper bounds of the histograms' buckets, in seconds and ascending. Nil: from a millisecond to ten
	// seconds, as OpenTelemetry's conventions for calls of a database have them.
	Buckets []float64
}

// Metrics are the metrics of one cache. They are a [tarn.Observer] for its strategies and, if wanted, its store, and a
// [prometheus.Collector] for a registry. Being told of a hit allocates nothing and takes a few nanoseconds. Make them with
// [New].
type Metrics struct {
	name    string
	counter *observe.Counter
	taken   map[string]*prometheus.HistogramVec // by op
	calls   map[[2]string]prometheus.Observer   // by op and outcome
	watched []watched
}

// watched is a source, and what its numbers are called.
type watched struct {
	source observe.Source
	descs  map[string]*prometheus.Desc // by Of and Name
}

var (
	_ tarn.Observer        = (*Metrics)(nil)
	_ prometheus.Collector = (*Metrics)(nil)
)

// New returns the metrics of the cache called name, which tells it from others in the same registry and is the value of the
// label "cache". Give them to a strategy as its Observer, and the Stats that are to be shown too to Watch; then register
// them. It panics if name is empty or Buckets do not ascend.
func New(name string, o Options) *Metrics {
	if name == "" {
		panic("prometheus: New: name is empty")
	}
	buckets := o.Buckets
	if buckets == nil {
		buckets = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}
	}
	for i := 1; i < len(buckets); i++ {
		if !(buckets[i-1] < buckets[i]) {
			panic("prometheus: Options.Buckets do not ascend")
		}
	}
	m := &Metrics{
		name:    name,
		counter: observe.NewCounter(),
		taken:   make(map[string]*prometheus.HistogramVec),
		calls:   make(map[[2]string]prometheus.Observer),
	}
	for op, help := range map[string]string{
		"load":  "How long the source took to answer a load, of one key or of many.",
		"write": "How long the source took to be written, with one key or with many.",
	} {
		m.taken[op] = prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tarn_cache_" + op + "_duration_seconds", Help: help,
			ConstLabels: prometheus.Labels{"cache": name}, Buckets: buckets,
		}, []string{"outcome"})
		for _, outcome := range []string{"success", "error"} {
			m.calls[[2]string{op, outcome}] = m.taken[op].WithLabelValues(outcome)
		}
	}
	return m.Watch(m.counter)
}

// Watch adds sources, which are read whenever m is collected: what [observe.StatsOf] makes of whatever has Stats. It
// returns m. Call it before m is registered or collected. It panics if a source is nil, or has a name that another source
// of m has: the second store of a kind needs Metrics of its own, with another name.
func (m *Metrics) Watch(sources ...observe.Source) *Metrics {
	for _, source := range sources {
		if source == nil {
			panic("prometheus: Watch: a source is nil")
		}
		w := watched{source, make(map[string]*prometheus.Desc)}
		for _, stat := range source.Stats() {
			id := stat.Of + "." + stat.Name
			if slices.ContainsFunc(m.watched, func(other watched) bool { return other.descs[id] != nil }) {
				panic(fmt.Sprintf("prometheus: Watch: cache %q has a source named %q already; give this one Metrics of its own",
					m.name, stat.Of))
			}
			w.descs[id] = m.desc(stat)
		}
		m.watched = append(m.watched, w)
	}
	return m
}

// desc describes a number by the rules of https://prometheus.io/docs/practices/naming.
func (m *Metrics) desc(stat observe.Stat) *prometheus.Desc {
	name := "tarn_" + stat.Of + "_" + stat.Name
	if stat.Unit == "seconds" {
		name += "_seconds"
	}
	if stat.Count {
		name += "_total"
	}
	var labels []string
	if stat.Label != "" {
		labels = []string{stat.Label}
	}
	return prometheus.NewDesc(name, stat.Help, labels, prometheus.Labels{"cache": m.name})
}

// Observe counts e, and how long the source took.
func (m *Metrics) Observe(ctx context.Context, e tarn.Event) {
	m.counter.Observe(ctx, e)
	if op, outcome, ok := observe.Timed(e); ok {
		m.calls[[2]string{op, outcome}].Observe(e.Duration.Seconds())
	}
}

// Register registers m, which is the same as reg.Register(m) but for the error, which says which cache it is about.
func (m *Metrics) Register(reg prometheus.Registerer) error {
	err := reg.Register(m)
	if already := (prometheus.AlreadyRegisteredError{}); errors.As(err, &already) {
		return fmt.Errorf("prometheus: the metrics of a cache named %q are registered already; "+
			"each cache of a registry has a name of its own: %w", m.name, err)
	}
	if err != nil {
		return fmt.Errorf("prometheus: register the metrics of cache %q: %w", m.name, err)
	}
	return nil
}

// Describe is for the registry.
func (m *Metrics) Describe(descs chan<- *prometheus.Desc) {
	for _, taken := range m.taken {
		taken.Describe(descs)
	}
	for _, w := range m.watched {
		for _, desc := range w.descs {
			descs <- desc
		}
	}
}

// Collect is for the registry. It reads the sources.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	for _, taken := range m.taken {
		taken.Collect(metrics)
	}
	for _, w := range m.watched {
		for _, stat := range w.source.Stats() {
			if desc := w.descs[stat.Of+"."+stat.Name]; desc != nil { // there is one, if the source keeps its word
				metrics <- metric(desc, stat)
			}
		}
	}
}

func metric(desc *prometheus.Desc, stat observe.Stat) prometheus.Metric {
	kind := prometheus.GaugeValue
	if stat.Count {
		kind = prometheus.CounterValue
	}
	var labels []string
	if stat.Label != "" {
		labels = []string{stat.LabelValue}
	}
	metric, err := prometheus.NewConstMetric(desc, kind, stat.Value, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return metric
}
