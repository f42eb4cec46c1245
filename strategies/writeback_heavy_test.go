package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal"
)

// heavyCache returns write-back over l behind j.
func heavyCache(
	t *testing.T, l *ledger, j journal.Journal, config strategies.WriteBackConfig[string, int],
) *strategies.WriteBackCache[string, int] {
	t.Helper()
	config.Journal = j
	inner := strategies.ReadThrough(memory.New(memory.Options[string, int]{MaxEntries: 100}), tarn.LoadFunc(l.find))
	c, err := strategies.WriteBack(inner, batchLedger{l}, config)
	require.NoError(t, err)
	return c
}

type batchLedger struct{ *ledger }

func (b batchLedger) Apply(ctx context.Context, ops []tarn.Op[string, int]) error {
	return b.apply(ctx, ops)
}

func (b batchLedger) Save(ctx context.Context, key string, value int) error {
	return errors.New("one by one")
}

func (b batchLedger) Delete(ctx context.Context, key string) error { return errors.New("one by one") }

func TestHeavyAppend(t *testing.T) {
	for rule, row := range map[string]struct {
		heavy   func(put []journal.Record) bool
		refused map[string]bool
	}{
		"a record that can never fit is refused, and none of those that came with it": {
			heavy: func(put []journal.Record) bool {
				for _, r := range put {
					if string(r.Key) == "k3" {
						return true
					}
				}
				return false
			},
			refused: map[string]bool{"k3": true},
		},
		"what is too heavy together is accepted one by one": {
			heavy: func(put []journal.Record) bool { return len(put) > 1 },
		},
	} {
		t.Run(rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, j := newLedger(), memjournal.New()
				c := heavyCache(t, l, j, strategies.WriteBackConfig[string, int]{})
				j.Before(func(_ context.Context, change journal.Change) error {
					time.Sleep(time.Millisecond) // others gather
					if row.heavy(change.Put) {
						return tarn.ErrTooHeavy
					}
					return nil
				})
				var all sync.WaitGroup
				errs := make([]error, 8)
				for i := range errs {
					all.Go(func() { errs[i] = c.Set(t.Context(), fmt.Sprint("k", i), i) })
				}
				all.Wait()
				err := c.SetMany(t.Context(), []string{"k8", "k9"}, []int{8, 9})
				require.NoError(t, err)
				errs = append(errs, nil, nil)
				for i, err := range errs {
					key := fmt.Sprint("k", i)
					got, found := c.Get(t.Context(), key)
					if row.refused[key] {
						require.ErrorIs(t, err, tarn.ErrTooHeavy)
						require.ErrorIs(t, found, tarn.ErrNotFound)
						continue
					}
					require.NoError(t, err)
					require.Equal(t, i, got)
				}
				require.Len(t, j.Records(), len(errs)-len(row.refused), "the journal has what was accepted")
				require.NoError(t, c.Close(t.Context()))
				require.Len(t, l.rows(), len(errs)-len(row.refused))
				require.Empty(t, j.Records())
				require.Empty(t, l.breaches)
			})
		})
	}
}

// What a panic of Size keeps for ever, a Close would wait for until its time is over.
func TestPanicInSetManyGivesPlacesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := heavyCache(t, newLedger(), memjournal.New(), strategies.WriteBackConfig[string, int]{
			MaxPending: 2, WhenFull: strategies.RefuseWhenFull,
			Size: func(_ string, value int) int64 {
				if value < 0 {
					panic("no size")
				}
				return 1
			},
		})
		require.Panics(t, func() { _ = c.SetMany(t.Context(), []string{"a", "b", "c"}, []int{1, -1, 3}) })
		require.Panics(t, func() { _ = c.SetMany(t.Context(), []string{"d", "e", "f"}, []int{1, -1, 3}) })
		require.NoError(t, c.SetMany(t.Context(), []string{"x", "y"}, []int{1, 2}))
		began := time.Now()
		require.NoError(t, c.Close(t.Context()))
		require.Less(t, time.Since(began), time.Second)
	})
}

func TestNilPointerIsNoJournal(t *testing.T) {
	inner := strategies.ReadThrough(memory.New(memory.Options[string, int]{MaxEntries: 100}), tarn.LoadFunc(newLedger().find))
	var none *memjournal.Journal
	_, err := strategies.WriteBack(inner, batchLedger{newLedger()}, strategies.WriteBackConfig[string, int]{Journal: none})
	require.ErrorContains(t, err, "Journal is a nil pointer")
}
