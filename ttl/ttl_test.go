package ttl_test

import (
	"math"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/ttl"
)

// now is an ordinary instant, in 2026.
const now = ttl.Time(1_767_225_600_000_000_000)

const first = ttl.Time(math.MinInt64)

func TestAdd(t *testing.T) {
	for _, tt := range []struct {
		rule string
		t    ttl.Time
		d    time.Duration
		want ttl.Time
	}{
		{"a nanosecond is exact", now, 1, now + 1},
		{"a negative duration goes back", now, -time.Second, now - 1_000_000_000},
		{"nothing added changes nothing", now, 0, now},
		{"the last instant can be reached exactly", now, time.Duration(ttl.End - now), ttl.End},
		{"beyond the last instant is the last", now, time.Duration(ttl.End-now) + 1, ttl.End},
		{"for ever from now has no end", now, ttl.Forever, ttl.End},
		{"for ever from the last instant has no end", ttl.End, ttl.Forever, ttl.End},
		{"before the first instant is the first", first, -1, first},
		{"far before the first instant is the first", -1, math.MinInt64, first},
		{"the first instant can be reached exactly", 0, math.MinInt64, first},
		{"a sum of zero is not 'never'", now, -time.Duration(now), 1},
		{"a sum of zero from before 1970 is not 'never'", -5, 5, 1},
		{"zero and nothing is not 'never'", 0, 0, 1},
	} {
		require.Equal(t, tt.want, tt.t.Add(tt.d), tt.rule)
	}
}

func TestSub(t *testing.T) {
	for _, tt := range []struct {
		rule string
		t, u ttl.Time
		want time.Duration
	}{
		{"a nanosecond is exact", now + 1, now, 1},
		{"an earlier instant is a negative way off", now, now + 5, -5},
		{"the same instant is no way off", now, now, 0},
		{"the longest duration can be reached exactly", ttl.End, 0, math.MaxInt64},
		{"beyond the longest is the longest", ttl.End, -1, math.MaxInt64},
		{"the whole calendar is the longest", ttl.End, first, math.MaxInt64},
		{"the shortest duration can be reached exactly", first, 0, math.MinInt64},
		{"beyond the shortest is the shortest", first, 1, math.MinInt64},
		{"the whole calendar back is the shortest", first, ttl.End, math.MinInt64},
	} {
		require.Equal(t, tt.want, tt.t.Sub(tt.u), tt.rule)
	}
}

func TestPassed(t *testing.T) {
	for _, tt := range []struct {
		rule          string
		deadline, now ttl.Time
		want          bool
	}{
		{"not a nanosecond early", now, now - 1, false},
		{"on the nanosecond", now, now, true},
		{"and ever after", now, ttl.End, true},
		{"zero is never", 0, now, false},
		{"zero is never, even at the end", 0, ttl.End, false},
		{"End is never", ttl.End, now, false},
		{"End is never, even at the end", ttl.End, ttl.End, false},
		{"a deadline before 1970 is one", -1, now, true},
		{"a clock before 1970 is one", -1, -2, false},
		{"the first instant is always past", first, first, true},
	} {
		require.Equal(t, tt.want, tt.deadline.Passed(tt.now), tt.rule)
	}
}

// exact computes a+sign*b without bounds, and then bounds it.
func exact(a, b int64, sign int) int64 {
	x, y := big.NewInt(a), big.NewInt(b)
	if sign < 0 {
		y.Neg(y)
	}
	switch x.Add(x, y); {
	case x.IsInt64():
		return x.Int64()
	case x.Sign() > 0:
		return math.MaxInt64
	default:
		return math.MinInt64
	}
}

var extremes = []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, int64(now), math.MaxInt64 - 1, math.MaxInt64}

// FuzzAdd holds Add and Sub against arithmetic without bounds.
func FuzzAdd(f *testing.F) {
	for _, a := range extremes {
		for _, b := range extremes {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b int64) {
		want := ttl.Time(exact(a, b, 1))
		if want == 0 {
			want = 1
		}
		if got := ttl.Time(a).Add(time.Duration(b)); got != want {
			t.Errorf("Time(%d).Add(%d) = %d, want %d", a, b, got, want)
		}
		if got, want := ttl.Time(a).Sub(ttl.Time(b)), time.Duration(exact(a, b, -1)); got != want {
			t.Errorf("Time(%d).Sub(%d) = %d, want %d", a, b, got, want)
		}
	})
}

func TestClockTellsWallTime(t *testing.T) {
	before := time.Now().UnixNano()
	got := int64(ttl.NewClock().Now())
	after := time.Now().UnixNano()
	// The wall clock may be adjusted by a little between the readings.
	slack := int64(time.Second)
	require.GreaterOrEqual(t, got, before-slack)
	require.LessOrEqual(t, got, after+slack)
}

func TestClockNeverGoesBack(t *testing.T) {
	clock := ttl.NewClock()
	last := clock.Now()
	for range 10_000 {
		at := clock.Now()
		require.GreaterOrEqual(t, at, last)
		last = at
	}
}

func TestClockCountsEveryNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := ttl.NewClock()
		require.Equal(t, ttl.Time(time.Now().UnixNano()), clock.Now(), "a Clock starts at the wall clock's time")
		for _, d := range []time.Duration{1, time.Microsecond, 999 * time.Millisecond, time.Hour, 24 * 365 * time.Hour} {
			before := clock.Now()
			time.Sleep(d)
			require.Equal(t, d, clock.Now().Sub(before))
		}
		started := clock.Now()
		require.Equal(t, started, ttl.NewClock().Now(), "Clocks of one process agree while the wall clock is not adjusted")
		duplicate := clock
		time.Sleep(time.Minute)
		require.Equal(t, clock.Now(), duplicate.Now(), "copies of a Clock tell the same time")
	})
}

// A Clock belongs to the bubble that it was made in: each starts anew.
func TestClockPerBubble(t *testing.T) {
	var starts [2]ttl.Time
	for i := range starts {
		synctest.Test(t, func(t *testing.T) {
			clock := ttl.NewClock()
			starts[i] = clock.Now()
			time.Sleep(time.Hour)
			require.Equal(t, starts[i].Add(time.Hour), clock.Now())
		})
	}
	require.Equal(t, starts[0], starts[1])
}

func TestClockAllocatesNothing(t *testing.T) {
	clock := ttl.NewClock()
	require.Zero(t, testing.AllocsPerRun(100, func() { clock.Now() }))
}
