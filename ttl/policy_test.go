package ttl_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/ttl"
)

// almostOne is the greatest random number that is below 1.
var almostOne = math.Nextafter(1, 0)

func TestValidate(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		rule   string
		policy ttl.Policy
		names  string // in the error; empty: none
	}{
		{"the zero Policy makes sense", ttl.Policy{}, ""},
		{"for ever makes sense", ttl.Policy{Fresh: ttl.Forever}, ""},
		{"a nanosecond makes sense", ttl.Policy{Fresh: 1, Negative: 1}, ""},
		{"both stale windows go together", ttl.Policy{Fresh: 1, StaleWhileRevalidate: 1, StaleIfError: 1}, ""},
		{"only absence may end", ttl.Policy{Negative: time.Second}, ""},
		{"Sliding needs no cap", ttl.Policy{Sliding: time.Second}, ""},
		{"Sliding may be capped", ttl.Policy{Sliding: time.Second, Fresh: time.Minute}, ""},
		{"Jitter may be all", ttl.Policy{Fresh: 1, Jitter: 1}, ""},
		{"EarlyRefresh may be above 1", ttl.Policy{Fresh: 1, EarlyRefresh: 100}, ""},

		{"a share of a life", ttl.Policy{Fresh: 1, RefreshAfter: 0.8, Jitter: 1, StaleIfError: 2, Throttle: 2}, ""},
		{"a revalidation that fails is throttled", ttl.Policy{Fresh: 1, StaleWhileRevalidate: 2, Throttle: 2}, ""},
		{"the longer window counts", ttl.Policy{Fresh: 1, StaleWhileRevalidate: 2, StaleIfError: 1, Throttle: 2}, ""},
		{"the longer window counts", ttl.Policy{Fresh: 1, StaleWhileRevalidate: 1, StaleIfError: 2, Throttle: 2}, ""},
		{"a reload that fails is throttled too", ttl.Policy{Fresh: 1, RefreshAfter: 0.8, Throttle: 2}, ""},

		{"negative", ttl.Policy{Fresh: 1, StaleIfError: 1, Throttle: -1}, "Throttle"},
		{"what is not tried again is not throttled", ttl.Policy{Fresh: 1, Throttle: 1}, "Throttle"},
		{"who waits for longer never tries again", ttl.Policy{Fresh: 1, StaleIfError: 1, Throttle: 2}, "Throttle"},
		{"who waits for longer never tries again", ttl.Policy{Fresh: 1, StaleWhileRevalidate: 1, Throttle: 2}, "Throttle"},
		{"who waits for longer never tries again",
			ttl.Policy{Fresh: 1, StaleWhileRevalidate: 2, StaleIfError: 2, Throttle: 3, RefreshAfter: 0.5}, "Throttle"},
		{"what is refreshed early is not throttled", ttl.Policy{Fresh: 1, EarlyRefresh: 1, Throttle: 1}, "Throttle"},
		{"a whole life is no share of it", ttl.Policy{Fresh: 1, RefreshAfter: 1}, "RefreshAfter"},
		{"negative", ttl.Policy{Fresh: 1, RefreshAfter: -0.1}, "RefreshAfter"},
		{"no number", ttl.Policy{Fresh: 1, RefreshAfter: nan}, "RefreshAfter"},
		{"one way to refresh is enough", ttl.Policy{Fresh: 1, RefreshAfter: 0.1, EarlyRefresh: 1}, "EarlyRefresh"},
		{"what has no end is never reloaded", ttl.Policy{RefreshAfter: 0.1}, "Fresh"},
		{"what use prolongs is never reloaded", ttl.Policy{Fresh: 1, Sliding: 1, RefreshAfter: 0.1}, "Sliding"},
		{"negative", ttl.Policy{Fresh: -1}, "Fresh"},
		{"negative", ttl.Policy{Fresh: 1, StaleWhileRevalidate: -1}, "StaleWhileRevalidate"},
		{"negative", ttl.Policy{Fresh: 1, StaleIfError: -1}, "StaleIfError"},
		{"negative", ttl.Policy{Negative: -1}, "Negative"},
		{"negative", ttl.Policy{Sliding: -1}, "Sliding"},
		{"the most negative", ttl.Policy{Negative: math.MinInt64}, "Negative"},
		{"negative", ttl.Policy{Fresh: 1, Jitter: -0.1}, "Jitter"},
		{"above 1", ttl.Policy{Fresh: 1, Jitter: math.Nextafter(1, 2)}, "Jitter"},
		{"no number", ttl.Policy{Fresh: 1, Jitter: nan}, "Jitter"},
		{"infinite", ttl.Policy{Fresh: 1, Jitter: inf}, "Jitter"},
		{"infinite", ttl.Policy{Fresh: 1, Jitter: -inf}, "Jitter"},
		{"negative", ttl.Policy{Fresh: 1, EarlyRefresh: -1}, "EarlyRefresh"},
		{"no number", ttl.Policy{Fresh: 1, EarlyRefresh: nan}, "EarlyRefresh"},
		{"infinite", ttl.Policy{Fresh: 1, EarlyRefresh: inf}, "EarlyRefresh"},
		{"infinite", ttl.Policy{Fresh: 1, EarlyRefresh: -inf}, "EarlyRefresh"},

		{"what has no end has no stale window", ttl.Policy{StaleWhileRevalidate: 1}, "Fresh"},
		{"what has no end has no stale window", ttl.Policy{StaleIfError: 1}, "Fresh"},
		{"what has no end is never refreshed early", ttl.Policy{EarlyRefresh: 1}, "Fresh"},
		{"what is fresh for ever has no stale window", ttl.Policy{Fresh: ttl.Forever, StaleWhileRevalidate: 1}, "Fresh"},
		{"what is fresh for ever has no stale window", ttl.Policy{Fresh: ttl.Forever, StaleIfError: 1}, "Fresh"},
		{"what is fresh for ever is never refreshed", ttl.Policy{Fresh: ttl.Forever, EarlyRefresh: 1}, "Fresh"},
		{"what is fresh for ever is never refreshed", ttl.Policy{Fresh: ttl.Forever, RefreshAfter: 0.5}, "Fresh"},
		{"what use prolongs is never stale", ttl.Policy{Fresh: 1, Sliding: 1, StaleWhileRevalidate: 1}, "Sliding"},
		{"what use prolongs is never stale", ttl.Policy{Fresh: 1, Sliding: 1, StaleIfError: 1}, "Sliding"},
		{"what use prolongs is never refreshed", ttl.Policy{Fresh: 1, Sliding: 1, EarlyRefresh: 1}, "Sliding"},
	} {
		err := tt.policy.Validate()
		if tt.names == "" {
			require.NoError(t, err, tt.rule)
			continue
		}
		require.ErrorContains(t, err, "ttl: Policy."+tt.names+" ", tt.rule)
	}
}

