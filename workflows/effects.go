package workflows

import (
	"fmt"
	"time"

	"github.com/evercert/evercert/cert"
)

// Effect is one change of the state by an event. Its name is in the table that people read.
type Effect string

// The effects.
const (
	NoteRecords         Effect = "note that the records are there"
	NoteLate            Effect = "say once that they are late"
	WarnOfClaim         Effect = "warn once that the claim ends"
	PlanCheck           Effect = "plan the next check"
	CloseRecordsCase    Effect = "close a case about the records"
	DropIssuance        Effect = "end this issuance"
	CountFailure        Effect = "count a failure"
	CountWait           Effect = "count a wait"
	CountOrderGone      Effect = "count a lost order"
	TellNextCA          Effect = "say that the order goes to the next CA"
	PlanRetry           Effect = "plan the next attempt"
	RetryAtOnce         Effect = "begin again at once"
	KeepCertificate     Effect = "keep the certificate"
	DropCertificate     Effect = "give the certificate up"
	ReportServed        Effect = "report that it is installed"
	GoLive              Effect = "the certificate is live"
	GoLiveInPart        Effect = "the certificate is live where it was seen"
	PlanRenewal         Effect = "check before the renewal"
	PlanRenewalCheck    Effect = "plan the next check of the renewal"
	PlanCheckSoon       Effect = "plan the next check of the renewal soon"
	Hold                Effect = "hold the renewal, with its reason"
	EndHold             Effect = "end the hold"
	BeginAttempt        Effect = "begin an attempt"
	ReportNearlyExpired Effect = "report that it nearly ends"
	ReportExpired       Effect = "report that it has ended"
	DropOlder           Effect = "forget the older certificate"
	BeginPause          Effect = "hold everything"
	EndPause            Effect = "go on; the time between counts for no deadline"
	OpenCase            Effect = "open a case, unless people have one"
	CloseCase           Effect = "close the case"
	BeginWaitsAnew      Effect = "begin every wait anew"
	AnnounceMove        Effect = "give notice to the tenant"
	EndMove             Effect = "report that it does not move"
	KeepForRival        Effect = "keep the names for the other tenant"
	ReportClaimEnded    Effect = "report that the claim has ended"
	ReportRemoved       Effect = "report that it is removed"
)

// effects are the functions of the effects. An event changes a domain's state only by them.
var effects = map[Effect]func(*domain, happening){
	NoteRecords:         (*domain).noteRecords,
	NoteLate:            (*domain).noteLate,
	WarnOfClaim:         (*domain).warnOfClaim,
	PlanCheck:           (*domain).planCheck,
	CloseRecordsCase:    (*domain).closeRecordsCase,
	DropIssuance:        func(d *domain, _ happening) { d.state.Attempt.Issuance = "" },
	CountFailure:        (*domain).countFailure,
	CountWait:           (*domain).countWait,
	CountOrderGone:      (*domain).countOrderGone,
	TellNextCA:          func(d *domain, h happening) { d.addEvent(cert.IssuanceMoved, h.text) },
	PlanRetry:           (*domain).planRetry,
	RetryAtOnce:         func(d *domain, h happening) { d.state.Attempt.NextAt, d.state.Attempt.MustWait = h.at, true },
	KeepCertificate:     (*domain).keepCertificate,
	DropCertificate:     (*domain).dropCertificate,
	ReportServed:        (*domain).reportServed,
	GoLive:              (*domain).goLive,
	GoLiveInPart:        (*domain).goLiveInPart,
	PlanRenewal:         (*domain).planRenewal,
	PlanRenewalCheck:    (*domain).planRenewalCheck,
	PlanCheckSoon:       (*domain).planCheckSoon,
	Hold:                (*domain).hold,
	EndHold:             (*domain).endHold,
	BeginAttempt:        (*domain).beginAttempt,
	ReportNearlyExpired: (*domain).tellNearlyExpired,
	ReportExpired:       (*domain).tellExpired,
	DropOlder:           func(d *domain, _ happening) { d.state.Serving.Before = nil },
	BeginPause:          (*domain).beginPause,
	EndPause:            (*domain).endPause,
	OpenCase:            (*domain).openCase,
	CloseCase:           (*domain).closeCase,
	BeginWaitsAnew:      (*domain).beginWaitsAnew,
	AnnounceMove:        (*domain).announceMove,
	EndMove:             (*domain).endMove,
	KeepForRival:        func(d *domain, _ happening) { d.state.Rival.Gets = true },
	ReportClaimEnded:    func(d *domain, h happening) { d.addEvent(cert.DomainClaimEnded, h.text) },
	ReportRemoved:       (*domain).reportRemoved,
}

