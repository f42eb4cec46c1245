package proof

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Now is the time by the machine's clock that only goes forward, in nanoseconds: the same for all of its processes.
func Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("proof: the machine has no monotonic clock: %v", err))
	}
	return t.Nano()
}
