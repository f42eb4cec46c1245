// Package strategies decides which way reads and writes take between a cache and its source. Each strategy is a
// [tarn.Cache]:
//
//	strategy       reads                                    writes
//	LookAside      the application asks, loads and stores;  the application writes the source inside Update,
//	               Fetch does it in one call                or writes it and then Deletes the key
//	ReadThrough    Get loads on a miss                      Set and Delete touch the cache alone
//	WriteThrough   as inside                                the source first, then the cache
//	WriteAround    as inside                                the source alone; the cached copy is dropped
//	WriteBack      pending writes first, then as inside     the cache at once; the source soon, in batches
//
// The first two are made of a [tarn.Store] and are [tarn.Guarded]; the other three are put around one of them:
//
//	users := strategies.WriteThrough(strategies.ReadThrough(mem, find), save)
//
// [Accumulate] is for what is added to a value rather than replaces it, such as increments of a counter.
//
// # What they promise
//
// A read that starts after a write or an invalidation was acknowledged never returns an older value, for every
// strategy and across goroutines; and of each key at most one load runs at a time. What the application brings by
// itself with Set, SetFor or Add is as old as the application made it. The mechanisms are leases (a load's value is
// stored only if nothing changed its key since; see [tarn.Leaser]), holds (while the source is written nothing is
// stored at all; see [tarn.Holder]), and a rule on who may share a load. Options that save one of them say what is
// given up with it.
//
// Caches that share a store, in several processes, do not load a key at once either: one has its lease, and the others
// wait a bounded time for what it stores; see [WithLeaseWait].
//
// If the store fails, the source answers, and writes reach it. A key that could not be invalidated meanwhile is
// remembered: the cache goes around the store for it until it is repaired, by a load, a write, or a Delete that is tried
// again in the background. Write-through, write-around and Update return [tarn.ErrMaybeStale] then; write-back, which has
// no caller to tell, an event.
//
// # Contexts, errors, goroutines
//
// With a context that is cancelled already a hit is still answered, and whatever would wait or write returns the
// context's error and changes nothing. Errors wrap what the source returned, and name neither keys nor values.
// Loads, and the flushes of write-back, run on goroutines of their own, which Close ends and waits for. All methods
// may be called by any number of goroutines.
//
// Close the strategy first (the outer one closes those inside it), then the store.
package strategies
