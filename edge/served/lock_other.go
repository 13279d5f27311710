//go:build !unix

package served

import "os"

// takeLock does nothing on systems without flock: give each edge its own folder there.
func takeLock(*os.File) error { return nil }
