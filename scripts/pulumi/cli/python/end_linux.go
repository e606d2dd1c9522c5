package main

import "syscall"

// endsWithUs has the kernel end the child when this process is killed.
var endsWithUs = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
