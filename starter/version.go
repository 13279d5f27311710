package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// version tells builds apart: by the commit where the build knows it, or else by the digest of the program file, as workers name theirs; and by the Go
// that built it.
func version() string {
	info, known := debug.ReadBuildInfo()
	if !known {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return fmt.Sprintf("commit %.12s (%s)", setting.Value, info.GoVersion)
		}
	}
	return fmt.Sprintf("build %s (%s)", programDigest(), info.GoVersion)
}

func programDigest() string {
	path, err := os.Executable()
	if err != nil {
		return "unknown"
	}
	file, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.6x", h.Sum(nil))
}
