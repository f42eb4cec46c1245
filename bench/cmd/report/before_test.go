package main

import (
	"strings"
	"testing"
)

func TestHotPathsBesideAnEarlierCommit(t *testing.T) {
	now := parse(t, `BenchmarkHit/life=none/key=int64/via=store-2 1 20.0 ns/op 1 allocs/op
BenchmarkHit/life=none/key=int64/via=readthrough-2 1 10.0 ns/op 0 allocs/op
BenchmarkHit/life=none/key=int64/via=newest-2 1 99.0 ns/op 9 allocs/op
BenchmarkLoad/keys=string/life=none/cache=tarn/reads=100-2 1 30.0 ns/op
BenchmarkLoad/keys=string/life=none/cache=otter/reads=100-2 1 90.0 ns/op
`)
	then := parse(t, `commit: abc
BenchmarkHit/life=none/key=int64/via=store-2 1 10.0 ns/op 0 allocs/op
BenchmarkHit/life=none/key=int64/via=readthrough-2 1 20.0 ns/op 0 allocs/op
BenchmarkLoad/keys=string/life=none/cache=tarn/reads=100-2 1 20.0 ns/op
BenchmarkLoad/keys=string/life=none/cache=otter/reads=100-2 1 10.0 ns/op
`)
	report := renderBeside(now, turns{then, now}, nil)
	for _, test := range []struct{ rule, want string }{
		{"what both have counts, by its geometric mean",
			"hits, by the store and by each strategy | 2 | 1.00 | 0.50 | 2.00 | 1.00 |"},
		{"of the caches only tarn", "the memory store under load | 1 | 1.50 | 1.50 | 1.50 | 0.00 |"},
		{"the commit is named", "The earlier commit is `abc`"},
	} {
		if !strings.Contains(report, test.want) {
			t.Errorf("%s: %q is not in the report", test.rule, test.want)
		}
	}
	if strings.Contains(render(now, nil), "an earlier") {
		t.Error("a report without earlier runs speaks of them")
	}
}

func TestFeaturesAreAgainstNone(t *testing.T) {
	report := render(parse(t, `BenchmarkFeature/with=nothing-2 1 20.0 ns/op 0 allocs/op
BenchmarkFeature/with=observer-2 1 30.0 ns/op 2 allocs/op
`), nil)
	if line(report, "an Observer that counts | 30.0 | 1.50 | 2.00 |") == "" {
		t.Error("the cost of an Observer is not shown")
	}
}
