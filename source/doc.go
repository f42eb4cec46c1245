// Package source spares a source that is slow, fails or comes back: it stands around the Loader of a read strategy, and has
// a circuit breaker, a budget for retries and a rate limit.
//
//	find := source.New(tarn.LoadFunc(repo.Find, sql.ErrNoRows), source.Config{Rate: source.Rate{PerSecond: 200}})
//	users := strategies.ReadThrough(mem, find)
//
// What it does not let through fails at once with a [*ShedError], which is [tarn.ErrShed]: the source was not asked, and the
// error counts as none of its own. A strategy serves an old value in its place, if the policy's StaleIfError has one, and
// leaves the key alone for the time of Throttle, as if the load had failed. So while more keys are due than the rate allows,
// each has its turn only now and then; a Wait of some hundred milliseconds lets more of them find one.
//
// That there is no such key is an answer only if it is [tarn.ErrNotFound]: name the errors that say so, such as sql.ErrNoRows,
// to [tarn.LoadFunc], or each absent row is a failure, by which the breaker opens.
//
// A call of LoadMany is one load, for the breaker, the budget and the rate. If some of its keys were answered, it has
// succeeded, although others failed: a breaker keeps everything from the source, so it had better not open while that
// answers something. Only the keys that failed are tried again.
//
// How many loads run at once is bounded by [strategies.WithMaxLoads], how long one may take by [strategies.WithLoadTimeout].
//
// [strategies.WithMaxLoads]: https://pkg.go.dev/github.com/tarncache/tarn/strategies#WithMaxLoads
// [strategies.WithLoadTimeout]: https://pkg.go.dev/github.com/tarncache/tarn/strategies#WithLoadTimeout
package source