// The records.

func (d *domain) noteRecords(h happening) {
	r := &d.state.Records
	if !r.Verified || r.Moved {
		d.addEvent(cert.DomainVerified, "all DNS records that are needed were seen")
	}
	r.Verified, r.Moved, r.Since, r.Late = true, false, time.Time{}, false
	r.ClaimSince, r.ClaimWarned = time.Time{}, false
	d.state.Problems = nil
	if d.state.Attempt.Since.IsZero() {
		d.state.Attempt.Since = h.at
	}
}

// noteLate reports once that the records are late (row B7). It needs a check that saw that they are missing: a zone that does not answer
// may have them, and is not the tenant's fault.
func (d *domain) noteLate(h happening) {
	at := d.state.lateAt()
	if d.state.Records.Late || at.IsZero() || h.at.Before(at) {
		return
	}
	d.state.Records.Late = true
	d.addEvent(cert.DomainLate, span(d.state.Policy.LateAfter)+" without the DNS records that are needed")
}

// planCheck sets the time of the next check. No sleep goes past the times at which records are late or a case is due.
func (d *domain) planCheck(h happening) {
	r, p := &d.state.Records, d.state.Policy
	if h.at.Sub(
		r.Since,
	) >= p.EscalateDNSAfter { // otherwise one check with a wrong or unknown result would hide that the CA has not issued for days
		d.state.Attempt.Since = time.Time{}
	}
	r.NextCheckAt = h.at.Add(p.NextCheck(r.Checks, h.at.Sub(r.Since), d.state.Case != nil))
	for _, at := range d.state.milestones() {
		if at.After(h.at) && r.NextCheckAt.After(at) {
			r.NextCheckAt = at
		}
	}
}

func (d *domain) closeRecordsCase(h happening) {
	if c := d.state.Case; c != nil && c.Kind == cert.NoRecords {
		d.closeCase(happening{at: h.at, text: "the DNS records are there"})
	}
}

// The attempt.

func (d *domain) countFailure(h happening) {
	a := &d.state.Attempt
	a.Failures++
	a.MustWait, a.Excused = false, time.Time{}
	d.state.Problems = []cert.Problem{h.problem}
	d.addEvent(d.failureEvent(), h.problem.Message)
}

func (d *domain) failureEvent() cert.EventType {
	switch {
	case d.state.Serving.candidate() != nil:
		return cert.InstallationFailed
	case d.state.Serving.Live != nil:
		return cert.RenewalFailed
	default:
		return cert.IssuanceFailed
	}
}

func (d *domain) countWait(h happening) {
	a := &d.state.Attempt
	a.Tries++
	a.MustWait, a.Excused = true, time.Time{}
	if h.excused {
		a.Excused = h.at
	}
	d.state.Problems = []cert.Problem{h.problem}
}

func (d *domain) countOrderGone(h happening) {
	a := &d.state.Attempt
	a.OrdersGone++
	a.MustWait, a.Excused = true, time.Time{}
	d.state.Problems = []cert.Problem{h.problem}
}

// planRetry sets the time of the next attempt: after a failure by the policy, else when the wait is over. A renewal is tried several times
// before its certificate expires.
func (d *domain) planRetry(h happening) {
	s, a, wait := &d.state, &d.state.Attempt, h.wait
	if !a.MustWait {
		wait = s.Policy.RetryAfter(a.Failures)
	}
	a.NextAt = h.at
	if wait > 0 {
		a.NextAt = h.at.Add(s.Policy.BeforeExpiry(wait, s.Serving.remaining(h.at)))
	}
	if c := s.Serving.candidate(); c != nil && c.RenewAt.After(h.at) && c.RenewAt.Before(a.NextAt) {
		a.NextAt = c.RenewAt // some edges lack it, and it is still renewed in time
	}
}

