package main

import (
	"strings"
	"testing"
)

const someRedis = `redis-server: 7.0.15
BenchmarkRedisGet/client=go-redis/via=raw-2   1000   10000 ns/op
BenchmarkRedisGet/client=go-redis/via=tarn-2   1000   11000 ns/op
BenchmarkRedisGet/client=rueidis/via=raw-2   1000   5000 ns/op
BenchmarkRedisGet/client=rueidis/via=tarn-2   1000   6000 ns/op
BenchmarkNear/via=tiered-2   1000   100 ns/op   0 B/op   0 allocs/op
BenchmarkNear/via=memory-2   1000   80.0 ns/op
BenchmarkNear/via=docache-2   1000   300 ns/op
BenchmarkNear/via=docache-decoded-2   1000   5000 ns/op
BenchmarkNear/via=go-redis-cache-2   1000   2000 ns/op
BenchmarkRoundTrips/op=miss-2   1000   3.000 roundtrips/op
BenchmarkRoundTrips/op=write-2   1000   2.000 roundtrips/op
BenchmarkRoundTrips/op=write-2   1000   2.010 roundtrips/op
BenchmarkColdKey-2   20   1.000 loads/op   1.000 most-loads
BenchmarkColdKey-2   20   1.050 loads/op   2.000 most-loads
BenchmarkColdKey-2   20   1.000 loads/op   1.000 most-loads
BenchmarkInvalidation/client=rueidis-2   400   0.02 gone-median-ms   0.30 gone-p99-ms
BenchmarkOutage/client=go-redis-2   1   20000 calls/op   0 errors/op   90.0 longest-ms   4000 maybe-stale/op   700.0 trusted-ms
`

func TestRedisTargets(t *testing.T) {
	report := render(parse(t, someRedis), nil)
	for _, test := range []struct {
		rule  string
		parts []string
	}{
		{"a quotient is set against its limit", []string{"Get through go-redis", "≤ 1.15 ×", "11000 ns", "GET and decoding 10000 ns", "| 1.10 met |"}},
		{"and may miss it", []string{"Get through rueidis", "1.20 **missed**"}},
		{"without figures a target stays", []string{"GetMany of 100 through rueidis", "≤ 1.50 ×", "not measured"}},
		{"so it does without a peer's", []string{"failed", "through rueidis", "at most 0", "not measured"}},
		{"how often one is as fast is the other way round", []string{"rueidis DoCache, not decoded 300 ns", "3.00 **missed**"}},
		{"and may be met", []string{"≥ 15 times as fast", "go-redis/cache, a local hit 2000 ns", "20.00 met"}},
		{"what has no limit is there to be known", []string{"rueidis DoCache, decoded 5000 ns", "| 50.00 |"}},
		{"round trips are counted", []string{"round trips of a miss", "at most 3", "| 3 |", "met"}},
		{"a count is the most of all runs", []string{"round trips of a write", "| 2.01 |", "**missed**"}},
		{"so are loads", []string{"cold key", "at most |", "at most 1", "| 2 |", "**missed**"}},
		{"an outage without errors is one", []string{"failed", "through go-redis", "at most 0", "| 0 |", "met"}},
		{"a near hit allocates nothing", []string{"allocations of a near hit", "| 0 |", "met"}},
		{"what a peer does better is a loss", []string{"| Get through rueidis, ns | 6000 | GET and decoding 5000 | × 1.20 |"}},
		{"the server's version is told", []string{"| redis-server | 7.0.15 |"}},
		{"the time until a copy is gone is shown", []string{"99 of 100, through rueidis", "0.30 ms"}},
		{"and until copies are trusted", []string{"until copies are trusted, through go-redis", "700 ms"}},
	} {
		if line(report, test.parts...) == "" {
			t.Errorf("%s: no line has %q", test.rule, test.parts)
		}
	}
	if l := line(report, "round trips of a hit"); l != "" {
		t.Errorf("what was not measured and has no target is there: %s", l)
	}
	if strings.Contains(report, "NaN") || strings.Contains(report, "%!") {
		t.Error("the report has what is no figure")
	}
}
