package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	deploymentpb "go.temporal.io/api/deployment/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// Deployment is the worker deployment of a Temporal namespace: the builds of the worker that are known there, which of them is current,
// and what runs on each. A domain's run stays on the build that it began on; see docs/decisions/0014-worker-deployments.md.
type Deployment struct {
	client    client.Client
	namespace string
	name      string
}

// DeploymentOf returns the worker deployment that t names.
func (t TemporalConfig) DeploymentOf(c client.Client) *Deployment {
	return &Deployment{client: c, namespace: t.Namespace, name: t.Deployment}
}

// byWorker is the identity under which a worker makes its own build current. Any other identity is a person's.
const byWorker = "evercert worker"

// Routing is which build takes new work, and since when each is known.
type Routing struct {
	Current      string               // build; empty: none, so that unversioned workers would take new work
	ChangedAt    time.Time            // when Current became so
	ByWorker     bool                 // a worker made Current so by itself, no person
	RegisteredAt map[string]time.Time // by build: when its first worker polled
	Draining     []string             // builds that are not current and that workflows still run on, as far as the server knows

	token []byte
}

// Routing asks Temporal. A deployment that is not known yet has no builds.
func (d *Deployment) Routing(ctx context.Context) (Routing, error) {
	r := Routing{RegisteredAt: map[string]time.Time{}}
	described, err := d.handle().Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if notFound := new(serviceerror.NotFound); errors.As(err, &notFound) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("describe the worker deployment %s: %w", d.name, err)
	}
	config := described.Info.RoutingConfig
	if config.CurrentVersion != nil {
		r.Current = config.CurrentVersion.BuildID
	}
	r.ChangedAt, r.ByWorker, r.token = config.CurrentVersionChangedTime, described.Info.LastModifierIdentity == byWorker,
		described.ConflictToken
	for _, v := range described.Info.VersionSummaries {
		r.RegisteredAt[v.Version.BuildID] = v.CreateTime
		if v.Version.BuildID != r.Current && v.DrainageStatus == client.WorkerDeploymentVersionDrainageStatusDraining {
			r.Draining = append(r.Draining, v.Version.BuildID)
		}
	}
	slices.Sort(r.Draining)
	return r, nil
}

// TakeOver makes a worker's own build current, if nothing has changed since the routing was asked for. Temporal refuses until the build's
// workers poll.
func (d *Deployment) TakeOver(ctx context.Context, build string, seen Routing) error {
	_, err := d.handle().
		SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build, ConflictToken: seen.token, Identity: byWorker})
	if err != nil {
		return fmt.Errorf("make build %s current: %w", build, err)
	}
	return nil
}

// SetCurrent makes a build current because a person asks for it: new work goes there from now on, and workers leave it so. by is who asks.
func (d *Deployment) SetCurrent(ctx context.Context, build, by string) error {
	_, err := d.handle().SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build, Identity: "person: " + by})
	notFound, precondition := new(serviceerror.NotFound), new(serviceerror.FailedPrecondition)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &notFound), errors.As(err, &precondition):
		return errors.Join(refused(fmt.Sprintf("no worker of build %s has polled, so nothing was changed", build),
			"start a worker of that build, and ask again when `evercert deploy status` shows it", cert.PlatformActs), err)
	default:
		return translate(err, "it may be done still: see `evercert deploy status`")
	}
}

// Polled returns when a worker of each build was last seen to ask for work. Workers ask at least once a minute; one that has stopped, in
// order or not, is in there for some minutes more.
func (d *Deployment) Polled(ctx context.Context) (map[string]time.Time, error) {
	last := map[string]time.Time{}
	err := d.pollers(ctx, func(build string, p *taskqueue.PollerInfo) {
		if at := p.GetLastAccessTime().AsTime(); at.After(last[build]) {
			last[build] = at
		}
	})
	return last, err
}

// pollers lists the pollers of all partitions of the task queue: a worker with few pollers is not seen in each.
func (d *Deployment) pollers(ctx context.Context, visit func(build string, p *taskqueue.PollerInfo)) error {
	queue := &taskqueue.TaskQueue{Name: workflows.TaskQueue, Kind: enums.TASK_QUEUE_KIND_NORMAL}
	partitions, err := d.client.WorkflowService().ListTaskQueuePartitions(ctx, &workflowservice.ListTaskQueuePartitionsRequest{
		Namespace: d.namespace, TaskQueue: queue,
	})
	if err != nil {
		return fmt.Errorf("list the partitions of task queue %s: %w", queue.GetName(), err)
	}
	for _, p := range partitions.GetWorkflowTaskQueuePartitions() {
		described, err := d.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: d.namespace, TaskQueue: &taskqueue.TaskQueue{Name: p.GetKey(), Kind: enums.TASK_QUEUE_KIND_NORMAL},
			TaskQueueType: enums.TASK_QUEUE_TYPE_WORKFLOW,
		})
		if err != nil {
			return fmt.Errorf("list the workers that poll %s: %w", p.GetKey(), err)
		}
		for _, poller := range described.GetPollers() {
			if o := poller.GetDeploymentOptions(); o.GetDeploymentName() == d.name {
				visit(o.GetBuildId(), poller)
			}
		}
	}
	return nil
}

// pollLifetime is longer than a poll lasts at the server (a minute): a worker that has not asked for work for as long is gone.
const pollLifetime = 90 * time.Second

// StateCurrent is the state of the version that takes new work; stateInactive is that of one that never did.
const (
	StateCurrent  = "current"
	stateInactive = "inactive"
)

