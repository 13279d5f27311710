package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// issue obtains a certificate: a CSR of ours (row B1), then one order. The workflow learns its serial and dates, never its key.
func (d *domain) issue(ctx workflow.Context) error {
	if d.state.Issuance == "" {
		d.state.Issuances++
		d.state.Issuance = fmt.Sprintf("%s/%d", d.state.ID, d.state.Issuances)
	}
	renewal := d.state.Live != nil
	err := workflow.ExecuteLocalActivity(local(ctx, csrOptions, "key and CSR for "+strings.Join(d.state.Names, ", ")), issuance.CreateCSR,
		activities.CSRRequest{IssuanceID: d.state.Issuance, DomainID: d.state.ID, Names: d.state.Names}).Get(ctx, nil)
	var issued cert.Certificate
	if err == nil {
		err = workflow.ExecuteActivity(summarized(ctx, orderOptions, "order, validation and download"), issuance.OrderCertificate,
			activities.OrderRequest{IssuanceID: d.state.Issuance, Methods: d.state.Methods, Renewal: renewal}).Get(ctx, &issued)
	}
	if err != nil {
		return d.attemptFailed(ctx, err)
	}
	d.state.Issued = newCertificate(issued)
	d.state.Issuance, d.state.OrdersGone = "", 0
	d.happened(cert.IssuanceSucceeded, fmt.Sprintf("serial %s by %s, until %s", issued.Serial, issued.Issuer, issued.NotAfter.Format(time.RFC3339)))
	d.enter(Installing)
	return nil
}

// install puts the certificate on the edge and looks whether it is served there. Only then is it complete (row A3).
func (d *domain) install(ctx workflow.Context) error {
	request := activities.InstallRequest{Names: d.state.Names, Serial: d.state.Issued.Serial}
	err := workflow.ExecuteLocalActivity(local(ctx, installOptions, "serial "+request.Serial), installation.InstallCertificate, request).Get(ctx, nil)
	if err == nil {
		err = workflow.ExecuteLocalActivity(local(ctx, verifyOptions, "is serial "+request.Serial+" served"), installation.VerifyInstallation, request).Get(ctx, nil)
	}
	if err != nil {
		return d.attemptFailed(ctx, err)
	}
	if d.state.Live != nil {
		d.happened(cert.RenewalSucceeded, "serial "+request.Serial+" replaces "+d.state.Live.Serial)
	}
	d.happened(cert.InstallationSucceeded, "every edge address serves serial "+request.Serial)
	d.state.Live, d.state.Issued = d.state.Issued, nil
	d.state.Failures, d.state.Attempting, d.state.Expired, d.state.Problems = 0, time.Time{}, false, nil
	d.resolveCase(ctx, "the certificate is installed")
	d.installed = workflow.Now(ctx)
	d.enter(Active)
	return nil
}

// attemptFailed decides what a failed step means. Only a refusal counts; a certificate that was issued is
// never ordered again: the next attempt goes on with its installation.
func (d *domain) attemptFailed(ctx workflow.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	now, v := workflow.Now(ctx), activities.ReadVerdict(err)
	d.state.Problems, d.state.Waiting = []cert.Problem{v.Problem}, v.Outcome != cert.Refused
	wait := v.RetryAfter
	switch v.Outcome {
	case cert.Refused:
		d.state.Issuance = ""
		d.state.Failures++
		d.happened(d.failureEvent(), v.Problem.Message)
		wait = d.state.Policy.RetryAfter(d.state.Failures)
		if d.state.Failures >= d.state.Policy.MaxFailures {
			d.escalate(ctx, TooManyFailures, fmt.Sprintf("%d attempts failed", d.state.Failures))
		}
	case cert.Parked:
		d.state.Waiting = false
		d.escalate(ctx, CASaysNo, v.Problem.Message)
	case cert.OrderGone:
		d.state.Issuance = ""
		d.state.OrdersGone++
		if d.state.OrdersGone > 1 { // once is an order that grew old; twice is a CA in trouble
			wait = max(wait, 10*time.Minute)
		}
	case cert.Wait:
		if wait <= 0 {
			wait = 10 * time.Minute
		}
	}
	if d.state.Escalation.stops() {
		d.enter(AwaitingHandBack)
		return nil
	}
	if overdue := d.state.Policy.EscalateDNSAfter; !d.state.Attempting.IsZero() && now.Sub(d.state.Attempting) >= overdue && d.state.Escalation == "" {
		d.escalate(ctx, CannotFinish, fmt.Sprintf("no certificate %s after the records were seen", span(overdue)))
	}
	d.state.NextAttemptAt = now.Add(d.state.Policy.BeforeExpiry(wait, d.state.remaining(now)))
	if wait <= 0 {
		d.state.NextAttemptAt = now
	}
	d.enter(AwaitingRetry)
	return nil
}

func (d *domain) failureEvent() cert.EventType {
	switch {
	case d.state.Issued != nil:
		return cert.InstallationFailed
	case d.state.Live != nil:
		return cert.RenewalFailed
	default:
		return cert.IssuanceFailed
	}
}

// awaitRetry waits for the time of the next attempt, or for somebody who wants one now (row A4).
func (d *domain) awaitRetry(ctx workflow.Context) error {
	switch {
	case d.state.Requested != "", !workflow.Now(ctx).Before(d.state.NextAttemptAt):
		d.attempt(ctx)
		return nil
	case d.state.CheckRequested != "":
		return d.lookOnly(ctx)
	default:
		return d.rest(ctx, d.state.NextAttemptAt, "next attempt for "+d.state.Hostname)
	}
}

// attempt starts over at the right place: with the installation when a certificate is at hand, else with the pre-flight. It records
// nothing: the look that follows at once will.
func (d *domain) attempt(ctx workflow.Context) {
	d.state.Requested, d.state.Waiting = "", false
	d.state.NextCheckAt, d.state.NextAttemptAt = workflow.Now(ctx), time.Time{}
	switch {
	case d.state.Issued != nil:
		d.enter(Installing)
	case d.state.Live != nil:
		d.state.Phase = RenewalDue
	default:
		d.state.Phase = AwaitingDNS
	}
}

// lookOnly is "check now" where no look is due: the diagnosis is told, nothing else changes.
func (d *domain) lookOnly(ctx workflow.Context) error {
	problems, methods := d.state.Problems, d.state.Methods
	if _, err := d.look(ctx); err != nil {
		return err
	}
	d.state.Problems, d.state.Methods = problems, methods // why the domain waits is still the reason that it had
	return nil
}
