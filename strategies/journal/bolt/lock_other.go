//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package bolt

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// lock cannot lock a file here in a way that outlives its being renamed.
func lock(*os.File, time.Duration) error {
	return fmt.Errorf("lock a file on this system: %w", errors.ErrUnsupported)
}
