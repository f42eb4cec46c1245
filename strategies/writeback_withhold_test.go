package strategies_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/strategies/journal"
)

// A buffered operation whose journal fails is not written to the source while the journal may have an older one of the
// key: a crash would write that over it.
func TestWriteBackWithholdsWhatTheJournalLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, SyncEvery: 50 * time.Millisecond, MaxDelay: 200 * time.Millisecond}, (*ledger).batched)
		r.set(t, "a", 1)
		pass(250 * time.Millisecond) // durable, and at the source; the removal waits for an append
		require.Len(t, j.Records(), 1)
		j.Before(func(context.Context, journal.Change) error { return journal.ErrFull })
		r.set(t, "a", 2)
		err := r.Flush(r.ctx)
		require.ErrorIs(t, err, journal.ErrFull)
		require.Equal(t, []string{"a"}, unwritten(t, err))
		pass(10 * time.Second)
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())

		crashed := newRig(t, wbConfig{Journal: j.Copy()}, (*ledger).batched)
		require.NoError(t, crashed.Flush(crashed.ctx))
		require.Equal(t, map[string]int{"a": 1}, crashed.source.rows(), "never 1 after 2")

		j.Before(nil)
		pass(2 * time.Second)
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, map[string]int{"a": 2}, r.source.rows())
	})
}

// What the journal has is written while it fails: that is what makes room in it.
func TestWriteBackWritesWhatTheJournalHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, SyncEvery: 50 * time.Millisecond, MaxDelay: time.Second}, (*ledger).batched)
		r.set(t, "a", 1)
		pass(100 * time.Millisecond)
		require.Len(t, j.Records(), 1)
		j.Before(func(context.Context, journal.Change) error { return journal.ErrFull })
		r.set(t, "b", 1)
		require.ErrorIs(t, r.Flush(r.ctx), journal.ErrFull)
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())
		j.Before(nil)
	})
}

// Where nothing gets into the journal any more, the source is the only place that is left.
func TestWriteBackWritesWhatAPoisonedJournalLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		r := newRig(t, wbConfig{Journal: j, SyncEvery: 50 * time.Millisecond, MaxDelay: time.Second}, (*ledger).batched)
		r.set(t, "a", 1)
		j.Before(func(context.Context, journal.Change) error { return journal.ErrPoisoned })
		require.NoError(t, r.Flush(r.ctx))
		require.Equal(t, map[string]int{"a": 1}, r.source.rows())
		j.Before(nil)
	})
}
