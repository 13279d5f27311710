package workflows

import "go.temporal.io/sdk/workflow"

// MoveOn is the signal that ends a run at its next safe point, so that the next run begins with the code of the current worker version
// (`evercert deploy drain`). It changes nothing else.
const MoveOn = "move-on"

// Registry registers workflows; Temporal workers, replayers and test environments implement it.
type Registry interface {
	RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions)
}

// Register registers the workflows under their names. They are pinned: a run ends on the worker version that it began on, so that no code
// replays what other code wrote. Workers without versions ignore that.
func Register(r Registry) {
	pinned := func(name string) workflow.RegisterOptions {
		return workflow.RegisterOptions{Name: name, VersioningBehavior: workflow.VersioningBehaviorPinned}
	}
	r.RegisterWorkflowWithOptions(Domain, pinned(DomainWorkflow))
	r.RegisterWorkflowWithOptions(Escalation, pinned(EscalationWorkflow))
	r.RegisterWorkflowWithOptions(Caretaker, pinned(CaretakerWorkflow))
}
