package main

import "testing"

func TestStrategiesAreAgainstTheStore(t *testing.T) {
	report := render(parse(t, `BenchmarkHit/life=none/key=int64/via=store-2 1 10.0 ns/op
BenchmarkHit/life=none/key=int64/via=store-2 1 20.0 ns/op
BenchmarkHit/life=none/key=int64/via=store-2 1 20.0 ns/op
BenchmarkHit/life=none/key=int64/via=readthrough-2 1 16.0 ns/op 0 allocs/op
BenchmarkHit/life=none/key=int64/via=readthrough-2 1 24.0 ns/op 0 allocs/op
BenchmarkHit/life=none/key=int64/via=readthrough-2 1 24.0 ns/op 0 allocs/op
BenchmarkHit/life=none/key=int64/via=writethrough-2 1 19.0 ns/op
BenchmarkHit/life=none/key=int64/via=writethrough-2 1 30.0 ns/op
BenchmarkHit/life=none/key=int64/via=writethrough-2 1 30.0 ns/op
BenchmarkHit/life=none/key=int64/via=lookaside-2 1 30.0 ns/op
BenchmarkMiss/callers=one/via=loader-2 1 5.0 ns/op
BenchmarkMiss/callers=one/via=byhand-2 1 105.0 ns/op
`), nil)
	for _, test := range []struct {
		rule  string
		parts []string
	}{
		{"a cost of its own", []string{"the store's own Get, ns (int64, life none) | 20.0 | 10.0 |  |"}},
		{"a quotient; a target that the fastest runs miss is missed",
			[]string{"ReadThrough hit / store's Get (int64, life none) | 1.20 | 1.60 | 1.50, **missed** |"}},
		{"one that both meet is met", []string{"WriteThrough hit / store's Get (int64, life none) | 1.50 | 1.90 | 2.00, met |"}},
		{"no target", []string{"LookAside Fetch hit / store's Get (int64, life none) | 1.50 | 3.00 |  |"}},
		{"allocations have no fastest run", []string{"ReadThrough hit, allocs (int64, life none) | 0.00 |  | 0.00, met |"}},
		{"a difference", []string{"miss by hand - bare loader, ns (one) | 100 | 100 |  |"}},
	} {
		if line(report, test.parts...) == "" {
			t.Errorf("%s: no line has %q", test.rule, test.parts)
		}
	}
}
