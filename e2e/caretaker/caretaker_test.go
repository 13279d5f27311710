package caretaker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// fault is a planted fault, what the caretaker calls it, and how the test sees that it is gone.
type fault struct {
	name     string
	hostname string
	kind     cert.FindingKind
	plant    func(h *house, hostname string)
	gone     func(h *house, hostname string) bool
}

func runs(h *house, hostname string) bool {
	return h.running(workflows.DomainID(hostname)) && h.repaired(hostname)
}

func served(h *house, hostname string) bool {
	return h.served(hostname) != "" && h.served(hostname) == h.serial(hostname) && h.repaired(hostname)
}

// caseOf is the id of a domain's newest case in the tables; empty without one.
func (h *house) caseOf(hostname string) string {
	return h.value(`SELECT id FROM cases WHERE hostname = $1 ORDER BY opened_at DESC LIMIT 1`, hostname)
}

// faults are the ten of figure 5.
func faults() []fault {
	var caseID string // of the domain whose case's row is deleted
	return []fault{
		{"terminated", "f0.ready.test", cert.WorkflowEnded, func(h *house, d string) { h.terminate(workflows.DomainID(d)) }, runs},
		{
			"cancelled",
			"f1.ready.test",
			cert.WorkflowEnded,
			func(h *house, d string) { h.endAs(d, enums.WORKFLOW_EXECUTION_STATUS_CANCELED) },
			runs,
		},
		{"failed", "f2.ready.test", cert.WorkflowEnded, func(h *house, d string) { h.endAs(d, enums.WORKFLOW_EXECUTION_STATUS_FAILED) }, runs},
		{"reset", "f3.ready.test", cert.WorkflowReset, (*house).reset, func(h *house, d string) bool {
			run, _ := h.run(workflows.DomainID(d))
			return run == h.value(`SELECT run::text FROM domains WHERE hostname = $1`, d) && h.repaired(d)
		}},
		{"row deleted", "f4.ready.test", cert.RowMissing, (*house).deleteRow, func(h *house, d string) bool {
			return h.value(`SELECT headline FROM domains WHERE hostname = $1`, d) == string(cert.InstallationComplete) && served(h, d)
		}},
		{"served name deleted", "f5.ready.test", cert.NotServed, func(h *house, d string) {
			h.sql(`DELETE FROM served_names WHERE name = $1`, d)
		}, served},
		{"wrong serial", "f6.ready.test", cert.ServedOtherwise, func(h *house, d string) {
			h.sql(`UPDATE served_names SET serial = $2 WHERE name = $1`, d, h.serial("healthy00.ready.test"))
		}, served},
		{"timer in the past", "f7.ready.test", cert.TimerPast, func(h *house, d string) {
			h.sql(`UPDATE domains SET next_action_at = now() - interval '2 hours' WHERE hostname = $1`, d)
		}, func(h *house, d string) bool {
			return h.value(`SELECT 'yes' FROM domains WHERE hostname = $1 AND next_action_at > now()`, d) == "yes" && h.repaired(d)
		}},
		{"case without workflow", "f8.empty.test", cert.CaseEnded, func(h *house, d string) {
			h.terminate(workflows.EscalationID(h.caseOf(d)))
		}, func(h *house, d string) bool { return h.running(workflows.EscalationID(h.caseOf(d))) }},
		{"workflow without row", "f9.empty.test", cert.CaseNotOpen, func(h *house, d string) {
			caseID = h.caseOf(d)
			h.sql(`DELETE FROM cases WHERE id = $1`, caseID)
		}, func(h *house, d string) bool { return h.caseOf(d) == caseID }},
	}
}

// reset does what "Reset to Last Workflow Task" of the Temporal Web UI does, when that task had nothing to record: a run whose last task is
// done again with its record needs no caretaker.
func (h *house) reset(hostname string) {
	id := workflows.DomainID(hostname)
	run, _ := h.run(id)
	before := h.lastTask(id, run)
	require.NoError(h.t, h.temporal.SignalWorkflow(h.t.Context(), id, run, "of-no-meaning", nil))
	h.eventually("the signal is taken", func() bool { return h.lastTask(id, run) > before })
	_, err := h.temporal.ResetWorkflowExecution(h.t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: h.Info().Namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: id, RunId: run},
		Reason: "a planted fault", WorkflowTaskFinishEventId: h.lastTask(id, run), RequestId: uuid.NewString(),
	})
	require.NoError(h.t, err)
	h.eventually("the new run is at rest", func() bool {
		d, err := h.temporal.DescribeWorkflowExecution(h.t.Context(), id, "")
		require.NoError(h.t, err)
		return d.GetPendingWorkflowTask() == nil
	})
}

