package source_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/source"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

type User struct {
	ID   int64
	Name string
}

// userRepo is a repository as applications have it.
type userRepo struct{ down bool }

func (r *userRepo) Find(_ context.Context, id int64) (User, error) {
	if r.down {
		return User{}, errors.New("connection refused")
	}
	if id != 1 {
		return User{}, sql.ErrNoRows
	}
	return User{1, "Ada"}, nil
}

var (
	ctx  = context.Background()
	repo = &userRepo{}
)

func ExampleNew_readme() {
	find := source.New(tarn.LoadFunc(repo.Find, sql.ErrNoRows), source.Config{ // ErrNoRows: else an absent row is a failure
		Breaker: source.Breaker{Slow: 2 * time.Second},                                // what takes longer has failed
		Retry:   source.Retry{Max: 2},                                                 // for a tenth of the loads at most
		Rate:    source.Rate{PerSecond: 500, Burst: 100, Wait: 50 * time.Millisecond}, // then shed what is left
	})
	users := strategies.ReadThrough(memory.New(memory.Options[int64, User]{MaxEntries: 10_000}), find,
		strategies.WithTTL(ttl.Policy{Fresh: 5 * time.Minute, StaleIfError: time.Hour}))

	repo.down = true // the connection is refused
	for id := range int64(5) {
		_, _ = users.Get(ctx, id) // five failures in a row open the breaker: with two retries each, those of two Gets
	}
	_, err := users.Get(ctx, 1)
	var shed *source.ShedError
	fmt.Println(errors.Is(err, tarn.ErrShed), errors.As(err, &shed)) // the repository was not asked
	fmt.Println(shed.By, shed.After > 0, find.State())               // After: for a Retry-After header, say
	// Output:
	// true true
	// the breaker is open true open
}

func ExampleBehind() {
	users := &userRepo{}
	pages := tarn.LoadFunc(func(context.Context, string) (string, error) { return "", nil })

	// One database, one gate.
	database := source.NewGate(source.Config{Rate: source.Rate{PerSecond: 0.001, Burst: 1}})
	findUser := source.Behind(database, tarn.LoadFunc(users.Find, sql.ErrNoRows))
	findPage := source.Behind(database, pages)

	_, err := findUser.Load(context.Background(), 1)
	fmt.Println(err)
	_, err = findPage.Load(context.Background(), "/")
	fmt.Println(errors.Is(err, tarn.ErrShed), database.Stats().ShedByRate)
	// Output:
	// <nil>
	// true 1
}
