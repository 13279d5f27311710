package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

func TestF22_AuditTellsWhatItFoundAndRepaired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{"a.example.com", "b.example.com", "c.example.com"} {
		b.connected(name, func(*cert.Snapshot) {})
	}
	out, _ := b.run(exitOK, "audit")
	equal(t, out, "3 domains compared; differences: 0 found, 0 repaired, 0 not repaired\n")

	b.workflows.Stop("b.example.com")
	out, stderr := b.run(exitWrong, "audit", "--dry-run")
	if !strings.Contains(out, "b.example.com: workflow-ended: its workflow was not running (not-touched)") ||
		!strings.Contains(stderr, "dry run") {
		t.Errorf("dry run: %s%s", out, stderr)
	}
	out, _ = b.run(exitOK, "audit")
	equal(t, out, `b.example.com: workflow-ended: its workflow was not running (repaired)
FINDING         FOUND  REPAIRED  NOT REPAIRED
workflow-ended  1      1         0
3 domains compared; differences: 1 found, 1 repaired, 0 not repaired
`)
}

func TestF22_AuditSaysWhatIsLeftToPeople(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("stuck.example.com", func(*cert.Snapshot) {})
	b.workflows.Executions = map[string]control.Execution{"domain:stuck.example.com": {Running: true, TaskSince: noon, TaskAttempts: 9}}
	out, stderr := b.run(exitWrong, "audit", "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var f cert.Finding
	var sum struct{ Total cert.AuditCount }
	if len(lines) != 2 || json.Unmarshal([]byte(lines[0]), &f) != nil || json.Unmarshal([]byte(lines[1]), &sum) != nil {
		t.Fatalf("got %s", out)
	}
	if f.Kind != cert.WorkflowStuck || f.Subject != "stuck.example.com" || f.Repair != cert.Unrepaired || sum.Total.Unrepaired != 1 {
		t.Errorf("finding %+v, sum %+v", f, sum)
	}
	if !strings.Contains(stderr, "1 of 1 findings could not be repaired; see evercert cases") {
		t.Errorf("the error output: %q", stderr)
	}
	if out, _ := b.run(exitOK, "cases"); !strings.Contains(out, "stuck.example.com of tenant acme: the caretaker could not repair") {
		t.Errorf("cases: %s", out)
	}
}

func TestF22_ListAndStatusSayThatAWorkflowIsNotRunning(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("a.example.com", func(*cert.Snapshot) {})
	b.connected("b.example.com", func(*cert.Snapshot) {})
	b.workflows.Stop("b.example.com")
	out, _ := b.run(exitOK, "list")
	if strings.Count(out, "its workflow is not running: evercert audit") != 1 || !strings.Contains(out, "b.example.com") {
		t.Errorf("list: %s", out)
	}
	out, _ = b.run(exitOK, "status", "b.example.com")
	if !strings.Contains(out, "Problem: the workflow domain:b.example.com is not running") || !strings.Contains(out, "the platform acts") {
		t.Errorf("status: %s", out)
	}
}
