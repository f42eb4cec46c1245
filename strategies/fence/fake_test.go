package fence_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tarncache/tarn/strategies/fence"
)

// fake is a database of one table, which understands the statements below and those of usersTable, and does
// what a test tells it to.
type fake struct {
	mu     sync.Mutex // protects all below
	rows   map[int64]fakeRow
	begun  map[int64]fakeRow // as the rows were at the begin; nil: no transaction
	saved  map[int64]fakeRow // as they were at the savepoint
	log    []string          // of what was asked, without arguments
	failed func(asked string) error
	counts func(asked string, rows int64) int64 // what it says of how many rows were changed; nil: the truth
	tells  func(v *fakeRow)                     // changes what a version says
	loose  bool                                 // it refuses nothing
	floor  int64                                // of the ledger

	isolation sql.IsolationLevel // of the last transaction
}

type fakeRow struct {
	name       string
	deleted    bool
	epoch, seq int64
}

var (
	plain      = fence.Statements{Save: "save", Delete: "delete", Version: "version"}
	usersTable = fence.Table{Dialect: fence.Postgres, Name: "users", Key: []string{"id"}, Values: []string{"name"}}
)

// openFake opens a fake on one connection.
func openFake() (*fake, *sql.DB) {
	f := &fake{rows: make(map[int64]fakeRow)}
	db := sql.OpenDB(f)
	db.SetMaxOpenConns(1)
	return f, db
}

func newFake(t *testing.T) (*fake, *sql.DB) {
	f, db := openFake()
	t.Cleanup(func() {
		if n := db.Stats().InUse; n != 0 {
			t.Errorf("%d connections are still in use", n)
		}
		db.Close()
	})
	return f, db
}

// asked returns the log, and empties it.
func (f *fake) asked() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := strings.Join(f.log, ", ")
	f.log = nil
	return log
}

// named returns the short name of a statement.
func named(query string) string {
	users := usersTable.Statements()
	switch {
	case query == users.Save:
		return "save"
	case query == users.Delete:
		return "delete"
	case query == users.Version:
		return "version"
	case strings.HasPrefix(query, "insert into batches"):
		return "record"
	case strings.HasPrefix(query, "delete from batches"):
		return "prune"
	case strings.HasPrefix(query, "select max(settled)"):
		return "floor"
	}
	return strings.TrimSuffix(query, " tarn_op")
}

// ask notes what is asked, and fails if it is to.
func (f *fake) ask(what string) error {
	f.log = append(f.log, what)
	if f.failed != nil {
		return f.failed(what)
	}
	return nil
}

func (f *fake) Connect(context.Context) (driver.Conn, error) { return &fakeConn{f}, nil }
func (f *fake) Driver() driver.Driver                        { return nil }

type fakeConn struct{ *fake }

func (c *fakeConn) Close() error              { return nil }
func (c *fakeConn) Begin() (driver.Tx, error) { return nil, errors.New("BeginTx, please") }

func (c *fakeConn) BeginTx(_ context.Context, options driver.TxOptions) (driver.Tx, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isolation = sql.IsolationLevel(options.Isolation)
	if err := c.ask("begin"); err != nil {
		return nil, err
	}
	c.begun = maps.Clone(c.rows)
	return c, nil
}

func (c *fakeConn) Commit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.ask("commit")
	if err != nil {
		c.rows = c.begun
	}
	c.begun = nil
	return err
}

func (c *fakeConn) Rollback() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows, c.begun = c.begun, nil
	return c.ask("rollback")
}

func (c *fakeConn) Prepare(query string) (driver.Stmt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &fakeStmt{c, query}, c.ask("prepare " + named(query))
}

type fakeStmt struct {
	*fakeConn
	query string
}

func (s *fakeStmt) Close() error  { return nil }
func (s *fakeStmt) NumInput() int { return -1 }

func (s *fakeStmt) Exec([]driver.Value) (driver.Result, error) { return nil, errors.ErrUnsupported }
func (s *fakeStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, errors.ErrUnsupported }

func (s *fakeStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.fakeConn.ExecContext(ctx, s.query, args)
}

func (c *fakeConn) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked, rows := named(query), int64(0)
	if err := c.ask(asked); err != nil {
		return nil, err
	}
	switch asked {
	case "savepoint":
		c.saved = maps.Clone(c.rows)
	case "rollback to savepoint":
		c.rows = maps.Clone(c.saved)
	case "save":
		rows = c.write(args[0], fakeRow{args[1].Value.(string), false, args[2].Value.(int64), args[3].Value.(int64)})
	case "delete":
		rows = c.write(args[0], fakeRow{"", true, args[1].Value.(int64), args[2].Value.(int64)})
	case "record", "prune":
		rows = 1
	}
	if c.counts != nil {
		rows = c.counts(asked, rows)
	}
	return fakeResult(rows), nil
}

func (c *fakeConn) write(key driver.NamedValue, r fakeRow) int64 {
	id := key.Value.(int64)
	if old, ok := c.rows[id]; ok && !c.loose && old.epoch == r.epoch && old.seq >= r.seq {
		return 0
	}
	c.rows[id] = r
	return 1
}

// fakeResult is a number of rows; a negative one cannot be told.
type fakeResult int64

func (r fakeResult) LastInsertId() (int64, error) { return 0, errors.ErrUnsupported }

func (r fakeResult) RowsAffected() (int64, error) {
	if r < 0 {
		return 0, errors.ErrUnsupported
	}
	return int64(r), nil
}

func (c *fakeConn) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ask(named(query)); err != nil {
		return nil, err
	}
	if named(query) == "floor" {
		return &fakeRows{[][]driver.Value{{c.floor}}}, nil
	}
	r, ok := c.rows[args[0].Value.(int64)]
	if !ok {
		return &fakeRows{}, nil
	}
	if c.tells != nil {
		c.tells(&r)
	}
	return &fakeRows{[][]driver.Value{{r.epoch, r.seq}}}, nil
}

type fakeRows struct{ left [][]driver.Value }

func (r *fakeRows) Columns() []string {
	if len(r.left) == 0 {
		return nil
	}
	return make([]string, len(r.left[0]))
}
func (r *fakeRows) Close() error { return nil }

func (r *fakeRows) Next(into []driver.Value) error {
	if len(r.left) == 0 {
		return io.EOF
	}
	copy(into, r.left[0])
	r.left = r.left[1:]
	return nil
}

// table tells what the database has.
func (f *fake) table() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, id := range slices.Sorted(maps.Keys(f.rows)) {
		r := f.rows[id]
		if r.deleted {
			r.name = "(deleted)"
		}
		all = append(all, fmt.Sprintf("%d: %s", id, r.name))
	}
	return strings.Join(all, ", ")
}
