package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// products is how many there are.
const products = 1000

// database is the schema that the example works in.
type database struct {
	admin  *pgxpool.Pool
	config *pgxpool.Config // with which connections work in the schema
	schema string
}

// createProducts makes a schema, a table in it, and the products 1 to 1,000, each in its first version.
func createProducts(ctx context.Context, dsn string) (*database, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("-postgres: %w", err)
	}
	d := &database{config: config, schema: "tarn_example_" + strings.ToLower(rand.Text())}
	config.ConnConfig.RuntimeParams["search_path"] = d.schema
	if d.admin, err = pgxpool.NewWithConfig(ctx, config.Copy()); err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	err = pgx.BeginFunc(ctx, d.admin, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`CREATE SCHEMA ` + d.schema,
			`CREATE TABLE products (
				id      bigint PRIMARY KEY,
				name    text   NOT NULL,
				cents   bigint NOT NULL,
				version bigint NOT NULL
			)`,
			fmt.Sprintf(`INSERT INTO products
				SELECT id, 'Product ' || id, 100 + id, 1 FROM generate_series(1, %d) AS id`, products),
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.admin.Close()
		return nil, fmt.Errorf("create the products: %w", err)
	}
	return d, nil
}

// drop removes the schema and closes the connections.
func (d *database) drop(ctx context.Context) error {
	defer d.admin.Close()
	if _, err := d.admin.Exec(ctx, `DROP SCHEMA `+d.schema+` CASCADE`); err != nil {
		return fmt.Errorf("remove the products: %w", err)
	}
	return nil
}
