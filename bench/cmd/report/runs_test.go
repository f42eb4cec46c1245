package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

const some = `date: 2026-01-02 03:04 UTC
rounds: 2
cpu: A Processor
BenchmarkLoad/keys=string/life=none/cache=tarn/reads=100-2   1000   20.0 ns/op   91.5 hit-%   0 B/op   0 allocs/op
BenchmarkLoad/keys=string/life=none/cache=golang-lru/reads=100-2   1000   30.0 ns/op   92.5 hit-%
BenchmarkLoad/keys=string/life=none/cache=tarn/reads=100-2   1000   40.0 ns/op   91.5 hit-%
BenchmarkLoad/keys=string/life=none/cache=ristretto/reads=100-2   1000   10.0 ns/op
BenchmarkLoad/keys=uint64/life=none/cache=tarn/reads=75-2   1000   30.0 ns/op
BenchmarkLoad/keys=uint64/life=none/cache=otter/reads=75-2   1000   60.0 ns/op
BenchmarkLoad/keys=uint64/life=none/cache=ristretto/reads=75-2   1000   10.0 ns/op
BenchmarkGoroutines/on=hot/cache=tarn/reads=100-2   1000   9.0 ns/op
BenchmarkGoroutines/on=hot/cache=otter/reads=100-2   1000   18.0 ns/op
BenchmarkGoroutines/on=hot/cache=ristretto/reads=100-2   1000   6.0 ns/op
BenchmarkGoroutines/on=hot/cache=tarn/reads=75-2   1000   9.0 ns/op
BenchmarkGoroutines/on=hot/cache=otter/reads=75-2   1000   18.0 ns/op
BenchmarkGoroutines/on=hot/cache=ristretto/reads=75-2   1000   6.0 ns/op
BenchmarkLoad/keys=string/life=none/cache=tarn/reads=100   1000   15.0 ns/op
BenchmarkLoad/keys=string/life=none/cache=golang-lru/reads=100   1000   60.0 ns/op
BenchmarkHeap/entries=1000/life=none/cache=tarn-2   1   5000000 gc-ns   80.0 heap-B/entry
BenchmarkHeap/entries=1000/life=none/cache=otter-2   1   4000000 gc-ns   100.0 heap-B/entry
BenchmarkBound/cache=tarn/load=new-2   1000   3.0 above
BenchmarkBound/cache=tarn/load=new-2   1000   40.0 above
BenchmarkBound/cache=tarn/load=new-2   1000   -2.0 above
BenchmarkBound/cache=tarn/load=told-2   1000   0 above   5.0 above-told
BenchmarkBound/cache=tarn/load=told-2   1000   0 above   4.0 above-told
BenchmarkAllocs/cache=tarn/op=hit-2   1000   0.004 mallocs/op
BenchmarkAllocs/cache=tarn/op=insert-2   1000   1.2 mallocs/op
BenchmarkGrowth/entries=1000/cache=tarn/reads=100-2   10   10.0 ns/op
BenchmarkGrowth/entries=100000/cache=tarn/reads=100-2   10   30.0 ns/op
BenchmarkGrowth/entries=1000/cache=otter/reads=100-2   10   20.0 ns/op
BenchmarkGrowth/entries=100000/cache=otter/reads=100-2   10   50.0 ns/op
BenchmarkExpiry/entries=100000/cache=tarn-2   1   5.0 calm-get-us   6.0 calm-set-us   8.0 get-us   90.0 set-us   20.0 gone-ms
BenchmarkExpiry/entries=100000/cache=otter-2   1   5.0 calm-get-us   6.0 calm-set-us   8.0 get-us   30.0 set-us   40.0 gone-ms
BenchmarkExpiry/entries=100000/cache=ristretto-2   1   5.0 calm-get-us   6.0 calm-set-us   800.0 get-us   900.0 set-us   2001.0 gone-ms
BenchmarkBound/cache=otter/load=new-2   1000   -3.0 above
BenchmarkExpiryAtOnce/entries=100000/cache=tarn-2   1   400.0 at-once   8.0 get-us
BenchmarkExpiryAtOnce/entries=100000/cache=tarn-2   1   1001.0 at-once   8.0 get-us
BenchmarkExpiryAtOnce/entries=100000/cache=tarn-2   1   500.0 at-once   8.0 get-us
BenchmarkReplay/trace=oltp/entries=250/cache=tarn 1 24.000 hit-% 250 held
BenchmarkReplay/trace=oltp/entries=250/cache=otter 1 23.000 hit-% 250 held
BenchmarkReplay/trace=oltp/entries=250/cache=theine 1 30.000 hit-% 300 held
BenchmarkReplay/trace=oltp/entries=250/cache=optimum 1 38.000 hit-% 914145 requests 186880 keys 3 runs
BenchmarkReplay/trace=oltp/entries=2000/cache=tarn 1 44.000 hit-% 2000 held
BenchmarkReplay/trace=oltp/entries=2000/cache=theine 1 46.000 hit-% 2000 held
BenchmarkReplay/trace=oltp/entries=2000/cache=otter 1 45.000 hit-% 2000 held
BenchmarkReplay/trace=oltp/entries=2000/cache=optimum 1 60.000 hit-% 914145 requests 186880 keys
BenchmarkReplay/trace=multi1/entries=500/cache=tarn 1 10.000 hit-% 500 held
BenchmarkReplay/trace=multi1/entries=500/cache=otter 1 90.000 hit-% 500 held
PASS
`

