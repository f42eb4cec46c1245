package fence_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/fence"
)

// A database may be told to begin its transactions at another level than Once needs.
func TestLedgerIsReadCommitted(t *testing.T) {
	for dialect, level := range map[fence.Dialect]sql.IsolationLevel{
		fence.Postgres: sql.LevelReadCommitted,
		fence.SQLite:   sql.LevelDefault, // drivers refuse others
		fence.MySQL:    sql.LevelDefault, // some of its logs refuse others
	} {
		f, db := newFake(t)
		f.isolation = -1
		_ = fence.NewLedger(dialect, "batches").Do(t.Context(), db, fence.Batch{Epoch: 7, Seq: 1}, func(*sql.Tx) error { return nil })
		require.Equal(t, level, f.isolation)
	}
}

func TestLedgerAsks(t *testing.T) {
	twice := func(asked string, rows int64) int64 {
		if asked == "record" {
			return 0
		}
		return rows
	}
	for _, test := range []struct {
		rule   string
		batch  fence.Batch
		counts func(string, int64) int64
		failed func(string) error
		fails  error // of the write
		asked  string
	}{
		{"a first batch", fence.Batch{Epoch: 7, Seq: 1}, nil, nil, nil, "begin, record, floor, WRITE, commit"},
		{"one that settles others", fence.Batch{Epoch: 7, Seq: 9, Settled: 5}, nil, nil, nil,
			"begin, record, floor, prune, WRITE, commit"},
		{"one that was applied", fence.Batch{Epoch: 7, Seq: 1}, twice, nil, nil, "begin, record, rollback"},
		{"one that cannot be recorded", fence.Batch{Epoch: 7, Seq: 1}, nil, failing("record", 1, 1), errBroken,
			"begin, record, rollback"},
		{"whose number of rows is unknown", fence.Batch{Epoch: 7, Seq: 1}, func(string, int64) int64 { return -1 }, nil,
			errors.ErrUnsupported, "begin, record, rollback"},
		{"one that fails", fence.Batch{Epoch: 7, Seq: 1}, nil, nil, errBroken, "begin, record, floor, WRITE, rollback"},
		{"no connection", fence.Batch{Epoch: 7, Seq: 1}, nil, failing("begin", 1, 1), errBroken, "begin"},
		{"what is settled stays", fence.Batch{Epoch: 7, Seq: 1, Settled: 1}, nil, failing("prune", 1, 1), errBroken,
			"begin, record, floor, prune, rollback"},
		{"a commit", fence.Batch{Epoch: 7, Seq: 1}, nil, failing("commit", 1, 1), errBroken, "begin, record, floor, WRITE, commit"},
		{"a floor that cannot be asked", fence.Batch{Epoch: 7, Seq: 1}, nil, failing("floor", 1, 1), errBroken,
			"begin, record, floor, rollback"},
		{"one that was forgotten", fence.Batch{Epoch: 7, Seq: 2}, nil, nil, nil, "begin, record, floor, rollback"},
		{"one at the floor", fence.Batch{Epoch: 7, Seq: 3}, nil, nil, nil, "begin, record, floor, WRITE, commit"},
		{"without an epoch", fence.Batch{Seq: 1}, nil, nil, fence.ErrUnnumbered, "begin, rollback"},
		{"without a number", fence.Batch{Epoch: 7}, nil, nil, fence.ErrUnnumbered, "begin, rollback"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			f, db := newFake(t)
			f.counts, f.failed = test.counts, test.failed
			if test.batch.Seq > 1 && test.batch.Settled == 0 {
				f.floor = 3
			}
			err := fence.NewLedger(fence.SQLite, "batches").Do(t.Context(), db, test.batch, func(*sql.Tx) error {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.log = append(f.log, "WRITE")
				if test.failed == nil {
					return test.fails
				}
				return nil
			})
			require.ErrorIs(t, err, test.fails)
			require.Equal(t, test.asked, f.asked())
		})
	}
}

func TestLedgerRefuses(t *testing.T) {
	f, db := newFake(t)
	ledger := fence.NewLedger(fence.Postgres, "batches")
	never := func(*sql.Tx) error { t.Error("written"); return nil }
	for _, batch := range []fence.Batch{
		{Epoch: 7, Seq: 1, Settled: 2}, {Epoch: math.MaxInt64 + 1, Seq: 1}, {Epoch: 1, Seq: math.MaxUint64},
	} {
		require.Error(t, ledger.Do(t.Context(), db, batch, never))
	}
	f.asked()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, ledger.Do(ctx, db, fence.Batch{Epoch: 7, Seq: 1}, never))
	require.Empty(t, f.asked())

	require.Panics(t, func() {
		_ = ledger.Do(t.Context(), db, fence.Batch{Epoch: 7, Seq: 1}, func(*sql.Tx) error { panic("no") })
	})
	require.Equal(t, "begin, record, floor, rollback", f.asked())

	require.Contains(t, panicOf(func() { fence.NewLedger(0, "batches") }), "dialect")
	require.Contains(t, panicOf(func() { fence.NewLedger(fence.SQLite, "batches; --") }), "table")
	require.Equal(t, "create table if not exists batches (epoch bigint not null, seq bigint not null, "+
		"settled bigint not null, primary key (epoch, seq))", ledger.Schema())
}

// A transaction that is rolled back has applied nothing: no entry of an IndexError may say otherwise.
func TestLedgerFailsAsAWhole(t *testing.T) {
	_, db := newFake(t)
	err := fence.NewLedger(fence.Postgres, "batches").Do(t.Context(), db, fence.Batch{Epoch: 7, Seq: 1},
		func(*sql.Tx) error { return fmt.Errorf("write: %w", tarn.IndexError{nil, errBroken, nil}) })
	require.ErrorIs(t, err, errBroken)
	var each tarn.IndexError
	require.NotErrorAs(t, err, &each)
}