// lastTask is the number of the event with which the newest workflow task of a run was completed.
func (h *house) lastTask(id, run string) (last int64) {
	for it := h.temporal.GetWorkflowHistory(h.t.Context(), id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		require.NoError(h.t, err)
		if e.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			last = e.GetEventId()
		}
	}
	return last
}

func (h *house) deleteRow(hostname string) {
	id := h.value(`SELECT id::text FROM domains WHERE hostname = $1`, hostname)
	h.sql(`DELETE FROM events WHERE domain_id = $1`, id)
	h.sql(`DELETE FROM domain_names WHERE domain_id = $1`, id)
	h.sql(`DELETE FROM domains WHERE id = $1`, id)
}

// requireFound compares what was planted with what was found. A fault may be found from two sides.
func requireFound(t *testing.T, planted []fault, findings []cert.Finding, repair cert.Repair) {
	t.Helper()
	for _, f := range planted {
		require.True(t, slices.ContainsFunc(findings, func(found cert.Finding) bool {
			return found.Subject == f.hostname && found.Kind == f.kind && found.Repair == repair
		}), "%s: %+v", f.name, findings)
	}
}

const healthyDomains = 100

// TestF22_TheCaretaker is figure 5, and what else is promised of it, one after the other on one evercert.
func TestF22_TheCaretaker(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"DNS_ESCALATE_AFTER": "2s"})
	h.startStubs()
	for _, part := range []struct {
		name string
		run  func(t *testing.T, h *house)
	}{
		{"repairs ten of ten planted faults", repairsTenOfTen},
		{"walks by schedule", walksBySchedule},
		{"leaves to people what it cannot repair", leavesToPeople},
		{"is not waited for by verbs", verbsStartALostWorkflow},
	} {
		t.Run(part.name, func(t *testing.T) {
			here := *h
			here.t = t
			part.run(t, &here)
		})
	}
}

// repairsTenOfTen plants the faults among a hundred healthy domains, on which nothing is changed.
func repairsTenOfTen(t *testing.T, h *house) {
	var healthy, complete, escalated []string
	for i := range healthyDomains {
		healthy = append(healthy, fmt.Sprintf("healthy%02d.ready.test", i))
	}
	planted := faults()
	for _, f := range planted {
		if strings.HasSuffix(f.hostname, ".ready.test") {
			complete = append(complete, f.hostname)
		} else {
			escalated = append(escalated, f.hostname)
		}
	}
	h.connectFile(healthy)
	h.connect(cert.InstallationComplete, complete...)
	h.await(cert.InstallationComplete, healthy...)
	h.connect(cert.ContactSupport, escalated...)
	for _, d := range escalated {
		h.eventually("the case of "+d, func() bool {
			return h.value(`SELECT 'yes' FROM cases WHERE hostname = $1 AND started`, d) == "yes"
		})
	}

	findings, sum, code := h.audit()
	require.Zero(t, code, "%+v", findings)
	require.Equal(t, healthyDomains+len(planted), sum.Domains)
	require.Empty(t, findings, "a healthy fleet")

	for _, f := range planted {
		f.plant(h, f.hostname)
	}
	h.eventually("list says which workflows are not running", func() bool {
		out, _, code := h.cli("list", "--contains", "ready.test")
		return code == 0 && strings.Count(out, "its workflow is not running") == 3
	})
	out, _, code := h.cli("status", "f0.ready.test")
	require.Zero(t, code)
	require.Contains(t, out, "is not running")

	findings, _, code = h.audit("--dry-run")
	require.Equal(t, 4, code)
	requireFound(t, planted, findings, cert.NotTouched)
	require.False(t, h.running(workflows.DomainID("f0.ready.test")), "a dry run repairs nothing")

	findings, sum, code = h.audit()
	require.Zero(t, code, "%+v", findings)
	require.Zero(t, sum.Total().Unrepaired, "%+v", findings)
	requireFound(t, planted, findings, cert.Repaired)
	for _, f := range planted {
		h.eventually(f.name+" is repaired", func() bool { return f.gone(h, f.hostname) })
		t.Logf("%-22s %-20s repaired", f.name, f.kind)
	}
	h.await(cert.InstallationComplete, complete...)

	h.eventually("a second audit finds nothing", func() bool {
		findings, _, code = h.audit()
		return code == 0 && len(findings) == 0
	})
	for _, d := range healthy {
		require.False(t, h.repaired(d), d)
	}
}

