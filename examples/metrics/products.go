package main

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
	tarnprometheus "github.com/tarncache/tarn/observe/prometheus"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// Products is the service: a cached repository, and what there is to see of it.
type Products struct {
	cache    *strategies.ReadThroughCache[int64, Product]
	store    *memory.Store[int64, Product]
	registry *prometheus.Registry
	vars     expvar.Var
}

// newProducts makes the cache, its metrics and its log.
func newProducts(logger *slog.Logger) (*Products, error) {
	store := memory.New(memory.Options[int64, Product]{MaxEntries: 50, CountReads: true})
	metrics := tarnprometheus.New("products", tarnprometheus.Options{})
	failures := observe.Log(logger.With("cache", "products"), observe.LogOptions{})

	var repo repository
	cache := strategies.ReadThrough(store, tarn.LoadFunc(repo.Find, errNoProduct),
		strategies.WithTTL(ttl.Policy{Fresh: time.Minute, Negative: 10 * time.Second}),
		strategies.WithObserver(observe.Multi(metrics, failures)))

	stats := observe.StatsOf(store)
	registry := prometheus.NewRegistry() // nothing here is global; an application may well use the default one
	if err := metrics.Watch(stats).Register(registry); err != nil {
		return nil, err
	}
	return &Products{cache: cache, store: store, registry: registry, vars: observe.Var(stats)}, nil
}

// Close closes the cache, and then the store that it was made of.
func (p *Products) Close() {
	_ = p.cache.Close(context.Background())
	_ = p.store.Close()
}

func (p *Products) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", p.product)
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/vars", func(w http.ResponseWriter, _ *http.Request) { // or expvar.Publish and expvar.Handler
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{%q: %s}\n", "products", p.vars)
	})
	return mux
}

func (p *Products) product(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		http.Error(w, "a product has a number", http.StatusBadRequest)
		return
	}
	product, err := p.cache.Get(r.Context(), id)
	switch {
	case errors.Is(err, tarn.ErrNotFound):
		http.Error(w, "no such product", http.StatusNotFound)
	case err != nil:
		http.Error(w, "try again", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(product)
	}
}
