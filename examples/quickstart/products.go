package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// Product is a row of the catalogue.
type Product struct {
	ID      int64
	Name    string
	Cents   int64 // the price
	Stock   int64
	Version int64 // grows by one with each change
}

// ErrOutdated says that the database has a newer version of the product than the one to be saved.
var ErrOutdated = errors.New("the database has a newer version of the product")

// Products is the repository of the products: it knows the database and nothing of caches.
//
// SQLite has any number of readers beside one writer. So there are two pools: writers queue in Go for the only
// connection that writes, rather than in SQLite, where they would sleep and try again.
type Products struct {
	reads  *sql.DB
	writes *sql.DB
	find   *sql.Stmt // of reads
	save   *sql.Stmt // of writes
}

const schema = `CREATE TABLE products (
	id      INTEGER PRIMARY KEY,
	name    TEXT    NOT NULL,
	cents   INTEGER NOT NULL,
	stock   INTEGER NOT NULL,
	version INTEGER NOT NULL
)`

// OpenProducts creates the database file and its table.
func OpenProducts(ctx context.Context, file string, readers int) (*Products, error) {
	dsn := url.URL{
		Scheme:   "file",
		OmitHost: true,
		Path:     filepath.ToSlash(file),
		RawQuery: url.Values{
			"_pragma": {"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(5000)"},
			"_txlock": {"immediate"},
		}.Encode(),
	}
	p := new(Products)
	if err := p.open(ctx, dsn.String(), readers); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), p.Close())
	}
	return p, nil
}

func (p *Products) open(ctx context.Context, dsn string, readers int) (err error) {
	if p.writes, err = openPool(dsn, 1); err != nil {
		return err
	}
	if _, err = p.writes.ExecContext(ctx, schema); err != nil {
		return err
	}
	if p.save, err = p.writes.PrepareContext(ctx, upsert); err != nil {
		return err
	}
	if p.reads, err = openPool(dsn, readers); err != nil {
		return err
	}
	p.find, err = p.reads.PrepareContext(ctx, `SELECT id, name, cents, stock, version FROM products WHERE id = ?`)
	return err
}

func openPool(dsn string, connections int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Close closes the database.
func (p *Products) Close() error {
	var errs []error
	for _, db := range []*sql.DB{p.reads, p.writes} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Find returns one product, or sql.ErrNoRows.
func (p *Products) Find(ctx context.Context, id int64) (Product, error) {
	product, err := scanProduct(p.find.QueryRowContext(ctx, id).Scan)
	if err != nil {
		return Product{}, fmt.Errorf("find a product: %w", err)
	}
	return product, nil
}

// FindMany returns those of the products that exist.
func (p *Products) FindMany(ctx context.Context, ids []int64) (map[int64]Product, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	marks := strings.Repeat(", ?", len(ids))[2:]
	found := make(map[int64]Product, len(ids))
	err := p.each(ctx, func(product Product) { found[product.ID] = product },
		`SELECT id, name, cents, stock, version FROM products WHERE id IN (`+marks+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("find products: %w", err)
	}
	return found, nil
}

// All calls f for every product.
func (p *Products) All(ctx context.Context, f func(Product)) error {
	if err := p.each(ctx, f, `SELECT id, name, cents, stock, version FROM products`); err != nil {
		return fmt.Errorf("list the products: %w", err)
	}
	return nil
}

func (p *Products) each(ctx context.Context, f func(Product), query string, args ...any) error {
	rows, err := p.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		product, err := scanProduct(rows.Scan)
		if err != nil {
			return err
		}
		f(product)
	}
	return rows.Err()
}

func scanProduct(scan func(...any) error) (p Product, err error) {
	err = scan(&p.ID, &p.Name, &p.Cents, &p.Stock, &p.Version)
	return p, err
}

// The last line keeps a late repeat of an older write from undoing a newer one.
const upsert = `INSERT INTO products (id, name, cents, stock, version) VALUES (?, ?, ?, ?, ?)
	ON CONFLICT (id) DO UPDATE
	SET name = excluded.name, cents = excluded.cents, stock = excluded.stock, version = excluded.version
	WHERE excluded.version >= products.version`

// Save inserts or updates one product. Saving it once more changes nothing; it is ErrOutdated if the database has
// a newer version.
func (p *Products) Save(ctx context.Context, product Product) error {
	result, err := p.save.ExecContext(ctx, upsertArgs(product)...)
	if err = saved(result, err); err != nil {
		return fmt.Errorf("save a product: %w", err)
	}
	return nil
}

// SaveMany saves all of the products, or none, in one transaction.
func (p *Products) SaveMany(ctx context.Context, products []Product) (err error) {
	tx, err := p.writes.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("save products: %w", err)
	}
	defer tx.Rollback() // does nothing once the transaction is committed
	save := tx.StmtContext(ctx, p.save)
	for _, product := range products {
		result, err := save.ExecContext(ctx, upsertArgs(product)...)
		if err = saved(result, err); err != nil {
			return fmt.Errorf("save products: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("save products: %w", err)
	}
	return nil
}

func upsertArgs(p Product) []any {
	return []any{p.ID, p.Name, p.Cents, p.Stock, p.Version}
}

func saved(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	rows, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if rows == 0 {
		return ErrOutdated
	}
	return nil
}

// Remove deletes one product, if it exists.
func (p *Products) Remove(ctx context.Context, id int64) error {
	if _, err := p.writes.ExecContext(ctx, `DELETE FROM products WHERE id = ?`, id); err != nil {
		return fmt.Errorf("remove a product: %w", err)
	}
	return nil
}