// walksBySchedule: the caretaker runs without a request.
func walksBySchedule(t *testing.T, h *house) {
	h.connect(cert.InstallationComplete, "scheduled.ready.test")
	id := workflows.DomainID("scheduled.ready.test")
	h.terminate(id)
	handle := h.temporal.ScheduleClient().GetHandle(t.Context(), workflows.CaretakerID)
	h.eventually("the schedule is there", func() bool { _, err := handle.Describe(t.Context()); return err == nil })
	require.NoError(t, handle.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	h.eventually("its workflow runs again", func() bool { return h.running(id) })

	var walked cert.Audit
	var walk string
	h.eventually("the walk is over", func() bool {
		d, err := handle.Describe(t.Context())
		require.NoError(t, err)
		if len(d.Info.RecentActions) == 0 {
			return false
		}
		walk = d.Info.RecentActions[0].StartWorkflowResult.WorkflowID
		return true
	})
	require.NoError(t, h.temporal.GetWorkflow(t.Context(), walk, "").Get(t.Context(), &walked))
	require.Equal(t, []cert.AuditCount{{Kind: cert.WorkflowEnded, Found: 1, Repaired: 1}}, walked.Counts)
	require.Greater(t, walked.Domains, healthyDomains)
	activities := 0
	for it := h.temporal.GetWorkflowHistory(t.Context(), walk, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		require.NoError(t, err)
		if e.GetEventType() == enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED {
			activities++
		}
	}
	require.Equal(t, 1, activities, "a page of up to 500 domains is one action, and the start of the walk is another")
}

// verbsStartALostWorkflow: check, remove and connect work on a domain whose workflow was terminated.
func verbsStartALostWorkflow(t *testing.T, h *house) {
	h.connect(cert.InstallationComplete, "shop.ready.test")
	id := workflows.DomainID("shop.ready.test")
	for _, verb := range []string{"check", "connect"} {
		h.terminate(id)
		args := []string{verb, "shop.ready.test"}
		if verb == "connect" {
			args = append(args, "--tenant", "acme")
		}
		out, stderr, code := h.cli(args...)
		require.Zero(t, code, "%s: %s%s", verb, out, stderr)
		require.True(t, h.running(id), verb)
		h.eventually(verb+" stands on the timeline", func() bool { return h.repaired("shop.ready.test") })
	}
	h.terminate(id)
	out, stderr, code := h.cli("remove", "shop.ready.test", "--yes")
	require.Zero(t, code, "%s%s", out, stderr)
	h.eventually("it is removed", func() bool {
		return h.value(`SELECT headline FROM domains WHERE hostname = 'shop.ready.test'`) == string(cert.Removed)
	})
	require.Empty(t, h.served("shop.ready.test"))
}

// leavesToPeople: a workflow whose code panics waits for a worker with better code, and is a case meanwhile.
func leavesToPeople(t *testing.T, h *house) {
	const name = "stuck.ready.test"
	h.connect(cert.InstallationComplete, name)
	id := workflows.DomainID(name)
	h.terminate(id)
	state := workflows.State{
		Domain: cert.Domain{
			ID:       h.value(`SELECT id::text FROM domains WHERE hostname = $1`, name),
			Hostname: name,
			Names:    []string{name},
			Tenant:   "acme",
		},
		Phase: "of-a-later-version",
	}
	_, err := h.temporal.ExecuteWorkflow(
		t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: workflows.TaskQueue}, workflows.DomainWorkflow, state,
	)
	require.NoError(t, err)
	openCases := func() string {
		return h.value(`SELECT count(*)::text FROM cases WHERE closed_at IS NULL AND kind = $1`, cert.NotRepaired)
	}
	h.eventually("audit says that it can't be repaired", func() bool {
		findings, _, code := h.audit()
		return code == 4 && findings[0].Kind == cert.WorkflowStuck
	})
	require.Equal(t, "1", openCases())
	out, _, _ := h.cli("cases")
	require.Contains(t, out, name)

	h.terminate(id)
	_, sum, code := h.audit()
	require.Zero(t, code)
	require.Equal(t, 1, sum.Total().Repaired)
	h.eventually("it runs, and its case is closed", func() bool {
		_, sum, code := h.audit()
		return code == 0 && len(sum.Counts) == 0 && openCases() == "0" && h.running(id)
	})
}
