// Package workflows holds what evercert runs for years: a domain that is kept on HTTPS, and a case that people work on. Its code is
// deterministic: it imports the activities for their names only.
package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
)

// DomainWorkflow is the type under which Domain is registered.
const DomainWorkflow = "Domain"

// DomainID returns the workflow id of a connected hostname. Temporal runs one workflow for an id, so a hostname has one owner.
func DomainID(hostname string) string { return "domain:" + hostname }

// Domain keeps one hostname on HTTPS from the moment a tenant connects it until it is removed (row E1).
//
//	Only removal ends it: neither an error nor a cancellation does. Everything that it has to remember is in State, so a run may stop after
//	any turn and a new run continues. A run covers one certificate: it ends when the renewal begins.
func Domain(ctx workflow.Context, state State) error {
	d, ctx := newDomain(ctx, state) // message handlers and the first record; never blocks
	for d.state.Phase != Removed {
		d.turn(ctx)
		d.record(ctx)
		if d.state.Phase != Removed && d.endsHere(ctx) {
			return d.continueAsNew(ctx)
		}
	}
	d.retire(ctx)
	return nil
}

// turn does one step of work, or rests once.
func (d *domain) turn(ctx workflow.Context) {
	if by := d.state.Asked.Removal; by != "" {
		d.happens(Removal, happening{at: workflow.Now(ctx), text: by})
		return
	}
	d.noteTime(workflow.Now(ctx))
	if d.handEarlyBack() {
		return
	}
	if d.rivalDue(workflow.Now(ctx)) {
		d.settleRival(ctx)
		return
	}
	if d.state.Asked.Reinstall {
		d.reinstall(ctx)
		return
	}
	if d.state.Pause != nil {
		d.rest(ctx, time.Time{}, "") // until a person resumes it; what becomes due meanwhile is done then
		return
	}
	switch d.state.Phase {
	case AwaitingDNS:
		d.awaitDNS(ctx) // check; wait longer; check again
	case Issuing:
		d.issue(ctx) // CSR, order, validation; the key stays in the store
		if d.state.Phase == Installing && d.state.Asked.Removal == "" && d.state.Pause == nil {
			d.install(ctx) // at once: both are recorded together, unless this takes longer than a moment
		}
	case Installing:
		d.install(ctx) // install on the edges, then verify that they serve it
	case Active:
		d.awaitRenewal(ctx) // takes weeks
	case RenewalDue:
		d.renew(ctx) // check before ordering; on hold while something is wrong
	case AwaitingRetry:
		d.awaitRetry(ctx) // an attempt failed, or the CA asked to wait
	case AwaitingHandBack:
		d.awaitHandBack(ctx) // support has the case
	default:
		panic(fmt.Sprintf("unknown phase %q", d.state.Phase)) // block until a worker knows the phase: an error would end the workflow
	}
}

// domain is a run: the state that lasts, and what matters only until the run ends.
type domain struct {
	state      State
	log        log.Logger
	signals    workflow.Selector
	events     []cert.Event       // since the last record
	omitted    int                // those beyond what a record holds
	diagnosis  *cert.Diagnosis    // since the last record
	seen       []cert.RecordState // by the newest check of this run: the evidence of a case
	resolution string             // of the case that was closed since the last record
	changed    bool               // what people read differs from what was recorded
	updated    bool               // an update was accepted, and Temporal may not have stored it yet
	woken      bool               // a message left work for the main loop
	over       bool               // this run's certificate is finished
	cancelled  bool               // a cancellation from outside was noted
	early      *happening         // a hand-back that arrived before its case was open
}

// newDomain prepares a run. The context that it returns is not cancelled when the workflow is.
func newDomain(ctx workflow.Context, s State) (*domain, workflow.Context) {
	d := &domain{state: s, log: log.With(workflow.GetLogger(ctx), "hostname", s.Hostname, "tenant", s.Tenant)}
	if now := workflow.Now(ctx); d.state.ConnectedAt.IsZero() {
		d.state.ConnectedAt, d.state.Records.Since = now, now
		d.addEvent(cert.DomainConnected, "connected by tenant "+s.Tenant)
	}
	if d.state.Repair != "" {
		d.addEvent(cert.DomainRepaired, d.state.Repair)
		d.state.Repair = ""
	}
	workflow.SetCurrentDetails(ctx, d.story())
	requests := ctx
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	d.handleMessages(ctx, func() bool { return requests.Err() != nil })
	return d, ctx
}

