package e2e

import (
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
)

// actions counts what Temporal counts as billed actions in a piece of history. The weights were measured with the server's own action
// metric: a start, an activity attempt, a timer, a signal, an upsert, an update, a continue-as-new: 1 each; all local activities of one
// workflow task together: 1; a child workflow: 2.
func actions(events []*history.HistoryEvent) (n int, what []string) {
	count := func(weight int, name string) {
		n += weight
		what = append(what, fmt.Sprintf("%s:%d", name, weight))
	}
	localOf := map[int64]bool{} // workflow tasks whose local activities are counted
	for _, e := range events {
		switch e.GetEventType() {
		case enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
			if e.GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId() == "" {
				count(1, "start")
			}
		case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			count(1, e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName())
		case enums.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			if retries := int(e.GetActivityTaskStartedEventAttributes().GetAttempt()) - 1; retries > 0 {
				count(retries, "activity retries")
			}
		case enums.EVENT_TYPE_TIMER_STARTED:
			count(1, "timer")
		case enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
			count(1, "signal")
		case enums.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
			count(1, "upsert")
		case enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
			count(1, "update")
		case enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
			count(1, "continue-as-new")
		case enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
			count(2, "child workflow")
		case enums.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
			count(1, "signal to another")
		case enums.EVENT_TYPE_MARKER_RECORDED:
			a := e.GetMarkerRecordedEventAttributes()
			switch {
			case a.GetMarkerName() != "LocalActivity":
				count(2, a.GetMarkerName()) // a version marker comes with an upsert
			case !localOf[a.GetWorkflowTaskCompletedEventId()]:
				localOf[a.GetWorkflowTaskCompletedEventId()] = true
				count(1, "local activities")
			}
		}
	}
	return n, what
}
