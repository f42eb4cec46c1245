package main

import (
	"fmt"
	"strings"
)

// way is one of the ways to write or to add that the benchmarks compare.
type way struct{ via, title string }

// writeWays are those of BenchmarkWrite.
var writeWays = []way{
	{"writethrough", "write-through, synchronous=NORMAL"},
	{"writethrough-full", "write-through, synchronous=FULL"},
	{"writeback", "**write-back, no journal**"},
	{"batcher", "a channel and a goroutine, which lose everything"},
	{"writeback-buffered", "**write-back, bolt, Buffered**"},
	{"writeback-sync", "**write-back, bolt, Sync**"},
	{"writeback-sync-patient", "**write-back, bolt, Sync, MaxDelay 5 s**"},
}

// addWays are those of BenchmarkAdd.
var addWays = []way{
	{"statement", "a statement each, synchronous=NORMAL"},
	{"statement-full", "a statement each, synchronous=FULL"},
	{"accumulate", "**Accumulate, no journal**"},
	{"accumulate-buffered", "**Accumulate, bolt, Buffered**"},
	{"accumulate-sync", "**Accumulate, bolt, Sync**"},
}

// writeBackTargets are all of them; those without a limit are there to be known.
func writeBackTargets() []target {
	write := func(via string) string { return "Write/via=" + via }
	var all []target
	times := func(title, via, over, peer string, limit float64) {
		all = append(all, target{title: title + ", writes acknowledged", name: write(via), over: write(over), peer: peer,
			unit: "writes/s", shown: "/s", limit: limit, least: true})
	}
	const normal, full = "write-through, NORMAL", "write-through, FULL"
	times("no journal", "writeback", "writethrough", normal, 50)
	times("Sync", "writeback-sync", "writethrough-full", full, 10)
	times("Sync, MaxDelay 5 s", "writeback-sync-patient", "writethrough-full", full, 10)
	times("Buffered", "writeback-buffered", "writethrough-full", full, none)
	for _, on := range []struct{ title, via string }{
		{"Sync", "writeback-sync"}, {"Sync, MaxDelay 5 s", "writeback-sync-patient"},
	} {
		all = append(all, target{title: on.title + ", 99 of 100 Sets, where a sync takes 0.2 ms", name: write(on.via),
			unit: "p99-ms", shown: "ms", limit: 5})
	}
	for _, via := range []struct{ title, via string }{
		{"no journal", "writeback"}, {"Buffered", "writeback-buffered"},
		{"Sync", "writeback-sync"}, {"Sync, MaxDelay 5 s", "writeback-sync-patient"},
	} {
		all = append(all, target{title: via.title + ", statements for each write, at most", name: write(via.via),
			unit: "stmts/write", limit: 0.01})
	}
	for _, on := range []struct{ key, life string }{
		{"int64", "none"}, {"int64", "5m"}, {"string", "none"}, {"string", "5m"},
	} {
		hit := "Hit/life=" + on.life + "/key=" + on.key + "/via="
		all = append(all, target{title: fmt.Sprintf("Get of a pending key (%s, life %s)", on.key, on.life),
			name: hit + "writeback-pending", over: hit + "store", peer: "the memory store's Get",
			unit: "ns/op", shown: "ns", limit: 1.5})
	}
	return append(all, target{title: "the most memory of a start with 1M records", name: restart("1000000", "writeback"),
		over: restart("100000", "writeback"), peer: "with 100k", unit: "peak-MB", shown: "MB", limit: 1.5})
}

// besideBatcher sets write-back against what loses everything.
func besideBatcher() []target {
	var all []target
	for _, w := range writeWays {
		if strings.HasPrefix(w.via, "writeback") {
			all = append(all, target{title: strings.Trim(w.title, "*") + ", acknowledged", name: "Write/via=" + w.via,
				over: "Write/via=batcher", peer: "a channel and a goroutine",
				unit: "writes/s", shown: "/s", limit: none, least: true})
		}
	}
	return all
}

