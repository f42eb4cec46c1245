//go:build !linux

package main

import "syscall"

// endWithParent can do nothing here: if the example is killed, the servers stay.
func endWithParent(*syscall.SysProcAttr, bool) {}
