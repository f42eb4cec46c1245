package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// prices stands for a repository over a database.
type prices map[string]int

var errNoRows = errors.New("no rows")

func (p prices) Find(_ context.Context, article string) (int, error) {
	cents, ok := p[article]
	if !ok {
		return 0, errNoRows
	}
	fmt.Println("  source: read", article)
	return cents, nil
}

func (p prices) Save(_ context.Context, article string, cents int) error {
	fmt.Println("  source: write", article)
	p[article] = cents
	return nil
}

func (p prices) Remove(_ context.Context, article string) error {
	fmt.Println("  source: delete", article)
	delete(p, article)
	return nil
}

func ExampleLookAside() {
	ctx := context.Background()
	repo := prices{"tea": 340}
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	c := strategies.LookAside(mem)
	defer c.Close(ctx)

	cents, err := c.Get(ctx, "tea")
	if errors.Is(err, tarn.ErrNotFound) { // the application loads and stores
		cents, err = repo.Find(ctx, "tea")
		if err == nil {
			err = c.Set(ctx, "tea", cents)
		}
	}
	fmt.Println(cents, err)

	cents, err = c.Get(ctx, "tea")
	fmt.Println(cents, err)
	// Output:
	//   source: read tea
	// 340 <nil>
	// 340 <nil>
}

func ExampleLookAsideCache_Fetch() {
	ctx := context.Background()
	repo := prices{"tea": 340}
	find := tarn.LoadFunc(repo.Find, errNoRows)
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	c := strategies.LookAside(mem)
	defer c.Close(ctx)

	for range 2 { // the second time, the cache has it
		cents, err := c.Fetch(ctx, "tea", find)
		fmt.Println(cents, err)
	}
	_, err := c.Fetch(ctx, "coffee", find)
	fmt.Println(err)
	// Output:
	//   source: read tea
	// 340 <nil>
	// 340 <nil>
	// tarn: not found
}

func ExampleLookAsideCache_Update() {
	ctx := context.Background()
	repo := prices{"tea": 340, "mate": 290}
	find := tarn.LoadFunc(repo.Find, errNoRows)
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	c := strategies.LookAside(mem)
	defer c.Close(ctx)
	c.Fetch(ctx, "tea", find)

	// Any write of the source, in a transaction if need be. Meanwhile nobody caches the old prices.
	err := c.Update(ctx, []string{"tea", "mate"}, func(ctx context.Context) error {
		return errors.Join(repo.Save(ctx, "tea", 360), repo.Save(ctx, "mate", 310))
	})
	fmt.Println(err)

	cents, _ := c.Fetch(ctx, "tea", find)
	fmt.Println(cents)
	// Output:
	//   source: read tea
	//   source: write tea
	//   source: write mate
	// <nil>
	//   source: read tea
	// 360
}

func ExampleLookAsideCache_SetFor() {
	ctx := context.Background()
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	c := strategies.LookAside(mem, strategies.WithTTL(ttl.Policy{Fresh: time.Hour}))
	defer c.Close(ctx)

	c.Set(ctx, "tea", 340)                                             // for an hour
	c.SetFor(ctx, "offer", 199, ttl.Policy{Fresh: time.Millisecond})   // for a millisecond
	err := c.SetFor(ctx, "coffee", 410, ttl.Policy{Fresh: -time.Hour}) // for no time that makes sense
	fmt.Println(err)

	time.Sleep(2 * time.Millisecond)
	_, err = c.Get(ctx, "offer")
	fmt.Println(err)
	cents, err := c.Get(ctx, "tea")
	fmt.Println(cents, err)
	// Output:
	// tarn: set: ttl: Policy.Fresh is negative: -1h0m0s
	// tarn: not found
	// 340 <nil>
}

func ExampleReadThrough() {
	ctx := context.Background()
	repo := prices{"tea": 340, "mate": 290}
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	c := strategies.ReadThrough(mem, tarn.LoadFunc(repo.Find, errNoRows),
		strategies.WithTTL(ttl.Policy{Fresh: 5 * time.Minute, Negative: 10 * time.Second}))
	defer c.Close(ctx)

	for range 2 {
		cents, err := c.Get(ctx, "tea")
		fmt.Println(cents, err)
	}
	found, err := tarn.GetMany(ctx, c, []string{"tea", "mate", "coffee"})
	fmt.Println(found, err)
	// Output:
	//   source: read tea
	// 340 <nil>
	// 340 <nil>
	//   source: read mate
	// map[mate:290 tea:340] <nil>
}

