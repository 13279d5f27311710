package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/mock"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/mocks"
)

// runList is a Temporal whose list shows the runs that have not left, in pages. A client that is asked for anything else panics.
type runList struct {
	mocks.Client

	mu   sync.Mutex
	runs []string
}

func newRunList(t *testing.T, n int) *runList {
	t.Helper()
	l := &runList{}
	for i := range n {
		l.runs = append(l.runs, fmt.Sprintf("run-%02d", i))
	}
	l.On("CountWorkflow", mock.Anything, mock.Anything).
		Return(func(context.Context, *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			return &workflowservice.CountWorkflowExecutionsResponse{Count: int64(len(l.runs))}, nil
		})
	l.On("ListWorkflow", mock.Anything, mock.Anything).
		Return(func(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse,
			error,
		) {
			l.mu.Lock()
			defer l.mu.Unlock()
			page, after := &workflowservice.ListWorkflowExecutionsResponse{}, string(r.GetNextPageToken())
			for _, run := range l.runs {
				if run <= after {
					continue
				}
				if len(page.GetExecutions()) == 7 {
					return page, nil
				}
				page.NextPageToken = []byte(run)
				page.Executions = append(
					page.Executions,
					&workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: "w-" + run, RunId: run}},
				)
			}
			page.NextPageToken = nil
			return page, nil
		})
	return l
}

// leave takes a run off the list.
func (l *runList) leave(run string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs = slices.DeleteFunc(l.runs, func(r string) bool { return r == run })
}

func TestE1_AMoveKeepsItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, begun := newRunList(t, 20), time.Now()
		d := &Deployment{client: l, name: "fleet"}
		m, err := d.move(t.Context(), "A", Pace{PerSecond: 5, Patience: time.Minute}, func(_ context.Context, _, run string) error {
			l.leave(run)
			return nil
		})
		if err != nil || m != (Moved{Build: "A", Total: 20, Signalled: 20}) {
			t.Fatalf("%+v, %v", m, err)
		}
		if took := time.Since(begun); took != 4*time.Second { // of the bubble's own time
			t.Fatalf("20 at 5 in a second took %s", took)
		}
	})
}

func TestE1_AMoveTriesAgainAndSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newRunList(t, 10)
		d := &Deployment{client: l, name: "fleet"}
		var mu sync.Mutex
		asked := map[string]int{}
		m, err := d.move(t.Context(), "A", Pace{PerSecond: 100, Patience: time.Minute}, func(_ context.Context, _, run string) error {
			mu.Lock()
			defer mu.Unlock()
			asked[run]++
			switch {
			case run == "run-03" && asked[run] == 1:
				return errors.New("unavailable")
			case run == "run-04": // its run has ended since the list was made
				l.leave(run)
				return serviceerror.NewNotFound("workflow execution already completed")
			case run == "run-05": // busy for longer than the patience
				return nil
			case run == "run-06": // busy for a while
				time.AfterFunc(20*time.Second, func() { l.leave(run) })
				return nil
			}
			l.leave(run)
			return nil
		})
		if err != nil || m != (Moved{Build: "A", Total: 10, Signalled: 10, Left: 1}) {
			t.Fatalf("%+v, %v", m, err)
		}
		if asked["run-03"] != 2 || asked["run-05"] != 1 {
			t.Fatalf("asked %v: the one that failed twice, the busy one once", asked)
		}
	})
}

func TestE1_AMoveThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &Deployment{client: newRunList(t, 3), name: "fleet"}
		m, err := d.move(t.Context(), "A", Pace{PerSecond: 100, Patience: time.Minute}, func(context.Context, string, string) error {
			return errors.New("unavailable")
		})
		if err == nil || m.Signalled != 0 || m.Left != 3 {
			t.Fatalf("%+v, %v", m, err)
		}
	})
}
