package main

import (
	"context"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
)

func TestTimeIsSkippedForDomainsOnly(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]bool{"Domain": true, "Escalation": false} {
		request := &workflowservice.StartWorkflowExecutionRequest{WorkflowType: &commonpb.WorkflowType{Name: kind}}
		_, err := skipTime(t.Context(), request, nil, func(context.Context, any) (any, error) { return struct{}{}, nil })
		if got := request.GetTimeSkippingConfig().GetEnabled(); err != nil || got != want {
			t.Errorf("%s: skipping %t, want %t; %v", kind, got, want, err)
		}
	}
}
