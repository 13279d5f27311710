package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/control"
)

// deployments is what deploy asks; *control.Deployment is one.
type deployments interface {
	Versions(ctx context.Context) ([]control.Version, error)
	SetCurrent(ctx context.Context, build, by string) error
	Drain(ctx context.Context, build string, p control.Pace) (control.Moved, error)
	Rescue(ctx context.Context, build string, p control.Pace) (control.Moved, error)
}

// deployRate is how many domains deploy moves in a second, unless another rate is given: about 80 Temporal actions.
const deployRate = 20

// deployCommand manages the builds of the worker. It asks Temporal only.
func (a *app) deployCommand() *cobra.Command {
	parent := &cobra.Command{Use: "deploy", Short: "The builds of the worker, and moving domains from one to another", Args: cobra.NoArgs}
	parent.Long = `The builds of the worker: which takes new domains, what runs on each, and moving it.

A domain's run stays on the build that it began on, so the workers of an old build are needed until it is drained:
  evercert deploy status          # after starting workers of the new build
  evercert deploy drain           # moves what runs on old builds to the current one
  evercert deploy status          # drained: stop the old workers`
	status := a.deploySubcommand("status", "Show each build, what runs on it and what to do next", cobra.NoArgs,
		func(ctx context.Context, d deployments, _ []string) error { return a.deployStatus(ctx, d) })
	current := a.deploySubcommand("current BUILD", "Let a build take new domains, also an older one", cobra.ExactArgs(1),
		func(ctx context.Context, d deployments, args []string) error {
			if err := d.SetCurrent(ctx, args[0], a.author()); err != nil {
				return err
			}
			return a.deployStatus(ctx, d)
		})
	var pace control.Pace
	drain := a.deploySubcommand("drain [BUILD]", "Move what runs on a build, or on all old ones, to the current build", cobra.MaximumNArgs(1),
		func(ctx context.Context, d deployments, args []string) error {
			return a.deployDrain(ctx, d, args, pace)
		})
	drain.Long = `Signal what runs on old builds to go on with the current build, at a bounded rate, and wait until it has. What is busy
moves when its work is done. It may be stopped and run again. Exit code 3: some are left when the patience is over.`
	rescue := a.deploySubcommand("rescue BUILD", "Move what a build without workers left behind to the current build", cobra.ExactArgs(1),
		func(ctx context.Context, d deployments, args []string) error {
			pace.Patience = 0
			return a.deployMove(ctx, args[0], "rescued", pace, d.Rescue)
		})
	rescue.Long = `Send the next task of each workflow of a lost build to the current build, once; it stays there. The current build replays
what the lost one recorded: the release before is safe, others may not be. Prefer starting a worker of the lost build, and drain.`
	for _, cmd := range []*cobra.Command{drain, rescue} {
		cmd.Flags().Float64Var(&pace.PerSecond, "rate", deployRate, "workflows to move in a second")
	}
	rescue.Flags().BoolVar(&pace.Force, "force", false, "its workers are stopped; Temporal notices that after a minute and a half")
	drain.Flags().DurationVar(&pace.Patience, "patience", 5*time.Minute, "how long to wait for those that are busy")
	parent.AddCommand(status, current, drain, rescue)
	return parent
}

func (a *app) deploySubcommand(
	use, short string,
	arguments cobra.PositionalArgs,
	do func(context.Context, deployments, []string) error,
) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: arguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if rate := cmd.Flags().Lookup("rate"); rate != nil {
				if n, err := cmd.Flags().GetFloat64("rate"); err != nil || n <= 0 || n > 1000 {
					return fmt.Errorf("--rate is %s; it expects a number above 0, at most 1000", rate.Value)
				}
			}
			if patience := cmd.Flags().Lookup("patience"); patience != nil {
				if d, err := cmd.Flags().GetDuration("patience"); err != nil || d < 0 {
					return fmt.Errorf("--patience is %s; it expects a time such as 5m, or 0", patience.Value)
				}
			}
			d, closeAll, err := a.deployment()
			if err != nil {
				return carriedOut{err}
			}
			defer closeAll()
			if err := do(cmd.Context(), d, args); err != nil {
				return carriedOut{err}
			}
			return nil
		},
	}
}

func (a *app) deployStatus(ctx context.Context, d deployments) error {
	versions, err := d.Versions(ctx)
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(a.out, struct {
			Builds []control.Version `json:"builds"`
		}{versions})
		return nil
	}
	if len(versions) == 0 {
		fmt.Fprintln(a.out, "No build of the worker is known: start a worker.")
		return nil
	}
	t := a.newTable("BUILD", "STATE", "WORKERS", "DOMAINS", "CASES", "WAITING TASKS", "REGISTERED")
	for _, v := range versions {
		waiting := "0"
		if v.Backlog > 0 {
			waiting = fmt.Sprintf("%d, oldest %s", v.Backlog, span(time.Duration(v.BacklogSeconds)*time.Second))
		}
		t.row(v.Build, v.State, fmt.Sprint(v.Workers), fmt.Sprint(v.Domains), fmt.Sprint(v.Cases), waiting, a.clock(v.RegisteredAt))
	}
	t.show()
	for _, v := range versions {
		fmt.Fprintf(a.out, "%s: %s\n", v.Build, v.Next)
	}
	return nil
}

// deployDrain drains one build, or all that are not current and have workflows.
func (a *app) deployDrain(ctx context.Context, d deployments, builds []string, pace control.Pace) error {
	if len(builds) == 0 {
		versions, err := d.Versions(ctx)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if v.State != control.StateCurrent && v.Domains+v.Cases > 0 {
				builds = append(builds, v.Build)
			}
		}
		if len(builds) == 0 && !a.json {
			fmt.Fprintln(a.out, "Nothing runs on an old build.")
		}
	}
	for _, build := range builds {
		if err := a.deployMove(ctx, build, "moved", pace, d.Drain); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) deployMove(
	ctx context.Context,
	build, done string,
	pace control.Pace,
	move func(context.Context, string, control.Pace) (control.Moved, error),
) error {
	said := a.now()
	pace.Report = func(m control.Moved) {
		if a.now().Sub(said) < reportEvery {
			return
		}
		said = a.now()
		fmt.Fprintf(a.err, "%s: signalled %d of %d, about %d left\n", build, m.Signalled, m.Total, m.Left)
	}
	m, err := move(ctx, build, pace)
	if err != nil && m.Signalled == 0 {
		return err
	}
	if a.json {
		if encoding := json.NewEncoder(a.out).Encode(m); encoding != nil {
			return encoding
		}
	} else {
		fmt.Fprintf(a.out, "%s: %d of %d %s", build, m.Signalled, m.Total, done)
		if m.Left > 0 {
			fmt.Fprintf(a.out, ", %d still stand on it", m.Left)
		}
		fmt.Fprintln(a.out)
	}
	switch {
	case err != nil:
		return fmt.Errorf("stopped after %d of %d, and running it again carries on: %w", m.Signalled, m.Total, err)
	case m.Left > 0 && pace.Patience > 0:
		return incomplete{fmt.Sprintf("%d are still on build %s: they move when what they do is done; run it again", m.Left, build)}
	}
	return nil
}

// openDeployment connects to Temporal at its first use.
func openDeployment(environ map[string]string, stackFile string, log *slog.Logger) (deployments, func(), error) {
	settings, err := loadTemporalSettings(environ, stackFile)
	if err != nil {
		return nil, nil, err
	}
	temporal, err := settings.Dial(log)
	if err != nil {
		return nil, nil, err
	}
	return settings.DeploymentOf(temporal), temporal.Close, nil
}
