package workflows

import "go.temporal.io/sdk/workflow"

// MoveOn is the signal that ends the run of a workflow at its next safe point, so that its next run begins with the code of the current worker
// version (`evercert deploy drain`). It changes nothing else.
const MoveOn = "move-on"

// Registry takes workflows; every Temporal worker, replayer and test environment is one.
type Registry interface {
	RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions)
}

// Register registers the workflows under their names. They are pinned: a run ends on the worker version that it began on, so that no code replays
// what other code wrote. Workers without versions ignore that.
func Register(r Registry) {
	pinned := func(name string) workflow.RegisterOptions {
		return workflow.RegisterOptions{Name: name, VersioningBehavior: workflow.VersioningBehaviorPinned}
	}
	r.RegisterWorkflowWithOptions(Domain, pinned(DomainWorkflow))
	r.RegisterWorkflowWithOptions(Escalation, pinned(EscalationWorkflow))
	r.RegisterWorkflowWithOptions(Caretaker, pinned(CaretakerWorkflow))
}