func parse(t *testing.T, text string) *runs {
	t.Helper()
	r, err := readRuns(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunsAreRead(t *testing.T) {
	r := parse(t, some)
	if r.config["cpu"] != "A Processor" || r.config["date"] != "2026-01-02 03:04 UTC" {
		t.Errorf("the configuration is %v", r.config)
	}
	const reads = "Load/keys=string/life=none/cache=tarn/reads=100"
	for _, test := range []struct {
		rule string
		what what
		want float64
	}{
		{"the median of two is their mean", what{reads, 2, "ns/op"}, 30},
		{"one processor has no suffix", what{reads, 1, "ns/op"}, 15},
		{"every unit is read", what{reads, 2, "hit-%"}, 91.5},
		{"a dash in a name is no suffix", what{"Load/keys=string/life=none/cache=golang-lru/reads=100", 1, "ns/op"}, 60},
		{"less than nothing is a figure", what{"Bound/cache=tarn/load=new", 2, "above"}, 3},
	} {
		if got, ok := r.median(test.what); !ok || got != test.want {
			t.Errorf("%s: %v, %v", test.rule, got, ok)
		}
	}
	if _, ok := r.median(what{"Load", 2, "ns/op"}); ok {
		t.Error("what was not measured has a median")
	}
	if _, err := readRuns(strings.NewReader("BenchmarkX-2 10 many ns/op\n")); err == nil {
		t.Error("a figure that is none is no error")
	}
}

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		rule string
		all  []float64
		want float64 // not a number: nobody can say
	}{
		{"of five nobody can say", []float64{1, 2, 3, 4, 5}, math.NaN()},
		{"of six it is from the first to the last", []float64{90, 95, 100, 100, 105, 120}, 0.2},
		{"of ten the first and the last are left out", []float64{1, 90, 99, 99, 100, 100, 101, 101, 105, 900}, 0.1},
		{"of nothing there is no part", []float64{0, 0, 0, 0, 0, 0}, math.NaN()},
	} {
		got, ok := spread(test.all)
		if ok == math.IsNaN(test.want) || ok && math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %v, %v", test.rule, got, ok)
		}
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 1.234: "1.23", 9.996: "10.0", 12.34: "12.3", 99.96: "100", 123456.7: "123457", -3.14159: "-3.14",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is shown as %s", v, got)
		}
	}
}

// line returns the line of a text that has all of the parts, one after the other.
func line(text string, parts ...string) string {
	for l := range strings.Lines(text) {
		rest, all := l, true
		for _, part := range parts {
			_, after, found := strings.Cut(rest, part)
			rest, all = after, all && found
		}
		if all {
			return l
		}
	}
	return ""
}

