package otel_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
	tarnotel "github.com/tarncache/tarn/observe/otel"
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
	options := tarnotel.Options{} // by the global providers of OpenTelemetry
	metrics, err := tarnotel.New("users", options)
	if err != nil {
		panic(err)
	}
	defer metrics.Close()

	mem := memory.New(memory.Options[int64, User]{MaxEntries: 100_000, Observer: metrics})
	find := tarnotel.Loader("users", tarn.LoadFunc(repo.Find, sql.ErrNoRows), options) // a span for each load
	users := strategies.ReadThrough(mem, find, strategies.WithObserver(metrics))
	err = metrics.Watch(observe.StatsOf(mem))
	fmt.Println(err)

	ada, err := users.Get(context.Background(), 1)
	fmt.Println(ada.Name, err)
	// Output:
	// <nil>
	// Ada <nil>
}