func TestDeadlines(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		rule           string
		policy         ttl.Policy
		random         float64
		fresh, expires ttl.Time
	}{
		{"the zero Policy never expires", ttl.Policy{}, 0.5, 0, 0},
		{"Jitter alone ends nothing", ttl.Policy{Jitter: 1}, almostOne, 0, 0},
		{"without windows, the end is the one deadline", ttl.Policy{Fresh: s}, 0.5, 0, now.Add(s)},
		{"a nanosecond is exact", ttl.Policy{Fresh: 1}, 0.5, 0, now + 1},
		{"less than a second is exact", ttl.Policy{Fresh: 123_456_789}, 0.5, 0, now + 123_456_789},
		{"for ever has no end", ttl.Policy{Fresh: ttl.Forever}, 0.5, 0, ttl.End},
		{"jitter does not shorten for ever", ttl.Policy{Fresh: ttl.Forever, Jitter: 1}, 0.5, 0, ttl.End},
		{"a life beyond the calendar has no end", ttl.Policy{Fresh: ttl.Forever - 1}, 0.5, 0, ttl.End},

		{"a window begins where Fresh ends", ttl.Policy{Fresh: s, StaleIfError: 2}, 0.5, now.Add(s), now.Add(s + 2)},
		{"a window begins where Fresh ends", ttl.Policy{Fresh: s, StaleWhileRevalidate: 3}, 0.5, now.Add(s), now.Add(s + 3)},
		{"the longer window decides", ttl.Policy{Fresh: s, StaleWhileRevalidate: 3, StaleIfError: 2}, 0.5, now.Add(s), now.Add(s + 3)},
		{"the longer window decides", ttl.Policy{Fresh: s, StaleWhileRevalidate: 2, StaleIfError: 3}, 0.5, now.Add(s), now.Add(s + 3)},
		{"a window after a jittered life", ttl.Policy{Fresh: 100, StaleIfError: 10, Jitter: 0.5}, 0.5, now + 75, now + 85},
		{"windows beyond the calendar have no end",
			ttl.Policy{Fresh: s, StaleWhileRevalidate: ttl.Forever, StaleIfError: ttl.Forever}, 0.5, now.Add(s), ttl.End},
		{"a window after a life beyond the calendar never begins", ttl.Policy{Fresh: ttl.Forever - 1, StaleIfError: s}, 0.5, ttl.End, ttl.End},

		{"jitter of 0 keeps all", ttl.Policy{Fresh: 1000, Jitter: 0.5}, 0, 0, now + 1000},
		{"jitter cuts its share", ttl.Policy{Fresh: 1000, Jitter: 0.5}, 0.5, 0, now + 750},
		{"jitter never cuts more", ttl.Policy{Fresh: 1000, Jitter: 0.5}, almostOne, 0, now + 501},
		{"jitter leaves a nanosecond", ttl.Policy{Fresh: 1, Jitter: 1}, almostOne, 0, now + 1},

		{"Sliding ends first", ttl.Policy{Sliding: s}, 0.5, 0, now.Add(s)},
		{"Sliding ends before its cap", ttl.Policy{Sliding: s, Fresh: 3 * s}, 0.5, now.Add(3 * s), now.Add(s)},
		{"Sliding ends at its cap", ttl.Policy{Sliding: 3 * s, Fresh: s}, 0.5, now.Add(s), now.Add(s)},
		{"Sliding ends at its jittered cap", ttl.Policy{Sliding: 90, Fresh: 100, Jitter: 0.5}, 0.5, now + 75, now + 75},
		{"Sliding for ever, capped", ttl.Policy{Sliding: ttl.Forever, Fresh: s}, 0.5, now.Add(s), now.Add(s)},
		{"Sliding for ever, uncapped", ttl.Policy{Sliding: ttl.Forever}, 0.5, 0, ttl.End},
		{"a cap of for ever is none", ttl.Policy{Sliding: s, Fresh: ttl.Forever}, 0.5, ttl.End, now.Add(s)},
	} {
		require.NoError(t, tt.policy.Validate(), tt.rule)
		fresh, expires := tt.policy.Deadlines(now, tt.random)
		require.Equal(t, tt.fresh, fresh, "fresh: %s", tt.rule)
		require.Equal(t, tt.expires, expires, "expires: %s", tt.rule)
	}
}

