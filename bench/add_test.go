package bench

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/fence"
)

const increment = `insert into counters (id, n) values (?, ?) on conflict (id) do update set n = n + excluded.n`

// counters is a table of sums in SQLite, and of the batches that made them. It counts the statements that change a sum.
type counters struct {
	db         *sql.DB
	ledger     *fence.Ledger
	statements atomic.Int64
}

func newCounters(b *testing.B, sync synchronous) *counters {
	ledger := fence.NewLedger(fence.SQLite, "batches")
	return &counters{ledger: ledger, db: openSQLite(b, sync,
		`create table counters (id integer primary key, n integer not null); `+ledger.Schema())}
}

func (c *counters) Load(ctx context.Context, id int64) (n int64, err error) {
	return n, c.db.QueryRowContext(ctx, `select n from counters where id = ?`, id).Scan(&n)
}

// write applies a batch in one transaction, unless the ledger has it.
func (c *counters) write(ctx context.Context, batch strategies.Batch[int64, int64]) error {
	number := fence.Batch{Epoch: batch.Epoch, Seq: batch.Seq, Settled: batch.Settled}
	return c.ledger.Do(ctx, c.db, number, func(tx *sql.Tx) error {
		stmt, err := tx.PrepareContext(ctx, increment)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for _, d := range batch.Deltas {
			c.statements.Add(1)
			if _, err := stmt.ExecContext(ctx, d.Key, d.Delta); err != nil {
				return err
			}
		}
		return nil
	})
}

// added is what callers add to. Close returns when the source has it all.
type added interface {
	Add(ctx context.Context, id, n int64) error
	Close(context.Context) error
}

// oneByOne adds with a statement each, a transaction of its own.
type oneByOne struct{ *counters }

func (c oneByOne) Add(ctx context.Context, id, n int64) error {
	c.statements.Add(1)
	_, err := c.db.ExecContext(ctx, increment, id, n)
	return err
}

func (c oneByOne) Close(context.Context) error { return nil }

// addVia are the ways to add.
var addVia = []struct {
	name  string
	sync  synchronous
	every int64 // as writeVia has it
	open  func(b *testing.B, source *counters) added
}{
	{"statement", normal, 1, func(_ *testing.B, source *counters) added { return oneByOne{source} }},
	{"statement-full", full, 1, func(_ *testing.B, source *counters) added { return oneByOne{source} }},
	{"accumulate", normal, 64, func(b *testing.B, source *counters) added {
		return accumulateIn(b, source, strategies.AccumulateConfig[int64, int64]{})
	}},
	{"accumulate-buffered", full, 64, func(b *testing.B, source *counters) added {
		return accumulateIn(b, source, strategies.AccumulateConfig[int64, int64]{
			Journal: newJournal(b), SyncEvery: 100 * time.Millisecond,
		})
	}},
	{"accumulate-sync", full, 1, func(b *testing.B, source *counters) added {
		return accumulateIn(b, source, strategies.AccumulateConfig[int64, int64]{Journal: newJournal(b)})
	}},
}

func accumulateIn(b *testing.B, source *counters, config strategies.AccumulateConfig[int64, int64]) added {
	a, err := strategies.Accumulate(tarn.Loader[int64, int64](source), source.write, strategies.Sum[int64](), config)
	must(b, err)
	return a
}

// BenchmarkAdd is increments of counters in SQLite, with a ledger that has each count exactly once. What is still
// pending at the end is written within the measured time. Afterwards the sum must be that of all increments.
func BenchmarkAdd(b *testing.B) {
	for _, via := range addVia {
		b.Run("via="+via.name, func(b *testing.B) {
			source := newCounters(b, via.sync)
			counts := via.open(b, source)
			b.ReportAllocs()
			took := byCallers(b, via.every, func(n int64) error { return counts.Add(b.Context(), n%writeKeys, 1) })
			b.StartTimer()
			must(b, counts.Close(context.Background()))
			b.StopTimer()
			took.report(b)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "adds/s")
			b.ReportMetric(float64(source.statements.Load())/float64(b.N), "stmts/add")
			var sum int64
			must(b, source.db.QueryRow(`select sum(n) from counters`).Scan(&sum))
			if sum != int64(b.N) {
				b.Fatalf("after %d increments the sum is %d", b.N, sum)
			}
		})
	}
}
