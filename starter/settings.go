package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/resolver"
	"github.com/evercert/evercert/store"
)

// settings are what the command needs to know, as the API process does.
type settings struct {
	Store    store.Config
	Temporal control.TemporalConfig
	Control  control.Config
	Claims   control.ClaimConfig
}

// stackFileName is where make dev leaves word of what it runs, below the project's root.
const stackFileName = ".dev/stack.json"

// doctorSettings are what doctor, and the visits of check, need to know. They ask DNS and the web servers of the names, and nothing that
// is asked for here is required.
type doctorSettings struct {
	resolver.Config
	Target       string   `env:"PLATFORM_TARGET" doc:"name that the names' CNAME records should lead to; empty: not compared"`
	Addresses    []string `env:"PLATFORM_ADDRESSES" doc:"IP addresses that the names should have, by commas; empty: not compared"`
	TestSuffixes []string `env:"TEST_SUFFIXES" doc:"suffixes outside the public ones whose names may be asked about"`
	RootPEM      string   `env:"ACME_ROOT_PEM" doc:"file of PEM certificates that visits over HTTPS trust, on top of the system's; for private and test CAs"`
}

// loadSettings are what the commands need that ask a database and Temporal.
func loadSettings(environ map[string]string, stackFile string) (settings, error) {
	environ, err := withFoundStack(environ, stackFile, namesServers(environ))
	if err != nil {
		return settings{}, err
	}
	loaded, err := config.LoadFrom[settings](environ)
	if err != nil && environ["DATABASE_URL"] == "" {
		err = noDatabase{err}
	}
	return loaded, err
}

// noDatabase is what is wrong with settings that name no database.
type noDatabase struct{ error }

func (n noDatabase) Unwrap() error { return n.error }

// loadTemporalSettings are what deploy needs, which asks nobody but Temporal.
func loadTemporalSettings(environ map[string]string, stackFile string) (control.TemporalConfig, error) {
	environ, err := withFoundStack(environ, stackFile, namesServers(environ))
	if err != nil {
		return control.TemporalConfig{}, err
	}
	return config.LoadFrom[control.TemporalConfig](environ)
}

// loadVisitSettings are those by which check visits the domain that loadSettings led it to.
func loadVisitSettings(environ map[string]string, stackFile string) (doctorSettings, error) {
	environ, err := withFoundStack(environ, stackFile, namesServers(environ))
	if err != nil {
		return doctorSettings{}, err
	}
	return config.LoadFrom[doctorSettings](environ)
}

// loadDoctorSettings is for doctor, which searches no stack either where the settings name whom to ask.
func loadDoctorSettings(environ map[string]string, stackFile string, said bool) (doctorSettings, error) {
	environ, err := withFoundStack(environ, stackFile, said || environ["DNS_RESOLVERS"] != "" || namesServers(environ))
	if err != nil {
		return doctorSettings{}, err
	}
	return config.LoadFrom[doctorSettings](environ)
}

func namesServers(environ map[string]string) bool {
	return environ["DATABASE_URL"] != "" || environ["TEMPORAL_ADDRESS"] != ""
}

// withFoundStack is the environment, or a development stack's file: the one that is named, or else, unless the settings name whom to ask,
// the one of the working directory or a folder above it. The file counts as a whole or not at all: a command that took its database from
// the one and its Temporal from the other would do harm in both.
func withFoundStack(environ map[string]string, stackFile string, said bool) (map[string]string, error) {
	if stackFile == "" && !said {
		found, err := findStackFile()
		if err != nil {
			return nil, err
		}
		stackFile = found
	}
	return withStack(environ, stackFile)
}

// withStack lays the environment of a stack, if there is one, over that of the process.
func withStack(environ map[string]string, stackFile string) (map[string]string, error) {
	if stackFile == "" {
		return environ, nil
	}
	fromStack, err := readStackFile(stackFile)
	if err != nil {
		return nil, err
	}
	environ = maps.Clone(environ)
	if environ == nil {
		environ = map[string]string{}
	}
	maps.Copy(environ, fromStack)
	return environ, nil
}

// findStackFile searches the working directory and those above it. Without one it returns "".
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
	for _, s := range slices.Concat(config.Describe(control.Config{}), config.Describe(control.ClaimConfig{}),
		config.Describe(doctorSettings{})) {
		environ[s.Name] = stack.Env[s.Name]
	}
	if name := stack.Env["WORKER_DEPLOYMENT"]; name != "" {
		environ["WORKER_DEPLOYMENT"] = name
	}
	return environ, nil
}
