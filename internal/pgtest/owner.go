package pgtest

import (
	"errors"
	"fmt"
	"os"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// serverOwner returns who PostgreSQL's programs run as, which refuse to run as root: if the test is root's, the user
// that its packages make, or nobody. nil is whoever runs the test.
func serverOwner() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("pgtest: PostgreSQL does not run as root, and there is no other user here")
}

// tempDir makes a folder for the data, in one that the owner can get to: the test's own folders are closed to others.
func tempDir(owner *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	data := filepath.Join(dir, "data")
	if err = os.Mkdir(data, 0o700); err == nil && owner != nil {
		err = errors.Join(os.Chown(dir, int(owner.Uid), int(owner.Gid)), os.Chown(data, int(owner.Uid), int(owner.Gid)))
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("pgtest: %w", err)
	}
	return data, nil
}
