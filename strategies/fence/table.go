package fence

import (
	"fmt"
	"regexp"
	"strings"
)

// Dialect is the SQL of one kind of database.
type Dialect uint8

const (
	// Postgres is PostgreSQL 9.5 or later, and what understands its upsert.
	Postgres Dialect = iota + 1

	// SQLite is SQLite 3.24 or later. Open it with a busy timeout, and so that transactions begin immediate.
	SQLite

	// MySQL is MySQL 5.7 or later, and MariaDB. The connection must count the rows that were changed, and not those
	// that were found, as it does unless told otherwise (clientFoundRows of go-sql-driver/mysql stays false).
	MySQL
)

// Table describes a table that is written through a fence. Beside its key and its values it has three columns for that:
//
//	create table users (
//		id bigint primary key,
//		name text not null default '',                       -- has a default, or may be null: a tombstone has no name
//		deleted boolean not null default false,
//		epoch bigint not null default 0,
//		seq bigint not null default 0
//	)
//
// Names are written into statements as they are, so they are the program's own and never input. Each is letters,
// digits and underscores, or is quoted already; Name may begin with a schema and a dot.
type Table struct {
	Dialect Dialect
	Name    string
	Key     []string // the columns of a primary key, or of a unique constraint that no null escapes
	Values  []string // the columns of a value; each may be null or has a default, which a tombstone gets

	// Deleted, Epoch and Seq are the fence's own columns: a boolean, and two of 64 bits, of which a null counts as
	// never written. Empty: "deleted", "epoch" and "seq".
	Deleted, Epoch, Seq string
}

// Statements returns the statements of the table, whose arguments are as [Statements] says. It panics if the table
// makes no sense.
func (t Table) Statements() Statements {
	t = t.withDefaults()
	t.validate()
	s := Statements{Save: t.upsert(t.Values, "false"), Delete: t.upsert(nil, "true"), Version: t.version()}
	s.Twice = t.Dialect == MySQL
	return s
}

func (t Table) withDefaults() Table {
	for _, name := range []struct {
		of           *string
		byConvention string
	}{{&t.Deleted, "deleted"}, {&t.Epoch, "epoch"}, {&t.Seq, "seq"}} {
		if *name.of == "" {
			*name.of = name.byConvention
		}
	}
	return t
}

// name is an identifier, quoted or not.
const name = "(?:[A-Za-z_][A-Za-z0-9_]*|\"[^\"\\x00]+\"|`[^`\\x00]+`)"

var (
	columnName = regexp.MustCompile(`^` + name + `$`)
	tableName  = regexp.MustCompile(`^(?:` + name + `\.)?` + name + `$`)
)

// validate panics with the field that makes no sense.
func (t Table) validate() {
	t.Dialect.validate("Table.Dialect")
	validTable("Table.Name", t.Name)
	if len(t.Key) == 0 {
		panic("fence: Table.Key is empty")
	}
	seen := make(map[string]bool)
	for _, columns := range []struct {
		field string
		names []string
	}{
		{"Key", t.Key}, {"Values", t.Values}, {"Deleted", []string{t.Deleted}}, {"Epoch", []string{t.Epoch}},
		{"Seq", []string{t.Seq}},
	} {
		for _, column := range columns.names {
			if !columnName.MatchString(column) {
				panic(fmt.Sprintf("fence: Table.%s is no identifier: %q", columns.field, column))
			}
			if seen[column] {
				panic(fmt.Sprintf("fence: Table.%s names a column twice: %q", columns.field, column))
			}
			seen[column] = true
		}
	}
}

func (d Dialect) validate(field string) {
	if d < Postgres || d > MySQL {
		panic(fmt.Sprintf("fence: %s is unknown: %d", field, d))
	}
}

func validTable(field, table string) {
	if !tableName.MatchString(table) {
		panic(fmt.Sprintf("fence: %s is no identifier: %q", field, table))
	}
}

// mark returns the placeholder of the n-th argument, from 1 on.
func (d Dialect) mark(n int) string {
	if d == Postgres {
		return fmt.Sprintf("$%d", n)
	}
	return "?"
}

// upsert returns the statement that inserts or replaces a row with its key, these values, and its fence.
func (t Table) upsert(values []string, deleted string) string {
	columns := append(append([]string{}, t.Key...), values...)
	marks := make([]string, 0, len(columns)+3)
	for range columns {
		marks = append(marks, t.Dialect.mark(len(marks)+1))
	}
	n := len(columns)
	marks = append(marks, deleted, t.Dialect.mark(n+1), t.Dialect.mark(n+2))
	columns = append(columns, t.Deleted, t.Epoch, t.Seq)
	into := t.Name
	if t.Dialect != MySQL {
		into += " as prior"
	}
	return fmt.Sprintf("insert into %s (%s) values (%s) %s",
		into, strings.Join(columns, ", "), strings.Join(marks, ", "), t.replace())
}

// replace returns the part of an upsert that replaces a row, all columns that are not inserted included, if the new
// one is the later.
func (t Table) replace() string {
	if t.Dialect == MySQL {
		return t.replaceMySQL()
	}
	differs := "is distinct from"
	if t.Dialect == SQLite {
		differs = "is not" // the other is known from 3.39 on
	}
	var set []string
	for _, column := range append(append([]string{}, t.Values...), t.Deleted, t.Epoch, t.Seq) {
		set = append(set, column+" = excluded."+column)
	}
	return fmt.Sprintf("on conflict (%s) do update set %s where prior.%s %s excluded.%s or prior.%s < excluded.%s",
		strings.Join(t.Key, ", "), strings.Join(set, ", "), t.Epoch, differs, t.Epoch, t.Seq, t.Seq)
}

// replaceMySQL does without a condition for the row, which MySQL does not have: each column has its own. They are set
// from left to right, and see what was set before; so the numbers come last. If the epochs differ, the new one is set
// anyhow.
func (t Table) replaceMySQL() string {
	later := fmt.Sprintf("not (%s <=> values(%s)) or %s < values(%s)", t.Epoch, t.Epoch, t.Seq, t.Seq)
	var set []string
	for _, column := range append(append([]string{}, t.Values...), t.Deleted, t.Seq) {
		set = append(set, fmt.Sprintf("%s = if(%s, values(%s), %s)", column, later, column, column))
	}
	set = append(set, fmt.Sprintf("%s = values(%s)", t.Epoch, t.Epoch))
	return "on duplicate key update " + strings.Join(set, ", ")
}

// version returns the query for the numbers of a row. In MySQL it has to ask for a lock to see the row as it is now.
func (t Table) version() string {
	where := make([]string, len(t.Key))
	for i, column := range t.Key {
		where[i] = column + " = " + t.Dialect.mark(i+1)
	}
	query := fmt.Sprintf("select %s, %s from %s where %s", t.Epoch, t.Seq, t.Name, strings.Join(where, " and "))
	if t.Dialect == MySQL {
		query += " for update"
	}
	return query
}