// What Validate refuses does no harm where nobody asked it.
func TestDeadlinesOfNegativeLives(t *testing.T) {
	for _, policy := range []ttl.Policy{
		{Fresh: -1},
		{Fresh: -1, Jitter: 1},
		{Fresh: math.MinInt64},
		{Fresh: -1, StaleWhileRevalidate: time.Hour},
		{Fresh: -1, StaleIfError: time.Hour},
		{Fresh: -1, StaleIfError: ttl.Forever},
		{Sliding: -1},
		{Sliding: math.MinInt64},
		{Sliding: -1, Fresh: time.Hour},
		{Sliding: time.Hour, Fresh: -1},
	} {
		for _, at := range []ttl.Time{first, -1, 0, 1, 2, now, ttl.End - 1} {
			_, expires := policy.Deadlines(at, 0.5)
			require.True(t, expires.Passed(at), "%+v at %d ends at %d: not gone already", policy, at, expires)
		}
	}
	for _, policy := range []ttl.Policy{
		{Fresh: time.Second, StaleIfError: -time.Hour},
		{Fresh: time.Second, StaleWhileRevalidate: math.MinInt64, StaleIfError: -1},
	} {
		fresh, expires := policy.Deadlines(now, 0.5)
		require.Zero(t, fresh, "%+v: a negative window is none", policy)
		require.Equal(t, now.Add(time.Second), expires, "%+v: a negative window is none", policy)
	}
	_, ok := ttl.Policy{Negative: -1}.NegativeDeadline(now, 0.5)
	require.False(t, ok, "a negative Negative remembers nothing")
}

