package ttl_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/ttl"
)

func TestFreshEnd(t *testing.T) {
	const s = time.Second
	at := func(d time.Duration) ttl.Time { return now.Add(d) }
	windows := ttl.Policy{Fresh: 10 * s, StaleWhileRevalidate: 5 * s, StaleIfError: 20 * s}
	share := ttl.Policy{Fresh: 10 * s, RefreshAfter: 0.8}
	both := windows
	both.RefreshAfter = 0.8
	for _, tt := range []struct {
		rule                 string
		policy               ttl.Policy
		fresh, expires, want ttl.Time
		rescued              bool
	}{
		{"it is the fresh that is stored", windows, at(10 * s), at(30 * s), at(10 * s), false},
		{"also of another policy", windows, at(10 * s), at(11 * s), at(10 * s), false},
		{"what was rescued was fresh before its window", windows, at(15 * s), at(30 * s), at(10 * s), true},
		{"where its end was cut short, earlier", windows, at(15 * s), at(25 * s), at(5 * s), true},
		{"what is rescued is never fresh again", windows, at(15 * s), at(90 * s), at(15 * s), true},
		{"what is due is fresh until its end", share, at(8 * s), at(10 * s), at(10 * s), false},
		{"or until its window", both, at(8 * s), at(30 * s), at(10 * s), false},
		{"and where that was cut short, until it is due", both, at(8 * s), at(12 * s), at(8 * s), false},
		{"what is rescued is not due", both, at(15 * s), at(30 * s), at(10 * s), true},
		{"what has no fresh has none", share, 0, at(10 * s), 0, false},
		{"what never expires", share, at(8 * s), 0, at(8 * s), false},
		{"what never expires", both, at(8 * s), ttl.End, at(8 * s), true},
	} {
		require.Equal(t, tt.want, tt.policy.FreshEnd(tt.fresh, tt.expires, tt.rescued), tt.rule)
	}
	for _, p := range []ttl.Policy{share, both, {Fresh: 1, RefreshAfter: 0.5}, {Fresh: time.Hour, RefreshAfter: 0.1, Jitter: 1}} {
		for _, random := range []float64{0, 0.3, almostOne} {
			fresh, expires := p.Deadlines(now, random)
			end := p.FreshEnd(fresh, expires, false)
			life := end.Sub(now)
			require.InDelta(t, max(1, p.RefreshAfter*float64(life)), float64(fresh.Sub(now)), 1, "a share of the life as it is")
			require.LessOrEqual(t, life, p.Fresh)
		}
	}
	fresh, expires := ttl.Policy{Fresh: ttl.Forever, RefreshAfter: 0.5}.Deadlines(now, 0)
	require.True(t, fresh == 0 || fresh == ttl.End, "what has no end is never due")
	require.Equal(t, ttl.End, expires)
}

func TestRearm(t *testing.T) {
	const s = time.Second
	at := func(d time.Duration) ttl.Time { return now.Add(d) }
	p := ttl.Policy{Fresh: 10 * s, StaleIfError: 60 * s, Throttle: 20 * s, RefreshAfter: 0.8}
	for _, tt := range []struct {
		rule      string
		policy    ttl.Policy
		freshEnd  ttl.Time
		random    float64
		fresh     ttl.Time
		rescued   bool
		worthless bool
	}{
		{"an old value is left alone for the throttle", p, at(-s), 0, at(20 * s), true, false},
		{"a second of default", ttl.Policy{StaleIfError: 60 * s}, at(-s), 0, at(ttl.DefaultThrottle), true, false},
		{"no longer than the window", p, at(-50 * s), 0, at(10 * s), true, false},
		{"the default too", ttl.Policy{StaleIfError: s}, at(-1), 0, at(s - 1), true, false},
		{"jitter shortens it", ttl.Policy{StaleIfError: 60 * s, Throttle: 20 * s, Jitter: 0.5}, at(-s), 0.5, at(15 * s), true, false},
		{"the window is over", p, at(-60 * s), 0, at(0), true, true},
		{"there is none", ttl.Policy{RefreshAfter: 0.8}, at(-1), 0, 0, false, true},
		{"the other window does as well", ttl.Policy{StaleWhileRevalidate: 60 * s, Throttle: 20 * s}, at(-s), 0, at(20 * s), true, false},
		{"and is not outlasted", ttl.Policy{StaleWhileRevalidate: 60 * s}, at(-58 * s), 0, at(2 * s), true, false},
		{"by the default neither", ttl.Policy{StaleWhileRevalidate: s}, at(-1), 0, at(s - 1), true, false},
		{"and ends", ttl.Policy{StaleWhileRevalidate: 60 * s}, at(-60 * s), 0, 0, true, true},
		{"of both the longer", ttl.Policy{StaleWhileRevalidate: 60 * s, StaleIfError: 2 * s}, at(-57 * s), 0, at(3 * s), true, false},
		{"of both the longer", ttl.Policy{StaleWhileRevalidate: 2 * s, StaleIfError: 60 * s}, at(-57 * s), 0, at(3 * s), true, false},
		{"what is fresh stays so", p, at(30 * s), 0, at(20 * s), false, false},
		{"and not beyond its end", p, at(2 * s), 0, at(2 * s), false, false},
	} {
		fresh, rescued, ok := tt.policy.Rearm(now, tt.freshEnd, tt.random)
		require.Equal(t, !tt.worthless, ok, tt.rule)
		if ok {
			require.Equal(t, tt.fresh, fresh, tt.rule)
			require.Equal(t, tt.rescued, rescued, tt.rule)
		}
	}
}
