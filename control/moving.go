package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// Pace bounds a move of workflows between builds.
type Pace struct {
	PerSecond float64       // workflows that are signalled in a second
	Patience  time.Duration // how long to wait for those that were signalled; zero does not wait
	Report    func(Moved)   // is called at each that was signalled, and while waiting; may be nil
	Force     bool          // of Rescue: the build's workers are stopped, though Temporal has not noticed yet
}

// Moved is how far a move is.
type Moved struct {
	Build     string `json:"build"`
	Total     int64  `json:"total"`     // that ran on the build when the move began
	Signalled int64  `json:"signalled"` // by this move
	Left      int64  `json:"left"`      // that run on it still, as the lists of Temporal show it a moment later
}

const (
	// movePage is how many workflows are listed at a time.
	movePage = 500
	// moveWorkers is how many are signalled at once: a busy server takes some 50 ms for each.
	moveWorkers = 16
	// moveInterval is the pace of counting those that are left; the lists of Temporal are about a second late.
	moveInterval = 2 * time.Second
)

// Drain signals what runs on a build to end its run at the next safe point, so that the next run begins on the current build, and waits
// until nothing runs on the build or the patience is over. What is busy with an order moves when that is done. It may be stopped and run
// again: what has moved is not signalled again, and the signal changes nothing but the run.
func (d *Deployment) Drain(ctx context.Context, build string, p Pace) (Moved, error) {
	if _, err := d.movable(ctx, build, func(v Version) error {
		if v.Workers == 0 && v.Domains+v.Cases > 0 {
			return refused(fmt.Sprintf("no worker of build %s runs, so nothing there can act on a signal", build),
				fmt.Sprintf("start one again, or use `evercert deploy rescue %s`", build), cert.PlatformActs)
		}
		return nil
	}); err != nil {
		return Moved{Build: build}, err
	}
	return d.move(ctx, build, p, func(ctx context.Context, id, run string) error {
		return d.client.SignalWorkflow(ctx, id, run, workflows.MoveOn, nil)
	})
}

// Rescue moves what a build without workers left behind to the current build: each workflow's next task goes there, once, and the
// workflow stays there. The current build then replays what the lost one recorded, which works where their code is compatible. What
// sleeps moves when it wakes.
func (d *Deployment) Rescue(ctx context.Context, build string, p Pace) (Moved, error) {
	current, err := d.movable(ctx, build, func(v Version) error {
		if v.Workers > 0 && !p.Force {
			return refused(
				fmt.Sprintf("build %s has workers (%d in the last %s), which move what runs on it without a replay", build, v.Workers, pollLifetime),
				fmt.Sprintf("use `evercert deploy drain %s`; if they are stopped, add --force", build),
				cert.PlatformActs,
			)
		}
		return nil
	})
	if err != nil {
		return Moved{Build: build}, err
	}
	return d.rescue(ctx, build, current, p)
}

// rescue is Rescue without its checks.
func (d *Deployment) rescue(ctx context.Context, build, current string, p Pace) (Moved, error) {
	return d.move(ctx, build, p, func(ctx context.Context, id, run string) error {
		_, err := d.client.UpdateWorkflowExecutionOptions(ctx, client.UpdateWorkflowExecutionOptionsRequest{
			WorkflowId: id, RunId: run,
			WorkflowExecutionOptionsChanges: client.WorkflowExecutionOptionsChanges{VersioningOverride: &client.VersioningOverrideChange{
				Value: &client.OneTimeVersioningOverride{TargetVersion: d.version(current)},
			}},
		})
		return err
	})
}

// movable checks that a build is known and not current, and returns the build that is.
func (d *Deployment) movable(ctx context.Context, build string, check func(Version) error) (current string, err error) {
	versions, err := d.Versions(ctx)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(versions, func(v Version) bool { return v.State == StateCurrent }); i >= 0 {
		current = versions[i].Build
	}
	i := slices.IndexFunc(versions, func(v Version) bool { return v.Build == build })
	switch {
	case current == "":
		return "", refused(
			"no build is current, so there is none to move to",
			"make one current: `evercert deploy current BUILD`",
			cert.PlatformActs,
		)
	case i < 0:
		return "", refused("no build "+build+" is known", "`evercert deploy status` lists the builds", cert.PlatformActs)
	case build == current:
		return "", refused(
			"build "+build+" is the current one",
			"make another one current first: `evercert deploy current BUILD`",
			cert.PlatformActs,
		)
	}
	return current, check(versions[i])
}

// move signals every workflow that runs on a build.
func (d *Deployment) move(
	ctx context.Context, build string, p Pace, signal func(ctx context.Context, id, run string) error,
) (Moved, error) {
	m := &mover{
		Deployment: d,
		query:      d.running(build, workflows.DomainWorkflow, workflows.EscalationWorkflow),
		signal:     signal,
		said:       map[string]bool{},
		pace:       p,
	}
	m.moved.Build = build
	var err error
	if m.moved.Total, err = d.count(ctx, m.query); err != nil {
		return m.moved, translate(err, "run it again")
	}
	m.moved.Left = m.moved.Total
	pace := time.NewTicker(time.Duration(float64(time.Second) / p.PerSecond))
	defer pace.Stop()
	deadline := time.Now().Add(p.Patience)
	for {
		failure := m.pass(ctx, pace.C)
		if m.moved.Left, err = d.count(ctx, m.query); err != nil {
			failure = errors.Join(failure, err)
		}
		m.report()
		switch {
		case ctx.Err() != nil:
			return m.moved, context.Cause(ctx)
		case failure == nil && m.moved.Left == 0:
			return m.moved, nil
		case time.Now().After(deadline):
			return m.moved, translate(failure, "run it again")
		}
		select {
		case <-ctx.Done():
			return m.moved, context.Cause(ctx)
		case <-time.After(moveInterval):
		}
	}
}

type mover struct {
	*Deployment
	query  string
	signal func(ctx context.Context, id, run string) error
	pace   Pace

	mu    sync.Mutex
	moved Moved
	said  map[string]bool // run ids
}

// pass signals those that were not signalled yet, and returns what went wrong with some of them; the next pass tries them again.
func (m *mover) pass(ctx context.Context, tick <-chan time.Time) error {
	var g errgroup.Group // without a context: the others go on when one fails
	g.SetLimit(moveWorkers)
	for token, more := []byte(nil), true; more; more = len(token) > 0 {
		page, err := m.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: m.namespace, Query: m.query, PageSize: movePage, NextPageToken: token,
		})
		if err != nil {
			return errors.Join(fmt.Errorf("list workflows: %w", err), g.Wait())
		}
		token = page.GetNextPageToken()
		for _, e := range page.GetExecutions() {
			id, run := e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId()
			if m.wasTold(run) {
				continue
			}
			select {
			case <-ctx.Done():
				return g.Wait()
			case <-tick:
			}
			g.Go(func() error { return m.one(ctx, id, run) })
		}
	}
	return g.Wait()
}

// one signals a workflow. A run that has ended meanwhile has moved.
func (m *mover) one(ctx context.Context, id, run string) error {
	err := m.signal(ctx, id, run)
	if notFound := new(serviceerror.NotFound); err != nil && !errors.As(err, &notFound) {
		return fmt.Errorf("%s: %w", id, err)
	}
	m.mu.Lock()
	m.said[run] = true
	m.moved.Signalled++
	m.moved.Left = max(0, m.moved.Total-m.moved.Signalled)
	m.mu.Unlock()
	m.report()
	return nil
}

func (m *mover) wasTold(run string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said[run]
}

func (m *mover) report() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pace.Report != nil {
		m.pace.Report(m.moved)
	}
}
