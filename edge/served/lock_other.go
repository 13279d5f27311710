//go:build !unix

package served

import "os"

// takeLock does nothing where there is no flock: give each edge a folder of its own.
func takeLock(*os.File) error { return nil }
