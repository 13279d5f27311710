package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

// sleeper has of a domain's workflow what a deployment meets: its type, a long sleep, and a safe point at which it moves on.
func sleeper(ctx workflow.Context) error {
	selector, done := workflow.NewSelector(ctx), false
	selector.AddReceive(
		workflow.GetSignalChannel(ctx, workflows.MoveOn),
		func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil); done = true },
	)
	selector.AddReceive(workflow.GetSignalChannel(ctx, "wake"), func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
	selector.AddFuture(workflow.NewTimer(ctx, 47*24*time.Hour), func(workflow.Future) {})
	for !done {
		selector.Select(ctx)
	}
	return workflow.NewContinueAsNewErrorWithOptions(ctx, workflow.ContinueAsNewErrorOptions{
		InitialVersioningBehavior: workflow.ContinueAsNewVersioningBehaviorAutoUpgrade,
	}, workflows.DomainWorkflow)
}

// fleet is a real Temporal server with workers of several builds.
type fleet struct {
	*control.Deployment
	t      *testing.T
	config control.TemporalConfig
	client client.Client
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	info := stack.New(t, stack.Options{Parts: []string{"postgres", "temporal"}}).Info()
	f := &fleet{t: t, config: control.TemporalConfig{Address: info.Temporal, Namespace: info.Namespace, Deployment: "fleet"}}
	f.client = f.dial()
	f.Deployment = f.config.DeploymentOf(f.client)
	return f
}

func (f *fleet) dial() client.Client {
	f.t.Helper()
	c, err := f.config.Dial(slog.New(slog.DiscardHandler))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.Close)
	return c
}

// start runs a worker of a build and makes the build current.
func (f *fleet) start(build string) (stop func()) {
	f.t.Helper()
	w := worker.New(f.dial(), workflows.TaskQueue, worker.Options{Identity: "worker of " + build, DeploymentOptions: worker.DeploymentOptions{
		UseVersioning: true, Version: worker.WorkerDeploymentVersion{DeploymentName: f.config.Deployment, BuildID: build},
	}})
	w.RegisterWorkflowWithOptions(
		sleeper,
		workflow.RegisterOptions{Name: workflows.DomainWorkflow, VersioningBehavior: workflow.VersioningBehaviorPinned},
	)
	if err := w.Start(); err != nil {
		f.t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			w.Stop()
		}
	}
	f.t.Cleanup(stop)
	f.eventually("build "+build+" is current", func() (bool, any) {
		err := f.SetCurrent(f.t.Context(), build, "the test")
		return err == nil, err
	})
	return stop
}

func (f *fleet) eventually(what string, done func() (bool, any)) {
	f.t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, seen := done()
		if ok {
			return
		}
		select {
		case <-deadline:
			f.t.Fatalf("not in time: %s; last seen: %v", what, seen)
		case <-tick.C:
		}
	}
}

// domains starts workflows.
func (f *fleet) domains(prefix string, n int) {
	f.t.Helper()
	for i := range n {
		_, err := f.client.ExecuteWorkflow(f.t.Context(), client.StartWorkflowOptions{
			ID: fmt.Sprintf("domain:%s%d.example.com", prefix, i), TaskQueue: workflows.TaskQueue,
		}, workflows.DomainWorkflow)
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fleet) version(build string) control.Version {
	f.t.Helper()
	versions, err := f.Versions(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, v := range versions {
		if v.Build == build {
			return v
		}
	}
	return control.Version{}
}

// holds waits until so many domains run on a build, as the lists of Temporal show them.
func (f *fleet) holds(build string, domains int64) control.Version {
	f.t.Helper()
	var v control.Version
	f.eventually(fmt.Sprintf("%d domains on %s", domains, build), func() (bool, any) { v = f.version(build); return v.Domains == domains, v })
	return v
}

func (f *fleet) requireRefused(err error, remedy string) {
	f.t.Helper()
	var p cert.Problem
	if !errors.As(err, &p) || p.Code != cert.RequestRefused || !strings.Contains(p.Remediation, remedy) {
		f.t.Fatalf("got %v, want a refusal that names %q", err, remedy)
	}
}

func TestE1_SleepersMoveToTheCurrentBuild(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	if versions, err := f.Versions(t.Context()); err != nil || len(versions) != 0 {
		t.Fatalf("before the first worker: %v, %v", versions, err)
	}
	f.requireRefused(f.SetCurrent(t.Context(), "A", "ann"), "deploy status")
	stopA := f.start("A")
	f.domains("s", 12)
	f.holds("A", 12)
	_, err := f.Drain(t.Context(), "A", control.Pace{PerSecond: 100})
	f.requireRefused(err, "deploy current")

	f.start("B")
	f.domains("new", 1)
	f.holds("B", 1)
	a := f.holds("A", 12)
	if a.Workers != 1 || a.State != "draining" || !strings.Contains(a.Next, "drain A") {
		t.Fatalf("A: %+v", a)
	}
	_, err = f.Rescue(t.Context(), "A", control.Pace{PerSecond: 100})
	f.requireRefused(err, "drain A")

	t.Run("a drain that was stopped carries on", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m, err := f.Drain(ctx, "A", control.Pace{PerSecond: 50, Report: func(m control.Moved) {
			if m.Signalled == 5 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) || m.Total != 12 || m.Signalled < 5 || m.Signalled == 12 {
			t.Fatalf("%+v, %v", m, err)
		}
		m, err = f.Drain(t.Context(), "A", control.Pace{PerSecond: 50, Patience: time.Minute})
		if err != nil || m.Left != 0 {
			t.Fatalf("%+v, %v", m, err)
		}
		f.holds("B", 13)
	})
	t.Run("what a build without workers left behind is rescued", func(t *testing.T) {
		if err := f.SetCurrent(t.Context(), "A", "ann"); err != nil {
			t.Fatal(err)
		}
		f.eventually("new domains begin on A again", func() (bool, any) {
			f.domains("back", 3) // those that are there already are left alone
			v := f.version("A")
			return v.Domains > 0, v
		})
		if err := f.SetCurrent(t.Context(), "B", "ann"); err != nil {
			t.Fatal(err)
		}
		stopA()
		f.rescues()
	})
}

// rescues wakes a domain of A, which has no workers, and rescues all.
func (f *fleet) rescues() {
	f.t.Helper()
	a := f.version("A")
	for i := range 3 {
		if err := f.client.SignalWorkflow(f.t.Context(), fmt.Sprintf("domain:back%d.example.com", i), "", "wake", nil); err != nil {
			f.t.Fatal(err)
		}
	}
	f.eventually("the status shows what waits", func() (bool, any) {
		v := f.version("A")
		return v.Backlog > 0 && v.BacklogSeconds > 0, v
	})
	m, err := f.Rescue(f.t.Context(), "A", control.Pace{PerSecond: 100, Force: true})
	if err != nil || m.Signalled != a.Domains {
		f.t.Fatalf("%+v, %v; %d domains were on A", m, err, a.Domains)
	}
	f.holds("A", 0)
	f.eventually("what waited was done by B", func() (bool, any) {
		d, err := f.client.DescribeWorkflowExecution(f.t.Context(), "domain:back0.example.com", "")
		if err != nil {
			return false, err
		}
		return d.GetPendingWorkflowTask() == nil && d.GetWorkflowExecutionInfo().GetVersioningInfo().GetDeploymentVersion().GetBuildId() == "B", d
	})
	if v := f.version("A"); v.Backlog != 0 {
		f.t.Fatalf("nothing waits for A any more: %+v", v)
	}
}
