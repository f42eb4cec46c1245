package source_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/source"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
)

var errBroken = errors.New("broken")

// table is a source: what answer says comes of a call, when it is called with the number of the call, from 1.
type table struct {
	mu     sync.Mutex
	answer func(ctx context.Context, call int) error // nil: all is well; protected by mu, as are the others
	calls  int
	at     []time.Duration // when it was called, since start
	start  time.Time
}

func newTable(answer func(ctx context.Context, call int) error) *table {
	return &table{answer: answer, start: time.Now()}
}

func (s *table) set(answer func(ctx context.Context, call int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *table) Load(ctx context.Context, key string) (int, error) {
	s.mu.Lock()
	s.calls++
	s.at = append(s.at, time.Since(s.start))
	answer, call := s.answer, s.calls
	s.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, call); err != nil {
			return 0, err
		}
	}
	return len(key), nil
}

func (s *table) called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// busiest returns the most calls that came within any second.
func (s *table) busiest() (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := 0
	for last := range s.at {
		for s.at[last]-s.at[first] >= time.Second {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

// forget forgets the calls there were.
func (s *table) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.at = 0, nil
}

func always(err error) func(context.Context, int) error {
	return func(context.Context, int) error { return err }
}

// stuck ignores its context, and returns when release is closed.
func stuck(release <-chan struct{}) func(context.Context, int) error {
	return func(context.Context, int) error { <-release; return errBroken }
}

func load(t *testing.T, l *source.Loader[string, int]) error {
	t.Helper()
	_, err := l.Load(t.Context(), "a")
	return err
}

// open lets loads fail until the breaker opens.
func open(t *testing.T, s *table, l *source.Loader[string, int]) {
	t.Helper()
	s.mu.Lock()
	before := s.answer
	s.answer = always(errBroken)
	s.mu.Unlock()
	for range 5 {
		require.ErrorIs(t, load(t, l), errBroken)
	}
	s.set(before)
	require.Equal(t, source.Open, l.State())
}

// shedBy requires that err is of a load that was shed, and returns what it says.
func shedBy(t *testing.T, err error, by source.Reason) *source.ShedError {
	t.Helper()
	require.ErrorIs(t, err, tarn.ErrShed)
	var shed *source.ShedError
	require.ErrorAs(t, err, &shed)
	require.Equal(t, by, shed.By, "%v", err)
	require.Positive(t, shed.After)
	return shed
}

func isShed(err error) bool { return errors.Is(err, tarn.ErrShed) }

// onStores runs f in a bubble with a store in memory, and with copies near before a far one.
func onStores(t *testing.T, f func(t *testing.T, store tarn.Store[string, int])) {
	for _, kind := range []string{"memory", "tiers"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := newMemory(t)
				if kind == "memory" {
					f(t, mem)
					return
				}
				both := tiered.New(newMemory(t), farstore.New(mem).View())
				t.Cleanup(func() { require.NoError(t, both.Close()) })
				synctest.Wait()
				require.True(t, both.Trusted())
				f(t, both)
			})
		})
	}
}

func newMemory(t *testing.T) *memory.Store[string, int] {
	mem := memory.New(memory.Options[string, int]{MaxEntries: 100_000})
	t.Cleanup(func() { require.NoError(t, mem.Close()) })
	return mem
}
