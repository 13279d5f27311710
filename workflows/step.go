package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// step runs one activity: within the workflow task if that takes a brief time, else as an activity that Temporal retries. It may therefore
// run twice, as every activity may. Its error is the activity's verdict, or a fault that lasted longer than the time of o.
func step(ctx workflow.Context, o stepOptions, summary, activity string, request, result any) error {
	return try(ctx, o, summary, activity, request).patient(ctx).Get(ctx, result)
}

// attempted is a step whose first try has begun, so that several can be tried at the same time.
type attempted struct {
	options           stepOptions
	summary, activity string
	request           any
	brief             workflow.Future
}

func try(ctx workflow.Context, o stepOptions, summary, activity string, request any) attempted {
	return attempted{
		o,
		summary,
		activity,
		request,
		workflow.ExecuteLocalActivity(local(ctx, localOptions(o.brief), summary), activity, request),
	}
}

// settled waits for the first try, and reports whether its result is final.
func (a attempted) settled(ctx workflow.Context) bool {
	err := a.brief.Get(ctx, nil)
	return err == nil || isFinal(err)
}

// patient waits for the first try. Unless its result is final, it starts a regular activity.
func (a attempted) patient(ctx workflow.Context) workflow.Future {
	if a.settled(ctx) {
		return a.brief
	}
	return workflow.ExecuteActivity(regular(ctx, a.options.patient, a.summary), a.activity, a.request)
}

// isFinal reports whether an activity failed in a way that a repetition does not change.
func isFinal(err error) bool {
	var application *temporal.ApplicationError
	return errors.As(err, &application) && application.NonRetryable()
}
