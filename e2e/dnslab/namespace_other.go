//go:build !linux

package dnslab

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// InNamespace fails: network namespaces exist on Linux only.
func InNamespace(*testing.M) int {
	fmt.Fprintln(os.Stderr, "dnslab: these tests need a network namespace of their own, which only Linux has")
	return 1
}

// AddAddress fails, as InNamespace does.
func AddAddress(t testing.TB, _ string) {
	t.Helper()
	t.Fatal("dnslab's servers need a network namespace, which only Linux has")
}

func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func signalGroup(p *os.Process, s syscall.Signal) error { return p.Signal(s) }