func TestNegativeDeadline(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		policy ttl.Policy
		random float64
		want   ttl.Time
		ok     bool
	}{
		{"the zero Policy remembers no absence", ttl.Policy{}, 0.5, 0, false},
		{"Fresh does not speak for absences", ttl.Policy{Fresh: time.Second}, 0.5, 0, false},
		{"less than a second is exact", ttl.Policy{Negative: 7}, 0.5, now + 7, true},
		{"for ever has no end", ttl.Policy{Negative: ttl.Forever, Jitter: 1}, 0.5, ttl.End, true},
		{"jitter cuts its share", ttl.Policy{Negative: 1000, Jitter: 0.5}, 0.5, now + 750, true},
		{"jitter leaves a nanosecond", ttl.Policy{Negative: 1, Jitter: 1}, almostOne, now + 1, true},
		{"stale windows do not speak for absences", ttl.Policy{Negative: 7, Fresh: 1, StaleIfError: 100}, 0.5, now + 7, true},
	} {
		got, ok := tt.policy.NegativeDeadline(now, tt.random)
		require.Equal(t, tt.ok, ok, tt.rule)
		require.Equal(t, tt.want, got, tt.rule)
	}
}

func TestSlide(t *testing.T) {
	p := ttl.Policy{Sliding: 100}
	for _, tt := range []struct {
		rule  string
		limit ttl.Time
		want  ttl.Time
	}{
		{"no limit", 0, now + 100},
		{"far limit", now + 1000, now + 100},
		{"limit a nanosecond later", now + 101, now + 100},
		{"limit reached", now + 100, now + 100},
		{"limit passed by a nanosecond", now + 99, now + 99},
		{"limit in the past", now - 1, now - 1},
		{"no end", ttl.End, now + 100},
	} {
		require.Equal(t, tt.want, p.Slide(now, tt.limit), tt.rule)
	}
}

func TestWindows(t *testing.T) {
	windows := map[string]func(window time.Duration, at, fresh ttl.Time) bool{
		"Revalidating": func(w time.Duration, at, fresh ttl.Time) bool {
			return ttl.Policy{Fresh: 1, StaleWhileRevalidate: w}.Revalidating(at, fresh)
		},
		"Rescuing": func(w time.Duration, at, fresh ttl.Time) bool {
			return ttl.Policy{Fresh: 1, StaleIfError: w}.Rescuing(at, fresh)
		},
	}
	for _, tt := range []struct {
		rule      string
		window    time.Duration
		at, fresh ttl.Time
		want      bool
	}{
		{"begins where Fresh ends", 10, now, now, true},
		{"its last nanosecond", 10, now + 9, now, true},
		{"not a nanosecond longer", 10, now + 10, now, false},
		{"a window of a nanosecond", 1, now, now, true},
		{"no window", 0, now, now, false},
		{"a negative window is none", -1, now - 10, now, false},
		{"a window beyond the calendar has no end", ttl.Forever, ttl.End, now, true},
		{"zero fresh has no window", ttl.Forever, now, 0, false},
	} {
		for name, within := range windows {
			require.Equal(t, tt.want, within(tt.window, tt.at, tt.fresh), "%s: %s", name, tt.rule)
		}
	}
	// Each asks its own window.
	require.False(t, ttl.Policy{Fresh: 1, StaleIfError: 10}.Revalidating(now, now))
	require.False(t, ttl.Policy{Fresh: 1, StaleWhileRevalidate: 10}.Rescuing(now, now))
}

// The last instant of the longer window is the last instant of the entry.
func TestWindowsEndWithTheEntry(t *testing.T) {
	p := ttl.Policy{Fresh: 100, StaleWhileRevalidate: 20, StaleIfError: 50, Jitter: 0.3}
	fresh, expires := p.Deadlines(now, 0.7)
	require.True(t, p.Rescuing(expires-1, fresh))
	require.False(t, p.Rescuing(expires, fresh))
	require.True(t, expires.Passed(expires))
	require.False(t, expires.Passed(expires-1))
}

