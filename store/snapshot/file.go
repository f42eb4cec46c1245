package snapshot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tarncache/tarn"
)

// Temporary files that a process left which ended while it saved are removed by a later SaveFile when they are so old.
const strayAge = time.Hour

// SaveFile is Save to a file, which it replaces: whoever reads it finds the old snapshot or the new one, also after a
// crash or a loss of power. Meanwhile there is a temporary file beside it. The file can be read by its owner alone.
func (f *Format[K, V]) SaveFile(ctx context.Context, path string, store tarn.Store[K, V]) (Result, error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	removeStrays(dir, base)
	file, err := os.CreateTemp(dir, base+".*.tmp")
	if err != nil {
		return Result{}, fmt.Errorf("snapshot: save: %w", err)
	}
	res, err := f.Save(ctx, file, store)
	if err == nil {
		if err = replace(file, path, dir); err != nil {
			err = fmt.Errorf("snapshot: save: %w", err)
		}
	}
	if err != nil {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}
	return res, err
}

// replace puts a file in the place of another, once it is on the disk.
func replace(file *os.File, path, dir string) error {
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	return folder.Sync()
}

func removeStrays(dir, base string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if ok, err := filepath.Match("*.tmp", e.Name()); err != nil || !ok || len(e.Name()) <= len(base)+len("..tmp") ||
			e.Name()[:len(base)+1] != base+"." {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > strayAge {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// LoadFile is Load from a file. That there is none is an error that is [fs.ErrNotExist].
func (f *Format[K, V]) LoadFile(ctx context.Context, path string, store tarn.Store[K, V]) (Result, error) {
	file, err := os.Open(path)
	if err != nil {
		return Result{}, fmt.Errorf("snapshot: load: %w", err)
	}
	defer func() { _ = file.Close() }()
	return f.Load(ctx, file, store)
}
