package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Product is what the shop sells.
type Product struct {
	ID    int64
	Name  string
	Cents int64
}

var (
	errNoProduct = errors.New("no such product")
	errBusy      = errors.New("the database is busy")
)

// Which products there are, which of them are always in trouble, and how long a query takes.
const (
	lastProduct = 60
	busyProduct = 13
	queryTime   = 3 * time.Millisecond
)

// repository stands for one over a database, of which it has the time that it takes and its bad days.
type repository struct{}

func (repository) Find(ctx context.Context, id int64) (Product, error) {
	select {
	case <-time.After(queryTime):
	case <-ctx.Done():
		return Product{}, ctx.Err()
	}
	switch {
	case id == busyProduct:
		return Product{}, errBusy
	case id < 1 || id > lastProduct:
		return Product{}, errNoProduct
	}
	return Product{id, fmt.Sprintf("Product %d", id), id*100 - 1}, nil
}
