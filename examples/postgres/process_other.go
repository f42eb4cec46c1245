//go:build !unix

package main

import (
	"os"
	"syscall"
)

// owner is nobody: here a server runs as who runs the example.
type owner struct{}

func postgresOwner() (*owner, error) { return nil, nil }

func (*owner) give(string) error { return nil }

func attributes(*owner) *syscall.SysProcAttr { return new(syscall.SysProcAttr) }

func endNow(p *os.Process, _ bool) { _ = p.Kill() }
