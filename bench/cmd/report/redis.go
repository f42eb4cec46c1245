package main

import (
	"fmt"
	"os/exec"
	"strings"
)

// redisTargets are all of them; those without a limit are there to be known.
func redisTargets() []target {
	const near = "Near/via=tiered"
	return []target{
		{title: "Get through go-redis", name: "RedisGet/client=go-redis/via=tarn", over: "RedisGet/client=go-redis/via=raw",
			peer: "GET and decoding", unit: "ns/op", shown: "ns", limit: 1.15},
		{title: "Get through rueidis", name: "RedisGet/client=rueidis/via=tarn", over: "RedisGet/client=rueidis/via=raw",
			peer: "GET and decoding", unit: "ns/op", shown: "ns", limit: 1.15},
		{title: "GetMany of 100 through go-redis", name: "RedisGetMany/client=go-redis/via=tarn",
			over: "RedisGetMany/client=go-redis/via=raw", peer: "MGET and decoding", unit: "ns/op", shown: "ns", limit: 1.5},
		{title: "GetMany of 100 through rueidis", name: "RedisGetMany/client=rueidis/via=tarn",
			over: "RedisGetMany/client=rueidis/via=raw", peer: "MGET and decoding", unit: "ns/op", shown: "ns", limit: 1.5},
		{title: "round trips of a miss, with lease and fill", name: "RoundTrips/op=miss", unit: "roundtrips/op", limit: 3},
		{title: "round trips of a write, with hold and settle", name: "RoundTrips/op=write", unit: "roundtrips/op", limit: 2},
		{title: "round trips of a hit", name: "RoundTrips/op=hit", unit: "roundtrips/op", limit: none},
		{title: "a near hit through ReadThrough", name: near, over: "Near/via=memory", peer: "the memory store's Get",
			unit: "ns/op", shown: "ns", limit: 1.5},
		{title: "a near hit through ReadThrough", name: near, over: "Near/via=docache", peer: "rueidis DoCache, not decoded",
			unit: "ns/op", shown: "ns", limit: 4, least: true},
		{title: "a near hit through ReadThrough", name: near, over: "Near/via=docache-decoded",
			peer: "rueidis DoCache, decoded", unit: "ns/op", shown: "ns", limit: none, least: true},
		{title: "a near hit through ReadThrough", name: near, over: "Near/via=go-redis-cache",
			peer: "go-redis/cache, a local hit", unit: "ns/op", shown: "ns", limit: 15, least: true},
		{title: "a near hit through ReadThrough, of a pointer", name: near + "-pointer", over: "Near/via=memory-pointer",
			peer: "the memory store's Get", unit: "ns/op", shown: "ns", limit: 1.5},
		{title: "a near hit through ReadThrough, of a pointer", name: near + "-pointer", over: "Near/via=docache",
			peer: "rueidis DoCache, not decoded", unit: "ns/op", shown: "ns", limit: 4, least: true},
		{title: "a near hit through ReadThrough, of a pointer", name: near + "-pointer", over: "Near/via=go-redis-cache",
			peer: "go-redis/cache, a local hit", unit: "ns/op", shown: "ns", limit: 15, least: true},
		{title: "allocations of a near hit", name: near, unit: "allocs/op", limit: 0},
		{title: "loads of a cold key by 1,000 callers in 4 processes, mean", name: "ColdKey", unit: "loads/op", limit: 1},
		{title: "loads of a cold key by 1,000 callers in 4 processes, at most", name: "ColdKey", unit: "most-loads", limit: 1},
		{title: "calls that failed while Redis was killed and away, through go-redis", name: "Outage/client=go-redis",
			unit: "errors/op", limit: 0},
		{title: "calls that failed while Redis was killed and away, through rueidis", name: "Outage/client=rueidis",
			unit: "errors/op", limit: 0},
	}
}

// redisFigures are what has no target.
var redisFigures = []struct{ title, name, unit, shown string }{
	{"go-redis/cache, a hit in Redis", "RedisGet/client=go-redis/via=go-redis-cache", "ns/op", "ns"},
	{"after a write on A, until B's copy is gone: median, through %s", "Invalidation/client=%s", "gone-median-ms", "ms"},
	{"after a write on A, until B's copy is gone: 99 of 100, through %s", "Invalidation/client=%s", "gone-p99-ms", "ms"},
	{"Redis is back, until copies are trusted, through %s", "Outage/client=%s", "trusted-ms", "ms"},
	{"the longest call while Redis was killed and away, through %s", "Outage/client=%s", "longest-ms", "ms"},
	{"calls in an outage, through %s", "Outage/client=%s", "calls/op", ""},
	{"of those, writes told that the cache may be stale, through %s", "Outage/client=%s", "maybe-stale/op", ""},
}

// inFrontOfRedis are the clients and peers, and the server, whose version BenchmarkRedisGet tells.
var inFrontOfRedis = []struct{ name, module string }{
	{"redis-server", ""},
	{"go-redis", "github.com/redis/go-redis/v9"},
	{"go-redis-cache", "github.com/go-redis/cache/v9"},
	{"rueidis", "github.com/redis/rueidis"},
}

// moduleVersion names a module and its version that the benchmarks are built with.
func moduleVersion(module string) string {
	said, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Version}}", module).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(said))
}

// figureOf shows a count without decimals, if it is a whole number.
func figureOf(v float64, unit string) string {
	if unit != "ns/op" && v == float64(int64(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return number(v)
}

// redisFiguresTable has what was measured and has no target.
func redisFiguresTable(r *runs) string {
	var t table
	t.head("what", "figure")
	for _, f := range redisFigures {
		for _, client := range []string{"go-redis", "rueidis"} {
			title, name := f.title, f.name
			if strings.Contains(name, "%s") {
				title, name = fmt.Sprintf(title, client), fmt.Sprintf(name, client)
			} else if client != "go-redis" {
				continue
			}
			w := what{name, processors, f.unit}
			if v, ok := r.median(w); ok {
				t.row(title, strings.TrimSpace(figureOf(v, f.unit)+" "+f.shown)+r.spreadOf(w))
			}
		}
	}
	return t.String()
}

const redisAbout = "A Redis of its own on the same machine, whose processors it shares with those who ask; 64 callers, a " +
	"struct of 300 bytes as JSON, a life of five minutes. What stands beside a figure was measured in the same process. " +
	"A near hit returns the struct of ten words, which each function on its way copies, or a pointer to it, if that is what " +
	"the cache is of; the peers keep bytes, which rueidis leaves to its caller to decode. A round trip is a " +
	"command or a pipeline that go-redis sends, beyond what the source takes. Of counts the most of all runs is shown. " +
	"In an outage Redis is killed under 64 callers in two processes, a fifth of whose calls are writes, and comes back " +
	"empty a second later; a copy that is gone before the write returns counts as 0 ms."
