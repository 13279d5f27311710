package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// EscalationWorkflow is the type under which Escalation is registered.
const EscalationWorkflow = "Escalation"

// EscalationID returns the workflow id of a case (cert.Case.ID).
func EscalationID(caseID string) string { return "escalation:" + caseID }

// The signals of a case, besides MoveOn.
const (
	Acknowledge = "acknowledge"
	AddNote     = "note"
	HandBack    = "hand-back"
	Resolved    = "resolved" // from evercert itself: the row of the case says that it is closed
)

// CaseRequest is what a person writes about a case.
type CaseRequest struct {
	By   string `json:"by,omitempty"`
	Text string `json:"text,omitempty"`
}

// CaseState is everything that the workflow of a case remembers.
type CaseState struct {
	cert.Case
	HandBack *CaseRequest `json:"hand_back,omitempty"` // not signalled to the domain yet
}

// Escalation is a case that people work on. It keeps the evidence, reminds people on each business day until one of them takes it, and
// hands the domain back when they ask for it (row A5). The domain opens and closes the case with its records, so only that ends this
// workflow.
func Escalation(ctx workflow.Context, s CaseState) error {
	e, ctx := newEscalation(ctx, s)
	for {
		e.signalDomain(ctx) // also what the run before could not signal
		if e.record(ctx); !e.s.ClosedAt.IsZero() {
			return nil
		}
		if e.endsHere(ctx) {
			return workflow.NewContinueAsNewErrorWithOptions(ctx, workflow.ContinueAsNewErrorOptions{
				InitialVersioningBehavior: workflow.ContinueAsNewVersioningBehaviorAutoUpgrade,
			}, EscalationWorkflow, e.s)
		}
		e.rest(ctx)
	}
}

// escalation is a run of a case.
type escalation struct {
	s               CaseState
	signals         workflow.Selector
	cancelRequested func() bool
	cancelled       bool      // a cancellation from outside was noted
	moveOn          bool      // the next run begins now
	tryAgain        time.Time // to signal the hand-back
}

func newEscalation(ctx workflow.Context, s CaseState) (*escalation, workflow.Context) {
	requests := ctx
	e := &escalation{s: s, cancelRequested: func() bool { return requests.Err() != nil }}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	e.signals = workflow.NewSelector(ctx)
	take := func(name string, do func(workflow.Context, CaseRequest)) {
		e.signals.AddReceive(workflow.GetSignalChannel(ctx, name), func(channel workflow.ReceiveChannel, _ bool) {
			var r CaseRequest
			if channel.ReceiveAsync(&r) { // a signal that can't be parsed is dropped, and the case continues
				do(ctx, CaseRequest{By: requester(cert.Line(r.By, cert.MaxBy)), Text: cert.Line(r.Text, cert.MaxReason)})
			}
		})
	}
	take(Acknowledge, e.acknowledge)
	take(AddNote, e.note)
	take(HandBack, func(_ workflow.Context, r CaseRequest) { e.s.HandBack = &r })
	take(Resolved, func(workflow.Context, CaseRequest) {}) // the record that follows reads it
	take(MoveOn, func(workflow.Context, CaseRequest) { e.moveOn = true })
	return e, ctx
}

// rest sleeps until a signal arrives, or until a reminder is due.
func (e *escalation) rest(ctx workflow.Context) {
	awake := func() bool { return e.signals.HasPending() || e.mustMove(ctx) || !e.cancelled && e.cancelRequested() }
	now := workflow.Now(ctx)
	if at, summary := e.nextMoment(); at.IsZero() {
		must(workflow.Await(ctx, awake))
	} else {
		_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout: max(time.Second, at.Sub(now)), TimerOptions: workflow.TimerOptions{Summary: summary},
		}, awake)
		must(err)
		if now = workflow.Now(ctx); e.s.Assignee == "" && !now.Before(e.reminderAt()) {
			e.s.RemindedAt = now
		}
	}
	if !e.cancelled && e.cancelRequested() {
		e.cancelled = true
		e.note(ctx, CaseRequest{By: "evercert", Text: "a person asked Temporal to cancel this workflow; only its closing ends a case"})
	}
	for e.signals.HasPending() {
		e.signals.Select(ctx)
	}
}

// nextMoment returns when something is due without a signal.
func (e *escalation) nextMoment() (time.Time, string) {
	switch {
	case e.s.HandBack != nil:
		return e.tryAgain, "the hand-back is signalled to the domain again"
	case e.s.Assignee == "":
		return e.reminderAt(), "reminder of " + e.s.Hostname
	default:
		return time.Time{}, ""
	}
}

