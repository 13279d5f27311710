package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// step carries out one activity: within this workflow task if that takes a brief moment, else as an activity that Temporal retries. It
// may therefore run twice, as every activity may. Its error is a verdict of the activity, or a fault that outlasted the time of o.
func step(ctx workflow.Context, o stepOptions, summary, activity string, request, result any) error {
	return try(ctx, o, summary, activity, request).patient(ctx).Get(ctx, result)
}

// attempted is a step whose first try is under way, so that several can be tried at the same time.
type attempted struct {
	options           stepOptions
	summary, activity string
	request           any
	brief             workflow.Future
}

func try(ctx workflow.Context, o stepOptions, summary, activity string, request any) attempted {
	return attempted{o, summary, activity, request, workflow.ExecuteLocalActivity(local(ctx, localOptions(o.brief), summary), activity, request)}
}

// settled waits for the first try, and reports whether that told all there is to know.
func (a attempted) settled(ctx workflow.Context) bool {
	err := a.brief.Get(ctx, nil)
	return err == nil || isFinal(err)
}

// patient waits for the first try, and goes on with a regular activity unless that settled it.
func (a attempted) patient(ctx workflow.Context) workflow.Future {
	if a.settled(ctx) {
		return a.brief
	}
	return workflow.ExecuteActivity(regular(ctx, a.options.patient, a.summary), a.activity, a.request)
}

// isFinal reports whether an activity has failed in a way that a repetition does not change.
func isFinal(err error) bool {
	var application *temporal.ApplicationError
	return errors.As(err, &application) && application.NonRetryable()
}