// waysTable has all that was measured of each way.
func waysTable(r *runs, benchmark, op string, ways []way) string {
	var t table
	t.head("256 callers, 1,000 keys", op+"s acknowledged/s", "median, µs", "99 of 100, µs", "statements/"+op, "B/"+op,
		"allocations/"+op)
	for _, w := range ways {
		name := benchmark + "/via=" + w.via
		cell := func(unit string, by float64, show func(float64) string) string {
			v, ok := r.median(what{name, processors, unit})
			if !ok {
				return "–"
			}
			return show(v * by)
		}
		if _, ok := r.median(what{name, processors, op + "s/s"}); !ok {
			continue
		}
		t.row(w.title, cell(op+"s/s", 1, number)+r.spreadOf(what{name, processors, op + "s/s"}),
			cell("p50-ms", 1000, number), cell("p99-ms", 1000, number),
			cell("stmts/"+op, 1, func(v float64) string { return fmt.Sprintf("%.4f", v) }),
			cell("B/op", 1, number), cell("allocs/op", 1, number))
	}
	return t.String()
}

func restart(records, from string) string { return "Restart/records=" + records + "/from=" + from }

// restartTable is about a start with what a journal has.
func restartTable(r *runs) string {
	var t table
	t.head("a start with a journal", "records/s", "the most memory, MB", "the file, MB")
	for _, from := range []struct{ name, title string }{
		{"journal", "the journal is opened and read"}, {"writeback", "write-back starts, room for 10,000 keys"},
	} {
		for _, records := range r.parts("Restart/", "records") {
			cell := func(unit string) string {
				w := what{restart(fmt.Sprint(records), from.name), processors, unit}
				v, ok := r.median(w)
				if !ok {
					return "–"
				}
				return number(v) + r.spreadOf(w)
			}
			t.row(fmt.Sprintf("%s, %s records", from.title, much(records)), cell("records/s"), cell("peak-MB"), cell("file-MB"))
		}
	}
	return t.String()
}

// writeBackFigures has what was measured besides.
func writeBackFigures(r *runs) string {
	var t table
	t.head("what", "figure")
	for _, f := range []struct{ title, name, unit, shown string }{
		{"a page of 4 KiB written and synced (fdatasync): median", "Disk", "p50-ms", "ms"},
		{"a page of 4 KiB written and synced (fdatasync): 99 of 100", "Disk", "p99-ms", "ms"},
		{"rows that differ from the cache in the end, of a channel and a goroutine", "Write/via=batcher", "wrong-rows", ""},
	} {
		w := what{f.name, processors, f.unit}
		if v, ok := r.median(w); ok {
			t.row(f.title, strings.TrimSpace(figureOf(v, f.unit)+" "+f.shown)+r.spreadOf(w))
		}
	}
	return t.String()
}

const writeBackAbout = "256 callers write 1,000 hot keys of a table in SQLite (WAL), or add to them. What is pending when they end " +
	"is written within the measured time, and then the table is compared with the cache. Without a journal the " +
	"source is synchronous=NORMAL; with one FULL, since what the journal forgets the source must not lose. " +
	"Buffered syncs the journal every 100 ms; Sync acknowledges what is on the disk. MaxBatch and MaxDelay are " +
	"the defaults but for the rows with MaxDelay 5 s, whose MaxBatch is 2,000: by default a batch leaves as soon " +
	"as 500 keys are pending. With a journal, a longer delay risks nothing and saves statements, and syncs. What " +
	"is added is counted by a ledger in the transaction that adds it. Beside them stands write-back as it is " +
	"written in an afternoon: a map for reads, a channel, a goroutine that merges, and one that writes, with the " +
	"same batches; it loses whatever the process had, and batches that fail. An append of bolt is two syncs. A " +
	"start is of as many keys as records, to a source that takes everything at once; the most memory is what the " +
	"heap grew by at most, garbage included, and pages of the mapped file are not."