// XFetch reloads at now if now - cost*beta*ln(rand) >= end, so with the probability exp(-left/(cost*beta)).
func TestRefreshProbability(t *testing.T) {
	const runs = 100_000
	random := rand.New(rand.NewPCG(1, 2))
	for _, beta := range []float64{0.5, 1, 3} {
		p := ttl.Policy{Fresh: time.Hour, EarlyRefresh: beta}
		for _, left := range []time.Duration{0, 10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
			const cost = 100 * time.Millisecond
			want := math.Exp(-float64(left) / (float64(cost) * beta))
			refreshed := 0
			for range runs {
				if p.Refresh(now, now.Add(left), cost, random.Float64()) {
					refreshed++
				}
			}
			// Five standard deviations.
			slack := 5*math.Sqrt(want*(1-want)/runs) + 1e-9
			require.InDelta(t, want, float64(refreshed)/runs, slack, "beta %v, %v left", beta, left)
		}
	}
}

func TestRefreshAtItsThreshold(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		beta   float64
		left   time.Duration
		cost   time.Duration
		random float64 // just above the least that refreshes
	}{
		// 1-exp(-left/(cost*beta)), the paper's condition solved for its random number.
		{"as much left as a load takes", 1, time.Second, time.Second, 0.6321206},
		{"beta doubles the cost", 2, time.Second, time.Second, 0.3934694},
		{"a cheap load waits longer", 1, time.Second, time.Second / 4, 0.9816844},
	} {
		p := ttl.Policy{Fresh: time.Hour, EarlyRefresh: tt.beta}
		require.True(t, p.Refresh(now, now.Add(tt.left), tt.cost, tt.random), tt.rule)
		require.False(t, p.Refresh(now, now.Add(tt.left), tt.cost, tt.random-1e-6), tt.rule)
	}
}

func TestRefreshNever(t *testing.T) {
	p := ttl.Policy{Fresh: time.Hour, EarlyRefresh: 1}
	require.True(t, p.Refresh(now, now+1, time.Hour, almostOne))
	for _, tt := range []struct {
		rule  string
		p     ttl.Policy
		fresh ttl.Time
		cost  time.Duration
	}{
		{"not asked for", ttl.Policy{Fresh: time.Hour}, now + 1, time.Hour},
		{"negative beta", ttl.Policy{Fresh: time.Hour, EarlyRefresh: -1}, now + 1, time.Hour},
		{"unknown cost", p, now + 1, 0},
		{"unknown cost, though it is over", p, now - 1, 0},
		{"negative cost", p, now - 1, -time.Hour},
		{"no deadline", p, 0, time.Hour},
		{"no end", ttl.Policy{Fresh: ttl.Forever, EarlyRefresh: 1e300}, ttl.End, ttl.Forever},
	} {
		require.False(t, tt.p.Refresh(now, tt.fresh, tt.cost, almostOne), tt.rule)
	}
	// By chance nobody is spared for ever, but in the first half of a long life nobody is hit either: the greatest
	// random number there is looks 36.7 costs ahead.
	require.False(t, p.Refresh(now, now.Add(37*time.Second), time.Second, almostOne))
}

// lives are durations at which arithmetic might go wrong.
var lives = []time.Duration{
	1, 2, 3, 999, time.Millisecond, time.Second, time.Hour, 1<<53 - 1, 1<<53 + 1, 1<<62 + 1<<9 + 1,
	ttl.Forever - 1024, ttl.Forever - 1, ttl.Forever,
}

var randoms = []float64{0, math.SmallestNonzeroFloat64, 0.1, 0.5, 0.9999, almostOne}

// FuzzJitter checks that a life lies between life*(1-jitter) and life, in exact arithmetic, and is never empty.
func FuzzJitter(f *testing.F) {
	for _, life := range lives {
		for _, jitter := range []float64{0, math.SmallestNonzeroFloat64, 0.1, 1.0 / 3, almostOne, 1} {
			for _, random := range randoms {
				f.Add(int64(life), jitter, random)
			}
		}
	}
	// Found by search: with these, rounding once cut more than the share.
	f.Add(int64(1_707_317_735_156_263_818), 0.03972946766822061, almostOne)
	f.Add(int64(4_650_552_013_700_362_805), 0.8399444145074877, almostOne)
	f.Fuzz(func(t *testing.T, life int64, jitter, random float64) {
		if life <= 0 || !(jitter >= 0 && jitter <= 1) || !(random >= 0 && random < 1) {
			t.Skip("outside of the contract")
		}
		const at = ttl.Time(1) // so that no life but the longest reaches the end of the calendar
		p := ttl.Policy{Fresh: time.Duration(life), Negative: time.Duration(life), Jitter: jitter}
		_, expires := p.Deadlines(at, random)
		absent, ok := p.NegativeDeadline(at, random)
		if !ok || absent != expires {
			t.Errorf("absence ends at %d, the value at %d", absent, expires)
		}
		if life >= math.MaxInt64-1 && jitter == 0 || life == math.MaxInt64 {
			if expires != ttl.End {
				t.Errorf("life %d ends at %d", life, expires)
			}
			return
		}
		got := int64(expires.Sub(at))
		share := new(big.Rat).Sub(big.NewRat(1, 1), new(big.Rat).SetFloat64(jitter))
		shortest := share.Mul(share, new(big.Rat).SetInt64(life))
		if got < 1 || got > life || new(big.Rat).SetInt64(got).Cmp(shortest) < 0 {
			t.Errorf("life %d with jitter %v and random %v became %d", life, jitter, random, got)
		}
	})
}

