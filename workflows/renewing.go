package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
)

// awaitRenewal sleeps until the certificate is due, or somebody wants a new one now.
func (d *domain) awaitRenewal(ctx workflow.Context) error {
	switch {
	case d.state.Requested != "", !workflow.Now(ctx).Before(d.state.Live.RenewAt):
		d.state.WaitingSince, d.state.Checks = workflow.Now(ctx), 0
		d.attempt(ctx)
		return nil
	case d.state.CheckRequested != "":
		return d.lookOnly(ctx)
	case !d.installed.IsZero() && d.settlesAt().Before(d.state.Live.RenewAt):
		return d.rest(ctx, d.settlesAt(), "the story of serial "+d.state.Live.Serial+" ends, and a new run waits for the renewal")
	default:
		return d.rest(ctx, d.state.Live.RenewAt, "renewal of "+d.state.Hostname)
	}
}

// renew looks before it orders. What is wrong holds the renewal back, with the reason shown, and it goes on by itself
// when the reason is gone (row B3); what is unknown is tried again sooner.
func (d *domain) renew(ctx workflow.Context) error {
	if !d.lookDue(ctx) {
		return d.rest(ctx, d.state.NextCheckAt, "next look at the renewal of "+d.state.Hostname)
	}
	diagnosis, err := d.look(ctx)
	if err != nil {
		return err
	}
	d.state.Requested = ""
	now, wait := workflow.Now(ctx), d.state.Policy.CheckInterval
	switch diagnosis.Verdict {
	case cert.OK:
		if d.state.Held {
			d.happened(cert.RenewalResumed, "what held the renewal back is gone")
		}
		d.state.Held = false
		d.recordsSeen()
		d.enter(Issuing)
		return nil
	case cert.Wrong:
		if !d.state.Held {
			d.happened(cert.RenewalOnHoldEvent, firstMessage(blocking(diagnosis.Problems)))
		}
		d.state.Held, d.state.Moved = true, diagnosis.Pointed == cert.Wrong
		wait = d.state.Policy.HoldInterval
	}
	d.state.NextCheckAt = now.Add(d.state.Policy.BeforeExpiry(wait, d.state.remaining(now)))
	d.changed = true
	return nil
}

func firstMessage(problems []cert.Problem) string {
	if len(problems) == 0 {
		return ""
	}
	return problems[0].Message
}

// awaitHandBack leaves the domain to people. A live certificate is still watched to its end.
func (d *domain) awaitHandBack(ctx workflow.Context) error {
	switch {
	case d.state.Escalation == "": // handed back
		d.state.WaitingSince, d.state.Checks = workflow.Now(ctx), 0
		d.attempt(ctx)
		return nil
	case d.state.CheckRequested != "":
		return d.lookOnly(ctx)
	default:
		return d.rest(ctx, time.Time{}, "")
	}
}

// awaitResume holds everything until a person resumes the domain. What falls due meanwhile is done then.
func (d *domain) awaitResume(ctx workflow.Context) error { return d.rest(ctx, time.Time{}, "") }

// noteExpiry sees the end of a live certificate.
func (d *domain) noteExpiry(ctx workflow.Context) {
	if l := d.state.Live; l != nil && !d.state.Expired && !workflow.Now(ctx).Before(l.NotAfter) {
		d.state.Expired = true
		d.happened(cert.CertificateExpiredEvent, "serial "+l.Serial)
	}
}
