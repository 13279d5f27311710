package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// stackFile is dir/stack.json: where everything is. Tests, tools and the
// commands of this binary find a running stack by it, so its keys are stable.
type stackFile struct {
	Temporal          string            `json:"temporal"`
	TemporalUI        string            `json:"temporal_ui"`
	TemporalMetrics   string            `json:"temporal_metrics"`
	Namespace         string            `json:"namespace"`
	Console           string            `json:"console"`
	API               string            `json:"api"`
	APIToken          string            `json:"api_token"`
	Postgres          string            `json:"postgres"`
	ACMEDirectory     string            `json:"acme_directory"`
	ACMERootPEM       string            `json:"acme_root_pem"`
	DNS               string            `json:"dns"`
	EdgeHTTPS         string            `json:"edge_https"`
	EdgeHTTP          string            `json:"edge_http"`
	SampleDomain      string            `json:"sample_domain"`
	DNSControl        string            `json:"dns_control"`
	CAControl         string            `json:"ca_control"`
	CA2Control        string            `json:"ca2_control,omitempty"` // empty without the part ca2
	DBControl         string            `json:"db_control,omitempty"`  // empty without the part dbgate
	SupervisorControl string            `json:"supervisor_control"`
	SupervisorPID     int               `json:"supervisor_pid"`
	SupervisorStart   string            `json:"supervisor_start"` // recognises a pid that was used again
	PIDs              map[string]int    `json:"pids"`
	Env               map[string]string `json:"env"` // what worker, api and edge were given
}

func stackFilePath(dir string) string { return filepath.Join(dir, "stack.json") }

// readStackFile finds the stack that runs in dir. A file whose supervisor is
// gone was left by one that was killed.
func readStackFile(dir string) (stackFile, error) {
	var s stackFile
	data, err := os.ReadFile(stackFilePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return s, noStack(dir)
	}
	if err != nil {
		return s, fmt.Errorf("read where the stack is: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read %s: %w", stackFilePath(dir), err)
	}
	if !(processID{s.SupervisorPID, s.SupervisorStart}).alive() {
		return s, noStack(dir)
	}
	return s, nil
}

func noStack(dir string) error {
	return fmt.Errorf("no stack is running in %s: start one with `make dev`, or name its folder with --dir", dir)
}

// writeJSON replaces a file atomically. Mode 0600: some of these files hold tokens.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'), 0o600)
}

// writeFile replaces a file so that a reader, or a kill -9, sees the old
// content or the new, never a part.
func writeFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // fails after the rename, as it should
	if _, err = f.Write(data); err == nil {
		err = f.Chmod(mode)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// displayPath is path relative to the current directory when it lies below it
// (the project's root under make), else absolute.
func displayPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	wd, err := os.Getwd()
	if err != nil {
		return abs
	}
	rel, err := filepath.Rel(wd, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return abs
	}
	return rel
}
