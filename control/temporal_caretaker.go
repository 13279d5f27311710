package control

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/evercert/evercert/workflows"
)

// listPage is how many workflows Temporal lists at a time.
const listPage = 1000

func (t temporalWorkflows) Describe(ctx context.Context, id string) (Execution, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	described, err := t.client.DescribeWorkflowExecution(ctx, id, "")
	if notFound := new(serviceerror.NotFound); errors.As(err, &notFound) {
		return Execution{}, nil
	}
	if err != nil {
		return Execution{}, translate(err, "try again in a minute")
	}
	info, task := described.GetWorkflowExecutionInfo(), described.GetPendingWorkflowTask()
	e := Execution{
		Running:   info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING || info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_PAUSED,
		Run:       info.GetExecution().GetRunId(),
		StartedAt: info.GetStartTime().AsTime(),
		Reset:     described.GetWorkflowExtendedInfo().GetLastResetTime() != nil,
	}
	if task != nil {
		e.TaskSince, e.TaskAttempts = task.GetOriginalScheduledTime().AsTime(), int(task.GetAttempt())
	}
	return e, nil
}

func (t temporalWorkflows) Wake(ctx context.Context, id string, w workflows.WakeRequest) error {
	return t.signal(ctx, id, workflows.Wake, w)
}

func (t temporalWorkflows) WakeCase(ctx context.Context, caseID string) error {
	return t.signal(ctx, workflows.EscalationID(caseID), workflows.Resolved, workflows.CaseRequest{By: "the caretaker"})
}

func (t temporalWorkflows) Forget(ctx context.Context, hostname, cause string) error {
	return t.signal(ctx, workflows.DomainID(hostname), workflows.Remove, workflows.Request{By: "the caretaker", Reason: cause})
}

func (t temporalWorkflows) signal(ctx context.Context, id, name string, argument any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return translate(t.client.SignalWorkflow(ctx, id, "", name, argument), "it may have heard it all the same")
}

func (t temporalWorkflows) EachRunning(ctx context.Context, workflowType string, each func(ids []string) error) error {
	return t.list(
		ctx,
		fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", workflowType),
		func(page []*workflow.WorkflowExecutionInfo) error {
			ids := make([]string, len(page))
			for i, execution := range page {
				ids[i] = execution.GetExecution().GetWorkflowId()
			}
			return each(ids)
		},
	)
}

// endedAtOnce bounds how many ended workflows a list is compared with.
const endedAtOnce = listPage

func (t temporalWorkflows) Ended(ctx context.Context) ([]string, error) {
	answer, err := t.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: endedAtOnce,
		Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus IN ('Terminated', 'Canceled', 'Failed', 'TimedOut')",
			workflows.DomainWorkflow),
	})
	if err != nil {
		return nil, translate(err, "try again in a minute")
	}
	ids := make([]string, len(answer.GetExecutions()))
	for i, execution := range answer.GetExecutions() {
		ids[i] = execution.GetExecution().GetWorkflowId()
	}
	return without(workflows.DomainID(""), ids), nil
}

// list pages through a list of workflows.
func (t temporalWorkflows) list(ctx context.Context, query string, each func(page []*workflow.WorkflowExecutionInfo) error) error {
	var token []byte
	for {
		answer, err := t.client.ListWorkflow(
			ctx,
			&workflowservice.ListWorkflowExecutionsRequest{PageSize: listPage, Query: query, NextPageToken: token},
		)
		if err != nil {
			return translate(err, "try again in a minute")
		}
		if err := each(answer.GetExecutions()); err != nil {
			return err
		}
		if token = answer.GetNextPageToken(); len(token) == 0 {
			return nil
		}
	}
}