// A random number that breaks its contract does no harm: a life is neither prolonged nor empty.
func TestJitterOfAnyRandom(t *testing.T) {
	p := ttl.Policy{Fresh: time.Second, Jitter: 1}
	for _, random := range []float64{-1, 1, 2, math.Inf(-1), math.Inf(1), math.NaN()} {
		_, expires := p.Deadlines(now, random)
		require.GreaterOrEqual(t, expires, now+1, "random %v", random)
		require.LessOrEqual(t, expires, now.Add(time.Second), "random %v", random)
	}
}

// FuzzDeadlines checks any policy that Validate accepts: what is stored now is there now, deadlines stand in their
// order, and only what has no end has none.
func FuzzDeadlines(f *testing.F) {
	for _, at := range extremes {
		for _, fresh := range []int64{0, 1, int64(time.Hour), math.MaxInt64 - 1, math.MaxInt64} {
			f.Add(at, fresh, int64(1), int64(0), int64(0), 0.5, 0.5)
			f.Add(at, fresh, int64(math.MaxInt64), int64(math.MaxInt64), int64(0), 1.0, almostOne)
			f.Add(at, fresh, int64(0), int64(0), int64(0), 0.0, 0.0)
			f.Add(at, fresh, int64(0), int64(0), int64(5), 0.0, 0.0)
			f.Add(at, fresh, int64(0), int64(0), int64(math.MaxInt64), 1.0, 0.0)
		}
	}
	f.Fuzz(func(t *testing.T, at, fresh, swr, sie, sliding int64, jitter, random float64) {
		now := ttl.Time(at)
		p := ttl.Policy{
			Fresh: time.Duration(fresh), StaleWhileRevalidate: time.Duration(swr), StaleIfError: time.Duration(sie),
			Sliding: time.Duration(sliding), Jitter: jitter,
		}
		if p.Validate() != nil || !(random >= 0 && random < 1) {
			t.Skip("outside of the contract")
		}
		freshUntil, expires := p.Deadlines(now, random)
		switch {
		case (expires == 0) != (p.Fresh == 0 && p.Sliding == 0):
			t.Errorf("expires %d", expires)
		case expires.Passed(now) || freshUntil.Passed(now):
			t.Errorf("gone when stored: fresh until %d, expires %d, now %d", freshUntil, expires, now)
		case p.Fresh == ttl.Forever && p.Sliding == 0 && expires != ttl.End:
			t.Errorf("for ever ends at %d", expires)
		case p.Sliding > 0 && freshUntil != 0 && expires > freshUntil:
			t.Errorf("slides to %d, beyond its cap %d", expires, freshUntil)
		case p.Sliding == 0 && freshUntil != 0 && freshUntil > expires:
			t.Errorf("fresh until %d, but gone at %d", freshUntil, expires)
		case p.Sliding == 0 && freshUntil != 0 && freshUntil != ttl.End && expires != ttl.End:
			if p.Revalidating(expires, freshUntil) || p.Rescuing(expires, freshUntil) {
				t.Errorf("a window goes on when the entry is gone")
			}
			if !p.Revalidating(expires-1, freshUntil) && !p.Rescuing(expires-1, freshUntil) {
				t.Errorf("both windows end before the entry is gone")
			}
		}
	})
}

