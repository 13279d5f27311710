package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// CaretakerWorkflow is the type under which Caretaker is registered.
const CaretakerWorkflow = "Caretaker"

// CaretakerID is the id of the schedule that starts the caretaker, and of the workflows that it starts.
const CaretakerID = "caretaker"

const (
	// pagesPerRun limits a run's history: 600 events, 50,000 domains.
	pagesPerRun = 100
	// pagePatience limits how long a page waits for a database or a Temporal server that does not answer. Then the run ends, and the schedule
	// starts the next one.
	pagePatience = 12 * time.Hour
)

// A page of 500 takes seconds. When a worker dies its heartbeats stop; a page that finishes quickly sends none (activities.beat).
var pageOptions = workflow.ActivityOptions{
	StartToCloseTimeout: 15 * time.Minute, HeartbeatTimeout: 15 * time.Second, ScheduleToCloseTimeout: pagePatience,
	RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: 5 * time.Minute},
}

// CaretakerState is the progress of a run over all domains.
type CaretakerState struct {
	After string     `json:"after,omitempty"` // the hostname after which the next page begins
	Sum   cert.Audit `json:"sum"`
}

// Caretaker compares all domains, page by page, and repairs what differs between a domain's tables, workflow, timer, served certificate and
// case (row F22). It returns what it found. Each page is one activity: one Temporal action for 500 domains.
func Caretaker(ctx workflow.Context, s CaretakerState) (cert.Audit, error) {
	for range pagesPerRun {
		workflow.SetCurrentDetails(ctx, s.story())
		var page activities.InspectResult
		options := pageOptions
		options.Summary = s.summary()
		pageCtx, request := workflow.WithActivityOptions(ctx, options), activities.InspectRequest{After: s.After}
		err := workflow.ExecuteActivity(pageCtx, activities.InspectDomainsName, request).Get(ctx, &page)
		if err != nil {
			return s.Sum, err
		}
		s.Sum.Add(page.Sum)
		s.After = page.Next
		if s.After == "" {
			workflow.SetCurrentDetails(ctx, s.story())
			return s.Sum, nil
		}
	}
	return s.Sum, workflow.NewContinueAsNewError(ctx, CaretakerWorkflow, s)
}

func (s CaretakerState) summary() string {
	if s.After == "" {
		return "from the first domain on"
	}
	return "domains after " + s.After
}

// story returns what the Temporal Web UI shows at the top of the workflow.
func (s CaretakerState) story() string {
	var b strings.Builder
	total := s.Sum.Total()
	fmt.Fprintf(
		&b, "%d domains compared, %d differences found, %d repaired, %d not.\n", s.Sum.Domains, total.Found, total.Repaired, total.Unrepaired,
	)
	for _, c := range s.Sum.Counts {
		fmt.Fprintf(&b, "\n- `%s`: %d found, %d repaired, %d not", c.Kind, c.Found, c.Repaired, c.Unrepaired)
	}
	return b.String()
}
