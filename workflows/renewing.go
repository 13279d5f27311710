package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
)

// awaitRenewal sleeps until the certificate is due, or until a person asks for a new one. Then the run ends, and the next run begins with
// the renewal.
func (d *domain) awaitRenewal(ctx workflow.Context) {
	live := d.state.Serving.Live
	switch {
	case d.state.Asked.Certificate != "", !workflow.Now(ctx).Before(live.RenewAt):
		d.happens(Due, happening{at: workflow.Now(ctx)})
		d.over = true
	case d.state.Asked.Check != "":
		d.checkOnly(ctx)
	default:
		d.rest(ctx, live.RenewAt, "renewal of "+d.state.Hostname)
	}
}

// renew checks before it orders. Anything wrong puts the renewal on hold, with the reason shown, and it continues by itself when the reason
// is gone (row B3). An unknown result is checked again sooner.
func (d *domain) renew(ctx workflow.Context) {
	if !d.checkDue(ctx) {
		d.rest(ctx, d.state.Records.NextCheckAt, "next check of the renewal of "+d.state.Hostname)
		return
	}
	diagnosis := d.checkDNS(ctx)
	d.state.Asked.Certificate = ""
	h := happening{at: workflow.Now(ctx)}
	r, s := &d.state.Records, &d.state.Serving
	if r.Since.IsZero() {
		r.Since = h.at
	}
	switch late := d.state.Policy.EscalateDNSAfter; {
	case diagnosis.Verdict == cert.OK:
		d.happens(RecordsRight, h)
	case diagnosis.Verdict != cert.Wrong && (s.Endangered || s.Expired) && d.state.Case == nil && h.at.Sub(r.Since) >= late:
		// handed back without an improvement
		h.caseKind, h.text = cert.RenewalLate, "no check had a result for "+span(late)+" on whether the certificate can be renewed"
		d.happens(RecordsTooLate, h)
	case diagnosis.Verdict == cert.Wrong:
		h.text = firstMessage(blocking(diagnosis.Problems))
		d.state.Records.Moved = diagnosis.Pointed == cert.Wrong
		d.happens(RecordsWrong, h)
	default:
		d.happens(RecordsUnknown, h)
	}
}

func firstMessage(problems []cert.Problem) string {
	if len(problems) == 0 {
		return ""
	}
	return problems[0].Message
}