func TestTheReportSaysWhatWasMeasured(t *testing.T) {
	report := render(parse(t, some), nil)
	for _, test := range []struct {
		rule  string
		parts []string
	}{
		{"a target is a quotient of medians, and without Sets nobody drops any",
			[]string{"100 % reads, Zipf", "3.00 **missed**: 30.0 to ristretto's 10.0", "0.25 met: 15.0 to golang-lru's 60.0",
				"| not measured | not measured |"}},
		{"with Sets it is by the best that drops none", []string{"| 75 % reads |", "0.50 met: 30.0 to otter's 60.0"}},
		{"a row without figures stays", []string{"| 0 % reads", "≤ 0.90", strings.Repeat("| not measured ", 4)}},
		{"so it is among goroutines that read", []string{"64 goroutines on one hot key, 100 %", "ristretto 6.00", "1.50 **missed**"}},
		{"and among goroutines that set", []string{"64 goroutines on one hot key, 75 %", "otter 18.0", "0.50 met"}},
		{"a cost without figures stays", []string{"64 goroutines each on its own keys, 75 %", "≤ the best peer's", "not measured"}},
		{"and an allocation", []string{"allocations per overwrite", "at most 1", "not measured"}},
		{"and a strategy's", []string{"ReadThrough hit, allocs", "not measured", "0.00, not measured"}},
		{"a cost may be against one cache", []string{"heap per entry, 1k entries", "0.90 × otter's", "80.0 B", "0.80 met"}},
		{"a collection too", []string{"a full collection", "5.00 ms", "otter 4.00 ms", "1.25 **missed**"}},
		{"the bound is about the most of all runs", []string{"above the bound by its own count", "at most 32", "40", "**missed**"}},
		{"and about the count from outside", []string{"counted from outside", "at most 32", "| 5 |", "met"}},
		{"the report counts the runs", []string{"| Load | 1 to 2 |"}},
		{"of each benchmark", []string{"| Growth | 1 |"}},
		{"a hit allocates nothing", []string{"allocations per hit", "at most 0", "met"}},
		{"an insert allocates once", []string{"allocations per insert", "at most 1", "1.20", "**missed**"}},
		{"growth is from the least to the most", []string{"from 1k to 100k entries", "× 3.00", "otter × 2.50", "**missed**"}},
		{"an expiry is about the most entries of all runs", []string{"removed for expiry at one go, of 100k", "at most 1000",
			"| 1001 |", "**missed**"}},
		{"the clock stands beside it without a verdict", []string{"by the clock in a mass expiry of 100k", "Set 90.0 µs",
			"before 5.00 and 6.00 µs; 1,000 of them take 200 µs |  |\n"}},
		{"but among what is lost", []string{"| longest Set in a mass expiry, µs | 90.0 | otter 30.0 | × 3.00 |"}},
		{"a mass expiry that nobody saw the end of", []string{"| ristretto (drops Sets) | 5.00 µs", "| more than 2 s |"}},
		{"never above the bound is 0", []string{"| otter | 0 | – |"}},
		{"theine's figure is in brackets where it holds too much", []string{"| oltp | 250 |", "| (30.00) |"}},
		{"and elsewhere is not", []string{"| oltp | 2000 |", "| 46.00 |"}},
		{"cells beside the table do not count, nor small ones of theine", []string{"every cell of the table", "1 of 2 cells",
			"least: -2.00 (oltp at 2000, to theine)", "**missed**"}},
		{"nor does theine in the mean", []string{"mean of the table", "34.00", "otter 34.00", "+0.00 **missed**"}},
		{"a peer that drops Sets is a loss all the same", []string{"| 75 % reads (uint64, -cpu 2), ns | 30.0 |",
			"ristretto (drops Sets) 10.0", "× 3.00"}},
		{"where there are none, nothing is said of them", []string{"| 100 % reads, Zipf (string, -cpu 2), ns | 30.0 |",
			" ristretto 10.0 |", "× 3.00"}},
		{"so are hits beside the table", []string{"hits, multi1 at 500", "otter 90.00", "80.00 points"}},
		{"the table has every cache", []string{"| **tarn** | 30.0, 92 % hits | 15.0 |"}},
		{"a trace says where it is from", []string{"| oltp | 914145 | 186880 | 3 |", "ARC"}},
		{"and what nobody counted is not 0", []string{"| multi1 | – | – | – |"}},
		{"and the machine what it is", []string{"processor", "A Processor"}},
	} {
		if line(report, test.parts...) == "" {
			t.Errorf("%s: no line has %q", test.rule, test.parts)
		}
	}
	if l := line(report, "100 % reads, Zipf (string, -cpu 1)"); l != "" {
		t.Errorf("what tarn wins is among what it loses: %s", l)
	}
	if l := line(report, "hits, oltp at 250"); l != "" {
		t.Errorf("theine counts where it holds more than it may: %s", l)
	}
	for _, absent := range []string{"| Replay |", "## Throughput\n\n\n", "### 0 % reads", "NaN", "Inf", "%!"} {
		if strings.Contains(report, absent) {
			t.Errorf("the report has %q", absent)
		}
	}
}

func TestTargetsWithoutFiguresStay(t *testing.T) {
	report := render(parse(t, "BenchmarkReplay/trace=zipf/entries=1000/cache=tarn 1 50.0 hit-%\n"), nil)
	for _, target := range []string{
		"100 % reads, Zipf", "all new keys", "allocations per hit", "heap per entry, string", "a full collection, string",
		"hit ratio, every cell", "hit ratio, mean", "by its own count", "counted from outside",
		"a Get's cost among more and more", "removed for expiry at one go", "64 goroutines on one hot key, 100 %",
	} {
		if line(report, "|", target, "not measured") == "" {
			t.Errorf("no line says that %q is not measured", target)
		}
	}
	for _, absent := range []string{"**missed**", " met", "NaN", "%!"} {
		if strings.Contains(report, absent) {
			t.Errorf("a report without figures has %q", absent)
		}
	}
}

