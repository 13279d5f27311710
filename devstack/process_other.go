//go:build unix && !linux

package main

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes gives a child its own process group, so that Ctrl-C in the
// terminal reaches the supervisor alone and the parts stop in order. Only
// Linux can end children with their parent: elsewhere the next `up` does it.
func childAttributes(credential *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential}
}

// processName is the name of a process's program. Empty: there is none.
func processName(pid int) string { return askPS("comm=", pid) }

// processStart identifies a process beyond its pid: pids are used again, a pid
// with the same start time is the same process. Empty: there is none.
func processStart(pid int) string {
	return askPS("lstart=", pid)
}

// askPS is empty when there is no such process.
func askPS(column string, pid int) string {
	out, err := exec.Command("ps", "-o", column, "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
