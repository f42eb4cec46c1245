package redistest

import "syscall"

// dieWithParent makes the system end the program when the thread that started it ends, as it does when a test panics
// or is killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
