package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/workflows"
)

// registered is what Register registers, by name.
type registered map[string]workflow.VersioningBehavior

func (r registered) RegisterWorkflowWithOptions(_ any, o workflow.RegisterOptions) {
	r[o.Name] = o.VersioningBehavior
}

// TestE1_WorkflowNamesArePinned fails when a name changes that running workflows use, or when a workflow could change to new code within a
// run.
func TestE1_WorkflowNamesArePinned(t *testing.T) {
	t.Parallel()
	have := registered{}
	workflows.Register(have)
	const pinned = workflow.VersioningBehaviorPinned
	require.Equal(t, registered{"Domain": pinned, "Escalation": pinned, "Caretaker": pinned}, have)
	require.Equal(t, "move-on", workflows.MoveOn)
}
