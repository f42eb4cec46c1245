package strategies_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// Nobody waits for a slow source longer than the hard timeout, and what it brings in the end is stored.
func TestHardTimeout(t *testing.T) {
	opts := []strategies.ReadOption{
		policy(ttl.Policy{Fresh: time.Hour}), strategies.WithHardTimeout(time.Second), strategies.WithLoadTimeout(20 * time.Second),
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			onFleets(t, 2, opts, func(t *testing.T, fl *fleet) {
				fl.set(takes(5*time.Second), nil)
				start := time.Now()
				get := func() reply {
					return <-calls(func() (int, error) { return way.get(t.Context(), fl.caches[0], "a") })
				}
				for i := range 3 {
					r := get()
					require.ErrorIs(t, r.err, tarn.ErrLoadTimeout)
					require.ErrorContains(t, r.err, "1s")
					require.Equal(t, time.Duration(i+1)*time.Second, time.Since(start))
				}
				require.Equal(t, 1, fl.loaded(), "who comes later waits for the same load")
				time.Sleep(3 * time.Second)
				synctest.Wait()
				for range fl.caches {
					start = time.Now()
					hasValue(t, 1, get())
					require.Equal(t, start, time.Now(), "what the load brought was stored")
				}
				require.Equal(t, 1, fl.loaded())
			})
		})
	}
}

// An old value is served when the time is over, where there is one.
func TestHardTimeoutRescues(t *testing.T) {
	opts := []strategies.ReadOption{
		policy(ttl.Policy{Fresh: time.Minute, StaleIfError: time.Hour}), strategies.WithHardTimeout(time.Second),
	}
	onFleets(t, 1, opts, func(t *testing.T, fl *fleet) {
		c := fl.caches[0]
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		time.Sleep(time.Minute)
		require.NoError(t, fl.Save(t.Context(), "a", 2))
		fl.set(takes(5*time.Second), nil)
		start := time.Now()
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.Equal(t, time.Second, time.Since(start))
		time.Sleep(4 * time.Second)
		synctest.Wait()
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
	})
}

// What a load brings that nobody waits for any more is not stored if its key has changed meanwhile.
func TestHardTimeoutBringsNothingBack(t *testing.T) {
	opts := []strategies.ReadOption{policy(ttl.Policy{Fresh: time.Hour}), strategies.WithHardTimeout(time.Second)}
	onFleets(t, 2, opts, func(t *testing.T, fl *fleet) {
		fl.set(nil, takes(5*time.Second)) // it has read by then
		require.ErrorIs(t, (<-asked(t.Context(), fl.caches[0], "a")).err, tarn.ErrLoadTimeout)
		require.NoError(t, fl.Save(t.Context(), "a", 2))
		require.NoError(t, fl.caches[1].Delete(t.Context(), "a"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		fl.set(nil, nil)
		for _, c := range fl.caches {
			hasValue(t, 2, <-asked(t.Context(), c, "a"))
		}
	})
}

// No more loads go on by themselves than may run in the background.
func TestHardTimeoutIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names, rows := numbered(300)
		src := newSource(rows)
		src.set(takes(5*time.Second), nil)
		c := strategies.ReadThrough(tarn.Store[string, int](newMemory[string, int](t)), src, strategies.WithHardTimeout(time.Second))
		for _, name := range names {
			asked(t.Context(), c, name)
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		src.mu.Lock()
		require.Equal(t, 256, src.running)
		src.mu.Unlock()
		require.NoError(t, c.Close(t.Context()))
	})
}
