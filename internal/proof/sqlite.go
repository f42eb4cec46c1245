package proof

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	_ "modernc.org/sqlite" // the driver
)

const sqliteTables = `
create table if not exists item (
	run int, key int, version int not null, op int not null, deleted int not null, primary key (run, key)
) without rowid;
create table if not exists change (
	run int, key int, version int, op int not null, deleted int not null, primary key (run, key, version)
) without rowid;`

// Lists are JSON, which a statement takes apart.
const (
	sqliteLoad = `select key, op from item
where run = ? and key in (select value from json_each(?)) and not deleted`
	sqliteWrite = `insert into item (run, key, version, op, deleted)
select ?, value ->> 'Key', 1, value ->> 'Op', value ->> 'Deleted' from json_each(?) where true
on conflict (run, key) do update set version = version + 1, op = excluded.op, deleted = excluded.deleted
returning key, version, op, deleted`
	sqliteRecord  = `insert into change (run, key, version, op, deleted) values (?, ?, ?, ?, ?)`
	sqliteChanges = `select key, version, op, deleted from change where run = ?`
)

type sqlite struct {
	db  *sql.DB
	run int64
}

// openSQLite opens a file. A transaction is given up neither half-way nor at its commit: it takes the database for
// itself from its begin on.
func openSQLite(ctx context.Context, file string, run int64) (*sqlite, error) {
	db, err := sql.Open("sqlite", "file:"+file+
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(off)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("proof: sqlite: %w", err)
	}
	db.SetMaxOpenConns(4)
	if _, err := db.ExecContext(ctx, sqliteTables); err != nil {
		db.Close()
		return nil, fmt.Errorf("proof: sqlite: %w", err)
	}
	return &sqlite{db, run}, nil
}

func (s *sqlite) Load(ctx context.Context, keys []int64) (map[int64]int64, error) {
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("proof: load: %w", err)
	}
	ops := make(map[int64]int64, len(keys))
	rows, err := s.db.QueryContext(ctx, sqliteLoad, s.run, string(list))
	if err != nil {
		return nil, fmt.Errorf("proof: load: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key, op int64
		if err := rows.Scan(&key, &op); err != nil {
			return nil, fmt.Errorf("proof: load: %w", err)
		}
		ops[key] = op
	}
	return ops, rows.Err()
}

func (s *sqlite) Write(ctx context.Context, changes []Change) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("proof: write: %w", err)
	}
	defer tx.Rollback()
	list, err := json.Marshal(changes)
	if err != nil {
		return fmt.Errorf("proof: write: %w", err)
	}
	rows, err := tx.QueryContext(ctx, sqliteWrite, s.run, string(list))
	if err != nil {
		return fmt.Errorf("proof: write: %w", err)
	}
	made, err := scanChanges(rows)
	if err != nil {
		return fmt.Errorf("proof: write: %w", err)
	}
	for _, c := range made {
		if _, err := tx.ExecContext(ctx, sqliteRecord, s.run, c.Key, c.Version, c.Op, c.Deleted); err != nil {
			return fmt.Errorf("proof: write: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("proof: write: %w", err)
	}
	return nil
}

func (s *sqlite) Changes(ctx context.Context) ([]Change, error) {
	rows, err := s.db.QueryContext(ctx, sqliteChanges, s.run)
	if err != nil {
		return nil, fmt.Errorf("proof: changes: %w", err)
	}
	return scanChanges(rows)
}

func scanChanges(rows *sql.Rows) (changes []Change, err error) {
	defer rows.Close()
	for rows.Next() {
		var c Change
		if err := rows.Scan(&c.Key, &c.Version, &c.Op, &c.Deleted); err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, rows.Err()
}

func (s *sqlite) Close() { s.db.Close() }
