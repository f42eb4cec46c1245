package main

import (
	"strings"
	"testing"
)

const someWriteBack = `BenchmarkDisk-2   1000   300000 ns/op   0.200 p50-ms   4.00 p99-ms
BenchmarkWrite/via=writethrough-2   1000   50000 ns/op   9.00 p50-ms   60.0 p99-ms   1.000 stmts/write   20000 writes/s
BenchmarkWrite/via=writethrough-full-2   1000   500000 ns/op   90.0 p50-ms   600 p99-ms   1.000 stmts/write   2000 writes/s
BenchmarkWrite/via=writeback-2   1000   100 ns/op   0.0001 p50-ms   0.0005 p99-ms   0.001 stmts/write   10000000 writes/s
BenchmarkWrite/via=batcher-2   1000   400 ns/op   0.0001 p50-ms   0.0025 p99-ms   0.030 stmts/write   2000000 writes/s   0 wrong-rows
BenchmarkWrite/via=writeback-sync-2   1000   60000 ns/op   3.00 p50-ms   5.50 p99-ms   0.700 stmts/write   16000 writes/s
BenchmarkWrite/via=writeback-sync-patient-2   1000   20000 ns/op   3.00 p50-ms   4.00 p99-ms   0.008 stmts/write   50000 writes/s
BenchmarkWrite/via=writeback-sync-patient-2   1000   20000 ns/op   3.00 p50-ms   4.00 p99-ms   0.012 stmts/write   50000 writes/s
BenchmarkAdd/via=accumulate-sync-2   1000   20000 ns/op   1.50 p50-ms   9.00 p99-ms   0.016 stmts/add   60000 adds/s
BenchmarkHit/life=none/key=int64/via=store-2   1000   30.0 ns/op
BenchmarkHit/life=none/key=int64/via=writeback-pending-2   1000   36.0 ns/op
BenchmarkRestart/records=1000/from=writeback-2   1   100 ns/op   0.5 file-MB   1.8 peak-MB   200000 records/s
BenchmarkRestart/records=100000/from=writeback-2   1   100 ns/op   12.8 file-MB   10.0 peak-MB   300000 records/s
BenchmarkRestart/records=1000000/from=writeback-2   1   100 ns/op   110 file-MB   16.0 peak-MB   250000 records/s
`

func TestWriteBackTargets(t *testing.T) {
	report := render(parse(t, someWriteBack), nil)
	for _, test := range []struct {
		rule  string
		parts []string
	}{
		{"of a rate more is better", []string{"no journal, writes", "≥ 50 times as many", "10000000 /s", "NORMAL 20000 /s", "500.00 met"}},
		{"and it may miss", []string{"| Sync, writes", "≥ 10 times as many", "FULL 2000 /s", "8.00 **missed**"}},
		{"a limit in a unit says it", []string{"| Sync, 99 of 100 Sets", "at most 5 ms", "5.50 ms", "**missed**"}},
		{"and may be met", []string{"| Sync, MaxDelay 5 s, 99 of 100 Sets", "| 4 ms |", "| met |"}},
		{"a limit below one has no slack, and of counts the most is meant",
			[]string{"| Sync, MaxDelay 5 s, statements", "at most 0.01", "**missed**"}},
		{"a count may meet it", []string{"| no journal, statements", "at most 0.01", "| met |"}},
		{"without figures a target stays", []string{"| Buffered, statements", "not measured"}},
		{"a pending key is set against the store", []string{"pending key (int64, life none)", "≤ 1.50 ×", "1.20 met"}},
		{"the memory of a start is set against that of a smaller one", []string{"1M records", "with 100k 10.0 MB", "1.60 **missed**"}},
		{"what loses everything is faster, and that is a loss",
			[]string{"| write-back, bolt, Sync, acknowledged, /s", "a channel and a goroutine 2000000", "× 125.00"}},
		{"each way has its line", []string{"| write-through, synchronous=FULL | 2000 |", "90000", "600000", "1.0000"}},
		{"what is added too", []string{"**Accumulate, bolt, Sync**", "60000", "1500", "0.0160"}},
		{"and each start", []string{"write-back starts", "1M records", "250000", "16.0", "110"}},
		{"the disk is beside it", []string{"fdatasync", "99 of 100", "4 ms"}},
	} {
		if line(report, test.parts...) == "" {
			t.Errorf("%s: no line has %q", test.rule, test.parts)
		}
	}
	if l := line(report, "| write-back, no journal, acknowledged"); l != "" {
		t.Errorf("what is better than the other is no loss: %s", l)
	}
	if strings.Contains(report, "NaN") || strings.Contains(report, "%!") {
		t.Error("the report has what is no figure")
	}
}