// beginAttempt records nothing: a check or an installation follows at once, and is recorded.
func (d *domain) beginAttempt(h happening) {
	a := &d.state.Attempt
	if !a.Excused.IsZero() && !a.Since.IsZero() { // the wait did not count
		a.Since = a.Since.Add(h.at.Sub(a.Excused))
	}
	a.Excused, a.MustWait, a.NextAt = time.Time{}, false, time.Time{}
	d.state.Records.NextCheckAt = h.at
	d.state.Asked.Certificate = ""
}

// The certificate.

func (d *domain) keepCertificate(h happening) {
	c := h.issued
	d.state.Serving.Issued = newCertificate(c)
	d.state.Attempt.Issuance, d.state.Attempt.OrdersGone, d.state.Attempt.Tries = "", 0, 0
	d.addEvent(
		cert.IssuanceSucceeded,
		fmt.Sprintf("serial %s by %s, until %s", c.Serial, cert.Line(c.Issuer, cert.MaxIssuer), c.NotAfter.UTC().Format(time.RFC3339)),
	)
}

// dropCertificate gives up a certificate that was issued, and served by no edge until its renewal was due.
func (d *domain) dropCertificate(h happening) {
	d.addEvent(
		cert.InstallationFailed,
		fmt.Sprintf("serial %s was served by no edge before its renewal was due; another one is ordered", d.state.Serving.Issued.Serial),
	)
	d.state.Serving.Issued = nil
	d.state.Attempt.Since = h.at
}

// reportServed reports certificates that were not served before; one that is installed again is not reported.
func (d *domain) reportServed(happening) {
	s := &d.state.Serving
	switch {
	case s.Issued != nil && s.Live != nil:
		d.addEvent(cert.RenewalSucceeded, "serial "+s.Issued.Serial+" replaces "+s.Live.Serial)
		d.addEvent(cert.InstallationSucceeded, "every edge serves serial "+s.Issued.Serial)
	case s.Issued != nil:
		d.addEvent(cert.InstallationSucceeded, "every edge serves serial "+s.Issued.Serial)
	case len(s.Lacking) > 0:
		d.addEvent(cert.InstallationSucceeded, "every edge serves serial "+s.Live.Serial+" now")
	}
}

func (d *domain) goLive(h happening) {
	s, a := &d.state.Serving, &d.state.Attempt
	if s.Issued != nil {
		s.Live, s.Endangered, s.Held = s.Issued, false, false
	}
	s.Issued, s.Lacking, s.Before = nil, nil, nil
	s.Expired = !h.at.Before(s.Live.NotAfter)
	a.Failures, a.Tries, a.OrdersGone, a.Since, a.Excused, a.NextAt, a.MustWait = 0, 0, 0, time.Time{}, time.Time{}, time.Time{}, false
	d.state.Problems = nil
}

// goLiveInPart notes that a certificate is served by some edges: it is renewed by its own dates, and the edges that lack it are named.
func (d *domain) goLiveInPart(h happening) {
	s := &d.state.Serving
	if len(h.lacking) == 0 { // no edge serves it
		return
	}
	if s.Issued != nil {
		if s.complete() && !s.Expired && len(s.Lacking) == 0 {
			s.Before = s.Live
		}
		s.Live, s.Issued, s.Expired, s.Endangered = s.Issued, nil, false, false
	}
	s.Lacking = h.lacking
}

// The renewal.

// planRenewal begins the wait for a renewal. Its checks are counted from zero.
func (d *domain) planRenewal(h happening) {
	d.state.Records.Since, d.state.Records.Checks, d.state.Records.NextCheckAt = h.at, 0, h.at
	d.state.Asked.Certificate = ""
}

// planRenewalCheck is for a check that found something wrong: no attempt can begin now.
func (d *domain) planRenewalCheck(h happening) {
	d.state.Attempt.Since = time.Time{}
	d.checkAgain(h.at, d.state.Policy.HoldInterval)
}

// planCheckSoon is for a check without a result. One such check between two attempts would hide that the CA has not issued for days.
func (d *domain) planCheckSoon(h happening) {
	if h.at.Sub(d.state.Records.Since) >= d.state.Policy.EscalateDNSAfter {
		d.state.Attempt.Since = time.Time{}
	}
	d.checkAgain(h.at, d.state.Policy.CheckInterval)
}

// checkAgain plans the next check of a renewal, sooner when the certificate is near its end.
func (d *domain) checkAgain(now time.Time, wait time.Duration) {
	d.state.Records.NextCheckAt = now.Add(d.state.Policy.BeforeExpiry(wait, d.state.Serving.remaining(now)))
}

