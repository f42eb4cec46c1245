package races

import (
	"slices"
	"time"

	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

func options(o ...strategies.ReadOption) []strategies.ReadOption { return o }

var remembersAbsence = strategies.WithTTL(ttl.Policy{Negative: time.Hour})

var (
	rescued         = strategies.WithTTL(ttl.Policy{Fresh: fresh, StaleIfError: time.Hour})
	rescuedOrAbsent = strategies.WithTTL(ttl.Policy{Fresh: fresh, StaleIfError: time.Hour, Negative: time.Hour})
)

// Table is the table of races.
var Table = slices.Concat(table, reloads())

var table = []Row{
	// Readers, and an application that writes the source and then invalidates.
	{
		Name:   "fill and invalidation",
		Rule:   "a fill is refused if the key changed since its lease was taken",
		Actors: []Actor{Gets(0, 2), Invalidates(0)},
		Fine:   true,
	}, {
		Name:   "joining a load",
		Rule:   "a load is joined only by who saw, after it began, that its lease stands",
		Actors: []Actor{Gets(0, 1), Gets(0, 1), Invalidates(0)},
	}, {
		Name:   "joining a load, finely",
		Rule:   "whoever asked whether a lease stands may board the flight later",
		Actors: []Actor{Gets(0, 1), Gets(0, 1), Invalidates(0)},
		Fine:   true,
	}, {
		Name:   "fetches and an invalidation",
		Rule:   "Fetch shares and fills as Get does",
		Actors: []Actor{Fetches(0, 2), Fetches(0, 1), Invalidates(0)},
	}, {
		Name:   "readers of two processes",
		Rule:   "one lease holder fills; the other loads and stores nothing",
		Actors: []Actor{Gets(0, 2), Gets(1, 1), Invalidates(1)},
	}, {
		Name:   "waiting for another process's load",
		Rule:   "what is found after the wait is an answer only to who came before it was looked for",
		Actors: []Actor{Gets(0, 1), Gets(1, 2), Invalidates(1)},
		Asks:   1,
	}, {
		Name:   "joining who waits",
		Rule:   "who waits will look again, so all who come meanwhile may join; who comes after the look needs a proof",
		Actors: []Actor{Gets(0, 1), Gets(1, 1), Gets(1, 1), Invalidates(0)},
		Asks:   1,
	}, {
		Name:    "joining who has waited in vain",
		Rule:    "a load that is begun after the wait is over is joined only by who saw that the other's lease stands",
		Actors:  []Actor{Gets(0, 1), Gets(1, 1), Gets(1, 1), Invalidates(1)},
		Options: options(strategies.WithLeaseWait(asking)),
		Asks:    1,
	}, {
		Name:   "waiting while the key is written",
		Rule:   "who waits and finds a hold goes to the source, and stores nothing",
		Actors: []Actor{Gets(0, 1), Gets(1, 1), Sets(0)},
		Asks:   1,
	}, {
		Name:    "a batch of which one key is waited for",
		Rule:    "what is waited for is looked at anew, and nothing else of its batch",
		Actors:  []Actor{Gets(0, 1), GetsMany(1, 0, 1), Invalidates(1)},
		TwoKeys: true,
		Batch:   true,
		Asks:    1,
	}, {
		Name:    "a stale value that another process replaces",
		Rule:    "it is served only to who came before it was looked for",
		Actors:  []Actor{Gets(0, 2), Gets(1, 1), Invalidates(1)},
		Options: options(strategies.WithTTL(ttl.Policy{Fresh: fresh, StaleWhileRevalidate: time.Hour})),
		Warm:    true,
		Age:     true,
		Asks:    1,
	}, {
		Name:   "invalidation of a batch",
		Rule:   "DeleteMany voids leases as Delete does",
		Actors: []Actor{Gets(0, 1), Gets(0, 1), InvalidatesMany(0)},
	}, {
		Name:   "clear",
		Rule:   "Clear voids every lease",
		Actors: []Actor{Gets(0, 2), Gets(0, 1), Clears(0)},
	}, {
		Name:   "clear under a hold",
		Rule:   "Clear taints holds, and does not drop them",
		Actors: []Actor{Gets(0, 1), Sets(0), Clears(0)},
		Lost:   1,
	}, {
		Name:   "set",
		Rule:   "a Set voids the lease",
		Actors: []Actor{Gets(0, 2), Gets(0, 1), Replaces(0)},
	}, {
		Name:   "add",
		Rule:   "an Add voids the lease",
		Actors: []Actor{Gets(0, 2), Gets(0, 1), Adds(0)},
	}, {
		Name:   "compute",
		Rule:   "a Compute voids the lease",
		Actors: []Actor{Gets(0, 2), Gets(0, 1), Computes(0)},
	}, {
		Name:   "touch",
		Rule:   "a Touch lands on no lease, and brings nothing back",
		Actors: []Actor{Gets(0, 1), Touches(0), Invalidates(0)},
	}, {
		Name:   "touch under a hold",
		Rule:   "a Touch lands on no hold",
		Actors: []Actor{Gets(0, 1), Touches(0), Sets(0)},
		Lost:   1,
	}, {
		Name:   "a reader gives up",
		Rule:   "the last to leave cancels the load; nobody joins what is being cancelled",
		Actors: []Actor{GivesUp(0), Gets(0, 1), Invalidates(0)},
	}, {
		Name:    "a load fails",
		Rule:    "the error goes to those who share the load, and the lease is given back",
		Actors:  []Actor{Gets(0, 1), Gets(0, 1), Invalidates(0)},
		Failing: 1,
	}, {
		Name:    "a load takes too long",
		Rule:    "what a load brings that is above its time limit is not stored",
		Actors:  []Actor{Gets(0, 1), Gets(0, 1), Invalidates(0)},
		Options: options(strategies.WithLoadTimeout(holdLife)),
		Age:     true,
		Timeout: true,
	},

	// Values with an end.
	{
		Name:    "stale if the source fails",
		Rule:    "a stale value that is served for want of a better one is not older than what was acknowledged",
		Actors:  []Actor{Gets(0, 2), Invalidates(0)},
		Options: options(strategies.WithTTL(ttl.Policy{Fresh: fresh, StaleIfError: time.Hour})),
		Age:     true,
		Failing: 1,
	}, {
		Name:    "re-arming and a writer",
		Rule:    "an old value is stored again, for want of a better one, only under the lease of the load that failed",
		Actors:  []Actor{Gets(0, 2), Sets(0)},
		Options: options(rescued),
		Age:     true,
		Failing: 1,
		Lost:    1,
	}, {
		Name:    "re-arming and a deleting writer",
		Rule:    "an old value is stored again, for want of a better one, only under the lease of the load that failed",
		Actors:  []Actor{Gets(0, 2), Deletes(0)},
		Options: options(rescuedOrAbsent),
		Age:     true,
		Failing: 1,
	}, {
		Name:    "re-arming and another process's invalidation",
		Rule:    "what is stored again in one process was not invalidated by another",
		Actors:  []Actor{Gets(0, 2), Gets(1, 1), Invalidates(1)},
		Options: options(rescued),
		Age:     true,
		Failing: 1,
		Sample:  3000,
	}, {
		Name:    "re-arming what is revalidated, and a writer",
		Rule:    "a reload in the background that fails stores the old value again only under its own lease",
		Actors:  []Actor{Gets(0, 2), Sets(0)},
		Options: options(strategies.WithTTL(ttl.Policy{Fresh: fresh, StaleWhileRevalidate: time.Hour})),
		Age:     true,
		Failing: 1,
		Lost:    1,
	}, {
		Name:    "re-arming what is revalidated, and another process's invalidation",
		Rule:    "what is stored again in one process was not invalidated by another",
		Actors:  []Actor{Gets(0, 2), Gets(1, 1), Invalidates(1)},
		Options: options(strategies.WithTTL(ttl.Policy{Fresh: fresh, StaleWhileRevalidate: time.Hour})),
		Age:     true,
		Failing: 1,
		Sample:  3000,
	}, {
		Name:    "a value that was rescued is tried again",
		Rule:    "who is served an old value because others try found it in the store after it began",
		Actors:  []Actor{Gets(0, 3), Gets(0, 1), Invalidates(0)},
		Options: options(strategies.WithTTL(ttl.Policy{Fresh: fresh, StaleIfError: time.Hour, Throttle: 1})),
		Age:     true,
		Failing: 2,
		Sample:  3000,
	}, {
		Name:    "sliding",
		Rule:    "a hit that prolongs a life does not bring back what was invalidated",
		Actors:  []Actor{Gets(0, 2), Sets(0), Invalidates(0)},
		Options: options(strategies.WithTTL(ttl.Policy{Sliding: time.Hour})),
		Age:     true, // or there is no life to prolong
	}, {
		Name:    "expiry",
		Rule:    "an entry that expires takes no lease with it",
		Actors:  []Actor{Gets(0, 2), Gets(0, 1), Invalidates(0)},
		Options: options(strategies.WithTTL(ttl.Policy{Fresh: fresh})),
		Age:     true,
	},

	// Tags.
	{
		Name:   "a load and a tag",
		Rule:   "what is loaded is stamped with a moment before its source was read",
		Actors: []Actor{Gets(0, 2), InvalidatesTags(0)},
		Tagged: true,
		Fine:   true,
	}, {
		Name:   "joining a load, and a tag",
		Rule:   "a load is joined only by who saw, after it began, that no tag was invalidated",
		Actors: []Actor{Gets(0, 1), Gets(0, 1), InvalidatesTags(0)},
		Tagged: true,
		Fine:   true,
	}, {
		Name:   "fetches and a tag",
		Rule:   "Fetch shares and fills as Get does",
		Actors: []Actor{Fetches(0, 2), Fetches(0, 1), InvalidatesTags(0)},
		Tagged: true,
	}, {
		Name:   "readers of two processes, and a tag",
		Rule:   "a tag that one process invalidates is invalid in the other",
		Actors: []Actor{Gets(0, 2), Gets(1, 1), InvalidatesTags(1)},
		Tagged: true,
	}, {
		Name:   "joining who waits, and a tag",
		Rule:   "who waits will look again, and then takes a new stamp",
		Actors: []Actor{Gets(0, 1), Gets(1, 1), Gets(1, 1), InvalidatesTags(0)},
		Tagged: true,
		Asks:   1,
		Sample: 3000,
	}, {
		Name:   "a batch and a tag",
		Rule:   "a batch shares loads per key while no tag was invalidated",
		Actors: []Actor{GetsMany(0, 0, 1), GetsMany(0, 1, 0), InvalidatesTags(0)},
		Tagged: true, TwoKeys: true, Batch: true,
	}, {
		Name:    "a refresh and a tag",
		Rule:    "a reload in the background is stamped with a moment before it began",
		Actors:  []Actor{Gets(0, 2), Gets(0, 1), InvalidatesTags(0)},
		Options: options(strategies.WithTTL(ttl.Policy{Fresh: fresh, StaleWhileRevalidate: time.Hour})),
		Tagged:  true, Age: true,
	}, {
		Name:    "a reload before the end, and a tag",
		Rule:    "a value that is reloaded while it is fresh is stamped with a moment before that",
		Actors:  []Actor{Gets(0, 2), Gets(0, 1), InvalidatesTags(0)},
		Options: options(strategies.WithTTL(ttl.Policy{Fresh: 2 * fresh, RefreshAfter: 0.5})),
		Tagged:  true, Age: true,
	}, {
		Name:    "re-arming and a tag",
		Rule:    "an old value that is stored again keeps its stamp",
		Actors:  []Actor{Gets(0, 2), InvalidatesTags(0)},
		Options: options(rescued),
		Tagged:  true, Age: true, Failing: 1,
	}, {
		Name:    "re-arming and another process's tag",
		Rule:    "what is stored again in one process has no tag that another has invalidated",
		Actors:  []Actor{Gets(0, 2), Gets(1, 1), InvalidatesTags(1)},
		Options: options(rescued),
		Tagged:  true, Age: true, Failing: 1,
		Sample: 3000,
	}, {
		Name:    "a touch and a tag",
		Rule:    "an old value that is given a new life keeps its stamp",
		Actors:  []Actor{Gets(0, 1), Touches(0), InvalidatesTags(0)},
		Options: options(strategies.WithTTL(ttl.Policy{Fresh: time.Hour})),
		Tagged:  true,
	}, {
		Name:    "a writer and a tag",
		Rule:    "what is written is stamped with a moment before its source was written",
		Actors:  []Actor{Gets(0, 2), Sets(0), InvalidatesTags(0)},
		Options: options(strategies.WithTags(tagsOf)),
	}, {
		Name:    "a writer whose settle is lost, and a tag",
		Rule:    "a hold takes away what has tags, too",
		Actors:  []Actor{Gets(0, 1), Sets(0), InvalidatesTags(0)},
		Options: options(strategies.WithTags(tagsOf)),
		Lost:    1,
	}, {
		Name:    "a writer that holds nothing, and a tag",
		Rule:    "what is written is stamped with a moment before its source was written",
		Actors:  []Actor{Gets(0, 1), Sets(0), InvalidatesTags(0)},
		Options: options(strategies.WithTags(tagsOf), strategies.WithoutHolds()),
	}, {
		Name:    "a writer over a loader that gives tags, and a tag",
		Rule:    "a value of which nobody knows the tags is forgotten",
		Actors:  []Actor{Gets(0, 1), Sets(0), InvalidatesTags(0)},
		Options: options(strategies.WithTags(func(int, int) []string { return nil })),
		Tagged:  true,
	}, {
		Name:    "a deleting writer and a tag",
		Rule:    "an absence of which nobody knows the tags is forgotten",
		Actors:  []Actor{Gets(0, 2), Deletes(0), InvalidatesTags(0)},
		Options: options(remembersAbsence),
		Tagged:  true,
	}, {
		Name:   "a key and its tag",
		Rule:   "a key that is invalidated, and its tag, are invalid in any order",
		Actors: []Actor{Gets(0, 2), Invalidates(0), InvalidatesTags(0)},
		Tagged: true,
	}, {
		Name:   "an update and a tag",
		Rule:   "Update forgets its keys, whatever tags they have",
		Actors: []Actor{Fetches(0, 2), Updates(0, 0), InvalidatesTags(0)},
		Tagged: true,
	},

	// Writers that hold.
	{
		Name:   "a settle is lost",
		Rule:   "a write holds its key before it commits",
		Actors: []Actor{Gets(0, 2), Sets(0)},
		Lost:   1,
		Fine:   true,
	}, {
		Name:   "a settle is lost, and the hold ends",
		Rule:   "a hold that ends leaves an empty key",
		Actors: []Actor{Gets(0, 2), Sets(0)},
		Lost:   1,
		Pause:  true,
	}, {
		Name:   "two readers and a writer",
		Rule:   "readers under a hold store nothing",
		Actors: []Actor{Gets(0, 2), Gets(0, 1), Sets(0)},
	}, {
		Name:    "a writer deletes",
		Rule:    "an absence is remembered as a value is",
		Actors:  []Actor{Gets(0, 2), Gets(0, 1), Deletes(0)},
		Options: options(remembersAbsence),
		Lost:    1,
	}, {
		Name:    "one writes and one deletes",
		Rule:    "writes of one key reach source and cache in one order",
		Actors:  []Actor{Gets(0, 1), Sets(0), Deletes(0)},
		Options: options(remembersAbsence),
	}, {
		Name:   "writers queue",
		Rule:   "in one process writes of a key queue",
		Actors: []Actor{Gets(0, 2), Sets(0), Sets(0)},
		Lost:   1,
	}, {
		Name:   "writers of two processes",
		Rule:   "a hold that was not alone is tainted",
		Actors: []Actor{Gets(0, 1), Sets(0), Sets(1)},
	}, {
		Name:   "writers around",
		Rule:   "writes that do not queue taint each other",
		Actors: []Actor{Gets(0, 1), SetsAround(0), SetsAround(0)},
		Lost:   1,
	}, {
		Name:    "the outcome is unknown",
		Rule:    "a write that failed may have committed: the key is forgotten",
		Actors:  []Actor{Gets(0, 2), Sets(0), Invalidates(0)},
		Unknown: 1,
	}, {
		Name:    "the source refuses",
		Rule:    "nothing is cached if the source failed",
		Actors:  []Actor{Gets(0, 1), Gets(0, 1), Sets(0)},
		Unknown: 1,
		Refused: true,
	}, {
		Name:   "an invalidation under a hold",
		Rule:   "an invalidation taints the hold",
		Actors: []Actor{Gets(0, 1), Sets(0), Invalidates(0)},
		Warm:   true,
		Fine:   true,
	}, {
		Name:   "an invalidation under a hold whose settle is lost",
		Rule:   "an invalidation keeps the hold",
		Actors: []Actor{Gets(0, 1), Sets(0), Invalidates(0)},
		Lost:   1,
	}, {
		Name:   "the hold runs out before the commit",
		Rule:   "a settle that finds its hold gone forgets what stands there",
		Actors: []Actor{Gets(0, 2), Sets(0)},
		Pause:  true,
		Fine:   true,
	}, {
		Name:   "the hold runs out before the commit, and the settle is lost",
		Rule:   "a write is acknowledged without its settle only if its hold cannot have run out before the commit",
		Actors: []Actor{Gets(0, 2), Sets(0)},
		Pause:  true,
		Lost:   1,
	}, {
		Name:   "a settle is lost, as another process sees it",
		Rule:   "a write that could not tell the store is not acknowledged, for others cannot know what to go around",
		Actors: []Actor{Gets(1, 2), Sets(0)},
		Lost:   1,
	}, {
		Name:   "the hold runs out before the commit, and the settle is lost, as another process sees it",
		Rule:   "a write is acknowledged without its settle only if its hold cannot have run out before the commit",
		Actors: []Actor{Gets(1, 2), Sets(0)},
		Pause:  true,
		Lost:   1,
	}, {
		Name:   "loads under a hold",
		Rule:   "a load that runs under a hold is not joined",
		Actors: []Actor{Gets(0, 1), Gets(0, 1), Sets(0)},
		Lost:   1,
	}, {
		Name:   "a late settle of two writers",
		Rule:   "a settle that finds its hold gone leaves those of others, tainted",
		Actors: []Actor{Gets(0, 1), SetsAround(0), SetsAround(0)},
		Pause:  true,
		Lost:   1,
	}, {
		Name:   "an update",
		Rule:   "Update holds its keys, and forgets them",
		Actors: []Actor{Fetches(0, 2), Fetches(0, 1), Updates(0, 0)},
		Lost:   1,
	}, {
		Name:   "an update and a writer",
		Rule:   "two strategies on one store see each other's holds",
		Actors: []Actor{Gets(0, 1), Sets(0), Updates(1, 0)},
		Lost:   1,
	},

	// Two keys.
	{
		Name:    "a batch and a reader",
		Rule:    "a batch shares loads per key",
		TwoKeys: true,
		Actors:  []Actor{GetsMany(0, 0, 1), Gets(0, 1), Invalidates(0)},
	}, {
		Name:    "overlapping batches",
		Rule:    "overlapping batches share loads per key",
		TwoKeys: true,
		Actors:  []Actor{GetsMany(0, 0, 1), GetsMany(0, 1, 0), Invalidates(0)},
		Batch:   true,
	}, {
		Name:    "a batch and an update of two keys",
		Rule:    "keys of one update are held together, and settled together",
		TwoKeys: true,
		Actors:  []Actor{GetsMany(0, 0, 1), Gets(0, 1), Updates(0, 0, 1)},
		Batch:   true,
		Lost:    1,
	}, {
		Name:    "crossing batches of writes",
		Rule:    "a batch takes its keys in one order, so that two batches cannot wait for each other",
		TwoKeys: true,
		Actors:  []Actor{SetsMany(0, 0, 1), SetsMany(0, 1, 0), Sets(0)},
		Batch:   true,
	},

	// Write-back.
	{
		Name:   "write-back",
		Rule:   "a flush holds the key, and settles before the write ceases to be pending",
		Actors: []Actor{Gets(0, 2), SetsBack(0, 1), Flushes(0)},
	}, {
		Name:   "write-back, and a settle is lost",
		Rule:   "a flush whose settle is lost leaves a hold behind, and then an empty key",
		Actors: []Actor{Gets(0, 2), SetsBack(0, 1), Flushes(0)},
		Lost:   1,
	}, {
		Name:   "write-back, two writes",
		Rule:   "what was accepted during a flush stays pending",
		Actors: []Actor{Gets(0, 1), SetsBack(0, 2), Flushes(0)},
	},
}
