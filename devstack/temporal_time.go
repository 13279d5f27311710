package main

import (
	"context"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/dynamicconfig"
	"google.golang.org/grpc"
)

// skippingType is the workflow whose sleep is skipped. The product's code need not know of it.
const skippingType = "Domain"

// maxSkips is how often a workflow may skip, over all its runs; real time goes on after that.
const maxSkips = 10_000

// allowTimeSkipping sets what the server needs for it.
func allowTimeSkipping(settings *dynamicconfig.MemoryClient) {
	settings.OverrideValue(dynamicconfig.WorkflowTimeSkippingEnabled.Key(), true)
	// Without it the next run begins with a wait, which is skipped, and the clock goes wrong (server v1.32, its issue 11635).
	settings.OverrideValue(dynamicconfig.WorkflowIdReuseMinimalInterval.Key(), time.Duration(0))
	// Timers wait so long for others to be handled with them: a second for each skip with the default.
	settings.OverrideValue(dynamicconfig.TimerProcessorMaxTimeShift.Key(), 10*time.Millisecond)
}

// skipTime asks for it at each start of a domain, whoever starts it.
func skipTime(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if r, ok := request.(*workflowservice.StartWorkflowExecutionRequest); ok && r.GetWorkflowType().GetName() == skippingType {
		r.TimeSkippingConfig = &commonpb.TimeSkippingConfig{Enabled: true, MaxSessionSkipCount: maxSkips}
	}
	return next(ctx, request)
}
