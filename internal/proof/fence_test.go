package proof

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/pgtest"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/fence"
)

// fenceDatabases are what the fence is tested on.
var fenceDatabases = map[string]struct {
	dialect fence.Dialect
	open    func(t *testing.T) (driver, dsn string)
}{
	"PostgreSQL": {fence.Postgres, func(t *testing.T) (string, string) { return "pgx", pgtest.Start(t).DSN() }},
	"SQLite": {fence.SQLite, func(t *testing.T) (string, string) {
		return "sqlite", "file:" + filepath.Join(t.TempDir(), "fence.db") +
			"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(off)&_txlock=immediate"
	}},
}

// TestFence tests the statements that the fence writes, and its ledger, on each kind of database.
func TestFence(t *testing.T) {
	for name, kind := range fenceDatabases {
		t.Run(name, func(t *testing.T) {
			driver, dsn := kind.open(t)
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			db.SetMaxOpenConns(4)
			d := &fenceDB{dialect: kind.dialect, db: db}
			t.Run("it refuses what is old", d.refusesWhatIsOld)
			t.Run("in every order", d.inEveryOrder)
			t.Run("wrong statements are noticed", d.noticesWrongStatements)
			t.Run("failing operations", d.failingOperations)
			t.Run("under write-back", d.underWriteBack)
			t.Run("ledger", d.ledger)
		})
	}
}

type fenceDB struct {
	dialect fence.Dialect
	db      *sql.DB
	tables  atomic.Int64
}

