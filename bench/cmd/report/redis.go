package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// redisTarget is a target of what is in front of Redis: a figure of tarn's, by a peer's if there is one.
type redisTarget struct {
	title string
	name  string // the benchmark, without "Benchmark"
	over  string // the peer's; empty: the figure itself is set against the limit
	peer  string // what it is called
	unit  string
	shown string // the unit in the table
	limit float64
	least bool // the peer takes at least limit times as long, where otherwise tarn takes at most that
}

// redisTargets are all of them; those without a limit are there to be known.
func redisTargets() []redisTarget {
	const near = "Near/via=tiered"
	return []redisTarget{
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

func (t redisTarget) of(name string) what { return what{name, processors, t.unit} }

// factor is a target as a quotient: tarn's figure by the peer's, or the other way round. Without a peer it is the figure
// itself.
func (t redisTarget) factor(tarn, peer float64) float64 {
	switch {
	case t.over == "":
		return tarn
	case t.least:
		return peer / tarn
	}
	return tarn / peer
}

func (t redisTarget) met(factor float64) bool {
	if t.least {
		return factor >= t.limit
	}
	return factor <= t.limit+slack
}

// target says what is wanted.
func (t redisTarget) target() string {
	switch {
	case t.limit == none:
		return ""
	case t.over == "":
		return fmt.Sprintf("at most %.0f", t.limit)
	case t.least:
		return fmt.Sprintf("≥ %.0f times as fast", t.limit)
	}
	return fmt.Sprintf("≤ %.2f ×", t.limit)
}

// redisTargetsTable has every target, measured or not, unless nothing was measured of all this.
func redisTargetsTable(r *runs) string {
	var t table
	t.head("what", "target", "tarn", "beside it", "")
	for _, target := range redisTargets() {
		tarn, ok := r.worst(target)
		peer, has := r.median(target.of(target.over))
		if !ok || target.over != "" && !has {
			if target.limit != none {
				t.missing(target.title, target.target())
			}
			continue
		}
		factor := target.factor(tarn, peer)
		verdict := ""
		switch {
		case target.limit == none:
		case target.met(factor):
			verdict = "met"
		default:
			verdict = "**missed**"
		}
		beside := ""
		if target.over != "" {
			beside = fmt.Sprintf("%s %s %s", target.peer, number(peer), target.shown)
			verdict = strings.TrimSpace(fmt.Sprintf("%.2f %s", factor, verdict))
		}
		t.row(target.title, target.target(), strings.TrimSpace(figureOf(tarn, target.unit)+" "+target.shown), beside, verdict)
	}
	return t.String()
}

// worst is the median of a figure that is set against a peer's, and the most of one that is a count.
func (r *runs) worst(t redisTarget) (float64, bool) {
	all := r.figures[t.of(t.name)]
	if t.over != "" || len(all) == 0 {
		return r.median(t.of(t.name))
	}
	return slices.Max(all), true
}

// lostInRedis adds a row if the peer takes less than tarn.
func (t *table) lostInRedis(r *runs, target redisTarget) {
	tarn, ok := r.median(target.of(target.name))
	peer, has := r.median(target.of(target.over))
	if ok && has && peer < tarn {
		t.row(target.title+", "+target.shown, number(tarn), target.peer+" "+number(peer), fmt.Sprintf("× %.2f", tarn/peer))
	}
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
