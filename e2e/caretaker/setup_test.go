// Package caretaker plants faults in a running evercert, each a process of its own, and lets `evercert audit` find them.
package caretaker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

// patience is how long a test waits for something that takes seconds. It does not measure speed.
const patience = 2 * time.Minute

// house is a running evercert, its database and its Temporal.
type house struct {
	*stack.Stack
	t        *testing.T
	db       *pgxpool.Pool
	temporal client.Client
}

func newHouse(t *testing.T, env map[string]string) *house {
	t.Helper()
	h := &house{Stack: stack.New(t, stack.Options{Env: env}), t: t}
	info := h.Info()
	var err error
	h.db, err = pgxpool.New(t.Context(), info.Postgres)
	require.NoError(t, err)
	t.Cleanup(h.db.Close)
	h.temporal, err = client.Dial(client.Options{HostPort: info.Temporal, Namespace: info.Namespace, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(h.temporal.Close)
	return h
}

// cli runs bin/evercert and returns its output and exit code.
func (h *house) cli(args ...string) (stdout, stderr string, code int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, stack.Bin("evercert"), append(args, "--stack", h.Dir+"/stack.json")...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		h.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// audit runs evercert audit and returns its findings and their sum.
func (h *house) audit(args ...string) (findings []cert.Finding, sum cert.Audit, code int) {
	h.t.Helper()
	out, stderr, code := h.cli(append([]string{"audit", "--json"}, args...)...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range lines[:len(lines)-1] {
		var f cert.Finding
		require.NoError(h.t, json.Unmarshal([]byte(line), &f), "%s%s", out, stderr)
		findings = append(findings, f)
	}
	require.NoError(h.t, json.Unmarshal([]byte(lines[len(lines)-1]), &sum), "%s%s", out, stderr)
	return findings, sum, code
}

func (h *house) sql(sql string, args ...any) {
	h.t.Helper()
	tag, err := h.db.Exec(h.t.Context(), sql, args...)
	require.NoError(h.t, err)
	require.Positive(h.t, tag.RowsAffected(), sql)
}

// value is the single text that a query answers with; empty without a row.
func (h *house) value(sql string, args ...any) string {
	h.t.Helper()
	var value *string
	rows, err := h.db.Query(h.t.Context(), sql, args...)
	require.NoError(h.t, err)
	defer rows.Close()
	if rows.Next() {
		require.NoError(h.t, rows.Scan(&value))
	}
	require.NoError(h.t, rows.Err())
	if value == nil {
		return ""
	}
	return *value
}

func (h *house) eventually(what string, done func() bool) {
	h.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			h.t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// connect connects hostnames and waits until each has a headline.
func (h *house) connect(headline cert.Headline, hostnames ...string) {
	h.t.Helper()
	for _, name := range hostnames {
		_, stderr, code := h.cli("connect", name, "--tenant", "acme")
		require.Zero(h.t, code, stderr)
	}
	h.await(headline, hostnames...)
}

// await waits until each hostname has a headline.
func (h *house) await(headline cert.Headline, hostnames ...string) {
	h.t.Helper()
	for _, name := range hostnames {
		h.eventually(name+" is "+string(headline), func() bool {
			return h.value(`SELECT headline FROM domains WHERE hostname = $1`, name) == string(headline)
		})
	}
}

func (h *house) serial(hostname string) string {
	return h.value(`SELECT serial FROM domains WHERE hostname = $1`, hostname)
}

func (h *house) served(name string) string {
	return h.value(`SELECT serial FROM served_names WHERE name = $1`, name)
}

// repaired reports whether the domain's timeline says that the caretaker repaired something.
func (h *house) repaired(hostname string) bool {
	return h.value(
		`SELECT 'yes' FROM events JOIN domains d ON d.id = domain_id WHERE hostname = $1 AND type = $2 LIMIT 1`,
		hostname,
		cert.DomainRepaired,
	) == "yes"
}

// run returns the id and the status of the newest run of a workflow.
func (h *house) run(id string) (run string, status enums.WorkflowExecutionStatus) {
	h.t.Helper()
	d, err := h.temporal.DescribeWorkflowExecution(h.t.Context(), id, "")
	require.NoError(h.t, err)
	return d.GetWorkflowExecutionInfo().GetExecution().GetRunId(), d.GetWorkflowExecutionInfo().GetStatus()
}

func (h *house) running(id string) bool {
	_, status := h.run(id)
	return status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING
}

func (h *house) terminate(id string) {
	h.t.Helper()
	require.NoError(h.t, h.temporal.TerminateWorkflow(h.t.Context(), id, "", "a planted fault"))
}

// stubQueue is where workflows run that take a domain's workflow id and end in a way in which evercert's own never do.
const stubQueue = "stubs"

// startStubs runs a worker whose domains fail at once, or wait to be cancelled.
func (h *house) startStubs() {
	h.t.Helper()
	w := worker.New(h.temporal, stubQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context, fails bool) error {
		if fails {
			return errors.New("a planted fault")
		}
		_ = ctx.Done().Receive(ctx, nil)
		return ctx.Err()
	}, workflow.RegisterOptions{Name: workflows.DomainWorkflow})
	require.NoError(h.t, w.Start())
	h.t.Cleanup(w.Stop)
}

// endAs makes the newest run of a domain's workflow one that has failed or was cancelled.
func (h *house) endAs(hostname string, wanted enums.WorkflowExecutionStatus) {
	h.t.Helper()
	id := workflows.DomainID(hostname)
	h.terminate(id)
	stub, err := h.temporal.ExecuteWorkflow(h.t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: stubQueue},
		workflows.DomainWorkflow, wanted == enums.WORKFLOW_EXECUTION_STATUS_FAILED)
	require.NoError(h.t, err)
	if wanted == enums.WORKFLOW_EXECUTION_STATUS_CANCELED {
		require.NoError(h.t, h.temporal.CancelWorkflow(h.t.Context(), id, stub.GetRunID()))
	}
	require.Error(h.t, stub.Get(h.t.Context(), nil))
	_, status := h.run(id)
	require.Equal(h.t, wanted, status)
}

// connectFile connects hostnames by a file.
func (h *house) connectFile(hostnames []string) {
	h.t.Helper()
	file := filepath.Join(h.t.TempDir(), "domains.csv")
	require.NoError(h.t, os.WriteFile(file, []byte("hostname\n"+strings.Join(hostnames, "\n")+"\n"), 0o600))
	out, stderr, code := h.cli("connect", "--file", file, "--tenant", "acme")
	require.Zero(h.t, code, "%s%s", out, stderr)
}
