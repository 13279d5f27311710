package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// childAttributes gives a child its own process group, so that Ctrl-C in the
// terminal reaches the supervisor alone and the parts stop in order. The
// kernel sends onParentDeath when the thread that forked ends.
func childAttributes(credential *syscall.Credential, onParentDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onParentDeath, Credential: credential}
}

// processName is the name of a process's program. Empty: there is none.
func processName(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

// processStart identifies a process beyond its pid: pids are used again, a pid
// with the same start time is the same process. Empty: there is none.
func processStart(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The command name in parentheses may hold spaces: fields count from behind it.
	// See proc(5): state is field 3, start time field 22.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' {
		return ""
	}
	return string(fields[19])
}
