package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// buildIDLength is the part of a digest that names a build: long enough to be unique, short enough to read aloud.
const buildIDLength = 12

// buildID returns the name of this build: the configured name, else the commit when the build has it and no file was changed since, else
// the digest of the program file. So the same program has the same name on every machine.
func buildID(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	if revision, ok := commit(); ok {
		return revision[:min(buildIDLength, len(revision))], nil
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's own file, or set WORKER_BUILD_ID: %w", err)
	}
	return digest(path)
}

// commit returns the revision that was built, unless files were changed.
func commit() (revision string, ok bool) {
	info, known := debug.ReadBuildInfo()
	if !known {
		return "", false
	}
	modified := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			modified = s.Value
		}
	}
	return revision, revision != "" && modified == "false"
}

// digest returns the shortened SHA-256 of a file.
func digest(path string) (sum string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read this program's own file, or set WORKER_BUILD_ID: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", fmt.Errorf("read this program's own file, or set WORKER_BUILD_ID: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:buildIDLength], nil
}
