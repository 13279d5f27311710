package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// issue obtains a certificate: our CSR (row B1), then one order. The workflow gets its serial and dates, never its key.
func (d *domain) issue(ctx workflow.Context) {
	a := &d.state.Attempt
	if a.Issuance == "" {
		a.Issuances++
		a.Issuance = fmt.Sprintf("%s/%d", d.state.ID, a.Issuances)
	}
	csr := activities.CSRRequest{IssuanceID: a.Issuance, DomainID: d.state.ID, Names: d.state.Names}
	err := step(ctx, csrOptions, "key and CSR for "+strings.Join(d.state.Names, ", "), activities.CreateCSRName, csr, nil)
	var issued activities.Issued
	if err == nil {
		order := activities.OrderRequest{
			IssuanceID: a.Issuance, Directory: d.state.Records.Directory, Methods: d.state.Records.Methods, Tenant: d.state.Tenant,
		}
		if l := d.state.Serving.Live; l != nil {
			order.Renewal, order.NotAfter = d.state.renewsAtSameCA(), l.NotAfter
		}
		ctx := regular(ctx, orderOptions, "order, validation and download")
		err = workflow.ExecuteActivity(ctx, activities.OrderCertificateName, order).Get(ctx, &issued)
	}
	if err != nil {
		d.issuanceFailed(workflow.Now(ctx), activities.ReadVerdict(err))
		return
	}
	now := workflow.Now(ctx)
	if !now.Before(newCertificate(issued).RenewAt) {
		d.issuanceFailed(now, activities.Verdict{Outcome: cert.OrderGone, Problem: cert.Problem{
			Code: cert.CARejected, WhoActs: cert.PlatformActs, Message: "serial " + issued.Serial + " was due for renewal when it came",
			Remediation: "evercert orders another one by itself; if that comes late too, compare the clocks",
		}})
		return
	}
	d.happens(Issued, happening{at: now, issued: issued})
}

// issuanceFailed decides what a failed step means. Only a refusal counts.
func (d *domain) issuanceFailed(now time.Time, v activities.Verdict) {
	a := d.state.Attempt
	h := happening{at: now, problem: v.Problem, wait: v.RetryAfter}
	switch v.Outcome {
	case cert.Refused:
		d.refused(h)
	case cert.Parked:
		h.caseKind, h.text, h.wait = cert.CAStopped, v.Problem.Message, d.state.Policy.HoldInterval
		d.happens(NamePaused, h)
	case cert.OrderGone:
		if a.OrdersGone > 0 { // one lost order may have expired; two are a fault of the CA
			h.wait = max(h.wait, d.grown(longWait, a.OrdersGone-1))
		}
		d.happens(OrderGone, h)
	case cert.NextCA:
		h.text = v.Problem.Message
		if a.OrdersGone > 0 { // a platform has few CAs: after the second, each is given a moment
			h.wait = d.grown(shortWait, a.OrdersGone-1)
		}
		d.happens(NextCA, h)
	default:
		h.excused = nobodys(v.Problem.Code)
		switch {
		case h.wait <= 0:
			h.wait = d.grown(longWait, a.Tries)
		case !h.excused: // a CA that answers "one second" each time must not be asked without end; a place in the queue is exact to the minute
			h.wait = max(h.wait, d.grown(shortWait, a.Tries))
		}
		d.happens(MustWait, h)
	}
}

// refused counts a failure. The last one that is allowed stops automatic attempts (row A5).
func (d *domain) refused(h happening) {
	failures := d.state.Attempt.Failures + 1
	switch {
	case failures >= d.state.Policy.MaxFailures:
		h.caseKind, h.text = cert.TooManyFailures, fmt.Sprintf("%d attempts failed", failures)
		d.happens(RefusedAtLast, h)
	case len(h.lacking) > 0:
		d.happens(RefusedInPart, h)
	default:
		d.happens(Refused, h)
	}
}

// nobodys reports whether a wait is caused neither by the domain nor by its CA: a place in the queue for the CA's limits, or a fault of the
// platform's account. Such a wait counts for no deadline, and the platform has one case for its account.
func nobodys(c cert.Code) bool { return c == cert.WaitingForBudget || c == cert.AccountProblem }

// longWait is the first wait after a fault that lasted longer than its retries, or after a second lost order: the CA has a fault.
const longWait = 10 * time.Minute

// shortWait is the first wait after a refusal that named a time.
const shortWait = time.Minute

// grown doubles a first wait with each try in a row, up to the interval of DNS checks.
func (d *domain) grown(first time.Duration, tries int) time.Duration {
	wait, longest := first, d.state.Policy.CheckInterval
	for range tries {
		if wait >= longest {
			return max(first, longest)
		}
		wait *= 2
	}
	return max(first, min(wait, longest))
}

// awaitRetry waits for the time of the next attempt, or for a request to start it now (row A4).
func (d *domain) awaitRetry(ctx workflow.Context) {
	now, due := workflow.Now(ctx), d.state.Attempt.NextAt
	switch {
	case d.state.Asked.Certificate != "", !now.Before(due):
		d.begin(now)
	case d.state.Asked.Check != "":
		d.checkOnly(ctx)
	default:
		d.rest(ctx, due, "next attempt for "+d.state.Hostname)
	}
}

// begin starts an attempt: with the installation when a certificate is issued already, else with the check of DNS.
func (d *domain) begin(now time.Time) {
	s, h := &d.state.Serving, happening{at: now}
	switch {
	case s.Issued != nil, len(s.Lacking) > 0 && now.Before(s.Live.RenewAt):
		d.happens(BeginInstalling, h)
	case s.Live != nil:
		d.happens(BeginRenewal, h)
	default:
		d.happens(BeginFirst, h)
	}
}

// awaitHandBack waits for support. A served certificate is still watched to its end.
func (d *domain) awaitHandBack(ctx workflow.Context) {
	if d.state.Asked.Check != "" {
		d.checkOnly(ctx)
		return
	}
	d.rest(ctx, time.Time{}, "")
}