// reminderAt returns the next business day after the opening or the last reminder.
func (e *escalation) reminderAt() time.Time {
	last := e.s.OpenedAt
	if e.s.RemindedAt.After(last) {
		last = e.s.RemindedAt
	}
	return cert.NextBusinessDay(last)
}

func (e *escalation) acknowledge(ctx workflow.Context, r CaseRequest) {
	e.s.Assignee = r.By
	e.note(ctx, CaseRequest{By: r.By, Text: "took the case"})
}

// notesKept limits the notes of a case, for its readers and for the size of the workflow's state.
const notesKept = 200

func (e *escalation) note(ctx workflow.Context, r CaseRequest) {
	if len(e.s.Notes) < notesKept {
		e.s.Notes = append(e.s.Notes, cert.Note{Author: r.By, Text: r.Text, At: workflow.Now(ctx)})
	}
}

// againAfter is the pause before a case signals its domain again: the caretaker may have to start the domain's workflow first.
const againAfter = 10 * time.Minute

// signalDomain signals the hand-back to the domain. The domain's next record then closes the case.
func (e *escalation) signalDomain(ctx workflow.Context) {
	if e.s.HandBack == nil || workflow.Now(ctx).Before(e.tryAgain) {
		return
	}
	r := *e.s.HandBack
	request := HandBackRequest{Case: e.s.ID, Request: Request{ID: HandBack + ":" + e.s.ID, By: r.By, Reason: r.Text}}
	if err := workflow.SignalExternalWorkflow(ctx, DomainID(e.s.Hostname), "", HandedBack, request).Get(ctx, nil); err != nil {
		if e.tryAgain.IsZero() {
			e.note(
				ctx,
				CaseRequest{
					By:   "evercert",
					Text: "the hand-back did not reach the domain yet, and is signalled again: " + cert.Line(err.Error(), cert.MaxDetail),
				},
			)
		}
		e.tryAgain = workflow.Now(ctx).Add(againAfter)
		return
	}
	e.note(ctx, CaseRequest{By: r.By, Text: strings.TrimSuffix("handed the domain back: "+r.Text, ": ")})
	e.s.HandBack, e.tryAgain = nil, time.Time{}
}

// record writes what people did, and reads whether the domain has closed the case.
func (e *escalation) record(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, e.story())
	var saved cert.Case
	must(step(ctx, recordOptions, "case of "+e.s.Hostname, activities.RecordCaseName, e.s.Case, &saved))
	e.s.ClosedAt, e.s.Resolution = saved.ClosedAt, saved.Resolution
	if !e.s.ClosedAt.IsZero() {
		workflow.SetCurrentDetails(ctx, e.story())
	}
}

func (e *escalation) endsHere(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	if e.signals.HasPending() {
		return false
	}
	return e.mustMove(ctx) || info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() >= longestRun ||
		workflow.Now(ctx).Sub(info.WorkflowStartTime) >= oldestRun
}

func (e *escalation) mustMove(ctx workflow.Context) bool {
	return e.moveOn || workflow.GetInfo(ctx).GetTargetWorkerDeploymentVersionChanged()
}

func (e *escalation) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** of tenant %s: %s\n\nSignals: `acknowledge`, `note`, `hand-back`, each with {\"by\":\"you\",\"text\":\"…\"}.\n",
		cert.Markdown(e.s.Hostname), cert.Markdown(e.s.Tenant), cert.Markdown(e.s.Reason))
	if e.s.Assignee != "" {
		fmt.Fprintf(&b, "\nTaken by %s.\n", cert.Markdown(e.s.Assignee))
	}
	if !e.s.ClosedAt.IsZero() {
		fmt.Fprintf(&b, "\nClosed: %s.\n", cert.Markdown(e.s.Resolution))
	}
	writeProblems(&b, e.s.Problems)
	for _, r := range e.s.Records {
		fmt.Fprintf(&b, "\n- %s %s should be %s: %s%s", cert.Markdown(r.Name), r.Type, cert.Markdown(r.Value), r.Verdict, found(r))
	}
	for _, n := range e.s.Notes {
		fmt.Fprintf(&b, "\n- %s, %s: %s", n.At.UTC().Format(time.RFC3339), cert.Markdown(n.Author), cert.Markdown(n.Text))
	}
	return b.String()
}

// found returns what was seen instead of a record.
func found(r cert.RecordState) string {
	if len(r.Found) == 0 || r.Verdict == cert.OK {
		return ""
	}
	return ", found " + cert.Markdown(strings.Join(r.Found, ", "))
}
