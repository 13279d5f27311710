// Package faults tests that no domain is lost when the parts under evercert fail: the product's own database alone, Temporal and its
// database calls, the worker, the edge, the CA. It runs the real parts, started by bin/devstack, and uses no fakes.
package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

// TestMain lets more tests run at the same time than there are cores: their stacks wait most of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "5"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// soaking is set by `make soak`: longer faults.
var soaking = os.Getenv("EVERCERT_SOAK") == "1"

// long chooses between the time of `make test` and that of `make soak`.
func long(short, soak time.Duration) time.Duration {
	if soaking {
		return soak
	}
	return short
}

// patience is how long a domain may take to go on by itself. In a column of the grid the faults of all steps come one after the other, for
// minutes, and a step that has met many of them is tried once a minute. A claim whose start was lost is taken again after a minute, too.
var patience = long(8*time.Minute, 40*time.Minute)

// glance is the pause between two reads. A step is visible for two seconds, and many tests read at the same time.
const glance = 300 * time.Millisecond

// hasty makes a life of days pass in seconds. It is the environment of all stacks here; budgets are on, so that there is something to lock.
func hasty(more map[string]string) map[string]string {
	env := map[string]string{
		"ACME_PROFILE":                "minutes",
		"RETRY_AFTER_FAILURES":        "3s",
		"RENEWAL_HOLD_INTERVAL":       "2s",
		"DNS_FIRST_CHECKS":            "1s,1s,1s",
		"DNS_CHECK_INTERVAL":          "1s",
		"DNS_LATE_AFTER":              "20s",
		"DNS_ESCALATE_AFTER":          "5m",
		"DNS_ESCALATED_INTERVAL":      "2s",
		"ACME_FAILURES_PER_NAME_HOUR": "1000",
		"LOG_LEVEL":                   "warn",
	}
	maps.Copy(env, more)
	return env
}

// world is a running evercert, its parts and those who use it. Its calls report errors, since the parts are made to fail.
type world struct {
	*stack.Stack
	t        *testing.T
	info     stack.Info
	temporal client.Client
}

func newWorld(t *testing.T, o stack.Options) *world {
	t.Helper()
	s := stack.New(t, o)
	w := &world{Stack: s, t: t, info: s.Info()}
	var err error
	w.temporal, err = client.Dial(
		client.Options{HostPort: w.info.Temporal, Namespace: w.info.Namespace, Logger: slog.New(slog.DiscardHandler)},
	)
	require.NoError(t, err)
	t.Cleanup(w.temporal.Close)
	return w
}

// send makes a request with a JSON body and decodes the answer into out, unless that is nil.
func (w *world) send(method, url string, body, out any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header.Set("Authorization", "Bearer "+w.info.APIToken)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		var answer bytes.Buffer
		_, err := answer.ReadFrom(resp.Body)
		return errors.Join(fmt.Errorf("%s %s: %s %s", method, url, resp.Status, answer.String()), err)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (w *world) api(method, path string, body, out any) error {
	return w.send(method, w.info.API+path, body, out)
}

// must is for what no fault is in the way of.
func (w *world) must(err error) {
	w.t.Helper()
	require.NoError(w.t, err)
}

// insist repeats a call until it succeeds, as a patient caller does.
func (w *world) insist(what string, call func() error) {
	w.t.Helper()
	w.must(await(what, patience, call))
}

// errLost is not worth waiting for.
var errLost = errors.New("the workflow has ended")

// await calls done until it returns nil, or errLost.
func await(what string, limit time.Duration, done func() error) error {
	deadline, tick := time.After(limit), time.NewTicker(glance)
	defer tick.Stop()
	for {
		err := done()
		if err == nil || errors.Is(err, errLost) {
			return err
		}
		select {
		case <-deadline:
			return fmt.Errorf("%s: not within %s: %w", what, limit, err)
		case <-tick.C:
		}
	}
}

// running returns nil when a workflow is neither ended nor missing.
func (w *world) running(id string) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	answer, err := w.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return err
	}
	if status := answer.GetWorkflowExecutionInfo().GetStatus(); status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return fmt.Errorf("%w: %s is %s", errLost, id, status)
	}
	return nil
}

