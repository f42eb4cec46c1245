//go:build !linux

package child

import "syscall"

// dyingWithParent can do nothing here.
func dyingWithParent(syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
