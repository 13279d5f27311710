package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// TaskQueue is where the workflows and their activities run, unless a worker is configured otherwise.
const TaskQueue = "evercert"

// All time limits and retry policies stand here, each with its reason.
//
// A step is first tried within the workflow task, for a brief moment (a local activity): that is all it needs nearly always, and costs Temporal
// nothing. What takes longer or fails goes on as a regular activity, which holds no workflow task, is retried by Temporal without growing the
// history, and is seen in the Temporal Web UI.
var (
	// A look takes some hundred milliseconds. It ends by itself after five seconds (resolver.Config), behind a CDN there is a second
	// one, and the store gets three. A fault that outlasts ten minutes is told as "could not check", and the domain waits for its next look.
	lookOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 30 * time.Second, ScheduleToCloseTimeout: 10 * time.Minute, RetryPolicy: patient},
	}
	// A key and a CSR are milliseconds of work and one transaction.
	csrOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: 15 * time.Minute, RetryPolicy: patient},
	}
	// An order polls inside for up to two minutes. A killed worker is noticed when its heartbeats stop; a healthy one that is
	// done within seconds sends none (activities.beat).
	orderOptions = workflow.ActivityOptions{
		StartToCloseTimeout: 150 * time.Second, HeartbeatTimeout: 10 * time.Second, ScheduleToCloseTimeout: 15 * time.Minute, RetryPolicy: patient,
	}
	// The built-in edge is told through PostgreSQL.
	installOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: 15 * time.Minute, RetryPolicy: patient},
	}
	// Handshakes with one edge. An edge hears of an installation within milliseconds; one that is late, away or without its database is looked at
	// for a minute more, by an activity that takes no place from other domains. Then people are told, and the workflow waits.
	verifyOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 15 * time.Second, ScheduleToCloseTimeout: time.Minute, RetryPolicy: patient},
	}
	// What people read must be written before the workflow goes on: it waits for the database as long as that takes.
	recordOptions = stepOptions{
		brief:   2 * time.Second,
		patient: workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: unlimited, RetryPolicy: patient},
	}
	// The policy is read from the worker's memory.
	policyOptions = localOptions(time.Second)

	// patient retries faults (network, our own) quickly at first, then once a minute. Every try is a billed action, and every domain that waits goes on
	// within a minute of the end of the fault.
	patient = &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: time.Minute}
)

// unlimited is longer than any fault: ten years, the life of a Temporal cluster.
const unlimited = 10 * 365 * 24 * time.Hour

// stepOptions are the limits of a step that is first tried within the workflow task.
type stepOptions struct {
	brief   time.Duration
	patient workflow.ActivityOptions
}

// localOptions are those of a local activity, which is tried once within a time. The SDK takes an unset ScheduleToCloseTimeout for
// StartToCloseTimeout, retries included: that ended domains whose database was away for five seconds. So both are always set here.
func localOptions(within time.Duration) workflow.LocalActivityOptions {
	if within <= 0 {
		panic(fmt.Sprintf("a local activity within %s", within))
	}
	return workflow.LocalActivityOptions{
		StartToCloseTimeout: within, ScheduleToCloseTimeout: within, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}
}

// local is a context for a local activity, with the line that the Temporal Web UI shows beside it.
func local(ctx workflow.Context, o workflow.LocalActivityOptions, summary string) workflow.Context {
	o.Summary = summary
	return workflow.WithLocalActivityOptions(ctx, o)
}

// regular is a context for an activity, with the line that the Temporal Web UI shows beside it.
func regular(ctx workflow.Context, o workflow.ActivityOptions, summary string) workflow.Context {
	o.Summary = summary
	return workflow.WithActivityOptions(ctx, o)
}
