package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
)

// EscalationWorkflow is the type under which Escalation is registered.
const EscalationWorkflow = "Escalation"

// EscalationID is the workflow id of the open case of a hostname.
func EscalationID(hostname string) string { return "escalation:" + hostname }

// The signals of a case.
const (
	Acknowledge = "acknowledge"
	AddNote     = "note"
	HandBack    = "hand-back"
	Resolved    = "resolved" // sent by the domain itself when the matter is settled
)

// CaseRequest is what a person says about a case.
type CaseRequest struct {
	By   string `json:"by,omitempty"`
	Text string `json:"text,omitempty"`
}

// escalate hands the domain to people: a case of its own opens, with the evidence, and outlives this run.
func (d *domain) escalate(ctx workflow.Context, why Escalated, text string) {
	now := workflow.Now(ctx)
	d.state.Escalation, d.state.EscalatedAt = why, now
	d.happened(cert.EscalationOpened, text)
	var seen []cert.RecordState
	if d.diagnosis != nil { // it was a look that led here, not the CA
		seen = d.diagnosis.Records
	}
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:        EscalationID(d.state.Hostname),
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:     d.state.Hostname + ": " + text,
	}), EscalationWorkflow, cert.Case{
		ID: fmt.Sprintf("%s/%d", d.state.ID, d.state.Seq), DomainID: d.state.ID, Hostname: d.state.Hostname, Tenant: d.state.Tenant,
		Reason: text, Failures: d.state.Failures, Problems: d.state.Problems, Records: seen, OpenedAt: now,
	})
	if err := child.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		d.log.Warn("a case is open already, or could not be opened", "error", err) // the domain shows "Contact support" either way
	}
}

// resolveCase closes the case of a domain that no longer needs people.
func (d *domain) resolveCase(ctx workflow.Context, how string) {
	if d.state.Escalation == "" {
		return
	}
	d.state.Escalation = ""
	d.happened(cert.EscalationClosed, how)
	err := workflow.SignalExternalWorkflow(ctx, EscalationID(d.state.Hostname), "", Resolved, CaseRequest{By: "evercert", Text: how}).Get(ctx, nil)
	if err != nil {
		d.log.Info("no case to close", "error", err) // somebody closed it already
	}
}

// Escalation is a case that people work on: it keeps the evidence, reminds them on each business day until somebody takes it, and hands the
// domain back when they say so (row A5).
func Escalation(ctx workflow.Context, c cert.Case) error {
	e := &escalation{c: c}
	acknowledged, notes := workflow.GetSignalChannel(ctx, Acknowledge), workflow.GetSignalChannel(ctx, AddNote)
	handBack, resolved := workflow.GetSignalChannel(ctx, HandBack), workflow.GetSignalChannel(ctx, Resolved)
	for {
		if err := e.record(ctx); err != nil {
			return err
		}
		if !e.c.ClosedAt.IsZero() {
			return nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && notes.Len()+acknowledged.Len()+handBack.Len()+resolved.Len() == 0 {
			return workflow.NewContinueAsNewError(ctx, EscalationWorkflow, e.c)
		}
		timer, cancel := workflow.WithCancel(ctx)
		next := workflow.NewSelector(ctx).
			AddReceive(acknowledged, e.on(ctx, e.acknowledge)).
			AddReceive(notes, e.on(ctx, e.note)).
			AddReceive(handBack, e.on(ctx, e.handBack)).
			AddReceive(resolved, e.on(ctx, func(ctx workflow.Context, r CaseRequest) { e.close(ctx, r.Text) }))
		if e.c.Assignee == "" {
			next.AddFuture(e.reminder(timer), func(f workflow.Future) { e.remind(ctx, f) })
		}
		next.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
		next.Select(ctx)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

type escalation struct{ c cert.Case }

// on reads a signal without waiting for one: what can't be read is dropped, and the case goes on.
func (e *escalation) on(ctx workflow.Context, do func(workflow.Context, CaseRequest)) func(workflow.ReceiveChannel, bool) {
	return func(ch workflow.ReceiveChannel, _ bool) {
		var r CaseRequest
		if ch.ReceiveAsync(&r) {
			r.By = requester(r.By)
			do(ctx, r)
		}
	}
}

func (e *escalation) acknowledge(ctx workflow.Context, r CaseRequest) {
	e.c.Assignee = r.By
	e.note(ctx, CaseRequest{By: r.By, Text: "took the case"})
}

func (e *escalation) note(ctx workflow.Context, r CaseRequest) {
	e.c.Notes = append(e.c.Notes, cert.Note{Author: r.By, Text: r.Text, At: workflow.Now(ctx)})
}

// handBack gives the domain back to automatic care. A domain that is gone meanwhile needs none.
func (e *escalation) handBack(ctx workflow.Context, r CaseRequest) {
	err := workflow.SignalExternalWorkflow(ctx, DomainID(e.c.Hostname), "", HandedBack, Request{By: r.By, Reason: r.Text}).Get(ctx, nil)
	if err != nil {
		e.note(ctx, CaseRequest{By: "evercert", Text: "the domain could not be told: " + err.Error()})
	}
	e.close(ctx, "handed back by "+r.By+reason(Request{Reason: r.Text}))
}

func (e *escalation) close(ctx workflow.Context, how string) {
	e.c.ClosedAt, e.c.Resolution = workflow.Now(ctx), how
}

// reminder fires on the next business day, counted from the opening or from the last reminder.
func (e *escalation) reminder(ctx workflow.Context) workflow.Future {
	last := e.c.OpenedAt
	if e.c.RemindedAt.After(last) {
		last = e.c.RemindedAt
	}
	wait := cert.NextBusinessDay(last).Sub(workflow.Now(ctx))
	return workflow.NewTimerWithOptions(ctx, max(time.Second, wait), workflow.TimerOptions{Summary: "reminder of " + e.c.Hostname})
}

func (e *escalation) remind(ctx workflow.Context, f workflow.Future) {
	if f.Get(ctx, nil) == nil {
		e.c.RemindedAt = workflow.Now(ctx)
	}
}

func (e *escalation) record(ctx workflow.Context) error {
	workflow.SetCurrentDetails(ctx, e.story())
	err := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, recordOptions), records.RecordCase, e.c).Get(ctx, nil)
	if err != nil {
		return fmt.Errorf("record case: %w", err)
	}
	return nil
}

func (e *escalation) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** of tenant %s: %s\n\nSignals: `acknowledge`, `note`, `hand-back`, each with {\"by\":\"you\",\"text\":\"…\"}.\n", e.c.Hostname, e.c.Tenant, e.c.Reason)
	if e.c.Assignee != "" {
		fmt.Fprintf(&b, "\nTaken by %s.\n", e.c.Assignee)
	}
	for _, p := range e.c.Problems {
		fmt.Fprintf(&b, "\n- `%s` (%s acts): %s. %s", p.Code, p.WhoActs, p.Message, p.Remediation)
	}
	for _, r := range e.c.Records {
		fmt.Fprintf(&b, "\n- %s %s should be `%s`: %s%s", r.Name, r.Type, r.Value, r.Verdict, found(r))
	}
	for _, n := range e.c.Notes {
		fmt.Fprintf(&b, "\n- %s, %s: %s", n.At.UTC().Format(time.RFC3339), n.Author, n.Text)
	}
	return b.String()
}

// found is what was seen in the place of a record.
func found(r cert.RecordState) string {
	if len(r.Found) == 0 || r.Verdict == cert.OK {
		return ""
	}
	return ", found " + strings.Join(r.Found, ", ")
}