// FuzzRefresh checks that a greater random number, less time left and a costlier load never refresh later.
func FuzzRefresh(f *testing.F) {
	for _, cost := range lives {
		for _, left := range []int64{math.MinInt64, -1, 0, 1, int64(time.Second), math.MaxInt64} {
			for _, random := range randoms {
				f.Add(left, int64(cost), 1.0, random, 0.5)
			}
		}
	}
	f.Fuzz(func(t *testing.T, left, cost int64, beta, r1, r2 float64) {
		p := ttl.Policy{Fresh: time.Hour, EarlyRefresh: beta}
		if p.Validate() != nil || !(r1 >= 0 && r1 < 1) || !(r2 >= 0 && r2 < 1) || left == math.MinInt64 {
			t.Skip("outside of the contract")
		}
		low, high := min(r1, r2), max(r1, r2)
		fresh := now.Add(time.Duration(left))
		early := p.Refresh(now, fresh, time.Duration(cost), low)
		if early && !p.Refresh(now, fresh, time.Duration(cost), high) {
			t.Errorf("random %v refreshes, %v does not", low, high)
		}
		if early && !p.Refresh(now, fresh.Add(-1), time.Duration(cost), low) {
			t.Errorf("%v left refresh, a nanosecond less does not", left)
		}
		if early && cost < math.MaxInt64 && !p.Refresh(now, fresh, time.Duration(cost+1), low) {
			t.Errorf("a cost of %v refreshes, a nanosecond more does not", cost)
		}
		if beta > 0 && cost > 0 && left <= 0 && fresh != ttl.End && !p.Refresh(now, fresh, time.Duration(cost), low) {
			t.Errorf("what is not fresh any more is not refreshed")
		}
	})
}

func TestPolicyAllocatesNothing(t *testing.T) {
	p := ttl.Policy{Fresh: time.Hour, StaleIfError: time.Hour, Jitter: 0.1, EarlyRefresh: 1}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		fresh, expires := p.Deadlines(now, 0.5)
		_ = p.Rescuing(now, fresh) || p.Revalidating(now, fresh) || p.Refresh(now, fresh, time.Second, 0.5)
		_ = expires.Passed(now)
	}))
}

func ExamplePolicy() {
	p := ttl.Policy{
		Fresh:        5 * time.Minute,
		StaleIfError: time.Hour,
		Negative:     10 * time.Second,
		Jitter:       0.1,
	}
	stored := ttl.NewClock().Now()
	fresh, expires := p.Deadlines(stored, 0.5) // half of the jitter
	fmt.Println("fresh for", fresh.Sub(stored))
	fmt.Println("gone after", expires.Sub(stored))
	fmt.Println("serves in an outage ten minutes later:", p.Rescuing(stored.Add(10*time.Minute), fresh))
	// Output:
	// fresh for 4m45s
	// gone after 1h4m45s
	// serves in an outage ten minutes later: true
}

func ExamplePolicy_Validate() {
	fmt.Println(ttl.Policy{Fresh: time.Minute, Jitter: 10}.Validate())
	fmt.Println(ttl.Policy{StaleIfError: time.Hour}.Validate())
	// Output:
	// ttl: Policy.Jitter is not between 0 and 1: 10
	// ttl: Policy.Fresh is zero, so a value never becomes stale; StaleWhileRevalidate, StaleIfError, EarlyRefresh and RefreshAfter need it
}

func ExamplePolicy_Slide() {
	session := ttl.Policy{Sliding: 30 * time.Minute, Fresh: 8 * time.Hour}
	start := ttl.NewClock().Now()
	limit, expires := session.Deadlines(start, 0)
	fmt.Println("unused, it ends after", expires.Sub(start))
	used := start.Add(20 * time.Minute)
	fmt.Println("used, it ends after", session.Slide(used, limit).Sub(start))
	used = start.Add(7*time.Hour + 45*time.Minute)
	fmt.Println("at the latest, it ends after", session.Slide(used, limit).Sub(start))
	// Output:
	// unused, it ends after 30m0s
	// used, it ends after 50m0s
	// at the latest, it ends after 8h0m0s
}

func ExampleClock() {
	clock := ttl.NewClock()
	deadline := clock.Now().Add(time.Hour)
	fmt.Println(deadline.Passed(clock.Now()))
	fmt.Println(deadline.Passed(clock.Now().Add(2 * time.Hour)))
	// Output:
	// false
	// true
}
