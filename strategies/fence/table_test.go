package fence_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn/strategies/fence"
)

func TestStatements(t *testing.T) {
	table := fence.Table{Name: "shop.stock", Key: []string{"shop", "item"}, Values: []string{"n", `"Left"`}, Seq: "no"}
	for _, test := range []struct {
		dialect fence.Dialect
		want    fence.Statements
	}{
		{fence.Postgres, fence.Statements{
			Save: `insert into shop.stock as prior (shop, item, n, "Left", deleted, epoch, no) ` +
				`values ($1, $2, $3, $4, false, $5, $6) on conflict (shop, item) do update set ` +
				`n = excluded.n, "Left" = excluded."Left", deleted = excluded.deleted, epoch = excluded.epoch, no = excluded.no ` +
				`where prior.epoch is distinct from excluded.epoch or prior.no < excluded.no`,
			Delete: `insert into shop.stock as prior (shop, item, deleted, epoch, no) ` +
				`values ($1, $2, true, $3, $4) on conflict (shop, item) do update set ` +
				`n = excluded.n, "Left" = excluded."Left", deleted = excluded.deleted, epoch = excluded.epoch, no = excluded.no ` +
				`where prior.epoch is distinct from excluded.epoch or prior.no < excluded.no`,
			Version: `select epoch, no from shop.stock where shop = $1 and item = $2`,
		}},
		{fence.SQLite, fence.Statements{
			Save: `insert into shop.stock as prior (shop, item, n, "Left", deleted, epoch, no) ` +
				`values (?, ?, ?, ?, false, ?, ?) on conflict (shop, item) do update set ` +
				`n = excluded.n, "Left" = excluded."Left", deleted = excluded.deleted, epoch = excluded.epoch, no = excluded.no ` +
				`where prior.epoch is not excluded.epoch or prior.no < excluded.no`,
			Delete: `insert into shop.stock as prior (shop, item, deleted, epoch, no) ` +
				`values (?, ?, true, ?, ?) on conflict (shop, item) do update set ` +
				`n = excluded.n, "Left" = excluded."Left", deleted = excluded.deleted, epoch = excluded.epoch, no = excluded.no ` +
				`where prior.epoch is not excluded.epoch or prior.no < excluded.no`,
			Version: `select epoch, no from shop.stock where shop = ? and item = ?`,
		}},
		{fence.MySQL, fence.Statements{
			Save: `insert into shop.stock (shop, item, n, "Left", deleted, epoch, no) values (?, ?, ?, ?, false, ?, ?) ` +
				`on duplicate key update ` +
				`n = if(not (epoch <=> values(epoch)) or no < values(no), values(n), n), ` +
				`"Left" = if(not (epoch <=> values(epoch)) or no < values(no), values("Left"), "Left"), ` +
				`deleted = if(not (epoch <=> values(epoch)) or no < values(no), values(deleted), deleted), ` +
				`no = if(not (epoch <=> values(epoch)) or no < values(no), values(no), no), epoch = values(epoch)`,
			Delete: `insert into shop.stock (shop, item, deleted, epoch, no) values (?, ?, true, ?, ?) ` +
				`on duplicate key update ` +
				`n = if(not (epoch <=> values(epoch)) or no < values(no), values(n), n), ` +
				`"Left" = if(not (epoch <=> values(epoch)) or no < values(no), values("Left"), "Left"), ` +
				`deleted = if(not (epoch <=> values(epoch)) or no < values(no), values(deleted), deleted), ` +
				`no = if(not (epoch <=> values(epoch)) or no < values(no), values(no), no), epoch = values(epoch)`,
			Version: `select epoch, no from shop.stock where shop = ? and item = ? for update`,
			Twice:   true,
		}},
	} {
		table.Dialect = test.dialect
		require.Equal(t, test.want, table.Statements())
	}
}

// Names are the program's, and a mistake in one is told where it is made.
func TestTablePanics(t *testing.T) {
	for _, test := range []struct {
		field string
		spoil func(t *fence.Table)
	}{
		{"Table.Dialect", func(t *fence.Table) { t.Dialect = 0 }},
		{"Table.Dialect", func(t *fence.Table) { t.Dialect = fence.MySQL + 1 }},
		{"Table.Name", func(t *fence.Table) { t.Name = "" }},
		{"Table.Name", func(t *fence.Table) { t.Name = "users; drop table users" }},
		{"Table.Name", func(t *fence.Table) { t.Name = "a.b.c" }},
		{"Table.Name", func(t *fence.Table) { t.Name = "users\n" }},
		{"Table.Key", func(t *fence.Table) { t.Key = nil }},
		{"Table.Key", func(t *fence.Table) { t.Key = []string{"id", "id"} }},
		{"Table.Key", func(t *fence.Table) { t.Key = []string{"1d"} }},
		{"Table.Values", func(t *fence.Table) { t.Values = []string{"name, mail"} }},
		{"Table.Values", func(t *fence.Table) { t.Values = []string{`"na"me"`} }},
		{"Table.Values", func(t *fence.Table) { t.Values = []string{"id"} }},
		{"Table.Values", func(t *fence.Table) { t.Values = []string{""} }},
		{"Table.Seq", func(t *fence.Table) { t.Values = []string{"seq"} }},
		{"Table.Epoch", func(t *fence.Table) { t.Epoch = "e-poch" }},
		{"Table.Deleted", func(t *fence.Table) { t.Deleted = "name" }},
	} {
		table := usersTable
		test.spoil(&table)
		require.Contains(t, panicOf(func() { table.Statements() }), test.field)
	}
}
