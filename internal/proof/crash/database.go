package crash

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/fence"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Place is where a database is.
type Place struct {
	Driver string // "sqlite" or "pgx"
	DSN    string
}

// Item is the value of a key: it names the operation that wrote it, and its own key.
type Item struct {
	Key  int64  `json:"key"`
	Op   int64  `json:"op"`
	Fill string `json:"fill,omitempty"`
}

// Version is one version of a key, as the database had it.
type Version struct {
	Key        int64
	N          int64 // of the key, from 1 on, in the order in which they were committed
	Op         int64 // which operation wrote it; 0: a delete, which nobody can tell from another
	Deleted    bool
	Epoch, Seq int64
}

// The trigger notes each version, whoever writes it. A key that is deleted keeps its row, for the fence to see.
const tables = `
create table if not exists item (
	key bigint primary key, version bigint not null, op bigint not null, deleted int not null,
	epoch bigint not null, seq bigint not null
);
create table if not exists change (
	key bigint, version bigint, op bigint not null, deleted int not null, epoch bigint not null, seq bigint not null,
	primary key (key, version)
);`

const sqliteTriggers = `
create trigger if not exists inserted after insert on item begin
	insert into change values (new.key, new.version, new.op, new.deleted, new.epoch, new.seq);
end;
create trigger if not exists updated after update on item begin
	insert into change values (new.key, new.version, new.op, new.deleted, new.epoch, new.seq);
end;`

const postgresTriggers = `
create or replace function note() returns trigger language plpgsql as $$ begin
	insert into change values (new.key, new.version, new.op, new.deleted, new.epoch, new.seq);
	return null;
end $$;
create or replace trigger noted after insert or update on item for each row execute function note();`

const (
	loadItem = `select op from item where key = $1 and deleted = 0`
	saveItem = `insert into item (key, version, op, deleted, epoch, seq) values ($1, 1, $2, $3, $4, $5)
on conflict (key) do update set version = item.version + 1, op = excluded.op, deleted = excluded.deleted,
	epoch = excluded.epoch, seq = excluded.seq`
	deleteItem = `insert into item (key, version, op, deleted, epoch, seq) values ($1, 1, 0, 1, $2, $3)
on conflict (key) do update set version = item.version + 1, op = 0, deleted = 1,
	epoch = excluded.epoch, seq = excluded.seq`
	saveFenced = `insert into item (key, version, op, deleted, epoch, seq) values ($1, 1, $2, 0, $3, $4)
on conflict (key) do update set version = item.version + 1, op = excluded.op, deleted = 0,
	epoch = excluded.epoch, seq = excluded.seq`
	hasItem     = `select epoch, seq from item where key = $1`
	fenced      = ` where item.epoch <> excluded.epoch or item.seq < excluded.seq`
	allVersions = `select key, version, op, deleted, epoch, seq from change order by key, version`
)

// saveLater is saveItem for a server that takes its time, and does not notice meanwhile that nobody waits for it any more.
const saveLater = `with pause as materialized (select pg_sleep(random() * $6))
insert into item (key, version, op, deleted, epoch, seq)
select $1::bigint, 1, $2::bigint, $3::int, $4::bigint, $5::bigint from pause
on conflict (key) do update set version = item.version + 1, op = excluded.op, deleted = excluded.deleted,
	epoch = excluded.epoch, seq = excluded.seq`

// Database is the source.
type Database struct {
	*sql.DB
	place Place
}

// Open connects to a database whose tables are there.
func (p Place) Open() (*Database, error) {
	db, err := sql.Open(p.Driver, p.DSN)
	if err != nil {
		return nil, fmt.Errorf("crash: %w", err)
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	return &Database{db, p}, nil
}

// Make makes the tables.
func (p Place) Make(ctx context.Context) error {
	db, err := p.Open()
	if err != nil {
		return err
	}
	defer db.Close()
	triggers := sqliteTriggers
	if p.Driver == "pgx" {
		triggers = postgresTriggers
	}
	for _, statement := range []string{tables, triggers} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("crash: tables: %w", err)
		}
	}
	return nil
}

// Load reads one key.
func (d *Database) Load(ctx context.Context, key int64) (Item, error) {
	item := Item{Key: key}
	err := d.QueryRowContext(ctx, loadItem, key).Scan(&item.Op)
	if errors.Is(err, sql.ErrNoRows) {
		return Item{}, tarn.ErrNotFound
	}
	return item, err
}

// Versions returns all versions that there ever were, in their order.
func (d *Database) Versions(ctx context.Context) (all []Version, err error) {
	rows, err := d.QueryContext(ctx, allVersions)
	if err != nil {
		return nil, fmt.Errorf("crash: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var v Version
		var deleted int
		if err := rows.Scan(&v.Key, &v.N, &v.Op, &deleted, &v.Epoch, &v.Seq); err != nil {
			return nil, fmt.Errorf("crash: %w", err)
		}
		v.Deleted = deleted != 0
		all = append(all, v)
	}
	return all, rows.Err()
}

// fence returns what writes operations unless the database has later ones of their keys.
func (d *Database) fence() *fence.Writer[int64, Item] {
	return fence.New(d.DB, fence.Config[int64, Item]{
		Statements: fence.Statements{Save: saveFenced + fenced, Delete: deleteItem + fenced, Version: hasItem},
		Values:     func(item Item) []any { return []any{item.Op} },
	})
}

// apply writes operations in one transaction, or none of them, whatever the database has.
func (d *Database) apply(ctx context.Context, ops []tarn.Op[int64, Item]) error {
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("crash: write: %w", err)
	}
	defer tx.Rollback()
	save, err := tx.PrepareContext(ctx, saveItem)
	if err != nil {
		return fmt.Errorf("crash: write: %w", err)
	}
	defer save.Close()
	for _, op := range ops {
		if _, err := save.ExecContext(ctx, columns(op)...); err != nil {
			return fmt.Errorf("crash: write: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("crash: write: %w", err)
	}
	return nil
}

// applyLate writes operations one after the other, each in a statement that comes to its end even if this process does
// so first.
func (d *Database) applyLate(
	ctx context.Context, ops []tarn.Op[int64, Item], refuseOlder bool, most time.Duration,
) error {
	statement := saveLater
	if refuseOlder {
		statement += fenced
	}
	for _, op := range ops {
		if _, err := d.ExecContext(ctx, statement, append(columns(op), most.Seconds())...); err != nil {
			return fmt.Errorf("crash: write late: %w", err)
		}
	}
	return nil
}

func columns(op tarn.Op[int64, Item]) []any {
	deleted := 0
	if op.Delete {
		deleted = 1
	}
	return []any{op.Key, op.Value.Op, deleted, int64(op.Epoch), int64(op.Seq)}
}

// sqlitePlace is a file. A transaction takes the database for itself from its begin on.
func sqlitePlace(file string) Place {
	return Place{"sqlite", "file:" + file +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(off)&_txlock=immediate"}
}

// postgresPlace is a schema of a server, which is made.
func postgresPlace(ctx context.Context, dsn, schema string) (Place, error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return Place{}, fmt.Errorf("crash: %w", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "create schema "+schema); err != nil {
		return Place{}, fmt.Errorf("crash: %w", err)
	}
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	return Place{"pgx", dsn + separator + "search_path=" + schema}, nil
}
