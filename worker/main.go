// Command worker runs the workflows and their activities: it checks DNS, orders certificates, installs and verifies them. Run as many
// workers as you like. Each workflow runs in one of them at a time, and another worker can continue every step.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/ca"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/install"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/resolver"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

func main() {
	c, err := config.Load[Config]()
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(2)
	}
	log := c.Logger(os.Stderr)
	slog.SetDefault(log)
	debug.SetGCPercent(gcPercent)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, log); err != nil {
		log.Error("the worker ended", "error", err)
		os.Exit(1) //nolint:gocritic // stop only frees the signal handler
	}
}

// gcPercent lets the heap, which is small, grow to four times its live size before garbage collection: it uses memory to save processor
// time. GOMEMLIMIT limits it.
const gcPercent = 300

// run connects the adapters to the activities, and works until ctx ends.
func run(ctx context.Context, c Config, log *slog.Logger) error {
	log.Info("worker starts", config.Log(c))
	db, err := store.OpenConfig(ctx, c.Store)
	if err != nil {
		return err
	}
	defer db.Close()
	keys, err := keyring.Load(c.Keyring.File)
	if err != nil {
		return err
	}
	authorities, err := newAuthorities(ctx, c, db, keys, log)
	if err != nil {
		return err
	}
	dns, err := resolver.New(c.Resolver, log)
	if err != nil {
		return err
	}
	temporal, err := c.Temporal.Dial(log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	if err := ensureSearchAttributes(ctx, temporal, c.Temporal.Namespace, log); err != nil {
		return err
	}

	tuner, slots, err := newTuner(c)
	if err != nil {
		return err
	}
	build, err := buildID(c.BuildID)
	if err != nil {
		return err
	}
	w := newWorker(temporal, c, build, tuner)
	cas := c.Moving.cas(authorities, db, log)
	starter := control.Temporal(temporal)
	activities.Set{
		DNS: &activities.DNS{
			Resolver: dns, Tenants: db, CAs: cas, Checks: db, Probes: db,
			Platform: c.Control.Platform(), Methods: c.Methods, Log: log,
		},
		Issuance:     &activities.Issuance{Store: db, CAs: cas, Budgets: budgets{db, authorities}, Keys: keys, Log: log},
		Installation: &activities.Installation{Edge: install.Builtin{Serving: db}, Prober: install.NewProber(c.Install)},
		Records:      &activities.Records{Store: db, Policy: c.Policy, Log: log},
		Caretaker: &activities.Caretaker{
			Inspector: control.Caretaker{Store: db, Workflows: starter, Directories: directories(c.CAs), Log: log},
		},
	}.Register(w)
	if err := w.Start(); err != nil {
		return fmt.Errorf("start working for %s: %w", c.Temporal.Address, err)
	}
	attend(ctx, c, authorities, db, dns, temporal, log)
	log.Info("worker is ready", "task_queue", workflows.TaskQueue, "build", build)
	rollout := &control.Rollout{Builds: c.Temporal.DeploymentOf(temporal), Build: build, Auto: c.Deploy == deployAuto, Log: log}
	work(ctx, rollout, control.Starting{Queue: db, Cases: db, Workflows: starter, Room: slots.Room, Allowed: rollout.Starts, Log: log})
	log.Info("worker stops: activities get time to end", "at_most", c.StopTimeout)
	w.Stop()
	return nil
}

// attend does, until ctx ends, what no domain asks for: it asks early for missing records, watches the accounts at the CAs, publishes the
// list of CAs, and keeps the caretaker's schedule.
func attend(
	ctx context.Context, c Config, authorities []*ca.Authority, db *store.Store, dns *resolver.Resolver, temporal client.Client,
	log *slog.Logger,
) {
	go control.Early{Config: c.Early, Store: db, Servers: dns, Workflows: control.Temporal(temporal), Log: log}.Run(ctx)
	for _, authority := range authorities {
		go authority.Watch(ctx)
		go authority.LogProfile(ctx)
	}
	go publish(ctx, db, c.CAs, log)
	otherCA := func(ctx context.Context) (bool, error) { return db.HasOtherCA(ctx, directories(c.CAs)) }
	go c.Caretaker.keep(ctx, temporal.ScheduleClient(), otherCA, log)
}

// newAuthorities returns the platform's accounts at its CAs. This process must be able to unseal the accounts' keys.
func newAuthorities(ctx context.Context, c Config, db *store.Store, keys *keyring.Keyring, log *slog.Logger) ([]*ca.Authority, error) {
	solver := dcv.NewSolver(db, newDelegations(db, c.Control.Platform()), c.Solver)
	var all []*ca.Authority
	for _, settings := range c.CAs {
		authority, err := ca.New(settings, db, keys, solver, log)
		if err != nil {
			return nil, err
		}
		if err := authority.CheckKey(ctx); err != nil {
			return nil, err
		}
		all = append(all, authority)
	}
	return all, nil
}

// publish keeps the list of CAs for people to read.
func publish(ctx context.Context, db *store.Store, cas []ca.Config, log *slog.Logger) {
	list := make([]cert.ConfiguredCA, len(cas))
	for i, c := range cas {
		list[i] = cert.ConfiguredCA{
			Position:      i + 1,
			Name:          c.DisplayName(),
			Directory:     c.Directory,
			Profile:       c.Profile,
			CAAIdentities: c.CAAIdentities,
		}
	}
	if err := db.ConfigureCAs(ctx, list); err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "the list of CAs could not be kept: evercert ca list shows that of another worker", "error", err)
	}
}

// directories returns the URLs of the CAs' ACME directories.
func directories(cas []ca.Config) []string {
	urls := make([]string, len(cas))
	for i, c := range cas {
		urls[i] = c.Directory
	}
	return urls
}

// work starts the workflows of connected domains and follows the builds of the worker, until ctx ends.
func work(ctx context.Context, rollout *control.Rollout, starting control.Starting) {
	var watching sync.WaitGroup
	watching.Go(func() { rollout.Run(ctx) })
	starting.Run(ctx)
	watching.Wait()
}

// workflowPollers returns the number of pollers for workflow tasks. Each holds a slot while it polls, and new domains need slots too. The
// SDK needs two.
func workflowPollers(slots int) int { return max(2, min(slots/3, 32)) }

// newWorker returns the worker of a build, with its workflows registered.
func newWorker(temporal client.Client, c Config, build string, tuner worker.WorkerTuner) worker.Worker {
	worker.SetStickyWorkflowCacheSize(c.WorkflowCache) // one cache for the whole process
	w := worker.New(temporal, workflows.TaskQueue, worker.Options{
		Tuner:             tuner,
		WorkerStopTimeout: c.StopTimeout,
		DeploymentOptions: worker.DeploymentOptions{
			UseVersioning: true, Version: worker.WorkerDeploymentVersion{DeploymentName: c.Temporal.Deployment, BuildID: build},
		},
		// A task that a waiting poller takes at once is not written to the tables of Temporal's matching service. Pollers that scale with
		// the load start too late when many domains are connected at once: their second tasks then wait for more than the SDK's 5 s, lose
		// their place in this worker's cache, and are replayed.
		WorkflowTaskPollerBehavior: worker.NewPollerBehaviorSimpleMaximum(
			worker.PollerBehaviorSimpleMaximumOptions{MaximumNumberOfPollers: workflowPollers(c.WorkflowSlots)},
		),
		ActivityTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
	})
	workflows.Register(w)
	return w
}
