package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// versions knows, for every product, the last version whose write was acknowledged. It is the judge: no read that
// begins later may return an older one, and in the end the database has that very one.
type versions []struct {
	writing sync.Mutex   // held while the product is written: its versions are written one after the other
	last    atomic.Int64 // the last one acknowledged
}

// newVersions returns the versions of the products 1 to n, of which the database has the first version.
func newVersions(n int) versions {
	v := make(versions, n)
	for i := range v {
		v[i].last.Store(1)
	}
	return v
}

// read lets find read a product, and reports whether what it found is older than a write that was acknowledged
// before find began.
func (v versions) read(id int64, find func() (Product, error)) (stale bool, err error) {
	acknowledged := v[id-1].last.Load()
	p, err := find()
	if err != nil {
		return false, err
	}
	if p.ID != id {
		return false, errors.New("the answer is another product")
	}
	return p.Version < acknowledged, nil
}

// write lets save write the next version of a product. It is acknowledged if save returns nil.
func (v versions) write(id int64, save func(Product) error) error {
	key := &v[id-1]
	key.writing.Lock()
	defer key.writing.Unlock()
	next := key.last.Load() + 1
	if err := save(productAt(id, next)); err != nil {
		return err
	}
	key.last.Store(next)
	return nil
}

// wrongRows counts the products of which the database does not have the last value that was acknowledged.
func (v versions) wrongRows(ctx context.Context, products *Products) (int, error) {
	right := 0
	err := products.All(ctx, func(p Product) {
		if p.ID >= 1 && p.ID <= int64(len(v)) && p == productAt(p.ID, v[p.ID-1].last.Load()) {
			right++
		}
	})
	if err != nil {
		return 0, fmt.Errorf("compare the rows: %w", err)
	}
	return len(v) - right, nil
}

// productAt returns a product as it is in one of its versions, so that no copy of what was written is needed.
func productAt(id, version int64) Product {
	return Product{
		ID:      id,
		Name:    fmt.Sprintf("Product %d", id),
		Cents:   100 + (id*37+version*13)%100_000,
		Stock:   (id + version*7) % 1000,
		Version: version,
	}
}
