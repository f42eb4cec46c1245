package child

import "syscall"

// dyingWithParent makes the system send the program a signal when the thread that started it ends, as it does when
// this program panics or is killed.
func dyingWithParent(s syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: s}
}
