package main

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

// The race that the check is there for: a reader loads the old value, a writer writes and invalidates, and then the
// reader fills the cache. Without the lease the old value stays, and the check must see it.
func TestCheckSeesABlindFill(t *testing.T) {
	for _, test := range []struct {
		rule    string
		options []strategies.ReadOption
		stale   bool
	}{
		{"with leases no stale value is kept", nil, false},
		{"without leases one is, and the check sees it", []strategies.ReadOption{strategies.WithBlindFills()}, true},
	} {
		t.Run(test.rule, func(t *testing.T) {
			ctx := t.Context()
			repo := openTestProducts(t, 1)
			loaded, resume := make(chan struct{}), make(chan struct{})
			var first sync.Once
			find := tarn.LoadFunc(func(ctx context.Context, id int64) (Product, error) {
				p, err := repo.Find(ctx, id)
				first.Do(func() {
					close(loaded)
					<-resume
				})
				return p, err
			}, sql.ErrNoRows)
			mem := memory.New(memory.Options[int64, Product]{MaxEntries: 10})
			defer mem.Close()
			products := strategies.ReadThrough(mem, find, test.options...)
			defer products.Close(ctx)
			v := newVersions(1)
			get := func() (Product, error) { return products.Get(ctx, 1) }

			slow := make(chan bool)
			go func() {
				stale, err := v.read(1, get)
				slow <- stale || err != nil
			}()
			<-loaded
			err := v.write(1, func(p Product) error {
				if err := repo.Save(ctx, p); err != nil {
					return err
				}
				return products.Delete(ctx, p.ID)
			})
			if err != nil {
				t.Fatal(err)
			}
			close(resume)
			if <-slow {
				t.Error("the read that began before the write may return the old value")
			}
			stale, err := v.read(1, get)
			if err != nil || stale != test.stale {
				t.Errorf("stale: %v (%v), want %v", stale, err, test.stale)
			}
		})
	}
}

func TestWrongRows(t *testing.T) {
	for _, test := range []struct {
		rule  string
		spoil func(repo *source, v versions) error
		wrong int
	}{
		{"untouched rows are right", func(*source, versions) error { return nil }, 0},
		{"a row that is missing is wrong", func(repo *source, _ versions) error {
			return repo.Remove(context.Background(), 2)
		}, 1},
		{"a row of an older version is wrong", func(_ *source, v versions) error {
			return v.write(2, func(Product) error { return nil })
		}, 1},
		{"a row of a version never acknowledged is wrong", func(repo *source, _ versions) error {
			return repo.Save(context.Background(), productAt(2, 7))
		}, 1},
		{"the right version with another value is wrong", func(repo *source, _ versions) error {
			p := productAt(2, 1)
			p.Cents++
			return repo.Save(context.Background(), p)
		}, 1},
	} {
		t.Run(test.rule, func(t *testing.T) {
			repo, v := openTestProducts(t, 3), newVersions(3)
			if err := test.spoil(repo, v); err != nil {
				t.Fatal(err)
			}
			if wrong, err := v.wrongRows(t.Context(), repo.Products); err != nil || wrong != test.wrong {
				t.Errorf("%d wrong rows (%v), want %d", wrong, err, test.wrong)
			}
		})
	}
}

// openTestProducts returns a repository of the products 1 to n, each in its first version.
func openTestProducts(t *testing.T, n int) *source {
	products, err := OpenProducts(t.Context(), filepath.Join(t.TempDir(), "products.db"), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := products.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := fill(t.Context(), products, n); err != nil {
		t.Fatal(err)
	}
	return &source{Products: products}
}
