package workflows

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

func quiet(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(tableTime)
	env.SetTestTimeout(time.Minute)
	return env
}

// TestWhoWasPromisedAnAnswerGetsIt: before the run ends, whether another one follows or not.
func TestWhoWasPromisedAnAnswerGetsIt(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*domain, workflow.Context) error{
		"the next run begins":   (*domain).continueAsNew,
		"the domain is removed": func(d *domain, ctx workflow.Context) error { d.retire(ctx); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := quiet(t)
			record := func(context.Context, cert.Snapshot) error { return nil }
			env.RegisterActivityWithOptions(record, activity.RegisterOptions{Name: activities.RecordStatusName})
			env.RegisterWorkflowWithOptions(func(ctx workflow.Context, s State) error {
				d, ctx := newDomain(ctx, s)
				asked := false
				must(workflow.SetUpdateHandler(ctx, "slow", func(ctx workflow.Context) (string, error) {
					asked = true
					return "done", workflow.Sleep(ctx, time.Hour)
				}))
				must(workflow.Await(ctx, func() bool { return asked }))
				return end(d, ctx)
			}, workflow.RegisterOptions{Name: DomainWorkflow})
			answered := false
			env.RegisterDelayedCallback(func() {
				env.UpdateWorkflow("slow", "1", &testsuite.TestUpdateCallback{
					OnAccept: func() {}, OnReject: func(error) {}, OnComplete: func(any, error) { answered = !env.IsWorkflowCompleted() },
				})
			}, time.Minute)
			env.ExecuteWorkflow(DomainWorkflow, legal(Active))
			require.True(t, env.IsWorkflowCompleted())
			require.True(t, answered)
		})
	}
}

// TestASignalThatComesAsTheRunEndsIsTakenAlong: it is in the same workflow task, and the next run would not get it.
func TestASignalThatComesAsTheRunEndsIsTakenAlong(t *testing.T) {
	t.Parallel()
	env := quiet(t)
	recorded := 0
	record := func(context.Context, cert.Snapshot) error { recorded++; return nil }
	env.RegisterActivityWithOptions(record, activity.RegisterOptions{Name: activities.RecordStatusName})
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, s State) error {
		d, ctx := newDomain(ctx, s)
		must(workflow.Sleep(ctx, time.Minute))
		return d.continueAsNew(ctx)
	}, workflow.RegisterOptions{Name: DomainWorkflow})
	env.RegisterDelayedCallback(func() { env.SignalWorkflowSkippingWorkflowTask(Pause, Request{By: "kim"}) }, 30*time.Second)
	env.ExecuteWorkflow(DomainWorkflow, legal(Active))
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	var passed State
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &passed))
	require.NotNil(t, passed.Pause)
	require.Equal(t, 1, recorded, "and is recorded")
}

// TestE3_AnUpdateIsStoredBeforeItIsRecorded: what is recorded in the same workflow task stays in the tables even when Temporal loses the
// update.
func TestE3_AnUpdateIsStoredBeforeItIsRecorded(t *testing.T) {
	t.Parallel()
	for how, want := range map[string][]string{"update": {"accepted", "task completed", "recorded"}, "signal": {"recorded"}} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			env := quiet(t)
			var got []string
			record := func(context.Context, cert.Snapshot) error { got = append(got, "recorded"); return nil }
			env.RegisterActivityWithOptions(record, activity.RegisterOptions{Name: activities.RecordStatusName})
			env.SetOnTimerFiredListener(func(string) { got = append(got, "task completed") }) // a task with a timer in it waits for nothing else
			env.RegisterWorkflowWithOptions(func(ctx workflow.Context, s State) error {
				d, ctx := newDomain(ctx, s)
				must(workflow.Await(ctx, func() bool { return d.woken }))
				d.record(ctx)
				return nil
			}, workflow.RegisterOptions{Name: DomainWorkflow})
			env.RegisterDelayedCallback(func() {
				if how == "signal" {
					env.SignalWorkflow(Pause, Request{By: "kim"})
					return
				}
				env.UpdateWorkflow(Pause, "1", &testsuite.TestUpdateCallback{
					OnAccept: func() { got = append(got, "accepted") }, OnReject: func(error) {}, OnComplete: func(any, error) {},
				}, Request{By: "kim"})
			}, time.Minute)
			env.ExecuteWorkflow(DomainWorkflow, legal(Active))
			require.NoError(t, env.GetWorkflowError())
			require.Equal(t, want, got)
		})
	}
}
