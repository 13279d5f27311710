package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// awaitDNS looks at once, then on the schedule of the policy, until the pre-flight passes (row A2). Nothing is ordered before.
func (d *domain) awaitDNS(ctx workflow.Context) error {
	if !d.lookDue(ctx) {
		return d.rest(ctx, d.state.NextCheckAt, "next DNS check of "+d.state.Hostname)
	}
	diagnosis, err := d.look(ctx)
	if err != nil {
		return err
	}
	d.state.Requested = ""
	if d.state.WaitingSince.IsZero() { // handed back, or the records were there once: the wait begins anew
		d.state.WaitingSince = diagnosis.CheckedAt
	}
	if diagnosis.Verdict == cert.OK {
		d.recordsSeen()
		if d.state.Escalation == NoRecords {
			d.resolveCase(ctx, "the DNS records are there")
		}
		d.enter(Issuing)
		return nil
	}
	now := workflow.Now(ctx)
	waited := now.Sub(d.state.WaitingSince)
	d.noteLate(now, diagnosis.Verdict)
	if waited >= d.state.Policy.EscalateDNSAfter && d.state.Escalation == "" {
		d.escalate(ctx, NoRecords, span(d.state.Policy.EscalateDNSAfter)+" without the DNS records that are needed")
	}
	d.state.NextCheckAt = now.Add(d.state.Policy.NextCheck(d.state.Checks, waited, d.state.Escalation != ""))
	for _, at := range d.state.milestones() {
		if at.After(now) && d.state.NextCheckAt.After(at) {
			d.state.NextCheckAt = at
		}
	}
	d.changed = true
	return nil
}

// noteLate says once that the records are late (row B7). That takes a look which saw that they are not there: a zone that
// doesn't answer may hold them, and is no fault of the tenant's.
func (d *domain) noteLate(now time.Time, verdict cert.Verdict) {
	at := d.state.lateAt()
	if d.state.Late || at.IsZero() || now.Before(at) || verdict != cert.Wrong {
		return
	}
	d.state.Late = true
	d.happened(cert.DomainLate, span(d.state.Policy.LateAfter)+" without the DNS records that are needed")
}

// lookDue tells whether the next look is due: by the schedule, or because somebody asked.
func (d *domain) lookDue(ctx workflow.Context) bool {
	return d.state.Requested != "" || d.state.CheckRequested != "" || !workflow.Now(ctx).Before(d.state.NextCheckAt)
}

// look reads the platform's policy anew and makes the pre-flight. A fault of our own is an unknown, never the tenant's.
func (d *domain) look(ctx workflow.Context) (cert.Diagnosis, error) {
	ctx = local(ctx, lookOptions, fmt.Sprintf("check %d", d.state.Checks+1))
	d.state.CheckRequested = "" // whoever asks from here on wants another one
	if err := workflow.ExecuteLocalActivity(ctx, records.ReadPolicy).Get(ctx, &d.state.Policy); err != nil {
		return cert.Diagnosis{}, err
	}
	request := activities.CheckRequest{Domain: d.state.Domain, Registration: d.state.Live != nil}
	var diagnosis cert.Diagnosis
	if err := workflow.ExecuteLocalActivity(ctx, dns.CheckDNS, request).Get(ctx, &diagnosis); err != nil {
		if ctx.Err() != nil {
			return cert.Diagnosis{}, err
		}
		diagnosis = cert.Diagnosis{CheckedAt: workflow.Now(ctx), Verdict: cert.Unknown, Problems: []cert.Problem{activities.ReadVerdict(err).Problem}}
	}
	d.state.Checks++
	d.state.CheckedAt = diagnosis.CheckedAt
	d.state.Problems, d.state.Methods = diagnosis.Problems, diagnosis.Methods
	d.state.Ownership = diagnosis.Verdict == cert.Wrong && onlyOwnership(diagnosis.Problems)
	d.diagnosis, d.changed = &diagnosis, true
	return diagnosis, nil
}

// onlyOwnership tells whether nothing but the ownership record stands in the way.
func onlyOwnership(problems []cert.Problem) bool {
	problems = blocking(problems)
	for _, p := range problems {
		if p.Code != cert.OwnershipMissing && p.Code != cert.OwnershipMismatch {
			return false
		}
	}
	return len(problems) > 0
}

// blocking leaves out the problems that only warn.
func blocking(problems []cert.Problem) []cert.Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p cert.Problem) bool { return p.Severity == cert.Warns })
}

func (d *domain) recordsSeen() {
	if !d.state.Verified || d.state.Moved {
		d.happened(cert.DomainVerified, "all DNS records that are needed were seen")
	}
	d.state.Verified, d.state.Moved, d.state.Problems = true, false, nil
	d.state.WaitingSince, d.state.Late = time.Time{}, false
	if d.state.Attempting.IsZero() && d.diagnosis != nil {
		d.state.Attempting = d.diagnosis.CheckedAt
	}
}
