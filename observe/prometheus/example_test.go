package prometheus_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
	tarnprometheus "github.com/tarncache/tarn/observe/prometheus"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

type User struct {
	ID   int64
	Name string
}

type repository struct{}

func (repository) Find(_ context.Context, id int64) (User, error) { return User{id, "Ada"}, nil }

var repo repository

func ExampleNew_readme() {
	registry := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	metrics := tarnprometheus.New("users", tarnprometheus.Options{})
	mem := memory.New(memory.Options[int64, User]{MaxEntries: 100_000, Observer: metrics}) // tells of removals

	users := strategies.ReadThrough(mem, tarn.LoadFunc(repo.Find, sql.ErrNoRows), strategies.WithObserver(metrics))
	if err := metrics.Watch(observe.StatsOf(mem)).Register(registry); err != nil {
		panic(err) // another cache has that name
	}
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	ada, err := users.Get(context.Background(), 1) // tarn_cache_misses_total{cache="users"} 1, …
	fmt.Println(ada.Name, err)
	// Output: Ada <nil>
}
