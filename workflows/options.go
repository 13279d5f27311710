package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// TaskQueue is where the workflows and their activities run, unless a worker is configured otherwise.
const TaskQueue = "evercert"

// All time limits and retry policies stand here, each with its reason.
var (
	// An order polls inside for up to two minutes. A killed worker is noticed when its heartbeats stop; a healthy one that is
	// done within seconds sends none (activities.beat).
	orderOptions = workflow.ActivityOptions{
		StartToCloseTimeout: 150 * time.Second, HeartbeatTimeout: 10 * time.Second, ScheduleToCloseTimeout: 15 * time.Minute, RetryPolicy: patient,
	}
	// The built-in edge is told through PostgreSQL.
	installOptions = workflow.LocalActivityOptions{
		StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: 15 * time.Minute, RetryPolicy: patient,
	}
	// A key and a CSR are milliseconds of work and one transaction. They are made in the workflow task of the look before them, and
	// stand in the history as a marker: as an activity of its own this step cost a tenth of all work for a domain.
	csrOptions = workflow.LocalActivityOptions{
		StartToCloseTimeout: 5 * time.Second, ScheduleToCloseTimeout: 15 * time.Minute, RetryPolicy: patient,
	}
	// Handshakes with each address of the edge, and two more looks for an edge that is late; then people are told.
	verifyOptions = workflow.LocalActivityOptions{
		StartToCloseTimeout: 8 * time.Second, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3},
	}
	// A diagnosis ends by itself after five seconds (resolver.Config), behind a CDN there is a second one, and the store gets three; a
	// fault of ours is tried again, then told as "could not check".
	lookOptions = workflow.LocalActivityOptions{
		StartToCloseTimeout: 30 * time.Second, RetryPolicy: &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, MaximumAttempts: 3},
	}
	// What people read must be written before the workflow goes on: it waits for the database as long as that takes.
	recordOptions = workflow.LocalActivityOptions{
		StartToCloseTimeout: 5 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, MaximumInterval: time.Minute},
	}
	// patient retries faults (network, our own) quickly at first; after 15 minutes in all the workflow takes over with a durable wait.
	patient = &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: time.Minute}
)

// summarized adds the line that the Temporal Web UI shows beside an activity.
func summarized(ctx workflow.Context, o workflow.ActivityOptions, summary string) workflow.Context {
	o.Summary = summary
	return workflow.WithActivityOptions(ctx, o)
}

// local is summarized for a local activity.
func local(ctx workflow.Context, o workflow.LocalActivityOptions, summary string) workflow.Context {
	o.Summary = summary
	return workflow.WithLocalActivityOptions(ctx, o)
}