// Version is a build of the worker and what runs on it.
type Version struct {
	Build          string    `json:"build"`
	State          string    `json:"state"` // current, draining, drained, or inactive: was never current
	RegisteredAt   time.Time `json:"registered_at"`
	Workers        int       `json:"workers"`         // processes that ask for work
	Domains        int64     `json:"domains"`         // that run on it
	Cases          int64     `json:"cases"`           // open ones that run on it
	Backlog        int64     `json:"backlog"`         // tasks that wait for a worker of it; about
	BacklogSeconds int64     `json:"backlog_seconds"` // age of the oldest of them
	Next           string    `json:"next"`            // what to do about it, in a sentence
}

// Versions lists the builds, the newest first. Temporal answers only so many questions about a deployment at a time: then it asks again.
func (d *Deployment) Versions(ctx context.Context) (versions []Version, err error) {
	const tries, pause = 10, 500 * time.Millisecond
	for range tries {
		versions, err = d.versions(ctx)
		if err == nil || !strings.Contains(err.Error(), "too many requests") { // the server gives it no type of its own
			return versions, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
	return nil, err
}

func (d *Deployment) versions(ctx context.Context) ([]Version, error) {
	routing, err := d.Routing(ctx)
	if err != nil {
		return nil, translate(err, "ask again")
	}
	workers := map[string]map[string]bool{} // identities by build
	err = d.pollers(ctx, func(build string, p *taskqueue.PollerInfo) {
		if time.Since(p.GetLastAccessTime().AsTime()) < pollLifetime {
			if workers[build] == nil {
				workers[build] = map[string]bool{}
			}
			workers[build][p.GetIdentity()] = true
		}
	})
	if err != nil && len(routing.RegisteredAt) > 0 {
		return nil, translate(err, "ask again")
	}
	builds := slices.SortedFunc(maps.Keys(routing.RegisteredAt), func(a, b string) int {
		return routing.RegisteredAt[b].Compare(routing.RegisteredAt[a])
	})
	versions := make([]Version, 0, len(builds))
	for _, build := range builds {
		v := Version{Build: build, RegisteredAt: routing.RegisteredAt[build], Workers: len(workers[build])}
		err := d.complete(ctx, &v)
		if notFound := new(serviceerror.NotFound); errors.As(err, &notFound) {
			continue // it is being registered at the moment, or was dropped
		}
		if err != nil {
			return nil, translate(err, "ask again")
		}
		v.Next = v.next()
		versions = append(versions, v)
	}
	return versions, nil
}

// complete adds what is asked for each version.
func (d *Deployment) complete(ctx context.Context, v *Version) (err error) {
	described, err := d.client.WorkflowService().DescribeWorkerDeploymentVersion(ctx, &workflowservice.DescribeWorkerDeploymentVersionRequest{
		Namespace: d.namespace, ReportTaskQueueStats: true,
		DeploymentVersion: &deploymentpb.WorkerDeploymentVersion{DeploymentName: d.name, BuildId: v.Build},
	})
	if err != nil {
		return fmt.Errorf("describe build %s: %w", v.Build, err)
	}
	v.State = strings.ToLower(described.GetWorkerDeploymentVersionInfo().GetStatus().String())
	for _, q := range described.GetVersionTaskQueues() {
		v.Backlog += q.GetStats().GetApproximateBacklogCount()
		v.BacklogSeconds = max(v.BacklogSeconds, int64(q.GetStats().GetApproximateBacklogAge().AsDuration().Seconds()))
	}
	if v.Domains, err = d.count(ctx, d.running(v.Build, workflows.DomainWorkflow)); err != nil {
		return err
	}
	if v.Cases, err = d.count(ctx, d.running(v.Build, workflows.EscalationWorkflow)); err != nil {
		return err
	}
	if v.State != StateCurrent && v.Domains+v.Cases == 0 { // tasks of what has moved stay in the queue, and wait for nobody
		v.Backlog, v.BacklogSeconds = 0, 0
	}
	return nil
}

// next says what to do about a version.
func (v Version) next() string {
	running, command := v.Domains+v.Cases, "`evercert deploy "
	switch {
	case v.State == StateCurrent && v.Workers == 0:
		return "no worker of the current build runs: start one, or make another build current"
	case v.State == StateCurrent:
		return "takes new domains; nothing to do"
	case running == 0 && v.State == stateInactive:
		return command + "current " + v.Build + "` lets it take new domains"
	case running == 0 && v.Workers > 0:
		return "nothing runs on it: its workers can be stopped"
	case running == 0:
		return "nothing to do: Temporal drops it when it needs the room"
	case v.Workers == 0:
		return "no worker of it runs: start one again, or move what is left by " + command + "rescue " + v.Build + "`"
	default:
		return command + "drain " + v.Build + "` moves what runs on it to the current build; keep its workers until then"
	}
}

// running is the query for the running workflows of some types on a build.
func (d *Deployment) running(build string, types ...string) string {
	return fmt.Sprintf(`ExecutionStatus = "Running" AND WorkflowType IN ("%s") AND TemporalWorkerDeploymentVersion = "%s:%s"`,
		strings.Join(types, `","`), d.name, quoted(build))
}

// quoted is a text inside the double quotes of a query.
func quoted(text string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) }

func (d *Deployment) count(ctx context.Context, query string) (int64, error) {
	counted, err := d.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: d.namespace, Query: query})
	if err != nil {
		return 0, fmt.Errorf("count workflows: %w", err)
	}
	return counted.GetCount(), nil
}

func (d *Deployment) handle() client.WorkerDeploymentHandle {
	return d.client.WorkerDeploymentClient().GetHandle(d.name)
}

// version identifies a build in this deployment.
func (d *Deployment) version(build string) worker.WorkerDeploymentVersion {
	return worker.WorkerDeploymentVersion{DeploymentName: d.name, BuildID: build}
}
