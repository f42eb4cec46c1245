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
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/fence"
	"github.com/tarncache/tarn/strategies/journal/bolt"
	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// Draft is a text that somebody is writing. Its revision grows with each save.
type Draft struct {
	Revision int64
	Text     string
}

// A tombstone, which a discarded draft leaves, has no text: the columns have defaults. The last three are the fence's.
const schema = `create table if not exists drafts (
	id       integer primary key,
	revision integer not null default 0,
	text     text not null default '',
	deleted  boolean not null default false,
	epoch    bigint not null default 0,
	seq      bigint not null default 0
)`

const (
	databaseFile = "drafts.db"
	journalFile  = "drafts.journal"
)

// Drafts are the drafts of all users: a cache in memory, which is written back to the database.
type Drafts struct {
	*strategies.WriteBackCache[int64, Draft]

	db      *sql.DB
	mem     *memory.Store[int64, Draft]
	journal *bolt.Journal
}

// OpenDrafts opens the drafts that are kept in a folder. What an earlier process has acknowledged, and not written any
// more, is written now.
func OpenDrafts(ctx context.Context, dir string) (*Drafts, error) {
	d := &Drafts{mem: memory.New(memory.Options[int64, Draft]{MaxEntries: 10_000})}
	if err := d.open(ctx, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open the drafts: %w", err), d.release())
	}
	return d, nil
}

func (d *Drafts) open(ctx context.Context, dir string) (err error) {
	if d.db, err = openDatabase(ctx, dir); err != nil {
		return err
	}
	if d.journal, err = bolt.Open(filepath.Join(dir, journalFile), bolt.Options{}); err != nil {
		return err
	}
	table := fence.Table{
		Dialect: fence.SQLite, Name: "drafts", Key: []string{"id"}, Values: []string{"revision", "text"},
	}
	save := fence.New(d.db, fence.Config[int64, Draft]{
		Statements: table.Statements(),
		Values:     func(draft Draft) []any { return []any{draft.Revision, draft.Text} },
	})
	find := tarn.LoadFunc(d.find, sql.ErrNoRows)
	d.WriteBackCache, err = strategies.WriteBack(strategies.ReadThrough(d.mem, find), save,
		strategies.WriteBackConfig[int64, Draft]{Journal: d.journal, MaxDelay: 500 * time.Millisecond})
	return err
}

// find is the repository's, which knows nothing of caches, but that a row may be a tombstone.
func (d *Drafts) find(ctx context.Context, id int64) (draft Draft, err error) {
	err = d.db.QueryRowContext(ctx, `select revision, text from drafts where id = ? and not deleted`, id).
		Scan(&draft.Revision, &draft.Text)
	return draft, err
}

// Close writes what is pending. What it cannot write, the journal keeps for the next process.
func (d *Drafts) Close(ctx context.Context) error {
	return errors.Join(d.WriteBackCache.Close(ctx), d.release())
}

// release gives up everything but the cache.
func (d *Drafts) release() error {
	errs := []error{d.mem.Close()}
	if d.journal != nil {
		errs = append(errs, d.journal.Close())
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	return errors.Join(errs...)
}

// openDatabase opens a database whose commits survive a loss of power, which the journal relies on: it forgets what was
// committed.
func openDatabase(ctx context.Context, dir string) (*sql.DB, error) {
	dsn := url.URL{
		Scheme:   "file",
		OmitHost: true,
		Path:     filepath.ToSlash(filepath.Join(dir, databaseFile)),
		RawQuery: url.Values{
			"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)"},
			"_txlock": {"immediate"},
		}.Encode(),
	}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
