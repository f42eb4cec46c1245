package bench

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync/atomic"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/tarncache/tarn"
)

// synchronous says what a commit of SQLite waits for.
type synchronous string

const (
	normal synchronous = "normal" // nothing: with a log, a loss of power takes the last commits along
	full   synchronous = "full"   // the disk
)

// openSQLite opens a new database, with a log (WAL), and counts nothing.
func openSQLite(b *testing.B, sync synchronous, schema string) *sql.DB {
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), "bench.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous("+string(sync)+")")
	must(b, err)
	db.SetMaxOpenConns(1) // SQLite writes one at a time; so nobody finds it busy
	b.Cleanup(func() { must(b, db.Close()) })
	_, err = db.Exec(schema)
	must(b, err)
	return db
}

const upsert = `insert into products (id, name, price) values (?, ?, ?)
	on conflict (id) do update set name = excluded.name, price = excluded.price`

// table is a table of products in SQLite that counts the statements it was written with.
type table struct {
	db         *sql.DB
	statements atomic.Int64
}

func newTable(b *testing.B, sync synchronous) *table {
	return &table{db: openSQLite(b, sync,
		`create table products (id integer primary key, name text not null, price integer not null)`)}
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
	return inTransaction(ctx, t.db, upsert, func(stmt *sql.Stmt) error {
		for _, op := range ops {
			t.statements.Add(1)
			if _, err := stmt.ExecContext(ctx, op.Key, op.Value.Name, op.Value.Price); err != nil {
				return err
			}
		}
		return nil
	})
}

// differing returns how many rows are not as wanted.
func (t *table) differing(b *testing.B, want map[int64]Product) (n int) {
	for id, p := range want {
		if got, err := t.Load(b.Context(), id); err != nil || got != p {
			n++
		}
	}
	return n
}

// inTransaction runs one statement any number of times.
func inTransaction(ctx context.Context, db *sql.DB, query string, run func(stmt *sql.Stmt) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	stmt, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer stmt.Close()
	if err := run(stmt); err != nil {
		return err
	}
	return tx.Commit()
}
