package strategies_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

// viewRepo is a repository of page views. Here its tables are maps; views and batches are changed in one transaction.
type viewRepo struct {
	mu      sync.Mutex
	views   map[int64]int64    // by product; protected by mu
	batches map[[2]uint64]bool // the ledger; protected by mu
	updates int                // protected by mu
}

func (r *viewRepo) Views(_ context.Context, product int64) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.views[product]
	if !ok {
		return 0, sql.ErrNoRows
	}
	return n, nil
}

func (r *viewRepo) AddViews(_ context.Context, batch strategies.Batch[int64, int64]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := [2]uint64{batch.Epoch, batch.Seq}
	if r.batches[name] {
		return nil // it was applied, and nobody heard of it
	}
	r.batches[name] = true
	for _, d := range batch.Deltas {
		r.views[d.Key] += d.Delta
		r.updates++
	}
	return nil
}

func ExampleAccumulate_readme() {
	ctx := context.Background()
	repo := &viewRepo{views: map[int64]int64{7: 100}, batches: map[[2]uint64]bool{}}
	load := tarn.LoadFunc(repo.Views, sql.ErrNoRows)

	views, err := strategies.Accumulate(load, repo.AddViews, strategies.Sum[int64](),
		strategies.AccumulateConfig[int64, int64]{MaxDelay: time.Second})
	if err != nil {
		panic(err) // a field of the config makes no sense
	}

	for range 1000 {
		if err := views.Add(ctx, 7, 1); err != nil { // product 7 was seen once more
			fmt.Println(err)
		}
	}
	n, err := views.Get(ctx, 7) // what the repository has, and what is on its way
	fmt.Println(n, err)

	stop, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	fmt.Println(views.Close(stop), repo.updates) // writes what is left: a single update
	// Output:
	// 1100 <nil>
	// <nil> 1
}

// A Merger of one's own: of each sensor the number of its readings, and the greatest.
func ExampleAccumulate() {
	type reading struct{ n, greatest int }
	merge := func(a, b reading) reading { return reading{a.n + b.n, max(a.greatest, b.greatest)} }
	rows := map[string]reading{"attic": {2, 21}}

	ctx := context.Background()
	load := tarn.LoadFunc(func(_ context.Context, sensor string) (reading, error) {
		r, ok := rows[sensor]
		if !ok {
			return r, tarn.ErrNotFound
		}
		return r, nil
	})
	write := func(_ context.Context, batch strategies.Batch[string, reading]) error {
		for _, d := range batch.Deltas {
			rows[d.Key] = merge(rows[d.Key], d.Delta)
		}
		return nil
	}
	sensors, err := strategies.Accumulate(load, write, strategies.Merger[reading, reading]{Merge: merge, Fold: merge},
		strategies.AccumulateConfig[string, reading]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, degrees := range []int{19, 24, 22} {
		if err := sensors.Add(ctx, "attic", reading{1, degrees}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(sensors.Get(ctx, "attic"))
	fmt.Println(sensors.Close(ctx), rows["attic"])
	// Output:
	// {5 24} <nil>
	// <nil> {5 24}
}

func ExampleAppend() {
	notes := strategies.Append[string]()
	fmt.Println(notes.Merge([]string{"first"}, []string{"second"}))
	// Output: [first second]
}

func ExampleUnion() {
	visitors := strategies.Union[string]()
	both := visitors.Merge(map[string]struct{}{"Ada": {}}, map[string]struct{}{"Ada": {}, "Grace": {}})
	names := make([]string, 0, len(both))
	for name := range both {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Println(names)
	// Output: [Ada Grace]
}

func ExampleMax() {
	highest := strategies.Max[int]()
	fmt.Println(highest.Fold(40, 38), highest.First(-3))
	// Output: 40 -3
}
