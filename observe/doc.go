// Package observe shows what a cache does: what its [tarn.Observer] is told, counted by a [Counter] and logged by [Log], and
// the Stats of stores, write-back and others, read by [StatsOf] when somebody looks. [Var] shows both by package expvar; the
// modules observe/prometheus and observe/otel are where metrics go, and traces.
//
// Nothing here is global and nothing runs by itself: whoever wants to see something makes it, and publishes it under a name
// of his own.
//
// # What it costs
//
// Nothing, where no Observer is given. Stats cost nothing either until they are read, but for the hits and misses of the
// memory store, which it counts if memory.Options.CountReads says so: who wants no more than those gives no Observer. A
// strategy with an Observer tells it of each hit, which costs some tens of nanoseconds, allocates nothing, and of which a
// Counter takes a few.
package observe