func (d *fenceDB) exec(t *testing.T, query string) {
	t.Helper()
	if _, err := d.db.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// person is a value; row is what the table has of one.
type (
	person struct{ Name, Mail string }
	row    struct {
		person
		deleted    bool
		epoch, seq uint64
	}
	personOp = tarn.Op[int64, person]
	people   = fence.Writer[int64, person]
	config   = fence.Config[int64, person]
)

func (p person) values() []any {
	return []any{p.Name, sql.NullString{String: p.Mail, Valid: p.Mail != ""}}
}

// table makes a table that refuses the name "bad", and two rows with one mail.
func (d *fenceDB) table(t *testing.T) fence.Table {
	t.Helper()
	name := fmt.Sprintf("people%d", d.tables.Add(1))
	d.exec(t, "create table "+name+` (
		id bigint primary key, name varchar(64) not null default '', mail varchar(64) unique,
		deleted boolean not null default false, epoch bigint, seq bigint, check (name <> 'bad'))`)
	return fence.Table{Dialect: d.dialect, Name: name, Key: []string{"id"}, Values: []string{"name", "mail"}}
}

func (d *fenceDB) writer(s fence.Statements, change func(c *config)) *people {
	c := config{Statements: s, Values: person.values}
	if change != nil {
		change(&c)
	}
	return fence.New(d.db, c)
}

func (d *fenceDB) rows(t *testing.T, table fence.Table) map[int64]row {
	t.Helper()
	found, err := d.db.QueryContext(t.Context(),
		"select id, name, coalesce(mail, ''), deleted, coalesce(epoch, 0), coalesce(seq, 0) from "+table.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	rows := make(map[int64]row)
	for found.Next() {
		var id int64
		var r row
		if err := found.Scan(&id, &r.Name, &r.Mail, &r.deleted, &r.epoch, &r.seq); err != nil {
			t.Fatal(err)
		}
		rows[id] = r
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func (d *fenceDB) assertRows(t *testing.T, table fence.Table, want map[int64]row) {
	t.Helper()
	if got := d.rows(t, table); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the table has %v, not %v", got, want)
	}
}

func saved(epoch, seq uint64, name string) personOp {
	return personOp{Key: 1, Value: person{Name: name}, Epoch: epoch, Seq: seq}
}

func deleted(epoch, seq uint64) personOp {
	return personOp{Key: 1, Delete: true, Epoch: epoch, Seq: seq}
}

func (d *fenceDB) refusesWhatIsOld(t *testing.T) {
	for _, test := range []struct {
		rule    string
		sent    []personOp
		want    row
		refused uint64
	}{
		{"a later save replaces", []personOp{saved(7, 1, "a"), saved(7, 2, "b")}, row{person{Name: "b"}, false, 7, 2}, 0},
		{"an earlier save does not", []personOp{saved(7, 2, "b"), saved(7, 1, "a")}, row{person{Name: "b"}, false, 7, 2}, 1},
		{"nor one that is repeated", []personOp{saved(7, 2, "b"), saved(7, 2, "b")}, row{person{Name: "b"}, false, 7, 2}, 1},
		{"a save from before a delete brings nothing back", []personOp{saved(7, 1, "a"), deleted(7, 2), saved(7, 1, "a")},
			row{deleted: true, epoch: 7, seq: 2}, 1},
		{"also of a row that never was", []personOp{deleted(7, 2), saved(7, 1, "a")}, row{deleted: true, epoch: 7, seq: 2}, 1},
		{"a late delete deletes nothing", []personOp{saved(7, 3, "c"), deleted(7, 2)}, row{person{Name: "c"}, false, 7, 3}, 1},
		{"nor does one that is repeated", []personOp{deleted(7, 2), saved(7, 3, "c"), deleted(7, 2)},
			row{person{Name: "c"}, false, 7, 3}, 1},
		{"a later save ends a tombstone", []personOp{deleted(7, 2), saved(7, 3, "c")}, row{person{Name: "c"}, false, 7, 3}, 0},
		{"a new journal begins at one", []personOp{saved(7, 9, "i"), saved(3, 1, "n")}, row{person{Name: "n"}, false, 3, 1}, 0},
		{"over a tombstone, too", []personOp{deleted(7, 9), saved(8, 1, "n")}, row{person{Name: "n"}, false, 8, 1}, 0},
		{"and with a delete", []personOp{saved(7, 9, "i"), deleted(3, 1)}, row{deleted: true, epoch: 3, seq: 1}, 0},
		{"numbers are of 63 bits", []personOp{saved(1<<63-1, 1<<63-2, "a"), saved(1<<63-1, 1<<63-1, "b")},
			row{person{Name: "b"}, false, 1<<63 - 1, 1<<63 - 1}, 0},
	} {
		t.Run(test.rule, func(t *testing.T) {
			table := d.table(t)
			w := d.writer(table.Statements(), nil)
			for _, op := range test.sent {
				if err := w.Apply(t.Context(), []personOp{op}); err != nil {
					t.Fatal(err)
				}
			}
			d.assertRows(t, table, map[int64]row{1: test.want})
			want := fence.Stats{Applied: uint64(len(test.sent)) - test.refused, Refused: test.refused}
			if got := w.Stats(); got != want {
				t.Errorf("%+v, not %+v", got, want)
			}
		})
	}
	t.Run("rows from before there was a fence are replaced", func(t *testing.T) {
		table := d.table(t)
		d.exec(t, "insert into "+table.Name+" (id, name) values (1, 'old'), (2, 'old')")
		w := d.writer(table.Statements(), nil)
		second := deleted(7, 2)
		second.Key = 2
		if err := w.Apply(t.Context(), []personOp{saved(7, 1, "a"), second}); err != nil {
			t.Fatal(err)
		}
		d.assertRows(t, table, map[int64]row{1: {person{Name: "a"}, false, 7, 1}, 2: {deleted: true, epoch: 7, seq: 2}})
	})
}

// In whatever order the writes of a key arrive, and each twice, the last one stays. Without the fence that is not so,
// and the test would see it.
func (d *fenceDB) inEveryOrder(t *testing.T) {
	sent := []personOp{saved(7, 1, "a"), deleted(7, 2), saved(7, 3, "c"), deleted(7, 4)}
	table := d.table(t)
	wrong := func(ops []personOp, want row, s fence.Statements) (n int) {
		w := d.writer(s, func(c *config) { c.Untried = true })
		for order := range orders(len(ops)) {
			d.exec(t, "delete from "+table.Name)
			for _, i := range append(slices.Clone(order), order...) {
				if err := w.Apply(t.Context(), ops[i:i+1]); err != nil {
					t.Fatal(err)
				}
			}
			if got := d.rows(t, table); fmt.Sprint(got) != fmt.Sprint(map[int64]row{1: want}) {
				n++
			}
		}
		return n
	}
	for _, end := range []struct {
		ops  []personOp
		want row
	}{
		{sent[:3], row{person{Name: "c"}, false, 7, 3}},
		{sent, row{deleted: true, epoch: 7, seq: 4}},
	} {
		if n := wrong(end.ops, end.want, table.Statements()); n > 0 {
			t.Errorf("%d orders end in another write than the last", n)
		}
		if n := wrong(end.ops, end.want, unfenced(table.Statements())); n == 0 && d.dialect != fence.MySQL {
			t.Error("without the fence the test sees nothing")
		}
	}
}

// orders yields all orders of n things.
func orders(n int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		order := make([]int, 0, n)
		var extend func() bool
		extend = func() bool {
			if len(order) == n {
				return yield(order)
			}
			for i := range n {
				if slices.Contains(order, i) {
					continue
				}
				order = append(order, i)
				if !extend() {
					return false
				}
				order = order[:len(order)-1]
			}
			return true
		}
		extend()
	}
}

// unfenced takes the conditions away.
func unfenced(s fence.Statements) fence.Statements {
	s.Save, _, _ = strings.Cut(s.Save, " where ")
	s.Delete, _, _ = strings.Cut(s.Delete, " where ")
	return s
}

// Statements that are no fence are noticed, by the trial or by what they changed, and change nothing.
func (d *fenceDB) noticesWrongStatements(t *testing.T) {
	if d.dialect == fence.MySQL {
		t.Skip("its statements have another form")
	}
	for _, test := range []struct {
		rule  string
		wrong func(table fence.Table, s *fence.Statements)
		late  bool // noticed without the trial
		says  string
	}{
		{"a save without a condition", func(_ fence.Table, s *fence.Statements) { s.Save = unfenced(*s).Save },
			false, "does not refuse"},
		{"a delete without a condition", func(_ fence.Table, s *fence.Statements) { s.Delete = unfenced(*s).Delete },
			false, "does not refuse"},
		{"a repeated save that counts as later", func(_ fence.Table, s *fence.Statements) {
			s.Save = strings.Replace(s.Save, "prior.seq <", "prior.seq <=", 1)
		}, false, "does not refuse"},
		{"a save that knows no epochs", func(_ fence.Table, s *fence.Statements) {
			before, after, _ := strings.Cut(s.Save, " where ")
			_, after, _ = strings.Cut(after, " or ")
			s.Save = before + " where " + after
		}, false, "did not replace an older row"},
		{"a delete that leaves no tombstone", func(table fence.Table, s *fence.Statements) {
			s.Delete = "delete from " + table.Name + " where id = $1 and (epoch <> $2 or seq < $3)"
		}, false, "no tombstone"},
		{"numbers that are not written", func(_ fence.Table, s *fence.Statements) {
			s.Save = strings.Replace(s.Save, "seq = excluded.seq", "seq = prior.seq", 1)
		}, false, "does not tell the epoch and sequence"},
		{"a version of something else", func(table fence.Table, s *fence.Statements) {
			s.Version = "select 1, 1 from " + table.Name + " where id = $1"
		}, false, "does not tell the epoch and sequence"},
		{"an update that is no insert", func(table fence.Table, s *fence.Statements) {
			s.Save = "update " + table.Name + " set name = $2, mail = $3, epoch = $4, seq = $5 where id = $1"
		}, true, "no row of the key"},
		{"an update of all rows", func(table fence.Table, s *fence.Statements) {
			s.Save = "update " + table.Name + " set name = $2, mail = $3, epoch = $4 + 0 * $1, seq = $5"
		}, true, "it changed 2 rows"},
		{"a condition that refuses everything", func(_ fence.Table, s *fence.Statements) { s.Save += " and false" },
			true, "did not replace an older row"},
	} {
		for _, untried := range []bool{false, true} {
			if untried && !test.late {
				continue
			}
			t.Run(fmt.Sprintf("%s, untried %v", test.rule, untried), func(t *testing.T) {
				table := d.table(t)
				good := d.writer(table.Statements(), nil)
				other := saved(7, 1, "b")
				other.Key = 2
				third := saved(7, 1, "c")
				third.Key = 3
				if err := good.Apply(t.Context(), []personOp{other, third}); err != nil {
					t.Fatal(err)
				}
				s := table.Statements()
				test.wrong(table, &s)
				w := d.writer(s, func(c *config) { c.Untried = untried })
				op := saved(7, 5, "x")
				if strings.Contains(test.says, "older row") {
					op.Key = 2
				}
				before := d.rows(t, table)
				for range 2 {
					err := w.Apply(t.Context(), []personOp{op})
					if !errors.Is(err, fence.ErrUnfenced) || !strings.Contains(err.Error(), test.says) || tarn.IsPermanent(err) {
						t.Errorf("not ErrUnfenced with %q: %v", test.says, err)
					}
					d.assertRows(t, table, before)
				}
				if got := w.Stats(); got != (fence.Stats{}) {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

// An operation that the database refuses has an error of its own, and keeps no other from being written.
func (d *fenceDB) failingOperations(t *testing.T) {
	for _, test := range []struct {
		rule   string
		names  string // of the rows 1, 2, 3 …; "-" deletes, "m…" has a mail that row 100 has
		failed []int  // nil: all together
		rows   int
	}{
		{"one fails in the middle", "a b bad - e", []int{2}, 4},
		{"the first", "bad b c", []int{0}, 2},
		{"the last", "a b bad", []int{2}, 2},
		{"several", "bad b bad d bad f", []int{0, 2, 4}, 3},
		{"by a unique column", "a m b", []int{1}, 2},
		{"the only one", "bad", []int{0}, 0},
		{"all of two", "bad bad", []int{0, 1}, 0},
		{"the first three: whose fault it is, is not known", "bad bad bad d", nil, 0},
	} {
		t.Run(test.rule, func(t *testing.T) {
			table := d.table(t)
			w := d.writer(table.Statements(), func(c *config) {
				c.Permanent = func(err error) bool {
					said := strings.ToLower(err.Error())
					return strings.Contains(said, "constraint") && !strings.Contains(said, "unique")
				}
			})
			taken := personOp{Key: 100, Value: person{"taken", "m"}, Epoch: 7, Seq: 1}
			if err := w.Apply(t.Context(), []personOp{taken}); err != nil {
				t.Fatal(err)
			}
			var ops []personOp
			for i, name := range strings.Fields(test.names) {
				op := personOp{Key: int64(i + 1), Value: person{Name: name}, Delete: name == "-", Epoch: 7, Seq: uint64(i + 2)}
				if name == "m" {
					op.Value.Mail = "m"
				}
				ops = append(ops, op)
			}
			err := w.Apply(t.Context(), ops)
			var each tarn.IndexError
			if together := !errors.As(err, &each) && len(ops) > 1; together != (test.failed == nil) {
				t.Fatalf("failed together: %v: %v", together, err)
			}
			for i, op := range ops {
				at := tarn.ErrAt(err, i, len(ops))
				if fails := slices.Contains(test.failed, i) || test.failed == nil; fails != (at != nil) {
					t.Errorf("operation %d: %v", i, at)
				} else if permanent := op.Value.Name == "bad" && test.failed != nil; permanent != tarn.IsPermanent(at) {
					t.Errorf("operation %d: permanent %v: %v", i, !permanent, at)
				}
			}
			rows := d.rows(t, table)
			if want := (row{taken.Value, false, 7, 1}); len(rows) != test.rows+1 || rows[100] != want {
				t.Errorf("the table has %v", rows)
			}
			if got := w.Stats(); got.Applied != uint64(test.rows+1) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Write-back whose writer applies and says that it failed, and whose transactions run at once, ends with what was
// written last.
func (d *fenceDB) underWriteBack(t *testing.T) {
	table := d.table(t)
	w := d.writer(table.Statements(), nil)
	mem := memory.New(memory.Options[int64, person]{MaxEntries: 1000})
	defer mem.Close()
	find := tarn.LoadFunc(func(ctx context.Context, id int64) (p person, err error) {
		err = d.db.QueryRowContext(ctx, fmt.Sprintf("select name from %s where id = %d and not deleted", table.Name, id)).
			Scan(&p.Name)
		return p, err
	}, sql.ErrNoRows)
	c, err := strategies.WriteBack(strategies.ReadThrough(mem, find), &forgetful{people: w},
		strategies.WriteBackConfig[int64, person]{MaxDelay: time.Millisecond, MaxBatch: 20, MaxBackoff: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for g := range int64(4) {
		all.Go(func() {
			for i := range int64(200) {
				key := g*10 + i%10
				var err error
				if i%7 == 6 {
					err = c.Delete(t.Context(), key)
				} else {
					err = c.Set(t.Context(), key, person{Name: fmt.Sprint("v", i)})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	// What is replaced before it is tried again is not repeated. Of two that nobody replaces, one is.
	for range 2 {
		if err := c.Set(t.Context(), 1000, person{Name: "last"}); err != nil {
			t.Fatal(err)
		}
		for tries := 0; c.Flush(t.Context()) != nil && tries < 100; tries++ {
		}
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows := d.rows(t, table)
	for key := range int64(40) {
		i := 190 + key%10
		want := person{Name: fmt.Sprint("v", i)}
		if i%7 == 6 {
			want = person{}
		}
		if got := rows[key]; got.person != want || got.deleted != (i%7 == 6) {
			t.Errorf("row %d is %v, not %v", key, got, want)
		}
	}
	if w.Stats().Refused == 0 {
		t.Error("nothing was repeated")
	}
}

// forgetful applies a batch, and says of every second one that it does not know.
type forgetful struct {
	*people
	n atomic.Int64
}

func (f *forgetful) Apply(ctx context.Context, ops []personOp) error {
	err := f.people.Apply(ctx, ops)
	if err == nil && f.n.Add(1)%2 == 0 {
		return errors.New("the connection was lost before the answer came")
	}
	return err
}

func (d *fenceDB) ledger(t *testing.T) {
	d.exec(t, "create table sums (id bigint primary key, n bigint not null)")
	d.exec(t, "insert into sums values (1, 0)")
	ledger := fence.NewLedger(d.dialect, "batches")
	d.exec(t, ledger.Schema())
	d.exec(t, ledger.Schema()) // which changes nothing
	add := func(n int, fails error) func(tx *sql.Tx) error {
		return func(tx *sql.Tx) error {
			_, err := tx.Exec(fmt.Sprintf("update sums set n = n + %d where id = 1", n))
			return errors.Join(err, fails)
		}
	}
	full := errors.New("the disk is full")
	for _, step := range []struct {
		rule     string
		batch    fence.Batch
		fails    error
		sum      int // afterwards
		recorded int
	}{
		{"a batch counts", fence.Batch{Epoch: 7, Seq: 1}, nil, 1, 1},
		{"not twice", fence.Batch{Epoch: 7, Seq: 1}, nil, 1, 1},
		{"one that failed is not recorded", fence.Batch{Epoch: 7, Seq: 2}, full, 1, 1},
		{"and counts when it comes again", fence.Batch{Epoch: 7, Seq: 2}, nil, 2, 2},
		{"one that overtook", fence.Batch{Epoch: 7, Seq: 9}, nil, 3, 3},
		{"does not shadow those before it", fence.Batch{Epoch: 7, Seq: 5}, nil, 4, 4},
		{"another journal counts by itself", fence.Batch{Epoch: 8, Seq: 1}, nil, 5, 5},
		{"what is settled is forgotten", fence.Batch{Epoch: 7, Seq: 10, Settled: 5}, nil, 6, 4},
		{"and is not applied again", fence.Batch{Epoch: 7, Seq: 1}, nil, 6, 4},
		{"not even what never came", fence.Batch{Epoch: 7, Seq: 4}, nil, 6, 4},
		{"but another journal's is", fence.Batch{Epoch: 8, Seq: 2}, nil, 7, 5},
		{"a later batch may settle less", fence.Batch{Epoch: 7, Seq: 20, Settled: 3}, nil, 8, 6},
		{"what is settled stays so", fence.Batch{Epoch: 7, Seq: 4}, nil, 8, 6},
		{"nothing is forgotten by one that fails", fence.Batch{Epoch: 7, Seq: 11, Settled: 10}, full, 8, 6},
		{"nor by one that was applied", fence.Batch{Epoch: 7, Seq: 9, Settled: 9}, nil, 8, 6},
		{"a batch may be the first that is not settled", fence.Batch{Epoch: 7, Seq: 21, Settled: 21}, nil, 9, 3},
		{"numbers are of 63 bits", fence.Batch{Epoch: 1<<63 - 1, Seq: 1<<63 - 1, Settled: 1<<63 - 1}, nil, 10, 4},
	} {
		if err := ledger.Do(t.Context(), d.db, step.batch, add(1, step.fails)); !errors.Is(err, step.fails) {
			t.Errorf("%s: %v", step.rule, err)
		}
		if sum := d.number(t, "select n from sums"); sum != step.sum {
			t.Errorf("%s: the sum is %d, not %d", step.rule, sum, step.sum)
		}
		if n := d.number(t, "select count(*) from batches"); n != step.recorded {
			t.Errorf("%s: the ledger has %d batches, not %d", step.rule, n, step.recorded)
		}
	}
	t.Run("an attempt that waits while its batch is forgotten does not count", func(t *testing.T) {
		for _, batch := range []fence.Batch{{Epoch: 10, Seq: 1}, {Epoch: 10, Seq: 2}} {
			if err := ledger.Do(t.Context(), d.db, batch, add(1, nil)); err != nil {
				t.Fatal(err)
			}
		}
		before := d.number(t, "select n from sums")
		late := make(chan error)
		err := ledger.Do(t.Context(), d.db, fence.Batch{Epoch: 10, Seq: 3, Settled: 3}, func(tx *sql.Tx) error {
			go func() { late <- ledger.Do(t.Context(), d.db, fence.Batch{Epoch: 10, Seq: 1}, add(100, nil)) }()
			time.Sleep(50 * time.Millisecond) // until the other waits for this transaction
			return add(1, nil)(tx)
		})
		if err := errors.Join(err, <-late); err != nil {
			t.Error(err)
		}
		if sum := d.number(t, "select n from sums"); sum != before+1 {
			t.Errorf("the sum is %d, not %d", sum, before+1)
		}
	})
	t.Run("a batch that is sent many times at once counts once", func(t *testing.T) {
		before := d.number(t, "select n from sums")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := ledger.Do(t.Context(), d.db, fence.Batch{Epoch: 9, Seq: 1}, add(100, nil)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if sum := d.number(t, "select n from sums"); sum != before+100 {
			t.Errorf("the sum is %d, not %d", sum, before+100)
		}
	})
}

func (d *fenceDB) number(t *testing.T, query string) (n int) {
	t.Helper()
	if err := d.db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
