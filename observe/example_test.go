package observe_test

import (
	"context"
	"database/sql"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"os"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

func ExampleNewCounter() {
	mem := memory.New(memory.Options[int64, string]{MaxEntries: 100})
	defer mem.Close()
	counter := observe.NewCounter()
	names := strategies.ReadThrough(mem, tarn.LoadFunc(findName), strategies.WithObserver(counter))

	ctx := context.Background()
	_, _ = names.Get(ctx, 1)
	_, _ = names.Get(ctx, 1)
	fmt.Println(counter.Total(tarn.EventHit), counter.Total(tarn.EventMiss))
	// Output: 1 1
}

func ExampleStatsOf() {
	mem := memory.New(memory.Options[int64, string]{MaxEntries: 100})
	defer mem.Close()
	_ = mem.Put(1, "Ada", 0)

	for _, s := range observe.StatsOf(mem).Stats() {
		if s.Name == "entries" {
			fmt.Println(s.Of, s.Name, s.Value, s.Help)
		}
	}
	// Output: memory entries 1 Entries in the store.
}

func ExampleVar() {
	mem := memory.New(memory.Options[int64, string]{MaxEntries: 100})
	defer mem.Close()
	_ = mem.Put(1, "Ada", 0)

	expvar.Publish("names", observe.Var(observe.StatsOf(mem))) // under the name that you choose; see /debug/vars
	fmt.Println(expvar.Get("names"))
	// Output: {"memory":{"bound":100,"entries":1,"evictions":0,"expirations":0,"hits":0,"misses":0,"negatives":0,"refused":0,"weight":1}}
}

func ExampleLog() {
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: noTime}))
	mem := memory.New(memory.Options[int64, string]{MaxEntries: 100})
	defer mem.Close()

	counter := observe.NewCounter()
	names := strategies.ReadThrough(mem, tarn.LoadFunc(findName),
		strategies.WithObserver(observe.Multi(counter, observe.Log(logger.With("cache", "names"), observe.LogOptions{}))))
	_, err := names.Get(context.Background(), 404)
	fmt.Println(err)
	// Output:
	// level=WARN msg="cache: load failed" cache=names event="load failed" keys=1 error="no connection"
	// tarn: load: no connection
}

func findName(_ context.Context, id int64) (string, error) {
	if id == 404 {
		return "", errors.New("no connection")
	}
	return "Ada", nil
}

type User struct {
	ID   int64
	Name string
}

type repository struct{}

func (repository) Find(_ context.Context, id int64) (User, error) { return User{id, "Ada"}, nil }

var repo repository

func ExampleLog_readme() {
	mem := memory.New(memory.Options[int64, User]{MaxEntries: 100_000})
	failures := observe.Log(slog.Default().With("cache", "users"), observe.LogOptions{}) // a line a second for each kind
	counter := observe.NewCounter()

	users := strategies.ReadThrough(mem, tarn.LoadFunc(repo.Find, sql.ErrNoRows),
		strategies.WithObserver(observe.Multi(counter, failures)))
	expvar.Publish("users", observe.Var(counter, observe.StatsOf(mem)))

	ada, err := users.Get(context.Background(), 1)
	fmt.Println(ada.Name, err, counter.Total(tarn.EventMiss))
	// Output: Ada <nil> 1
}