// failed reports whether a workflow ended in another way than by its own return.
func (w *world) failed(id string) bool {
	answer, err := w.temporal.DescribeWorkflowExecution(w.t.Context(), id, "")
	if err != nil {
		return false
	}
	status := answer.GetWorkflowExecutionInfo().GetStatus()
	return status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING && status != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED &&
		status != enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
}

// ended returns nil when the workflow came to its own end.
func (w *world) ended(id string) error {
	answer, err := w.temporal.DescribeWorkflowExecution(w.t.Context(), id, "")
	if err != nil {
		return err
	}
	if status := answer.GetWorkflowExecutionInfo().GetStatus(); status != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		return fmt.Errorf("workflow %s is %s", id, status)
	}
	return nil
}

// tail says where a workflow stands: what Temporal has pending for it, and the last events of its history.
func (w *world) tail(id string) string {
	const shown = 30
	answer, err := w.temporal.DescribeWorkflowExecution(w.t.Context(), id, "")
	if err != nil {
		return err.Error()
	}
	var lines []string
	events := w.temporal.GetWorkflowHistory(w.t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return err.Error()
		}
		line := fmt.Sprintf("%s %d %s", e.GetEventTime().AsTime().Format("15:04:05.000"), e.GetEventId(), e.GetEventType())
		if m := e.GetMarkerRecordedEventAttributes(); m != nil {
			line += fmt.Sprintf(" %.200s", m.GetDetails()["data"].GetPayloads()[0].GetData())
		}
		lines = append(lines, line)
	}
	return fmt.Sprintf(
		"pending: %v %v\n%s", answer.GetPendingWorkflowTask(), answer.GetPendingActivities(),
		strings.Join(lines[max(0, len(lines)-shown):], "\n"),
	)
}

// orders returns nil when the CA has made, for each name, as many orders as the product knows of. One that is being placed is in between.
func (w *world) orders() error {
	stored, err := w.storedOrders()
	if err != nil {
		return err
	}
	made, err := w.ordersAtCA()
	if err != nil {
		return err
	}
	for name, n := range made {
		if n != stored[name] {
			err = errors.Join(err, fmt.Errorf("%s: %d orders at the CA, %d known", name, n, stored[name]))
		}
	}
	return err
}

// ordersAtCA are the newOrder requests that the CA has accepted, by the names in them.
func (w *world) ordersAtCA() (made map[string]int, err error) {
	return made, w.send("GET", w.info.CAControl+"/orders", nil, &made)
}

// storageFaults counts Temporal's database calls that failed as ordered, by its own metric.
func (w *world) storageFaults() (n float64, err error) {
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", w.info.Metrics, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), "} ")
		if strings.HasPrefix(series, "persistence_error_with_type{") && strings.Contains(series, "Timeout") {
			count, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			n += count
		}
	}
	return n, nil
}

// storedOrders are the orders that the product knows, by the names in them. It asks the database past the gate.
func (w *world) storedOrders() (map[string]int, error) {
	conn, err := pgx.Connect(w.t.Context(), w.info.Postgres)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.Background()) //nolint:errcheck // read only
	rows, err := conn.Query(w.t.Context(), `SELECT array_to_string(names, ' '), count(DISTINCT order_url) FROM issuances GROUP BY names`)
	if err != nil {
		return nil, err
	}
	stored := map[string]int{}
	var name string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error { stored[name] = n; return nil })
	return stored, err
}

// failedWorkflows counts those that ended in another way than by their own return, whatever their id.
func (w *world) failedWorkflows() (int64, error) {
	answer, err := w.temporal.CountWorkflow(w.t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: w.info.Namespace,
		Query:     `ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled') AND WorkflowType IN ('Domain', 'Escalation')`,
	})
	if err != nil {
		return 0, err
	}
	return answer.GetCount(), nil
}

// signal sends a signal as the Temporal Web UI does. It returns an error only if the workflow is not there.
func (w *world) signal(id, verb string, request any) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	err := w.temporal.SignalWorkflow(ctx, id, "", verb, request)
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return err
	}
	return nil
}

// ask sends an update and gives up waiting after a second: evercert may need its database to answer.
func (w *world) ask(id, verb string) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
	defer cancel()
	_, err := w.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: verb, Args: []any{workflows.Request{By: "sue"}}, WaitForStage: client.WorkflowUpdateStageAccepted,
	})
	if err != nil {
		w.t.Logf("update %s of %s during the fault: %v", verb, id, err)
	}
}