func ExampleWriteThrough() {
	ctx := context.Background()
	repo := prices{"tea": 340}
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	find := tarn.LoadFunc(repo.Find, errNoRows)
	save := tarn.WriteFuncs(repo.Save, repo.Remove)
	c := strategies.WriteThrough(strategies.ReadThrough(mem, find), save)
	defer c.Close(ctx)

	fmt.Println(c.Set(ctx, "tea", 360))
	cents, err := c.Get(ctx, "tea") // the cache has it already
	fmt.Println(cents, err)
	// Output:
	//   source: write tea
	// <nil>
	// 360 <nil>
}

func ExampleWriteAround() {
	ctx := context.Background()
	repo := prices{"tea": 340}
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	find := tarn.LoadFunc(repo.Find, errNoRows)
	save := tarn.WriteFuncs(repo.Save, repo.Remove)
	c := strategies.WriteAround(strategies.ReadThrough(mem, find), save)
	defer c.Close(ctx)

	fmt.Println(c.Set(ctx, "tea", 360))
	fmt.Println(mem.Len(), "cached")
	cents, err := c.Get(ctx, "tea") // whoever reads it first loads it
	fmt.Println(cents, err)
	// Output:
	//   source: write tea
	// <nil>
	// 0 cached
	//   source: read tea
	// 360 <nil>
}

func ExampleWithTTL() {
	ctx := context.Background()
	repo := prices{"tea": 340}
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	up := true
	find := tarn.LoadFunc(func(ctx context.Context, article string) (int, error) {
		if !up {
			return 0, errors.New("connection refused")
		}
		return repo.Find(ctx, article)
	}, errNoRows)
	c := strategies.ReadThrough(mem, find,
		strategies.WithTTL(ttl.Policy{Fresh: time.Millisecond, StaleIfError: time.Hour}))
	defer c.Close(ctx)

	c.Get(ctx, "tea")
	time.Sleep(2 * time.Millisecond)
	up = false
	cents, err := c.Get(ctx, "tea") // the value is old, and better than none
	fmt.Println(cents, err)
	// Output:
	//   source: read tea
	// 340 <nil>
}

func ExampleWithObserver() {
	ctx := context.Background()
	repo := prices{"tea": 340}
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	told := tarn.ObserverFunc(func(_ context.Context, e tarn.Event) { fmt.Println("event:", e.Kind, e.N) })
	c := strategies.ReadThrough(mem, tarn.LoadFunc(repo.Find, errNoRows), strategies.WithObserver(told))
	defer c.Close(ctx)

	c.Get(ctx, "tea")
	c.Get(ctx, "tea")
	// Output:
	// event: miss 1
	//   source: read tea
	// event: loaded 1
	// event: hit 1
}

func ExampleWithCopyLeft() {
	ctx := context.Background()
	repo := prices{"tea": 340}
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	find := tarn.LoadFunc(repo.Find, errNoRows)
	save := tarn.WriteFuncs(repo.Save, repo.Remove)
	c := strategies.WriteAround(strategies.ReadThrough(mem, find), save, strategies.WithCopyLeft())
	defer c.Close(ctx)

	c.Get(ctx, "tea")
	c.Set(ctx, "tea", 360)
	cents, err := c.Get(ctx, "tea") // the old price, for as long as the policy lets it live
	fmt.Println(cents, err)
	// Output:
	//   source: read tea
	//   source: write tea
	// 340 <nil>
}

func ExampleWithLoadContext() {
	ctx := context.Background()
	mem := memory.New(memory.Options[string, int]{MaxEntries: 1000})
	defer mem.Close()

	type tenant struct{}
	type user struct{}
	find := tarn.LoadFunc(func(ctx context.Context, article string) (int, error) {
		fmt.Println("tenant:", ctx.Value(tenant{}), "user:", ctx.Value(user{}))
		return 340, nil
	})
	// Callers of several users share a load; it sees what they have in common, and nothing else.
	c := strategies.ReadThrough(mem, find, strategies.WithLoadContext(func(ctx context.Context) context.Context {
		return context.WithValue(context.Background(), tenant{}, ctx.Value(tenant{}))
	}))
	defer c.Close(ctx)

	ctx = context.WithValue(context.WithValue(ctx, tenant{}, "shop"), user{}, "ada")
	cents, err := c.Get(ctx, "tea")
	fmt.Println(cents, err)
	// Output:
	// tenant: shop user: <nil>
	// 340 <nil>
}
