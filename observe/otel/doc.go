// Package otel shows what a cache does to OpenTelemetry. [Metrics] are made of what a strategy tells its Observer and of the
// Stats of stores and strategies. Spans are made by what stands around a source and around Redis: [Loader], [Writer] and
// [Client].
//
// # Metrics
//
// OpenTelemetry has no conventions for caches yet, so these have the namespace "tarn", and for the rest follow the general
// ones and those for databases. All have the attribute tarn.cache.name.
//
//	tarn.cache.hits            {key}  counter    tarn.kind: fresh, negative (a remembered absence), stale, rescued
//	tarn.cache.misses          {key}  counter
//	tarn.cache.loads           {key}  counter    tarn.outcome: success (absence included), error
//	tarn.cache.writes          {key}  counter    tarn.outcome
//	tarn.cache.removals        {key}  counter    tarn.reason: evicted, expired, if memory.Options.Observer has it too
//	tarn.cache.events          {key}  counter    tarn.event: whatever else happens, as in store_failed
//	tarn.cache.load.duration   s      histogram  tarn.outcome: of calls
//	tarn.cache.write.duration  s      histogram  tarn.outcome: of calls by write-back; the others tell no time
//
// Each field of Stats is one more, such as tarn.memory.entries and tarn.write_back.oldest_pending.
//
// # Spans
//
// An Observer is told of a load when it is over. A span made then could begin in the past, but nothing that the loader did
// meanwhile, such as its query of the database, could be its child. So spans come from wrappers, which are there when a call
// begins and pass their context on. The span of a load is a child of the span of the caller who began it; that of a write in
// the background has no parent. No span has a key or a value; what errors say is left out unless [Options].ErrorText asks
// for it.
package otel
