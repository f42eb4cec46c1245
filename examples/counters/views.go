package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/fence"
	"github.com/tarncache/tarn/strategies/journal/bolt"
	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// Each row knows how often it was updated, to show how much less that is than the views.
const schema = `create table if not exists products (
	id      integer primary key,
	views   integer not null default 0,
	updates integer not null default 0
)`

const (
	databaseFile = "shop.db"
	journalFile  = "views.journal"
)

// Views counts how often each product was viewed.
type Views struct {
	*strategies.Accumulator[int64, int64, int64]

	db       *sql.DB
	journal  *bolt.Journal
	ledger   *fence.Ledger
	careless bool   // without the ledger
	written  func() // called after each batch, before anybody hears of it
}

// OpenViews opens the views that are kept in a folder. What an earlier process has counted, and not written any more, is
// written now.
func OpenViews(ctx context.Context, dir string, careless bool, written func()) (*Views, error) {
	v := &Views{ledger: fence.NewLedger(fence.SQLite, "view_batches"), careless: careless, written: written}
	if err := v.open(ctx, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open the views: %w", err), v.release())
	}
	return v, nil
}

func (v *Views) open(ctx context.Context, dir string) (err error) {
	if v.db, err = openDatabase(ctx, dir, schema, v.ledger.Schema()); err != nil {
		return err
	}
	if v.journal, err = bolt.Open(filepath.Join(dir, journalFile), bolt.Options{}); err != nil {
		return err
	}
	v.Accumulator, err = strategies.Accumulate(
		tarn.LoadFunc(v.find, sql.ErrNoRows), v.write, strategies.Sum[int64](),
		strategies.AccumulateConfig[int64, int64]{Journal: v.journal, MaxDelay: 100 * time.Millisecond})
	return err
}

// find is the repository's, which knows nothing of batches.
func (v *Views) find(ctx context.Context, id int64) (views int64, err error) {
	err = v.db.QueryRowContext(ctx, `select views from products where id = ?`, id).Scan(&views)
	return views, err
}

// write adds a batch. The ledger has its name in the same transaction: one that was committed in an earlier life, or
// whose commit nobody heard of, is not added again.
func (v *Views) write(ctx context.Context, batch strategies.Batch[int64, int64]) error {
	defer v.written()
	name := fence.Batch{Epoch: batch.Epoch, Seq: batch.Seq, Settled: batch.Settled}
	add := func(tx *sql.Tx) error {
		for _, d := range batch.Deltas {
			_, err := tx.ExecContext(ctx, `insert into products (id, views, updates) values (?, ?, 1) on conflict (id)
				do update set views = views + excluded.views, updates = updates + 1`, d.Key, d.Delta)
			if err != nil {
				return err
			}
		}
		return nil
	}
	if v.careless {
		return inTransaction(ctx, v.db, add)
	}
	return v.ledger.Do(ctx, v.db, name, add)
}

func inTransaction(ctx context.Context, db *sql.DB, write func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := write(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// Close writes what is counted. What it cannot write, the journal keeps for the next process.
func (v *Views) Close(ctx context.Context) error {
	return errors.Join(v.Accumulator.Close(ctx), v.release())
}

// release closes what the views are made of.
func (v *Views) release() error {
	var errs []error
	if v.journal != nil {
		errs = append(errs, v.journal.Close())
	}
	if v.db != nil {
		errs = append(errs, v.db.Close())
	}
	return errors.Join(errs...)
}

func openDatabase(ctx context.Context, dir string, schemas ...string) (*sql.DB, error) {
	options := url.Values{"_pragma": {"journal_mode(wal)", "synchronous(full)", "busy_timeout(5000)"}}
	options.Set("_txlock", "immediate")
	file := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(filepath.Join(dir, databaseFile)), RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	for _, schema := range schemas {
		if _, err := db.ExecContext(ctx, schema); err != nil {
			return nil, errors.Join(fmt.Errorf("make a table: %w", err), db.Close())
		}
	}
	return db, nil
}
