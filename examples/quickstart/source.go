package main

import (
	"context"
	"sync/atomic"

	"github.com/tarncache/tarn"
)

// source is the repository as the caches and the bare runs see it: it counts what gets through to the database.
type source struct {
	*Products
	rowsRead     atomic.Int64
	rowsWritten  atomic.Int64
	transactions atomic.Int64 // those that wrote
}

func (s *source) Find(ctx context.Context, id int64) (Product, error) {
	s.rowsRead.Add(1)
	return s.Products.Find(ctx, id)
}

func (s *source) FindMany(ctx context.Context, ids []int64) (map[int64]Product, error) {
	s.rowsRead.Add(int64(len(ids)))
	return s.Products.FindMany(ctx, ids)
}

func (s *source) Save(ctx context.Context, p Product) error {
	s.wrote(1)
	return s.Products.Save(ctx, p)
}

func (s *source) SaveMany(ctx context.Context, products []Product) error {
	s.wrote(len(products))
	return s.Products.SaveMany(ctx, products)
}

func (s *source) Remove(ctx context.Context, id int64) error {
	s.wrote(1)
	return s.Products.Remove(ctx, id)
}

// wrote counts one transaction; a statement on its own is one too.
func (s *source) wrote(rows int) {
	s.rowsWritten.Add(int64(rows))
	s.transactions.Add(1)
}

// Apply is how the repository writes what write-back has gathered: what is to be saved in one transaction.
func (s *source) Apply(ctx context.Context, ops []tarn.Op[int64, Product]) error {
	saves := make([]Product, 0, len(ops))
	for _, op := range ops {
		if !op.Delete {
			saves = append(saves, op.Value)
		} else if err := s.Remove(ctx, op.Key); err != nil {
			return err
		}
	}
	if len(saves) == 0 {
		return nil
	}
	return s.SaveMany(ctx, saves)
}
