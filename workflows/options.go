package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// TaskQueue is the task queue of the workflows and their activities, unless a worker is configured otherwise.
const TaskQueue = "evercert"

// All time limits and retry policies, each with its reason.
//
//	A step is first tried within the workflow task, for a brief time (a local activity). That nearly always succeeds, and Temporal does not
//	bill it. A step that takes longer or fails continues as a regular activity. That one blocks no workflow task, is retried by Temporal
//	without growing the history, and is visible in the Temporal Web UI.
var (
	// A check takes some hundred milliseconds. It ends after five seconds (resolver.Config); behind a CDN there is a second one, and the store
	// gets three. A fault of more than ten minutes is reported as "could not check", and the domain waits for its next check.
	checkOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 30 * time.Second, ScheduleToCloseTimeout: 10 * time.Minute, RetryPolicy: patient},
	}
	// A key and a CSR are milliseconds of work and one transaction.
	csrOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: 15 * time.Minute, RetryPolicy: patient},
	}
	// An order polls inside for up to two minutes. When a worker is killed its heartbeats stop; an order that finishes within seconds sends
	// none (activities.beat).
	orderOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    150 * time.Second,
		HeartbeatTimeout:       10 * time.Second,
		ScheduleToCloseTimeout: 15 * time.Minute,
		RetryPolicy:            patient,
	}
	// The built-in edge is notified through PostgreSQL.
	installOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: 15 * time.Minute, RetryPolicy: patient},
	}
	// Handshakes with one edge. An edge is notified of an installation within milliseconds. One that is late, unreachable or without its
	// database is retried for a minute more, by an activity that takes no slot from other domains. Then it is reported, and the workflow
	// waits.
	verifyOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 15 * time.Second, ScheduleToCloseTimeout: time.Minute, RetryPolicy: patient},
	}
	// What people read must be written before the workflow continues: it waits for the database without a limit.
	recordOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: unlimited, RetryPolicy: patient},
	}
	// The policy is read from the worker's memory.
	policyOptions = localOptions(time.Second)

	// patient retries faults (network, evercert's own) quickly at first, then once a minute. Every try is a billed action. Every waiting
	// domain continues within a minute after the fault ends.
	patient = &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: time.Minute}
)

// unlimited is longer than any fault: ten years, the life of a Temporal cluster.
const unlimited = 10 * 365 * 24 * time.Hour

// stepOptions are the limits of a step that is first tried within the workflow task.
type stepOptions struct {
	brief   time.Duration
	patient workflow.ActivityOptions
}

// localOptions returns the options of a local activity that is tried once, within a time. When ScheduleToCloseTimeout is not set, the SDK
// uses StartToCloseTimeout for it, with retries included: that ended domains whose database did not answer for five seconds. So both are
// always set here.
func localOptions(within time.Duration) workflow.LocalActivityOptions {
	if within <= 0 {
		panic(fmt.Sprintf("a local activity within %s", within))
	}
	return workflow.LocalActivityOptions{
		StartToCloseTimeout: within, ScheduleToCloseTimeout: within, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}
}

// local returns a context for a local activity, with the line that the Temporal Web UI shows for it.
func local(ctx workflow.Context, o workflow.LocalActivityOptions, summary string) workflow.Context {
	o.Summary = summary
	return workflow.WithLocalActivityOptions(ctx, o)
}

// regular returns a context for an activity, with the line that the Temporal Web UI shows for it.
func regular(ctx workflow.Context, o workflow.ActivityOptions, summary string) workflow.Context {
	o.Summary = summary
	return workflow.WithActivityOptions(ctx, o)
}
