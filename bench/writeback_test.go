package bench

import (
	"context"
	"database/sql"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

const upsert = `insert into products (id, name, price) values (?, ?, ?)
	on conflict (id) do update set name = excluded.name, price = excluded.price`

// table is a table of products in SQLite that counts the statements it was written with.
type table struct {
	db         *sql.DB
	statements atomic.Int64
}

func newTable(b *testing.B) *table {
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), "bench.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	must(b, err)
	db.SetMaxOpenConns(1) // SQLite writes one at a time; so nobody finds it busy
	b.Cleanup(func() { must(b, db.Close()) })
	_, err = db.Exec(`create table products (id integer primary key, name text not null, price integer not null)`)
	must(b, err)
	return &table{db: db}
}

func (t *table) Load(ctx context.Context, id int64) (p Product, err error) {
	row := t.db.QueryRowContext(ctx, `select id, name, price from products where id = ?`, id)
	return p, row.Scan(&p.ID, &p.Name, &p.Price)
}

func (t *table) Save(ctx context.Context, id int64, p Product) error {
	t.statements.Add(1)
	_, err := t.db.ExecContext(ctx, upsert, id, p.Name, p.Price)
	return err
}

func (t *table) Delete(context.Context, int64) error { panic("the benchmark deletes nothing") }

// Apply writes a batch in one transaction, a statement for each row.
func (t *table) Apply(ctx context.Context, ops []tarn.Op[int64, Product]) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	stmt, err := tx.PrepareContext(ctx, upsert)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, op := range ops {
		t.statements.Add(1)
		if _, err := stmt.ExecContext(ctx, op.Key, op.Value.Name, op.Value.Price); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// BenchmarkWrite is 256 callers that write 1,000 hot keys of a table in SQLite. What write-back has still pending at
// the end is written within the measured time.
func BenchmarkWrite(b *testing.B) {
	const keys, callers = 1000, 256
	for _, via := range []string{"writethrough", "writeback"} {
		b.Run("via="+via, func(b *testing.B) {
			source := newTable(b)
			inner := strategies.ReadThrough(
				memory.New(memory.Options[int64, Product]{MaxEntries: 2 * keys}), tarn.Loader[int64, Product](source))
			var cache interface {
				tarn.Cache[int64, Product]
				Close(context.Context) error
			} = strategies.WriteThrough(inner, source)
			if via == "writeback" {
				back, err := strategies.WriteBack(inner, source, strategies.WriteBackConfig[int64, Product]{})
				must(b, err)
				cache = back
			}
			ctx := b.Context()
			var callersSeen, last atomic.Int64
			b.SetParallelism((callers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				key := callersSeen.Add(1) * 389 // a start for each
				for ; pb.Next(); key++ {
					p := Product{ID: key % keys, Name: "lamp", Price: last.Add(1)}
					if err := cache.Set(ctx, p.ID, p); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
			want := map[int64]Product{}
			for id := range int64(keys) {
				if p, err := cache.Get(ctx, id); err == nil {
					want[id] = p
				}
			}
			b.StartTimer()
			must(b, cache.Close(context.Background()))
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
			b.ReportMetric(float64(source.statements.Load())/float64(b.N), "stmts/write")
			for id, p := range want {
				if got, err := source.Load(ctx, id); err != nil || got != p {
					b.Fatalf("the table has %v (%v), the cache had %v", got, err, p)
				}
			}
		})
	}
}
