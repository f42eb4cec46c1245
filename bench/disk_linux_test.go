package bench

import (
	"os"
	"syscall"
)

// fdatasync is what bbolt and SQLite sync with.
func fdatasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