// noteTime applies the events that the passage of time brings, whatever the domain is doing.
func (d *domain) noteTime(now time.Time) {
	s := &d.state.Serving
	if s.Before != nil && !now.Before(s.Before.NotAfter) {
		d.happens(OlderExpired, happening{at: now})
	}
	switch l := s.Live; {
	case l == nil || s.Expired:
	case !now.Before(l.NotAfter):
		d.happens(Expired, happening{at: now, caseKind: cert.RenewalLate, text: "the certificate has ended and could not be renewed"})
	case !s.Endangered && !now.Before(l.endangeredAt()):
		d.happens(NearlyExpired, happening{
			at: now, caseKind: cert.RenewalLate,
			text: "the certificate ends at " + l.NotAfter.UTC().Format(time.RFC3339) + " and could not be renewed yet",
		})
	}
	if at := d.state.attemptDeadline(); !at.IsZero() && !now.Before(at) {
		d.happens(TakesTooLong, happening{
			at: now, caseKind: cert.CannotFinish, text: "no certificate " + span(d.state.Policy.EscalateDNSAfter) + " after the records were seen",
		})
	}
}

// rest sleeps until a moment, or until a message gives the domain work. The zero time means no timer. No rest goes past a moment that
// noteTime has to see, and everything is recorded before a rest begins.
func (d *domain) rest(ctx workflow.Context, until time.Time, summary string) {
	if d.changed {
		return
	}
	defer func() { d.woken = false }()
	d.early = nil // the workflow task that was lost has been repeated, and did not open that case
	now := workflow.Now(ctx)
	for _, m := range d.state.moments() {
		if m.at.After(now) && (until.IsZero() || until.After(m.at)) {
			until, summary = m.at, m.what
		}
	}
	awake := func() bool { return d.woken || d.mustMove(ctx) }
	if until.IsZero() {
		must(workflow.Await(ctx, awake))
		return
	}
	if !until.After(now) {
		return
	}
	_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: until.Sub(now), TimerOptions: workflow.TimerOptions{Summary: summary},
	}, awake)
	must(err)
}

// must blocks the workflow task on an error that can't happen, until a fixed worker is deployed: to return the error would end the
// workflow.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// eventsRecorded limits the events in one record. When more requests arrive between two records, they are summed up.
const eventsRecorded = 50

// onRequest are the events that people can cause any number of times between two records.
var onRequest = map[cert.EventType]bool{
	cert.RequestMade: true, cert.RenewalOnHoldEvent: true, cert.RenewalResumed: true, cert.DomainRepaired: true,
}

// addEvent adds an event to the timeline.
func (d *domain) addEvent(t cert.EventType, detail string) {
	d.changed = true
	if len(d.events) >= eventsRecorded && onRequest[t] {
		d.omitted++
		return
	}
	d.events = append(d.events, cert.Event{Type: t, Detail: cert.Line(detail, cert.MaxDetail)})
}

const (
	// longestRun is how many events a history may have before the next run begins, so that replays stay short.
	longestRun = 150
	// oldestRun limits the age of a waiting domain's run, so that its next run uses newer code.
	oldestRun = 7 * 24 * time.Hour
)

// endsHere reports whether the next run begins now.
func (d *domain) endsHere(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	waits := d.state.Phase != Active
	return d.over || d.mustMove(ctx) || info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() >= longestRun ||
		waits && workflow.Now(ctx).Sub(info.WorkflowStartTime) >= oldestRun
}

// mustMove reports whether the domain should continue with newer code: another worker version is current, or an operator drains the old
// one.
func (d *domain) mustMove(ctx workflow.Context) bool {
	return d.state.Asked.MoveOn || workflow.GetInfo(ctx).GetTargetWorkerDeploymentVersionChanged()
}

// continueAsNew waits for accepted updates: the run that accepted an update must answer it. Signals that have arrived are applied to the
// state, because the next run would not get them.
func (d *domain) continueAsNew(ctx workflow.Context) error {
	for {
		must(workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }))
		d.drainSignals(ctx)
		if !d.changed {
			break
		}
		d.record(ctx)
	}
	if d.state.Asked.Removal != "" { // it was among the signals
		d.turn(ctx)
		d.record(ctx)
		d.retire(ctx)
		return nil
	}
	d.state.Asked.MoveOn = false
	return workflow.NewContinueAsNewErrorWithOptions(ctx, workflow.ContinueAsNewErrorOptions{
		InitialVersioningBehavior: workflow.ContinueAsNewVersioningBehaviorAutoUpgrade, // the next run uses the current version
	}, DomainWorkflow, d.state)
}

// retire ends the workflow. The record before it has freed the names, and the edges have stopped serving them (the store does both).
func (d *domain) retire(ctx workflow.Context) {
	must(workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }))
}
