package main

import (
	"testing"
	"time"
)

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                               "0 ns",
		999:                             "999 ns",
		1000:                            "1.00 µs",
		9_994:                           "9.99 µs",
		9_995:                           "10.0 µs",
		99_950:                          "100 µs",
		1_500 * time.Microsecond:        "1.50 ms",
		61 * time.Second:                "61.0 s",
		999*time.Microsecond + 999*1000: "2.00 ms",
	} {
		if got := brief(d); got != want {
			t.Errorf("brief(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -123456: "-123,456"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPercentile(t *testing.T) {
	t100 := timings{latencies: make([]time.Duration, 100)}
	for i := range t100.latencies {
		t100.latencies[i] = time.Duration(i + 1)
	}
	for p, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := t100.percentile(p); got != want {
			t.Errorf("percentile %v of 1 to 100 is %v, want %v", p, got, want)
		}
	}
}
