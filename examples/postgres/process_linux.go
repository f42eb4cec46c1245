package main

import "syscall"

// endWithParent makes a program end with the example, should that be killed.
func endWithParent(a *syscall.SysProcAttr, quits bool) { a.Pdeathsig = endSignal(quits) }