// hold puts the renewal on hold (row B3). Its reason is reported once.
func (d *domain) hold(h happening) {
	if !d.state.Serving.Held {
		d.addEvent(cert.RenewalOnHoldEvent, h.text)
	}
	d.state.Serving.Held = true
}

func (d *domain) endHold(happening) {
	if d.state.Serving.Held {
		d.addEvent(cert.RenewalResumed, "what held the renewal back is gone")
	}
	d.state.Serving.Held = false
}

func (d *domain) tellNearlyExpired(happening) {
	l := d.state.Serving.Live
	d.state.Serving.Endangered = true
	d.addEvent(
		cert.CertificateExpiring, fmt.Sprintf("serial %s ends at %s and is not renewed yet", l.Serial, l.NotAfter.UTC().Format(time.RFC3339)),
	)
}

func (d *domain) tellExpired(happening) {
	d.state.Serving.Expired = true
	d.addEvent(cert.CertificateExpiredEvent, "serial "+d.state.Serving.Live.Serial)
}

// People.

func (d *domain) beginPause(h happening) {
	d.state.Pause = &PauseState{By: h.by, Since: h.at}
	if d.state.Serving.Live != nil {
		d.addEvent(cert.RenewalOnHoldEvent, "paused by "+h.text)
	}
}

// endPause moves the beginnings of all waits by the length of the pause.
func (d *domain) endPause(h happening) {
	for _, since := range []*time.Time{&d.state.Records.Since, &d.state.Records.ClaimSince, &d.state.Attempt.Since, &d.state.Attempt.Excused} {
		switch {
		case since.IsZero():
		case since.After(d.state.Pause.Since): // handed back during the pause
			*since = h.at
		default:
			*since = since.Add(h.at.Sub(d.state.Pause.Since))
		}
	}
	d.state.Pause = nil
	if d.state.Serving.Live != nil {
		d.addEvent(cert.RenewalResumed, "resumed by "+h.text)
	}
}

// openCase opens a case with the evidence. The record that follows writes the case, and a worker starts its workflow. A renewal on hold is
// the tenant's to fix and opens no case.
func (d *domain) openCase(h happening) {
	s := &d.state
	if s.Case != nil && !h.caseKind.Stops() || h.caseKind == cert.RenewalLate && s.Serving.Held {
		return
	}
	if s.Case != nil { // attempts continued beside the case, and have stopped now
		d.closeCase(happening{at: h.at, text: "another case takes its place: " + h.text})
	}
	s.Cases++
	s.Case = &cert.Case{
		ID: s.caseID(s.Cases), DomainID: s.ID, Hostname: s.Hostname, Tenant: s.Tenant, Kind: h.caseKind, Reason: h.text,
		Failures: s.Attempt.Failures, Problems: s.Problems, OpenedAt: h.at,
	}
	d.addEvent(cert.EscalationOpened, h.text)
}

func (d *domain) closeCase(h happening) {
	if d.state.Case == nil {
		return
	}
	d.state.Case, d.resolution = nil, h.text
	d.addEvent(cert.EscalationClosed, h.text)
}

// reportRemoved also clears the problems: they need no action any more.
func (d *domain) reportRemoved(h happening) {
	d.state.RemovedBy, d.state.Problems = h.text, nil
	d.addEvent(cert.DomainRemovedEvent, h.text)
}

// beginWaitsAnew moves every deadline as far away as on the first day, and lets the next try begin at once.
func (d *domain) beginWaitsAnew(h happening) {
	s := &d.state
	s.Attempt.Failures, s.Attempt.Tries, s.Attempt.OrdersGone, s.Attempt.Excused = 0, 0, 0, time.Time{}
	if !s.Attempt.Since.IsZero() {
		s.Attempt.Since = h.at
	}
	s.Records.Late, s.Records.Checks = false, 0
	if !s.Records.ClaimSince.IsZero() {
		s.Records.ClaimSince, s.Records.ClaimWarned = h.at, false
	}
	if s.Phase == AwaitingRetry && s.Attempt.NextAt.After(h.at) {
		s.Attempt.NextAt = h.at
	}
	if s.Phase == AwaitingDNS || s.Phase == RenewalDue {
		s.Records.Since, s.Records.NextCheckAt = h.at, h.at
	}
}
