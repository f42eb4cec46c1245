package main

import (
	"database/sql"
	"errors"
	"testing"
)

func TestProducts(t *testing.T) {
	ctx := t.Context()
	repo := openTestProducts(t, 3)

	if p, err := repo.Find(ctx, 2); err != nil || p != productAt(2, 1) {
		t.Errorf("Find: %v, %v", p, err)
	}
	if _, err := repo.Find(ctx, 99); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("Find of what is not there: %v", err)
	}
	if found, err := repo.FindMany(ctx, []int64{1, 3, 99}); err != nil ||
		len(found) != 2 || found[1] != productAt(1, 1) || found[3] != productAt(3, 1) {
		t.Errorf("FindMany: %v, %v", found, err)
	}
	if err := repo.Save(ctx, productAt(2, 5)); err != nil {
		t.Errorf("Save of a newer version: %v", err)
	}
	if err := repo.Save(ctx, productAt(2, 5)); err != nil {
		t.Errorf("Save of the same version once more: %v", err)
	}
	if err := repo.Save(ctx, productAt(2, 4)); !errors.Is(err, ErrOutdated) {
		t.Errorf("Save of an older version: %v", err)
	}
	if err := repo.SaveMany(ctx, []Product{productAt(1, 2), productAt(2, 4)}); !errors.Is(err, ErrOutdated) {
		t.Errorf("SaveMany with an older version: %v", err)
	}
	if p, err := repo.Find(ctx, 1); err != nil || p.Version != 1 {
		t.Errorf("SaveMany saved one product though another failed: %v, %v", p, err)
	}
	if err := repo.Remove(ctx, 3); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if err := repo.Remove(ctx, 3); err != nil {
		t.Errorf("Remove of what is not there: %v", err)
	}
	if _, err := repo.Find(ctx, 3); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("Find after Remove: %v", err)
	}
}
