// Package versions runs two builds of the worker beside each other on real parts: what stays on which build, what moves, and what becomes
// of the domains of a build without workers. The two builds are the same program under two names.
package versions

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
)

// patience is how long a test waits for something that takes seconds: these machines are shared. It does not measure speed.
const patience = 2 * time.Minute

// fleet is a stack whose workers the test starts itself.
type fleet struct {
	*stack.Stack
	t *testing.T
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	return &fleet{stack.New(t, stack.Options{
		Parts: []string{"postgres", "temporal", "dns", "ca", "edge", "api"},
		Env:   map[string]string{"DNS_FIRST_CHECKS": "1h", "LOG_FORMAT": "text"}, // domains without records sleep
	}), t}
}

// process is a worker of one build.
type process struct {
	*exec.Cmd
	log string // its file
}

// worker starts a worker of a build, which ends with the test.
func (f *fleet) worker(build string) *process {
	f.t.Helper()
	p := &process{exec.Command(stack.Bin("worker")), filepath.Join(f.t.TempDir(), "worker.log")}
	p.Env = os.Environ()
	for name, value := range f.Info().Env {
		p.Env = append(p.Env, name+"="+value)
	}
	p.Env = append(p.Env, "WORKER_BUILD_ID="+build)
	out, err := os.Create(p.log)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { _ = out.Close() })
	p.Stdout, p.Stderr = out, out
	require.NoError(f.t, p.Start())
	f.t.Cleanup(func() {
		f.kill(p)
		if f.t.Failed() {
			f.t.Logf("worker of %s:\n%s", build, p.said())
		}
	})
	return p
}

// said is what a worker has logged.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// kill ends a worker as a crash does. It may have ended already.
func (f *fleet) kill(p *process) {
	f.t.Helper()
	if p.ProcessState != nil {
		return
	}
	require.NoError(f.t, p.Process.Signal(syscall.SIGKILL))
	_ = p.Wait() // its error says that it was killed
}

// cli runs bin/evercert.
func (f *fleet) cli(args ...string) (stdout, stderr string, code int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, stack.Bin("evercert"), append(args, "--stack", filepath.Join(f.Dir, "stack.json"))...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		f.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// do runs a command that must succeed.
func (f *fleet) do(args ...string) string {
	f.t.Helper()
	out, stderr, code := f.cli(args...)
	require.Zero(f.t, code, "evercert %s: %s%s", strings.Join(args, " "), out, stderr)
	return out
}

func (f *fleet) connect(names ...string) {
	f.t.Helper()
	for _, name := range names {
		f.do("connect", name, "--tenant", "acme")
	}
}

// build is a row of `evercert deploy status`.
func (f *fleet) build(name string) control.Version {
	f.t.Helper()
	var status struct{ Builds []control.Version }
	require.NoError(f.t, json.Unmarshal([]byte(f.do("deploy", "status", "--json")), &status))
	for _, b := range status.Builds {
		if b.Build == name {
			return b
		}
	}
	return control.Version{}
}

// await polls the status of a build.
func (f *fleet) await(name, what string, wanted func(control.Version) bool) control.Version {
	f.t.Helper()
	var b control.Version
	f.eventually(name+" "+what, func() bool { b = f.build(name); return wanted(b) }, func() any { return b })
	return b
}

func (f *fleet) eventually(what string, done func() bool, seen func() any) {
	f.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			f.t.Fatalf("not within %s: %s; last seen: %+v", patience, what, seen())
		case <-tick.C:
		}
	}
}
