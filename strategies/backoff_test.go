package strategies

import (
	"math"
	"testing"
	"time"
)

// The ceiling doubles with each failure, never passes max, and never overflows.
func TestBackoffCeiling(t *testing.T) {
	for _, row := range []struct {
		min, max time.Duration
		failures int
		want     time.Duration
	}{
		{1, 100, 1, 1},
		{1, 100, 2, 2},
		{1, 100, 7, 64},
		{1, 100, 8, 100},
		{1, 100, math.MaxInt, 100},
		{100, 100, 1, 100},
		{3, 4, 2, 4},
		{time.Second, math.MaxInt64, 1000, math.MaxInt64},
	} {
		b := backoff{row.min, row.max}
		if got := b.ceiling(row.failures); got != row.want {
			t.Errorf("%+v: ceiling(%d) = %v", b, row.failures, got)
		}
		for range 100 {
			if d := b.delay(row.failures); d <= 0 || d > row.want {
				t.Errorf("%+v: delay(%d) = %v", b, row.failures, d)
			}
		}
	}
}

// The jitter is full: waits spread over all of the time up to the ceiling.
func TestBackoffSpreads(t *testing.T) {
	b := backoff{1 << 20, 1 << 20}
	var quarters [4]int
	for range 4000 {
		quarters[(b.delay(1)-1)>>18]++
	}
	for i, n := range quarters {
		if n < 700 {
			t.Errorf("quarter %d: %d of 4000", i, n)
		}
	}
}
