package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// rollouts stands in for Temporal's builds: it answers what it was given and notes what it is asked.
type rollouts struct {
	versions []control.Version
	moved    control.Moved
	err      error
	asked    []string
}

func (r *rollouts) Versions(context.Context) ([]control.Version, error) { return r.versions, r.err }

func (r *rollouts) SetCurrent(_ context.Context, build, by string) error {
	r.asked = append(r.asked, "current "+build+" by "+by)
	return r.err
}

func (r *rollouts) Drain(_ context.Context, build string, p control.Pace) (control.Moved, error) {
	return r.move("drain", build, p)
}

func (r *rollouts) Rescue(_ context.Context, build string, p control.Pace) (control.Moved, error) {
	return r.move("rescue", build, p)
}

func (r *rollouts) move(what, build string, p control.Pace) (control.Moved, error) {
	r.asked = append(r.asked, fmt.Sprintf("%s %s at %g/s, patience %s, force %v", what, build, p.PerSecond, p.Patience, p.Force))
	p.Report(r.moved)
	m := r.moved
	m.Build = build
	return m, r.err
}

func setupDeploy(t *testing.T) (*bundle, *rollouts) {
	t.Helper()
	b := setup(t)
	r := &rollouts{versions: []control.Version{
		{Build: "B", State: "current", Workers: 2, Domains: 7, RegisteredAt: noon, Next: "takes new domains; nothing to do"},
		{
			Build:          "A",
			State:          "draining",
			Workers:        1,
			Domains:        40,
			Cases:          2,
			Backlog:        3,
			BacklogSeconds: 75,
			RegisteredAt:   noon.Add(-48 * time.Hour),
			Next:           "drain it",
		},
		{Build: "old", State: "drained", RegisteredAt: noon.Add(-96 * time.Hour), Next: "nothing to do"},
	}}
	b.app.deployment = func() (deployments, func(), error) { return r, func() {}, nil }
	return b, r
}

func TestE1_DeployStatusShowsEachBuild(t *testing.T) {
	t.Parallel()
	b, r := setupDeploy(t)
	out, _ := b.run(exitOK, "deploy", "status")
	equal(t, out, `BUILD  STATE     WORKERS  DOMAINS  CASES  WAITING TASKS    REGISTERED
B      current   2        7        0      0                2026-03-02 12:00
A      draining  1        40       2      3, oldest 1 min  2026-02-28 12:00
old    drained   0        0        0      0                2026-02-26 12:00
B: takes new domains; nothing to do
A: drain it
old: nothing to do
`)
	out, _ = b.run(exitOK, "deploy", "status", "--json")
	if !strings.Contains(out, `"backlog_seconds": 75`) || !strings.Contains(out, `"state": "draining"`) {
		t.Errorf("JSON: %s", out)
	}
	r.versions = nil
	if out, _ := b.run(exitOK, "deploy", "status"); !strings.Contains(out, "start a worker") {
		t.Errorf("without builds: %s", out)
	}
}

func TestE1_DeployMovesWhatItIsTold(t *testing.T) {
	t.Parallel()
	b, r := setupDeploy(t)
	r.moved = control.Moved{Total: 42, Signalled: 42}
	b.run(exitOK, "deploy", "current", "A")
	if out, _ := b.run(exitOK, "deploy", "drain"); out != "A: 42 of 42 moved\n" {
		t.Errorf("drain: %s", out)
	}
	b.run(exitOK, "deploy", "drain", "old", "--rate", "5", "--patience", "1m")
	b.run(exitOK, "deploy", "rescue", "A", "--force")
	if out, _ := b.run(exitOK, "deploy", "drain", "A", "--json"); !strings.Contains(out, `"signalled":42`) {
		t.Errorf("JSON: %s", out)
	}
	equal(t, strings.Join(r.asked, "\n"), `current A by ann
drain A at 20/s, patience 5m0s, force false
drain old at 5/s, patience 1m0s, force false
rescue A at 20/s, patience 0s, force true
drain A at 20/s, patience 5m0s, force false`)
	r.versions = r.versions[:1]
	if out, _ := b.run(exitOK, "deploy", "drain"); out != "Nothing runs on an old build.\n" {
		t.Errorf("nothing to drain: %s", out)
	}
}

func TestE1_DeploySaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	b, r := setupDeploy(t)
	r.moved = control.Moved{Total: 42, Signalled: 42, Left: 3}
	out, stderr := b.run(exitIncomplete, "deploy", "drain", "A")
	if !strings.Contains(out, "3 still") || !strings.Contains(stderr, "run it again") {
		t.Errorf("busy ones: %s%s", out, stderr)
	}
	if out, _ := b.run(exitOK, "deploy", "rescue", "A"); !strings.Contains(out, "3 still") {
		t.Errorf("rescue: %s", out)
	}
	r.err = errors.New("connection refused")
	if _, stderr := b.run(exitFault, "deploy", "drain", "A"); !strings.Contains(stderr, "running it again carries on") {
		t.Errorf("stopped: %s", stderr)
	}
	r.moved.Signalled, r.err = 0, cert.Problem{Code: cert.RequestRefused, Message: "no worker of build A runs", Remediation: "use rescue"}
	if _, stderr := b.run(exitRefused, "deploy", "drain", "A"); !strings.Contains(stderr, "Use rescue.") {
		t.Errorf("refused: %s", stderr)
	}
	b.run(exitRefused, "deploy", "drain", "A", "--rate", "0")
}