func TestALimitMayBeReached(t *testing.T) {
	for n, want := range map[int]string{0: "met", 1000: "met", 1001: "**missed**"} {
		r := parse(t, fmt.Sprintf("BenchmarkExpiryAtOnce/entries=1000000/cache=tarn-2 1 %d at-once\n", n))
		if l := line(render(r, nil), "one go, of 1M", "at most 1000"); !strings.HasSuffix(l, "| "+want+" |\n") {
			t.Errorf("%d: %s", n, l)
		}
	}
}

func TestTables(t *testing.T) {
	var tab table
	if tab.head("a", "b"); tab.String() != "" {
		t.Error("a table without rows is shown")
	}
	tab.row("x|y", "")
	if got := tab.String(); got != "| a | b |\n|---|---|\n| x\\|y |  |\n" {
		t.Errorf("the table is %q", got)
	}
}

func TestTheCommandNamesNobodysFolders(t *testing.T) {
	s := settings{rounds: 10, traces: "/home/somebody", keep: "/tmp/x", out: "bench"}
	if got := s.command(); got != "go run ./bench/cmd/report -rounds 10 -traces FOLDER" {
		t.Errorf("it is %s", got)
	}
}

func TestTheSameRunsGiveTheSameReport(t *testing.T) {
	once, again := parse(t, some), parse(t, some)
	charts, err := drawCharts(once)
	if err != nil {
		t.Fatal(err)
	}
	more, err := drawCharts(again)
	if err != nil {
		t.Fatal(err)
	}
	if render(once, charts) != render(again, more) || fmt.Sprint(charts) != fmt.Sprint(more) {
		t.Error("they differ")
	}
	var names []string
	for _, c := range charts {
		names = append(names, c.file)
		if !strings.Contains(string(c.svg), "tarn") {
			t.Errorf("%s does not name tarn", c.file)
		}
	}
	if got := strings.Join(names, " "); got != "throughput-string.svg hits-oltp.svg" {
		t.Errorf("the charts are %s", got)
	}
}

func TestChartsShowTheFigures(t *testing.T) {
	charts := func(text string) string {
		all, err := drawCharts(parse(t, text))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(all)
	}
	for _, figure := range []string{"   30.0 ns/op   92.5 hit-%", " 44.000 hit-%", " 60.000 hit-%"} {
		other := strings.Replace(some, figure, strings.Replace(figure, "0", "1", 1), 1)
		if other == some || charts(other) == charts(some) {
			t.Errorf("another figure than%s gives the same charts", figure)
		}
	}
}

func TestGroups(t *testing.T) {
	for _, test := range []struct {
		rule, only string
		want       []string // patterns of the groups
	}{
		{"a function", "Miss", []string{"^Benchmark(Miss)$"}},
		{"as go test has it, a part of the name is enough", "^Benchmark(Mis|Wri)", []string{"^Benchmark(Miss)$", "^Benchmark(Write)$"}},
		{"and the name as a whole", "^Miss", nil},
		{"the rest stays", "Load/keys=(string|uint64)/a", []string{"^Benchmark(Load)$/keys=(string|uint64)/a"}},
		{"what two groups have each runs in its own", "Hit|Load", []string{"^Benchmark(Load)$", "^Benchmark(Hit)$"}},
		{"each with its rest", "Hit/a|Load/b|New", []string{"^Benchmark(Load)$/b|^Benchmark(New)$", "^Benchmark(Hit)$/a"}},
		{"one pattern, two functions", "Load|New", []string{"^Benchmark(Load)$|^Benchmark(New)$"}},
		{"two functions of one pattern", "Expiry/a", []string{"^Benchmark(Expiry|ExpiryAtOnce)$/a"}},
		{"a bracket may hold anything", `Miss/[|)]\|/(a|b/c)|Write`, []string{`^Benchmark(Miss)$/[|)]\|/(a|b/c)`, "^Benchmark(Write)$"}},
		{"traces are no group", "Replay", nil},
	} {
		var got []string
		for _, g := range groups {
			args, wanted := g.args(1, false, test.only)
			if wanted {
				got = append(got, args[slices.Index(args, "-test.bench")+1])
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q asks for %q", test.rule, test.only, got)
		}
	}
	for _, g := range groups {
		if p := g.pattern(""); p != "^Benchmark("+g.names+")$" {
			t.Errorf("all of %s is %q", g.names, p)
		}
	}
	for only, want := range map[string]bool{"": true, "Replay": true, "Load|Replay": true, "Load/a|Replay": true, "Load": false,
		"Load/Replay": false} {
		if matches(only, "Replay") != want {
			t.Errorf("%q asks for replays: %v", only, !want)
		}
	}
}
