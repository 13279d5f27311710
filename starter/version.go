package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime/debug"
)

// version names a build: by the commit where the build knows it, or else by the digest of the program file, as workers name theirs;
// and by the Go that built it.
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
	program, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(program)
	return fmt.Sprintf("%.6x", sum[:])
}
