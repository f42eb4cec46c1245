package proof

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PostgresTables makes the tables, if they are not there.
const PostgresTables = `
create table if not exists item (
	run bigint, key bigint, version bigint not null, op bigint not null, deleted bool not null, primary key (run, key)
);
create table if not exists change (
	run bigint, key bigint, version bigint, op bigint not null, deleted bool not null, primary key (run, key, version)
)`

const (
	postgresLoad  = `select key, op from item where run = $1 and key = any($2) and not deleted`
	postgresWrite = `
with new as (
	select * from unnest($2::bigint[], $3::bigint[], $4::bool[]) as t(key, op, deleted) order by key
), done as (
	insert into item as i (run, key, version, op, deleted) select $1, key, 1, op, deleted from new
	on conflict (run, key) do update set version = i.version + 1, op = excluded.op, deleted = excluded.deleted
	returning key, version, op, deleted
)
insert into change select $1, key, version, op, deleted from done`
	postgresChanges = `select key, version, op, deleted from change where run = $1`
)

type postgres struct {
	pool *pgxpool.Pool
	run  int64
}

func openPostgres(ctx context.Context, dsn string, run int64) (*postgres, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("proof: postgres: %w", err)
	}
	return &postgres{pool, run}, nil
}

func (p *postgres) Load(ctx context.Context, keys []int64) (map[int64]int64, error) {
	rows, err := p.pool.Query(ctx, postgresLoad, p.run, keys)
	if err != nil {
		return nil, fmt.Errorf("proof: load: %w", err)
	}
	ops := make(map[int64]int64, len(keys))
	var key, op int64
	_, err = pgx.ForEachRow(rows, []any{&key, &op}, func() error {
		ops[key] = op
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("proof: load: %w", err)
	}
	return ops, nil
}

func (p *postgres) Write(ctx context.Context, changes []Change) error {
	keys, ops, deleted := make([]int64, len(changes)), make([]int64, len(changes)), make([]bool, len(changes))
	for i, c := range changes {
		keys[i], ops[i], deleted[i] = c.Key, c.Op, c.Deleted
	}
	tag, err := p.pool.Exec(ctx, postgresWrite, p.run, keys, ops, deleted)
	if err != nil {
		return fmt.Errorf("proof: write: %w", err)
	}
	if int(tag.RowsAffected()) != len(changes) {
		return fmt.Errorf("proof: write: %d changes made %d versions", len(changes), tag.RowsAffected())
	}
	return nil
}

func (p *postgres) Changes(ctx context.Context) ([]Change, error) {
	rows, err := p.pool.Query(ctx, postgresChanges, p.run)
	if err != nil {
		return nil, fmt.Errorf("proof: changes: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Change])
}

func (p *postgres) Close() { p.pool.Close() }
