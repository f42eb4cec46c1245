package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Product is a row of the catalogue.
type Product struct {
	ID      int64  `db:"id" json:"id"`
	Name    string `db:"name" json:"name"`
	Cents   int64  `db:"cents" json:"cents"` // the price
	Version int64  `db:"version" json:"version"`
}

// Products is the repository of the products: it knows the database and nothing of caches.
type Products struct {
	db *pgxpool.Pool
}

// Find returns one product, or pgx.ErrNoRows.
func (p *Products) Find(ctx context.Context, id int64) (Product, error) {
	rows, err := p.db.Query(ctx, `SELECT id, name, cents, version FROM products WHERE id = $1`, id)
	if err != nil {
		return Product{}, fmt.Errorf("find a product: %w", err)
	}
	product, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Product])
	if err != nil {
		return Product{}, fmt.Errorf("find a product: %w", err)
	}
	return product, nil
}

// FindMany returns those of the products that exist, in one query.
func (p *Products) FindMany(ctx context.Context, ids []int64) (map[int64]Product, error) {
	rows, err := p.db.Query(ctx, `SELECT id, name, cents, version FROM products WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("find products: %w", err)
	}
	products, err := pgx.CollectRows(rows, pgx.RowToStructByName[Product])
	if err != nil {
		return nil, fmt.Errorf("find products: %w", err)
	}
	found := make(map[int64]Product, len(products))
	for _, product := range products {
		found[product.ID] = product
	}
	return found, nil
}

// Save inserts or updates one product.
func (p *Products) Save(ctx context.Context, product Product) error {
	_, err := p.db.Exec(ctx, `INSERT INTO products (id, name, cents, version) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, cents = excluded.cents, version = excluded.version`,
		product.ID, product.Name, product.Cents, product.Version)
	if err != nil {
		return fmt.Errorf("save a product: %w", err)
	}
	return nil
}

// Remove deletes one product, if it exists.
func (p *Products) Remove(ctx context.Context, id int64) error {
	if _, err := p.db.Exec(ctx, `DELETE FROM products WHERE id = $1`, id); err != nil {
		return fmt.Errorf("remove a product: %w", err)
	}
	return nil
}
