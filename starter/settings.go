package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
)

// settings are what the command needs to know, as the API process does.
type settings struct {
	Store    store.Config
	Temporal control.TemporalConfig
	Control  control.Config
}

// stackFileName is where make dev leaves word of what it runs, below the project's root.
const stackFileName = ".dev/stack.json"

// loadSettings reads the environment, or a development stack's file: the one that is named, or else the one of the working
// directory or a folder above it. The file counts as a whole or not at all: a command that took its database from the one
// and its Temporal from the other would do harm in both.
func loadSettings(environ map[string]string, stackFile string) (settings, error) {
	if stackFile == "" && environ["DATABASE_URL"] == "" && environ["TEMPORAL_ADDRESS"] == "" {
		found, err := findStackFile()
		if err != nil {
			return settings{}, err
		}
		stackFile = found
	}
	if stackFile != "" {
		fromStack, err := readStackFile(stackFile)
		if err != nil {
			return settings{}, err
		}
		environ = maps.Clone(environ)
		maps.Copy(environ, fromStack)
	}
	return config.LoadFrom[settings](environ)
}

// findStackFile looks in the working directory and those above it. Without one it returns "".
func findStackFile() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", stackFileName, err)
	}
	for {
		path := filepath.Join(folder, stackFileName)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("look for %s: %w", stackFileName, err)
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", nil
		}
		folder = parent
	}
}

// readStackFile returns the environment that a development stack stands for.
func readStackFile(path string) (map[string]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the stack file: %w", err)
	}
	var stack struct {
		Temporal  string            `json:"temporal"`
		Namespace string            `json:"namespace"`
		Postgres  string            `json:"postgres"`
		Env       map[string]string `json:"env"` // what the stack's own processes were given
	}
	if err := json.Unmarshal(raw, &stack); err != nil {
		return nil, fmt.Errorf("read the stack file %s: %w", path, err)
	}
	environ := map[string]string{"DATABASE_URL": stack.Postgres, "TEMPORAL_ADDRESS": stack.Temporal, "TEMPORAL_NAMESPACE": stack.Namespace}
	for _, name := range []string{"VALIDATION_ZONE", "PLATFORM_TARGET", "PLATFORM_ADDRESSES", "PLATFORM_SUFFIX", "RESERVED_LABELS", "TEST_SUFFIXES"} {
		environ[name] = stack.Env[name]
	}
	return environ, nil
}
