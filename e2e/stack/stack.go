// Package stack runs the parts that tests talk to, as separate processes, by bin/devstack: PostgreSQL, the Temporal
// server, the test CA, the test DNS, and evercert's own worker, API and edge. Everything listens on loopback, keeps its
// data in a temporary folder and ends with the test.
package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Info is what bin/devstack writes to stack.json.
type Info struct {
	Temporal      string         `json:"temporal"`
	TemporalUI    string         `json:"temporal_ui"`
	Metrics       string         `json:"temporal_metrics"` // URL of Temporal's own
	Namespace     string         `json:"namespace"`
	Console       string         `json:"console"`
	API           string         `json:"api"`
	APIToken      string         `json:"api_token"`
	Postgres      string         `json:"postgres"` // past the gate, which only the product goes through
	ACMEDirectory string         `json:"acme_directory"`
	ACMERootPEM   string         `json:"acme_root_pem"`
	DNS           string         `json:"dns"`
	EdgeHTTPS     string         `json:"edge_https"`
	EdgeHTTP      string         `json:"edge_http"`
	DNSControl    string         `json:"dns_control"`
	CAControl     string         `json:"ca_control"`
	DBControl     string         `json:"db_control"`
	PIDs          map[string]int `json:"pids"`

	Env map[string]string `json:"env"` // of worker, api and edge; a test that starts one more process of them gives it the same
}

// Options chooses what runs.
type Options struct {
	Parts []string          // of postgres, dbgate, temporal, dns, ca, worker, api, edge; all when empty
	Env   map[string]string // for worker, api and edge, on top of devstack's own
	CA    []string          // OPTION=VALUE for the test CA: retry-after, minutes (lifetime of the profile of that name)
	Dir   string            // kept data; a new temporary folder when empty

	TemporalFaults float64 // share of Temporal's own database calls that fail once it is ready; half of the writes among them are carried out
	TimeSkipping   bool    // workflows of domains skip the time that they sleep; activities, CA and store stay in real time
}

// Stack is a running set of parts.
type Stack struct {
	Dir string
	cmd *exec.Cmd
	out *bytes.Buffer
	end chan error
}

// startTimeout is for a busy machine with two cores: a start takes 3 to 10 seconds.
const startTimeout = 3 * time.Minute

// Start runs the parts and returns when all of them are ready.
func Start(o Options) (*Stack, error) {
	bin := Bin("devstack")
	if _, err := os.Stat(bin); err != nil {
		return nil, fmt.Errorf("%s is missing: run `make build` first", bin)
	}
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "evercert-stack-")
		if err != nil {
			return nil, err
		}
		if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL runs as another user when tests run as root
			return nil, err
		}
		o.Dir = dir
	}
	args := []string{"up", "--dir", o.Dir, "--free-ports"}
	if len(o.Parts) > 0 {
		args = append(args, "--parts", strings.Join(o.Parts, ","))
	}
	if o.TemporalFaults > 0 {
		args = append(args, fmt.Sprintf("--temporal-faults=%g", o.TemporalFaults))
	}
	if o.TimeSkipping {
		args = append(args, "--time-skipping")
	}
	for k, v := range o.Env {
		args = append(args, "--env", k+"="+v)
	}
	for _, option := range o.CA {
		args = append(args, "--ca", option)
	}
	command := exec.Command(bin, args...) //nolint:noctx // no context ends it, Stop does
	s := &Stack{Dir: o.Dir, cmd: command, out: &bytes.Buffer{}, end: make(chan error, 1)}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal reaches us; we stop it in order
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.end <- s.cmd.Wait() }()
	return s, s.awaitReady()
}

func (s *Stack) awaitReady() error {
	deadline := time.After(startTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-s.end:
			return fmt.Errorf("devstack ended before it was ready: %w\n%s", err, s.out)
		case <-deadline:
			return errors.Join(fmt.Errorf("devstack was not ready after %s\n%s", startTimeout, s.out), s.Stop())
		case <-tick.C:
			if _, err := os.Stat(filepath.Join(s.Dir, "stack.json")); err == nil {
				return nil
			}
		}
	}
}

// Info reads stack.json anew: process ids change when a part is restarted.
func (s *Stack) Info() Info {
	var info Info
	raw, err := os.ReadFile(filepath.Join(s.Dir, "stack.json"))
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	if err != nil {
		panic(fmt.Sprintf("stack.json: %v", err))
	}
	return info
}

// Devstack runs a devstack command (dns set …, ca fault …, db fault …, kill …) against this stack and returns what it printed.
func (s *Stack) Devstack(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, Bin("devstack"), append(args, "--dir", s.Dir)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("devstack %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Stop ends every part and removes the data of a temporary stack.
func (s *Stack) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-s.end:
		if err != nil {
			return fmt.Errorf("devstack: %w (data in %s)\n%s", err, s.Dir, s.out)
		}
	case <-time.After(time.Minute):
		return fmt.Errorf("devstack did not stop within a minute; its parts may still run (data in %s)\n%s", s.Dir, s.out)
	}
	if strings.HasPrefix(filepath.Base(s.Dir), "evercert-stack-") {
		return os.RemoveAll(s.Dir)
	}
	return nil
}

// Log returns what a part has logged.
func (s *Stack) Log(part string) string {
	raw, err := os.ReadFile(filepath.Join(s.Dir, "logs", part+".log"))
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// Output returns what devstack itself has printed.
func (s *Stack) Output() string { return s.out.String() }

// Bin is the path of a program in the project's bin folder.
func Bin(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "bin", name)
}

// New starts a stack for one test and stops it afterwards.
func New(t testing.TB, o Options) *Stack {
	t.Helper()
	logParts(t, o.Parts)
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, part := range []string{"worker", "api", "edge"} {
				t.Logf("last lines of %s.log:\n%s", part, tail(s.Log(part), 30))
			}
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// logParts marks a test as one on real parts; the summary of `make test` counts such tests by this line.
func logParts(t testing.TB, parts []string) {
	t.Helper()
	if len(parts) == 0 {
		parts = []string{"all"}
	}
	t.Logf("real parts: %s", strings.Join(parts, ", "))
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
