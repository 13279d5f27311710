//go:build unix

package served

import (
	"os"

	"golang.org/x/sys/unix"
)

// takeLock makes a file this process's until it ends, or fails at once when another process has it.
func takeLock(file *os.File) error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
