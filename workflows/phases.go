package workflows

import (
	"cmp"
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// awaitDNS looks at once, then on the schedule of the policy, until the pre-flight passes (row A2). Nothing is ordered before.
func (d *domain) awaitDNS(ctx workflow.Context) {
	r := &d.state.Records
	if !d.lookDue(ctx) {
		d.rest(ctx, r.NextCheckAt, "next DNS check of "+d.state.Hostname)
		return
	}
	diagnosis := d.look(ctx)
	d.state.Asked.Certificate = ""
	now := workflow.Now(ctx)
	if r.Since.IsZero() { // the records were there once: the wait begins anew
		r.Since = now
	}
	h := happening{at: now}
	switch late := d.state.Policy.EscalateDNSAfter; {
	case diagnosis.Verdict == cert.OK:
		d.happens(RecordsRight, h)
	case diagnosis.Verdict == cert.Wrong && !d.state.claimEndsAt().IsZero() && !now.Before(d.state.claimEndsAt()):
		h.text = "removed by evercert: never verified, and no DNS record was seen for " + span(d.state.Policy.ClaimLifetime)
		d.happens(ClaimEnded, h)
	case now.Sub(r.Since) >= late && d.state.Case == nil:
		h.caseKind, h.text = cert.NoRecords, span(late)+" without the DNS records that are needed"
		d.happens(RecordsTooLate, h)
	case diagnosis.Verdict == cert.Wrong:
		d.happens(RecordsWrong, h)
	default:
		d.happens(RecordsUnknown, h)
	}
}

// lookDue reports whether the next look is due: by the schedule, or because somebody asked.
func (d *domain) lookDue(ctx workflow.Context) bool {
	asked := d.state.Asked
	return asked.Certificate != "" || asked.Check != "" || !workflow.Now(ctx).Before(d.state.Records.NextCheckAt)
}

// look reads the platform's policy anew and makes the pre-flight. A fault of our own is an unknown, never the tenant's.
func (d *domain) look(ctx workflow.Context) cert.Diagnosis {
	r := &d.state.Records
	summary := fmt.Sprintf("check %d", r.Checks+1)
	d.state.Asked.Check = "" // whoever asks from here on wants another one
	var policy cert.Policy
	if err := workflow.ExecuteLocalActivity(local(ctx, policyOptions, ""), activities.ReadPolicyName).Get(ctx, &policy); err == nil {
		d.state.Policy = policy
	}
	request := activities.CheckRequest{Domain: d.state.Domain, Registration: d.state.Serving.Live != nil, Issuance: d.state.Attempt.Issuance}
	var result checkResult
	err := step(ctx, lookOptions, summary, activities.CheckDNSName, request, &result)
	diagnosis := result.Diagnosis
	if err != nil {
		diagnosis = cert.Diagnosis{CheckedAt: workflow.Now(ctx), Verdict: cert.Unknown, Problems: []cert.Problem{activities.ReadVerdict(err).Problem}}
	}
	r.Checks++
	r.CheckedAt = diagnosis.CheckedAt
	r.Methods = result.methods()
	r.Directory = cmp.Or(diagnosis.Directory, r.Directory)
	r.Ownership = diagnosis.Verdict == cert.Wrong && onlyOwnership(diagnosis.Problems)
	d.state.noteSeen(diagnosis.Records, workflow.Now(ctx))
	d.state.Problems = bounded(diagnosis.Problems)
	d.diagnosis, d.seen, d.changed = &diagnosis, diagnosis.Records, true
	return diagnosis
}

// checkResult is what CheckDNS returned, in this run or in one that another build began. Builds until November 2026 recorded the methods as a map
// beside the diagnosis; a run of theirs that is rescued is replayed here (docs/decisions/0014).
type checkResult struct {
	cert.Diagnosis
	RecordedMethods map[string]cert.Method `json:"methods"`
}

// methods returns the validation method of each name.
func (r checkResult) methods() map[string]cert.Method {
	if r.RecordedMethods != nil {
		return r.RecordedMethods
	}
	return r.Methods()
}

// lookOnly is "check now" where no look is due: the diagnosis is told, nothing else changes.
func (d *domain) lookOnly(ctx workflow.Context) {
	problems, methods := d.state.Problems, d.state.Records.Methods
	d.look(ctx)
	d.state.Problems, d.state.Records.Methods = problems, methods // why the domain waits is still the reason that it had
}

// problemsKept is how many problems the state holds; the diagnosis, which people read beside them, has all.
const problemsKept = 10

func bounded(problems []cert.Problem) []cert.Problem {
	return problems[:min(len(problems), problemsKept)]
}

// onlyOwnership reports whether nothing but the ownership record stands in the way.
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
