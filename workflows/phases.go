package workflows

import (
	"cmp"
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// awaitDNS checks at once, then by the policy's schedule, until the check passes (row A2). Nothing is ordered before.
func (d *domain) awaitDNS(ctx workflow.Context) {
	r := &d.state.Records
	if !d.checkDue(ctx) {
		d.rest(ctx, r.NextCheckAt, "next DNS check of "+d.state.Hostname)
		return
	}
	diagnosis := d.checkDNS(ctx)
	d.state.Asked.Certificate = ""
	now := workflow.Now(ctx)
	if r.Since.IsZero() { // the records were there before: the wait begins again
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

// checkDue reports whether the next check is due: by the schedule, or because a person asked.
func (d *domain) checkDue(ctx workflow.Context) bool {
	asked := d.state.Asked
	return asked.Certificate != "" || asked.Check != "" || !workflow.Now(ctx).Before(d.state.Records.NextCheckAt)
}

// checkDNS reads the platform's policy again and checks DNS. A fault of evercert's own has the verdict unknown, never wrong.
func (d *domain) checkDNS(ctx workflow.Context) cert.Diagnosis {
	r := &d.state.Records
	summary := fmt.Sprintf("check %d", r.Checks+1)
	d.state.Asked.Check = "" // a request from here on asks for another check
	var policy cert.Policy
	if err := workflow.ExecuteLocalActivity(local(ctx, policyOptions, ""), activities.ReadPolicyName).Get(ctx, &policy); err == nil {
		d.state.Policy = policy
	}
	request := activities.CheckRequest{Domain: d.state.Domain, Registration: d.state.Serving.Live != nil, Issuance: d.state.Attempt.Issuance}
	var result checkResult
	err := step(ctx, checkOptions, summary, activities.CheckDNSName, request, &result)
	diagnosis := result.Diagnosis
	if err != nil {
		diagnosis = cert.Diagnosis{
			CheckedAt: workflow.Now(ctx),
			Verdict:   cert.Unknown,
			Problems:  []cert.Problem{activities.ReadVerdict(err).Problem},
		}
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

// checkResult is what CheckDNS returned, in this run or in one that another build began. Builds until November 2026 recorded the methods as
// a map beside the diagnosis; a run of theirs that was saved is replayed here (docs/decisions/0014).
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

// checkOnly is "check now" when no check is due: the diagnosis is recorded, and nothing else changes.
func (d *domain) checkOnly(ctx workflow.Context) {
	problems, methods := d.state.Problems, d.state.Records.Methods
	d.checkDNS(ctx)
	d.state.Problems, d.state.Records.Methods = problems, methods // why the domain waits has not changed
}

// problemsKept limits the problems in the state; the diagnosis, which people also read, has all of them.
const problemsKept = 10

func bounded(problems []cert.Problem) []cert.Problem {
	return problems[:min(len(problems), problemsKept)]
}

// onlyOwnership reports whether only the ownership record is missing.
func onlyOwnership(problems []cert.Problem) bool {
	problems = blocking(problems)
	for _, p := range problems {
		if p.Code != cert.OwnershipMissing && p.Code != cert.OwnershipMismatch {
			return false
		}
	}
	return len(problems) > 0
}

// blocking returns the problems without the warnings.
func blocking(problems []cert.Problem) []cert.Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p cert.Problem) bool { return p.Severity == cert.Warns })
}
