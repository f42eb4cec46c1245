package strategies_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// starts are when loads began.
type starts struct {
	mu sync.Mutex // protects at
	at []time.Time
}

// takes is a stall that notes when it begins.
func (s *starts) takes(d time.Duration, err error) func(ctx context.Context, key string) error {
	return func(context.Context, string) error {
		s.mu.Lock()
		s.at = append(s.at, time.Now())
		s.mu.Unlock()
		time.Sleep(d)
		return err
	}
}

// busiest returns the most of them within any second.
func (s *starts) busiest() (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := 0
	for last := range s.at {
		for s.at[last].Sub(s.at[first]) >= time.Second {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

// A herd of callers that meets a source which is back after an hour has it asked once for each key by all processes together,
// whether there is an old value of the key or none, and no faster than loads at once are allowed. Nobody who has an old value
// has seen an error, and nobody at all does when it is back.
func TestHerdMeetsARecoveredSource(t *testing.T) {
	const hot, cold, processes, callers, rounds, takes = 100, 100, 2, 1000, 60, 100 * time.Millisecond
	const herd = 4 * time.Second // how long it keeps coming, a thousand callers each time
	life := ttl.Policy{Fresh: time.Minute, StaleIfError: 2 * time.Hour, Jitter: 0.1}
	for _, tt := range []struct {
		name      string
		opts      []strategies.ReadOption
		perSecond int
		atOnce    int
	}{
		{"with no bound on loads", nil, hot + cold, hot + cold},
		{"with four loads at once", []strategies.ReadOption{
			strategies.WithMaxLoads(4), strategies.WithLeaseWait(10 * time.Second), // or one loads what another queues for
		}, 4 * processes * int(time.Second/takes), 4 * processes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onFleets(t, processes, append(tt.opts, policy(life)), func(t *testing.T, fl *fleet) {
				for i := range hot + cold {
					require.NoError(t, fl.Save(t.Context(), fmt.Sprint("key", i), i))
				}
				var all sync.WaitGroup
				var hotErrs, coldErrs, coldCallers atomic.Int64
				ask := func(caller, key int) {
					all.Go(func() {
						v, err := fl.caches[caller%processes].Get(t.Context(), fmt.Sprint("key", key))
						switch {
						case err == nil && v != key:
							t.Errorf("key %d has the value %d", key, v)
						case err != nil && key < hot:
							hotErrs.Add(1)
						case err != nil:
							coldErrs.Add(1)
						}
						if key >= hot {
							coldCallers.Add(1)
						}
					})
				}
				for key := range hot {
					ask(key, key)
				}
				all.Wait()
				time.Sleep(time.Minute)

				var down starts
				fl.set(down.takes(takes, errBroken), nil)
				for range rounds {
					for key := range hot + cold {
						ask(key, key)
						ask(key+1, key)
					}
					time.Sleep(time.Hour / rounds)
				}
				all.Wait()
				t.Logf("down for an hour: the source was asked %d times; with an old value %d errors, without %d of %d",
					len(down.at), hotErrs.Load(), coldErrs.Load(), coldCallers.Load())
				require.Zero(t, hotErrs.Load())
				require.Equal(t, coldCallers.Load(), coldErrs.Load(), "there is nothing to serve")
				require.LessOrEqual(t, len(down.at), hot*(rounds+1)+int(coldCallers.Load()), "one process tries for all")

				var back starts
				fl.set(back.takes(takes, nil), nil)
				hotErrs.Store(0)
				coldErrs.Store(0)
				rng := rand.New(rand.NewPCG(1, 2))
				for range herd / takes {
					for caller := range callers {
						ask(caller, rng.IntN(hot+cold))
					}
					time.Sleep(takes)
				}
				all.Wait()
				t.Logf("back again: %d callers had the source asked %d times, at most %d in a second",
					callers*int(herd/takes), len(back.at), back.busiest())
				require.Zero(t, hotErrs.Load()+coldErrs.Load())
				require.Equal(t, hot+cold, len(back.at), "one load for each key")
				require.LessOrEqual(t, back.busiest(), tt.perSecond)
				require.LessOrEqual(t, fl.peaked(), tt.atOnce)
			})
		})
	}
}
