//go:build unix

package main

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// owner is another user than the one that runs the example. Nil is that one.
type owner syscall.Credential

// postgresOwner returns who PostgreSQL runs as: it refuses to run as root.
func postgresOwner() (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUser := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGroup := strconv.ParseUint(u.Gid, 10, 32)
		if errUser == nil && errGroup == nil {
			return &owner{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody: run the example " +
		"as another user")
}

// give makes a folder the owner's.
func (o *owner) give(folder string) error {
	if o == nil {
		return nil
	}
	return os.Chown(folder, int(o.Uid), int(o.Gid))
}

// attributes are how a program is started: as its owner, and in a group of its own, so that Ctrl-C reaches the example
// alone, which then ends the program.
func attributes(as *owner) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: (*syscall.Credential)(as), Setpgid: true}
}

// endNow ends a program that may have ended already.
func endNow(p *os.Process, quits bool) {
	_ = p.Signal(endSignal(quits))
}

// endSignal is the one that ends a program at once. On SIGQUIT PostgreSQL ends its children too, and cleans up.
func endSignal(quits bool) syscall.Signal {
	if quits {
		return syscall.SIGQUIT
	}
	return syscall.SIGKILL
}
