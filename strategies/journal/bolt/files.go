package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Everything that this package itself writes goes through the functions here, so that a test can put others in their
// place; the rest of what is written, bbolt writes.

func writeAt(f *os.File, b []byte, off int64) error {
	_, err := f.WriteAt(b, off)
	return err
}

func truncate(f *os.File, size int64) error { return f.Truncate(size) }

func syncFile(f *os.File) error { return f.Sync() }

func rename(from, to string) error { return os.Rename(from, to) }

func remove(path string) error { return os.Remove(path) }

// syncFolder makes the names in the folder of a file durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// openFile opens a file that is its owner's alone; one with a wider mode is narrowed. It locks the file, and makes
// sure that it still is the one of that name.
func (o Options) openFile(path string, flags int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
		if err != nil {
			return nil, err
		}
		if err = o.secure(f); err == nil {
			var same bool
			if same, err = isAt(f, path); same {
				return f, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
		// While this process waited for the lock, its owner has put another file in its place, as Compact does.
	}
}

func (o Options) secure(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	if err := lock(f, o.LockTimeout); err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f.Chmod(0o600)
	}
	return nil
}

func isAt(f *os.File, path string) (bool, error) {
	have, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(have, there), err
}

// noRoom reports whether an error says that a disk, a quota or a limit on files is exhausted.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

var zeros [64 * pageSize]byte

// extend makes a file longer, with zeros that are really there: a hole would need room when it is filled. If there is
// no room the file is as long as before.
func extend(f *os.File, from, to int64) error {
	for at := from; at < to; {
		part := zeros[:min(int64(len(zeros)), to-at)]
		if err := writeAt(f, part, at); err != nil {
			return errors.Join(fmt.Errorf("make the file longer: %w", err), truncate(f, from))
		}
		at += int64(len(part))
	}
	if err := syncFile(f); err != nil {
		return &fatalError{error: fmt.Errorf("sync the longer file: %w", err)}
	}
	return nil
}
