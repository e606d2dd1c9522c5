//go:build !linux

package main

import "syscall"

// endsWithUs is Linux's; elsewhere the older host ends some minutes after the CLI does.
var endsWithUs *syscall.SysProcAttr
