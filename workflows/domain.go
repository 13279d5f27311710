// Package workflows holds the two stories that evercert runs for years: a domain that is kept on HTTPS, and a case that people
// work on. It is deterministic code: it imports the activities for their names only.
package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// DomainWorkflow is the type under which Domain is registered.
const DomainWorkflow = "Domain"

// DomainID is the workflow id of a connected hostname: one running workflow, so one owner, for each.
func DomainID(hostname string) string { return "domain:" + hostname }

// Nil on purpose: these lend their method names; the worker registers the real ones.
var (
	dns          *activities.DNS
	issuance     *activities.Issuance
	installation *activities.Installation
	records      *activities.Records
)

// Domain keeps one hostname on HTTPS from the moment a tenant connects it until it is removed (row E1).
//
// It has no natural end. All it must remember is in State, so a run may stop between any two turns and a fresh run
// carries on. A run ends some time after a certificate was installed: a history tells the story of one certificate, and a sleeping
// domain has next to none that new code would have to replay.
func Domain(ctx workflow.Context, state State) error {
	d, err := newDomain(ctx, state) // message handlers and the first record; never blocks
	if err != nil {
		return err
	}
	for !d.state.Removed {
		if err := d.turn(ctx); err != nil {
			return err // only when the run was cancelled from outside, which is no verdict on the domain
		}
		if err := d.record(ctx); err != nil {
			return err
		}
		if d.settled(ctx) || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return d.continueAsNew(ctx)
		}
	}
	return d.retire(ctx)
}

// turn does the next thing: one step of work, or one rest.
func (d *domain) turn(ctx workflow.Context) error {
	d.noteExpiry(ctx)
	if d.state.Paused {
		return d.awaitResume(ctx)
	}
	switch d.state.Phase {
	case AwaitingDNS:
		return d.awaitDNS(ctx) // look; wait longer; look again
	case Issuing:
		return d.issue(ctx) // CSR, order, validation; the key stays in the store
	case Installing:
		return d.install(ctx) // tell the edge, then see it served
	case Active:
		return d.awaitRenewal(ctx) // weeks pass here
	case RenewalDue:
		return d.renew(ctx) // look before ordering; held back while something is wrong
	case AwaitingRetry:
		return d.awaitRetry(ctx) // an attempt failed, or the CA asked for patience
	case AwaitingHandBack:
		return d.awaitHandBack(ctx) // people have the case
	default:
		panic(fmt.Sprintf("unknown phase %q", d.state.Phase)) // stall until a worker knows it: an error would abandon the domain
	}
}

// domain is a run: the state that lasts, and what only matters until the run ends.
type domain struct {
	state     State
	log       log.Logger
	signals   workflow.Selector
	events    []cert.Event    // since the last record
	diagnosis *cert.Diagnosis // since the last record
	changed   bool            // something that people read differs from what was recorded
	woken     bool            // a message has something for the main loop to do
	installed time.Time       // a certificate, in this run
}

func newDomain(ctx workflow.Context, s State) (*domain, error) {
	d := &domain{state: s, log: log.With(workflow.GetLogger(ctx), "hostname", s.Hostname, "tenant", s.Tenant)}
	if d.state.ConnectedAt.IsZero() {
		now := workflow.Now(ctx)
		d.state.ConnectedAt, d.state.WaitingSince = now, now
		d.happened(cert.DomainConnected, "connected by tenant "+s.Tenant)
	}
	workflow.SetCurrentDetails(ctx, d.story())
	return d, d.handleMessages(ctx)
}

// rest sleeps until a moment, or until a message gives the domain something to do. The zero time means no timer at all. While a certificate
// is live, no rest goes past its end: an expired certificate must be seen as one.
func (d *domain) rest(ctx workflow.Context, until time.Time, summary string) error {
	defer func() { d.woken = false }()
	now := workflow.Now(ctx)
	if l := d.state.Live; l != nil && now.Before(l.NotAfter) && (until.IsZero() || until.After(l.NotAfter)) {
		until, summary = l.NotAfter, "the certificate expires"
	}
	if until.IsZero() {
		return workflow.Await(ctx, func() bool { return d.woken })
	}
	if !until.After(now) {
		return nil
	}
	_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: until.Sub(now), TimerOptions: workflow.TimerOptions{Summary: summary},
	}, func() bool { return d.woken })
	return err
}

// enter moves to another phase. What it means to people is recorded before anything else is done.
func (d *domain) enter(p Phase) {
	d.log.Info("phase", "from", d.state.Phase, "to", p)
	d.state.Phase = p
	d.changed = true
}

// happened puts an entry on the timeline.
func (d *domain) happened(t cert.EventType, detail string) {
	d.events = append(d.events, cert.Event{Type: t, Detail: detail})
	d.changed = true
}

// settled tells whether this run's story is over: its certificate has been served for a while, or the next one is due.
func (d *domain) settled(ctx workflow.Context) bool {
	return !d.installed.IsZero() && (d.state.Phase != Active || !workflow.Now(ctx).Before(d.settlesAt()))
}

// settlesAt is when the run ends. Not at once: people who have just seen the domain come up find the whole story in one run, and
// when thousands come up at a time, those that wait for their certificate go before those that tidy up.
func (d *domain) settlesAt() time.Time { return d.installed.Add(d.state.Policy.SettleAfter) }

// continueAsNew lets accepted updates finish first: whoever was promised an answer gets it from the run that promised. Signals that
// have arrived are taken into the state: the next run would not see them.
func (d *domain) continueAsNew(ctx workflow.Context) error {
	for {
		if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
			return err
		}
		d.drainSignals(ctx)
		if !d.changed {
			break
		}
		if err := d.record(ctx); err != nil {
			return err
		}
	}
	return workflow.NewContinueAsNewError(ctx, DomainWorkflow, d.state)
}

// retire is the end: the names are free, the edge stops serving them (the store does both with this record).
func (d *domain) retire(ctx workflow.Context) error {
	d.happened(cert.DomainRemovedEvent, d.state.RemovedBy)
	d.resolveCase(ctx, "the domain was removed")
	if err := d.record(ctx); err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}
