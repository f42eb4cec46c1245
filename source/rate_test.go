package source_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/source"
)

// A crowd gets through what the rate allows, and no less: those who are refused use nothing up.
func TestRateUnderAHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(nil)
		l := source.New(s, source.Config{Rate: source.Rate{PerSecond: 100, Burst: 20}})
		var herd sync.WaitGroup
		for range 200 { // for ten seconds
			for range 50 {
				herd.Go(func() {
					if err := load(t, l); err != nil {
						require.LessOrEqual(t, shedBy(t, err, source.ByRate).After, 10*time.Millisecond)
					}
				})
			}
			time.Sleep(50 * time.Millisecond)
		}
		herd.Wait()
		t.Logf("ten seconds at 100 a second, after a burst of 20: %d, at most %d in a second", s.called(), s.busiest())
		require.InDelta(t, 20+10*100, s.called(), 5)
		require.LessOrEqual(t, s.busiest(), 120)
		require.Equal(t, uint64(200*50-s.called()), l.Stats().ShedByRate)
	})
}

// Loads wait for their turns, as long as Wait allows, and the others are told at once how far away theirs would have been.
func TestWaitForATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(nil)
		l := source.New(s, source.Config{Rate: source.Rate{PerSecond: 10, Burst: 1, Wait: time.Second}})
		start := time.Now()
		var shed atomic.Int64
		var herd sync.WaitGroup
		for range 100 {
			herd.Go(func() {
				if err := load(t, l); err != nil {
					require.InDelta(t, 1100*time.Millisecond, shedBy(t, err, source.ByRate).After, 1e6)
					require.Equal(t, start, time.Now())
					shed.Add(1)
				}
			})
		}
		herd.Wait()
		require.Equal(t, int64(100-11), shed.Load())
		for i, at := range s.at {
			require.InDelta(t, time.Duration(i)*100*time.Millisecond, at, 1e3)
		}
		require.Equal(t, uint64(10), l.Stats().Waited)
	})
}

// Nobody waits for a turn after the end of his context, and who leaves gives his turn back.
func TestTurnsOfThoseWhoLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(nil)
		l := source.New(s, source.Config{Rate: source.Rate{PerSecond: 1, Burst: 1, Wait: time.Minute}})
		require.NoError(t, load(t, l))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		start := time.Now()
		_, err := l.Load(ctx, "a")
		shedBy(t, err, source.ByRate)
		require.Equal(t, start, time.Now())

		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/2, leave)
		_, err = l.Load(ctx, "a")
		require.Equal(t, context.Canceled, err)
		require.NoError(t, load(t, l))
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, 2, s.called())
	})
}

// Those who wait for their turns when the breaker opens are not let through.
func TestWaitersMeetAnOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(always(errBroken))
		l := source.New(s, source.Config{
			Breaker: source.Breaker{Pause: time.Hour, MaxPause: time.Hour},
			Rate:    source.Rate{PerSecond: 10, Burst: 1, Wait: time.Minute},
		})
		var shed atomic.Int64
		var herd sync.WaitGroup
		for range 100 {
			herd.Go(func() {
				if err := load(t, l); isShed(err) {
					shedBy(t, err, source.ByBreaker)
					shed.Add(1)
				}
			})
		}
		herd.Wait()
		require.Equal(t, 5, s.called())
		require.Equal(t, int64(95), shed.Load())
	})
}

// A probe that finds no turn is no probe: the next one is.
func TestAProbeWithoutATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(nil)
		l := source.New(s, source.Config{
			Breaker: source.Breaker{Pause: time.Millisecond},
			Rate:    source.Rate{PerSecond: 1, Burst: 5},
		})
		open(t, s, l)
		time.Sleep(time.Millisecond)
		shedBy(t, load(t, l), source.ByRate)
		require.Equal(t, source.HalfOpen, l.State())
		time.Sleep(time.Second)
		require.NoError(t, load(t, l))
		require.Equal(t, source.Closed, l.State())
	})
}
