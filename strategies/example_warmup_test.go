package strategies_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

func Example_readmeWarmUp() {
	ctx := context.Background()
	repo := newUserRepo()
	find := tarn.LoadManyFunc(repo.Find, repo.FindMany, sql.ErrNoRows)
	reads := strategies.ReadThrough(memory.New(memory.Options[int64, User]{MaxEntries: 10_000}), find)

	popular := maps.Keys(map[int64]int{1: 90, 2: 80, 404: 70}) // any iter.Seq, such as the rows of a query
	p, err := reads.WarmUp(ctx, popular, strategies.WarmUpConfig{
		PerSecond: 1000, // keys; the source has other things to do
		Progress: func(p strategies.WarmUpProgress) {
			fmt.Println("so far:", p.Done(), "failed:", p.Failed)
		},
	})
	fmt.Println(p.Loaded, p.Absent, err)

	p, err = reads.WarmUp(ctx, popular, strategies.WarmUpConfig{}) // what is there is skipped
	fmt.Println(p.Skipped, err)
	// Output:
	// so far: 3 failed: 0
	// 2 1 <nil>
	// 2 <nil>
}
