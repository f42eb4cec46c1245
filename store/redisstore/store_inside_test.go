package redisstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/ttl"
)

// A clock that is asked late makes deadlines come early, and never late.
func TestServerClock(t *testing.T) {
	var c serverClock
	require.True(t, c.old(1))
	c.set(1_000_000_000, 5_000)
	require.False(t, c.old(1_000_000_001))
	require.False(t, c.old(2_000_000_000))
	require.True(t, c.old(2_000_000_001))
	// The server said 5 s, cut to milliseconds, at 1 s or later: its 6 s are at least 0.999 s away from there.
	require.EqualValues(t, 1_999_000_000, c.local(6_000))
	require.EqualValues(t, 999_000_000, c.local(5_000))
}

func TestLife(t *testing.T) {
	s := New(Client(nobody{}), Config[string, string]{Namespace: "life", MaxLife: time.Hour})
	const now = 1_000_000
	for _, tt := range []struct {
		rule    string
		expires int64
		want    int64
	}{
		{"never is the cap", 0, 3_600_000},
		{"the end of time is the cap", 1<<63 - 1, 3_600_000},
		{"above the cap", now + int64(2*time.Hour), 3_600_000},
		{"below the cap", now + int64(time.Minute), 60_000},
		{"rounded up", now + 1, 1},
		{"rounded up", now + int64(time.Millisecond) + 1, 2},
		{"now is over", now, 0},
		{"past is over", now - 1, 0},
		{"long past is over", -1 << 63, 0},
	} {
		require.Equal(t, tt.want, s.life(ttl.Time(tt.expires), now), tt.rule)
	}
}

// nobody is a Client that is never used.
type nobody struct{ Client }
