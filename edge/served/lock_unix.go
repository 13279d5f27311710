//go:build unix

package served

import (
	"os"

	"golang.org/x/sys/unix"
)

// takeLock locks a file for this process until it ends. It fails at once when another process has the lock.
func takeLock(file *os.File) error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
