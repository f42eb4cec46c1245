//go:build !linux

package redistest

import "syscall"

// dieWithParent can do nothing here: a test that is killed leaves its servers running.
func dieWithParent() *syscall.SysProcAttr { return nil }
