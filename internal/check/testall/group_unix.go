//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup makes cancelling the command end what it started too: go test does not pass a signal on to the test
// programs it runs.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
