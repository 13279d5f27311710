// Command worker carries out the workflows and their activities: it looks at DNS, orders certificates, installs and
// verifies them. Run as many as you like; each domain's workflow is in one place at a time, and every step may be taken over.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/ca"
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
	debug.SetGCPercent(garbage)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, log); err != nil {
		log.Error("the worker ended", "error", err)
		os.Exit(1) //nolint:gocritic // stop only frees the signal handler, and the process ends
	}
}

// garbage lets the heap, which is small, grow to four times what is alive before it is collected: memory for processor
// time. GOMEMLIMIT bounds it.
const garbage = 300

// run plugs the adapters into the activities and works until ctx ends.
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
	solver := dcv.NewSolver(db, newDelegations(db, c.Control.Platform()), c.Solver)
	authority, err := ca.New(c.CA, accounts{db}, keys, solver, log)
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
	w := worker.New(temporal, workflows.TaskQueue, worker.Options{
		Tuner:             tuner,
		WorkerStopTimeout: c.StopTimeout,
		// A task that finds a poller waiting is never written to the matching service's tables.
		WorkflowTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
	})
	w.RegisterWorkflowWithOptions(workflows.Domain, workflow.RegisterOptions{Name: workflows.DomainWorkflow})
	w.RegisterWorkflowWithOptions(workflows.Escalation, workflow.RegisterOptions{Name: workflows.EscalationWorkflow})
	w.RegisterActivity(&activities.DNS{
		Resolver: dns, Tenants: db, CA: authority, Checks: db, Probes: db,
		Platform: c.Control.Platform(), Methods: c.Methods, Log: log,
	})
	w.RegisterActivity(&activities.Issuance{Store: db, CA: authority, Budgets: budgets{db, authority}, Keys: keys, Log: log})
	w.RegisterActivity(&activities.Installation{Edge: install.Builtin{Serving: db}, Prober: install.NewProber(c.Install)})
	w.RegisterActivity(&activities.Records{Store: db, Policy: c.Policy.policy()})
	w.RegisterWorkflowWithOptions(workflows.Caretaker, workflow.RegisterOptions{Name: workflows.CaretakerWorkflow})
	w.RegisterActivity(&activities.Caretaker{Inspector: control.Caretaker{Store: db, Workflows: control.Temporal(temporal), Log: log}})
	if err := w.Start(); err != nil {
		return fmt.Errorf("start working for %s: %w", c.Temporal.Address, err)
	}
	log.Info("worker is ready", "task_queue", workflows.TaskQueue)
	go c.Caretaker.keep(ctx, temporal.ScheduleClient(), log)
	control.Starting{Queue: db, Workflows: control.Temporal(temporal), Room: slots.Room, Log: log}.Run(ctx)
	log.Info("worker stops: what runs is given time to end", "at_most", c.StopTimeout)
	w.Stop()
	return nil
}
