package control_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// noRecords is a DNS in which no tenant has added anything, and a CA that is never asked for more than its name.
type noRecords struct{}

func (noRecords) Diagnose(_ context.Context, q cert.Question) (cert.Diagnosis, error) {
	var records []cert.RecordState
	for _, r := range q.Expected {
		seen := []cert.Sighting{{Server: "ns1", Role: cert.Authoritative, Verdict: cert.Wrong}}
		records = append(records, cert.RecordState{Record: r, Verdict: cert.Wrong, Seen: seen})
	}
	return cert.Diagnosis{
		CheckedAt: time.Now(),
		Verdict:   cert.Wrong,
		Records:   records,
		Problems:  []cert.Problem{{Code: cert.DNSNoRecords, WhoActs: cert.TenantActs, Message: "no records"}},
	}, nil
}

func (noRecords) Candidates(context.Context, string, string) ([]cert.CAIdentity, error) {
	return []cert.CAIdentity{{}}, nil
}

// onTemporal is a Control over a real Temporal server and database. The domains' workflows are the real ones; stop ends their worker.
func onTemporal(t *testing.T) (c *control.Control, temporal client.Client, stop func()) {
	t.Helper()
	info := stack.New(t, stack.Options{Parts: []string{"postgres", "temporal"}}).Info()
	log := slog.New(slog.DiscardHandler)
	db, err := store.Open(t.Context(), info.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	temporal, err = control.TemporalConfig{Address: info.Temporal, Namespace: info.Namespace}.Dial(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(temporal.Close)
	w := worker.New(temporal, workflows.TaskQueue, worker.Options{})
	workflows.Register(w)
	activities.Set{
		DNS:     &activities.DNS{Resolver: noRecords{}, Tenants: db, CAs: noRecords{}, Checks: db, Platform: platform, Log: log},
		Records: &activities.Records{Store: db, Policy: cert.DefaultPolicy()},
	}.Register(w)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var starting sync.WaitGroup
	starting.Go(func() {
		control.Starting{Queue: db, Cases: db, Workflows: control.Temporal(temporal), Log: log}.Run(ctx)
	})
	t.Cleanup(starting.Wait)
	t.Cleanup(cancel)
	return control.New(db, control.Temporal(temporal), rules, platform, log), temporal, w.Stop
}

// await asks for the status until it is as wanted.
func await(t *testing.T, c *control.Control, name, what string, wanted func(control.Domain) bool) control.Domain {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		d, err := c.Status(t.Context(), name)
		if err == nil && wanted(d) {
			return d
		}
		select {
		case <-deadline:
			t.Fatalf("%s was not %s within a minute: %+v, %v", name, what, d, err)
		case <-tick.C:
		}
	}
}

func TestA3_E3_VerbsOnARealTemporalServer(t *testing.T) {
	t.Parallel()
	c, temporal, stop := onTemporal(t)
	want := control.Connection{Hostname: "shop.example.com", Also: []string{"www.example.org"}, Tenant: "acme"}
	request := control.Request{Name: "www.example.org", By: "ann"}
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Connect(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	await(t, c, "shop.example.com", "checked", func(d control.Domain) bool { return len(d.Problems) > 0 })

	first := runID(t, temporal)
	if again, err := c.Connect(t.Context(), want); err != nil || again.Created {
		t.Errorf("connecting again: %+v, %v", again, err)
	}
	if err := control.Temporal(temporal).Start(t.Context(), cert.Domain{
		ID: "x", Hostname: "shop.example.com", Names: want.Also,
		Tenant: "acme",
	}); err != nil {
		t.Errorf("starting again: %v", err)
	}
	if second := runID(t, temporal); second != first {
		t.Errorf("a second workflow: %s after %s", second, first)
	}

	for range 2 {
		asked := time.Now()
		answer, err := c.Check(t.Context(), request)
		if err != nil || answer.Hostname != "shop.example.com" || answer.Headline != cert.Pending || answer.NextActionAt.IsZero() {
			t.Errorf("check: %+v, %v", answer, err)
		}
		if d := answer.Diagnosis; d == nil || d.CheckedAt.Before(asked.Truncate(time.Microsecond)) || len(d.Problems) != 1 {
			t.Errorf("the diagnosis is not fresh: asked at %s, %+v", asked, d)
		}
		diagnosis, err := c.Diagnosis(t.Context(), "shop.example.com")
		if d := answer.Diagnosis; err != nil || d == nil || !diagnosis.CheckedAt.Equal(d.CheckedAt) {
			t.Errorf("the diagnosis has another check: %+v, %v", diagnosis, err)
		}
		if r := diagnosis.Records[0]; r.State != cert.RecordMissing || len(r.Seen) != 1 {
			t.Errorf("what each server shows is not on the diagnosis: %+v", r)
		}
	}
	updates := updatesOf(t, temporal)
	var all sync.WaitGroup
	for range 200 {
		asked := time.Now()
		all.Go(func() {
			answer, err := c.Check(t.Context(), request)
			if err != nil || answer.Diagnosis == nil || answer.Diagnosis.CheckedAt.Before(asked.Truncate(time.Microsecond)) {
				t.Errorf("one of many checks at once: %+v, %v", answer, err)
			}
		})
	}
	all.Wait()
	if n := updatesOf(t, temporal) - updates; n > 20 { // two, where all come while the first is under way
		t.Errorf("the workflow was asked %d times for 200 checks", n)
	}
	if answer, err := c.Pause(t.Context(), request); err != nil || answer.Diagnosis != nil {
		t.Errorf("pause: %+v, %v", answer, err)
	}
	if answer, err := c.Check(t.Context(), request); err != nil || answer.Diagnosis != nil ||
		!strings.Contains(answer.Message, "when the domain is resumed") {
		t.Errorf("check of a paused domain: %+v, %v", answer, err)
	}
	if _, err := c.Resume(t.Context(), request); err != nil {
		t.Errorf("resume: %v", err)
	}
	if _, err := c.SetRedirect(t.Context(), request, true); code(t, err) != cert.RequestRefused || cert.AsProblem(err).Remediation == "" {
		t.Errorf("redirect before the installation is complete: %v", err)
	}
	if _, err := c.HandBack(t.Context(), request); code(t, err) != cert.RequestRefused {
		t.Errorf("hand back without a case: %v", err)
	}

	if answer, err := c.Remove(t.Context(), request); err != nil || answer.Headline != cert.Removed {
		t.Errorf("remove: %+v, %v", answer, err)
	}
	await(t, c, "shop.example.com", "removed", func(d control.Domain) bool { return d.Headline == cert.Removed })
	if _, err := c.Check(t.Context(), request); code(t, err) != cert.RequestRefused {
		t.Errorf("check after the removal: %v", err)
	}
	if err := temporal.GetWorkflow(t.Context(), workflows.DomainID("shop.example.com"), first).Get(t.Context(), nil); err != nil {
		t.Errorf("the workflow's end: %v", err)
	}
	if again, err := c.Connect(t.Context(), want); err != nil || !again.Created {
		t.Errorf("connecting after the removal: %+v, %v", again, err)
	}
	await(t, c, "shop.example.com", "checked anew", func(d control.Domain) bool { return len(d.Problems) > 0 })

	stop()
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := c.Check(short, request); code(t, err) != cert.NoAnswer {
		t.Errorf("without a worker: %v", err)
	}
}

// updatesOf counts the updates that the workflow of shop.example.com has taken.
func updatesOf(t *testing.T, temporal client.Client) (n int) {
	t.Helper()
	history := temporal.GetWorkflowHistory(
		t.Context(),
		workflows.DomainID("shop.example.com"),
		"",
		false,
		enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT,
	)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			t.Fatal(err)
		}
		if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED {
			n++
		}
	}
	return n
}

func runID(t *testing.T, temporal client.Client) string {
	t.Helper()
	described, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.DomainID("shop.example.com"), "")
	if err != nil {
		t.Fatal(err)
	}
	return described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}
