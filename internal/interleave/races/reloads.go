package races

import (
	"slices"
	"time"

	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// Reloads are what has a value reloaded in the background, as the names of rows begin: "a reload of NAME, and" something
// that changes the key meanwhile.
var Reloads = []string{"what is stale", "what is due", "what chance picks"}

// reloading is a policy by which hits have their key reloaded in the background.
type reloading struct {
	policy ttl.Policy
	age    bool // when a value has got old
	costs  bool // when it is known that a load takes time: then at every hit
}

var reloadings = []reloading{
	{policy: ttl.Policy{Fresh: fresh, StaleWhileRevalidate: time.Hour}, age: true},
	{policy: ttl.Policy{Fresh: 2 * fresh, RefreshAfter: 0.5}, age: true},
	{policy: ttl.Policy{Fresh: time.Hour, EarlyRefresh: 1e300}, costs: true},
}

// reloads are the rows in which a reload in the background meets each of the ways by which a key changes.
func reloads() (rows []Row) {
	for i, r := range reloadings {
		for _, row := range []Row{
			{
				Name:   "an invalidation",
				Rule:   "it stores under a lease, which the invalidation voids",
				Actors: []Actor{Gets(0, 2), Gets(0, 1), Invalidates(0)},
			}, {
				Name:   "an invalidation of what is fetched",
				Rule:   "Fetch reloads as Get does",
				Actors: []Actor{Fetches(0, 2), Invalidates(0)},
			}, {
				Name:   "another process's invalidation",
				Rule:   "its lease is one of the store that all share",
				Actors: []Actor{Gets(0, 2), Gets(1, 1), Invalidates(1)},
				Sample: 3000,
			}, {
				Name:   "a writer",
				Rule:   "it keeps nothing under a hold, nor of before it",
				Actors: []Actor{Gets(0, 2), Sets(0)},
				Lost:   1,
			}, {
				Name:   "another process's writer",
				Rule:   "it keeps nothing under a hold of another process",
				Actors: []Actor{Gets(0, 2), Sets(1)},
			}, {
				Name:   "a deleting writer",
				Rule:   "it takes the place of no absence that is younger",
				Actors: []Actor{Gets(0, 2), Deletes(0)},
				Lost:   1,
			}, {
				Name:   "a writer around",
				Rule:   "it keeps nothing of before a write that stores nothing",
				Actors: []Actor{Gets(0, 2), SetsAround(0)},
				Lost:   1,
			}, {
				Name:   "an update",
				Rule:   "it keeps nothing of before an Update",
				Actors: []Actor{Fetches(0, 2), Updates(0, 0)},
				Lost:   1,
			}, {
				Name:   "write-back",
				Rule:   "it keeps nothing of before a flush",
				Actors: []Actor{Gets(0, 2), SetsBack(0, 1), Flushes(0)},
			},
		} {
			p := r.policy
			p.Negative = time.Hour
			row.Name = "a reload of " + Reloads[i] + ", and " + row.Name
			row.Rule = "a reload in the background is a fill: " + row.Rule
			row.Options = slices.Concat(row.Options, options(strategies.WithTTL(p)))
			row.Age, row.Costs = r.age, r.costs
			rows = append(rows, row)
		}
	}
	return rows
}
