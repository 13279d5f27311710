package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// walk runs the caretaker over this number of pages of two domains, from a state on. Each page finds one ended workflow; the first tries
// fail.
func walk(t *testing.T, from workflows.CaretakerState, pages, failures int) (env *testsuite.TestWorkflowEnvironment, asked []string) {
	t.Helper()
	suite := new(testsuite.WorkflowTestSuite)
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env = suite.NewTestWorkflowEnvironment()
	env.RegisterWorkflowWithOptions(workflows.Caretaker, workflow.RegisterOptions{Name: workflows.CaretakerWorkflow})
	env.RegisterActivityWithOptions(func(_ context.Context, r activities.InspectRequest) (activities.InspectResult, error) {
		if failures--; failures >= 0 {
			return activities.InspectResult{}, errors.New("connection refused")
		}
		asked = append(asked, r.After)
		result := activities.InspectResult{Sum: cert.Audit{Domains: 2}}
		result.Sum.Note(cert.Finding{Kind: cert.WorkflowEnded, Repair: cert.Repaired})
		if len(asked) < pages {
			result.Next = fmt.Sprint(len(asked))
		}
		return result, nil
	}, activity.RegisterOptions{Name: activities.InspectDomainsName})
	env.ExecuteWorkflow(workflows.CaretakerWorkflow, from)
	require.True(t, env.IsWorkflowCompleted())
	return env, asked
}

func TestF22_TheCaretakerWalksPageByPageAndWaitsForAFault(t *testing.T) {
	t.Parallel()
	env, asked := walk(t, workflows.CaretakerState{}, 3, 5)
	var sum cert.Audit
	require.NoError(t, env.GetWorkflowResult(&sum))
	require.Equal(t, []string{"", "1", "2"}, asked)
	require.Equal(t, cert.Audit{Domains: 6, Counts: []cert.AuditCount{{Kind: cert.WorkflowEnded, Found: 3, Repaired: 3}}}, sum)
}

func TestF22_ALongWalkGoesOnInANewRun(t *testing.T) {
	t.Parallel()
	env, asked := walk(t, workflows.CaretakerState{}, 1000, 0)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &again)
	require.Len(t, asked, 100)

	env, asked = walk(t, workflows.CaretakerState{After: "100", Sum: cert.Audit{Domains: 200}}, 1, 0)
	var sum cert.Audit
	require.NoError(t, env.GetWorkflowResult(&sum))
	require.Equal(t, []string{"100"}, asked)
	require.Equal(t, 202, sum.Domains)
}

// A run that can't continue ends; the schedule starts the next one.
func TestF22_AWalkDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	env, asked := walk(t, workflows.CaretakerState{}, 1, 1_000_000)
	require.Error(t, env.GetWorkflowError())
	require.Empty(t, asked)
}
