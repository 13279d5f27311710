// Package workflows holds the stories that evercert runs for years: a domain that is kept on HTTPS, and a case that people
// work on. It is deterministic code: it imports the activities for their names only.
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

// DomainID is the workflow id of a connected hostname: one running workflow, so one owner, for each.
func DomainID(hostname string) string { return "domain:" + hostname }

// Domain keeps one hostname on HTTPS from the moment a tenant connects it until it is removed (row E1).
//
// Only removal ends it: no error does, and no cancellation. All it must remember is in State, so a run may stop between any two turns and
// a fresh run carries on. A run holds the story of one certificate: it ends when the renewal begins.
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

// turn does the next thing: one step of work, or one rest.
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
		d.rest(ctx, time.Time{}, "") // until somebody resumes it; what falls due meanwhile is done then
		return
	}
	switch d.state.Phase {
	case AwaitingDNS:
		d.awaitDNS(ctx) // look; wait longer; look again
	case Issuing:
		d.issue(ctx) // CSR, order, validation; the key stays in the store
		if d.state.Phase == Installing && d.state.Asked.Removal == "" && d.state.Pause == nil {
			d.install(ctx) // at once: both are told in one record, unless this takes longer than a moment
		}
	case Installing:
		d.install(ctx) // tell the edges, then see it served
	case Active:
		d.awaitRenewal(ctx) // weeks pass here
	case RenewalDue:
		d.renew(ctx) // look before ordering; held back while something is wrong
	case AwaitingRetry:
		d.awaitRetry(ctx) // an attempt failed, or the CA asked for patience
	case AwaitingHandBack:
		d.awaitHandBack(ctx) // people have the case
	default:
		panic(fmt.Sprintf("unknown phase %q", d.state.Phase)) // stall until a worker knows it: an error would abandon the domain
	}
}

// domain is a run: the state that lasts, and what only matters until the run ends.
type domain struct {
	state      State
	log        log.Logger
	signals    workflow.Selector
	events     []cert.Event       // since the last record
	omitted    int                // events beyond what a record holds
	diagnosis  *cert.Diagnosis    // since the last record
	seen       []cert.RecordState // by the newest look of this run: the evidence of a case
	resolution string             // of the case that was closed since the last record
	changed    bool               // something that people read differs from what was recorded
	updated    bool               // an update was accepted, and Temporal may not have stored it yet
	woken      bool               // a message has something for the main loop to do
	over       bool               // the story of this run's certificate has come to its end
	cancelled  bool               // a cancellation from outside was noted
	early      *happening         // a hand-back that was heard before its case was open
}

// newDomain sets up a run. The context that it returns is not cancelled when somebody asks Temporal to cancel the workflow.
func newDomain(ctx workflow.Context, s State) (*domain, workflow.Context) {
	d := &domain{state: s, log: log.With(workflow.GetLogger(ctx), "hostname", s.Hostname, "tenant", s.Tenant)}
	if now := workflow.Now(ctx); d.state.ConnectedAt.IsZero() {
		d.state.ConnectedAt, d.state.Records.Since = now, now
		d.tell(cert.DomainConnected, "connected by tenant "+s.Tenant)
	}
	if d.state.Repair != "" {
		d.tell(cert.DomainRepaired, d.state.Repair)
		d.state.Repair = ""
	}
	workflow.SetCurrentDetails(ctx, d.story())
	requests := ctx
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	d.handleMessages(ctx, func() bool { return requests.Err() != nil })
	return d, ctx
}

// noteTime lets happen what the passage of time brings, whatever the domain is doing.
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

// rest sleeps until a moment, or until a message gives the domain something to do. The zero time means no timer at all. No rest goes past a
// moment that noteTime has to see, and none begins before all is recorded.
func (d *domain) rest(ctx workflow.Context, until time.Time, summary string) {
	if d.changed {
		return
	}
	defer func() { d.woken = false }()
	d.early = nil // what was lost has been done again, and did not open that case
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

// must blocks the workflow task on an error that cannot happen, until a fixed worker is deployed: to return it would end the workflow.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// eventsRecorded is how many events one record holds. A flood of requests between two records is summed up.
const eventsRecorded = 50

// onRequest are the events of which anybody can make any number between two records.
var onRequest = map[cert.EventType]bool{
	cert.RequestMade: true, cert.RenewalOnHoldEvent: true, cert.RenewalResumed: true, cert.DomainRepaired: true,
}

// tell puts an entry on the timeline.
func (d *domain) tell(t cert.EventType, detail string) {
	d.changed = true
	if len(d.events) >= eventsRecorded && onRequest[t] {
		d.omitted++
		return
	}
	d.events = append(d.events, cert.Event{Type: t, Detail: cert.Line(detail, cert.MaxDetail)})
}

const (
	// longestRun is how many events a history may have before the next run begins: whoever replays or reads it has little to do.
	longestRun = 150
	// oldestRun is how long a run of a domain that waits may last, so that it comes to newer code.
	oldestRun = 7 * 24 * time.Hour
)

// endsHere reports whether the next run begins now.
func (d *domain) endsHere(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	waits := d.state.Phase != Active
	return d.over || d.mustMove(ctx) || info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() >= longestRun ||
		waits && workflow.Now(ctx).Sub(info.WorkflowStartTime) >= oldestRun
}

// mustMove reports whether the domain should go on with newer code: another version of the workers is the current one, or somebody
// who takes the old one away asks.
func (d *domain) mustMove(ctx workflow.Context) bool {
	return d.state.Asked.MoveOn || workflow.GetInfo(ctx).GetTargetWorkerDeploymentVersionChanged()
}

// continueAsNew lets accepted updates finish first: whoever was promised an answer gets it from the run that promised. Signals that
// have arrived are taken into the state: the next run would not see them.
func (d *domain) continueAsNew(ctx workflow.Context) error {
	for {
		must(workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }))
		d.drainSignals(ctx)
		if !d.changed {
			break
		}
		d.record(ctx)
	}
	if d.state.Asked.Removal != "" { // that was among the signals
		d.turn(ctx)
		d.record(ctx)
		d.retire(ctx)
		return nil
	}
	d.state.Asked.MoveOn = false
	return workflow.NewContinueAsNewErrorWithOptions(ctx, workflow.ContinueAsNewErrorOptions{
		InitialVersioningBehavior: workflow.ContinueAsNewVersioningBehaviorAutoUpgrade, // the next run is for the current version
	}, DomainWorkflow, d.state)
}

// retire is the end: the record before it has freed the names, and the edges stop serving them (the store does both).
func (d *domain) retire(ctx workflow.Context) {
	must(workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }))
}
