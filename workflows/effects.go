package workflows

import (
	"fmt"
	"time"

	"github.com/evercert/evercert/cert"
)

// Effect is one thing that an event does to the state. Its name stands in the table that people read.
type Effect string

// The effects.
const (
	NoteRecords       Effect = "note that the records are there"
	NoteLate          Effect = "say once that they are late"
	WarnOfClaim       Effect = "warn once that the claim ends"
	PlanCheck         Effect = "plan the next check"
	CloseRecordsCase  Effect = "close a case about the records"
	DropIssuance      Effect = "end this issuance"
	CountFailure      Effect = "count a failure"
	CountWait         Effect = "count a wait"
	CountOrderGone    Effect = "count a lost order"
	TellNextCA        Effect = "say that the order goes to the next CA"
	PlanRetry         Effect = "plan the next attempt"
	RetryAtOnce       Effect = "begin again at once"
	KeepCertificate   Effect = "keep the certificate"
	DropCertificate   Effect = "give the certificate up"
	TellServed        Effect = "tell that it is installed"
	GoLive            Effect = "the certificate is live"
	GoLiveInPart      Effect = "the certificate is live where it was seen"
	PlanRenewal       Effect = "look before the renewal"
	PlanLookAtRenewal Effect = "plan the next look"
	PlanLookSoon      Effect = "plan the next look soon"
	Hold              Effect = "hold the renewal, with its reason"
	EndHold           Effect = "end the hold"
	BeginAttempt      Effect = "begin an attempt"
	TellNearlyExpired Effect = "tell that it nearly ends"
	TellExpired       Effect = "tell that it has ended"
	DropOlder         Effect = "forget the older certificate"
	BeginPause        Effect = "hold everything"
	EndPause          Effect = "go on; the time between counts for no deadline"
	OpenCase          Effect = "open a case, unless people have one"
	CloseCase         Effect = "close the case"
	BeginWaitsAnew    Effect = "begin every wait anew"
	AnnounceMove      Effect = "give notice to the tenant"
	EndMove           Effect = "tell that it does not move"
	KeepForRival      Effect = "keep the names for the other tenant"
	TellClaimEnded    Effect = "tell that the claim has ended"
	TellRemoved       Effect = "tell that it is removed"
)

// effects say what each does. Nothing else changes a domain's state on an event.
var effects = map[Effect]func(*domain, happening){
	NoteRecords:       (*domain).noteRecords,
	NoteLate:          (*domain).noteLate,
	WarnOfClaim:       (*domain).warnOfClaim,
	PlanCheck:         (*domain).planCheck,
	CloseRecordsCase:  (*domain).closeRecordsCase,
	DropIssuance:      func(d *domain, _ happening) { d.state.Attempt.Issuance = "" },
	CountFailure:      (*domain).countFailure,
	CountWait:         (*domain).countWait,
	CountOrderGone:    (*domain).countOrderGone,
	TellNextCA:        func(d *domain, h happening) { d.tell(cert.IssuanceMoved, h.text) },
	PlanRetry:         (*domain).planRetry,
	RetryAtOnce:       func(d *domain, h happening) { d.state.Attempt.NextAt, d.state.Attempt.MustWait = h.at, true },
	KeepCertificate:   (*domain).keepCertificate,
	DropCertificate:   (*domain).dropCertificate,
	TellServed:        (*domain).tellServed,
	GoLive:            (*domain).goLive,
	GoLiveInPart:      (*domain).goLiveInPart,
	PlanRenewal:       (*domain).planRenewal,
	PlanLookAtRenewal: (*domain).planLookAtRenewal,
	PlanLookSoon:      (*domain).planLookSoon,
	Hold:              (*domain).hold,
	EndHold:           (*domain).endHold,
	BeginAttempt:      (*domain).beginAttempt,
	TellNearlyExpired: (*domain).tellNearlyExpired,
	TellExpired:       (*domain).tellExpired,
	DropOlder:         func(d *domain, _ happening) { d.state.Serving.Before = nil },
	BeginPause:        (*domain).beginPause,
	EndPause:          (*domain).endPause,
	OpenCase:          (*domain).openCase,
	CloseCase:         (*domain).closeCase,
	BeginWaitsAnew:    (*domain).beginWaitsAnew,
	AnnounceMove:      (*domain).announceMove,
	EndMove:           (*domain).endMove,
	KeepForRival:      func(d *domain, _ happening) { d.state.Rival.Gets = true },
	TellClaimEnded:    func(d *domain, h happening) { d.tell(cert.DomainClaimEnded, h.text) },
	TellRemoved:       (*domain).tellRemoved,
}

// The records.

func (d *domain) noteRecords(h happening) {
	r := &d.state.Records
	if !r.Verified || r.Moved {
		d.tell(cert.DomainVerified, "all DNS records that are needed were seen")
	}
	r.Verified, r.Moved, r.Since, r.Late = true, false, time.Time{}, false
	r.ClaimSince, r.ClaimWarned = time.Time{}, false
	d.state.Problems = nil
	if d.state.Attempt.Since.IsZero() {
		d.state.Attempt.Since = h.at
	}
}

// noteLate says once that the records are late (row B7). That takes a look which saw that they are not there: a zone that
// doesn't answer may hold them, and is no fault of the tenant's.
func (d *domain) noteLate(h happening) {
	at := d.state.lateAt()
	if d.state.Records.Late || at.IsZero() || h.at.Before(at) {
		return
	}
	d.state.Records.Late = true
	d.tell(cert.DomainLate, span(d.state.Policy.LateAfter)+" without the DNS records that are needed")
}

// planCheck sets the time of the next check; no sleep goes past the moments at which records are late, or a case.
func (d *domain) planCheck(h happening) {
	r, p := &d.state.Records, d.state.Policy
	if h.at.Sub(r.Since) >= p.EscalateDNSAfter { // else one look that is wrong or unknown would hide that the CA has kept us waiting for days
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
	d.tell(d.failureEvent(), h.problem.Message)
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

// planRetry sets the time of the next attempt: after a failure by the policy, else when the wait is over. A renewal tries several times before its
// certificate runs out.
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
		a.NextAt = c.RenewAt // not on every edge, and renewed in time all the same
	}
}

// beginAttempt notes nothing that people read: a look or an installation follows at once, and is recorded.
func (d *domain) beginAttempt(h happening) {
	a := &d.state.Attempt
	if !a.Excused.IsZero() && !a.Since.IsZero() { // the wait was nobody's
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
	d.tell(cert.IssuanceSucceeded, fmt.Sprintf("serial %s by %s, until %s", c.Serial, cert.Line(c.Issuer, cert.MaxIssuer), c.NotAfter.UTC().Format(time.RFC3339)))
}

// dropCertificate gives up a certificate that was issued and never seen on an edge while it was young.
func (d *domain) dropCertificate(h happening) {
	d.tell(cert.InstallationFailed, fmt.Sprintf("serial %s was seen on no edge before its renewal was due; another one is ordered", d.state.Serving.Issued.Serial))
	d.state.Serving.Issued = nil
	d.state.Attempt.Since = h.at
}

// tellServed is only about certificates that were not live before; one that is installed again is no news.
func (d *domain) tellServed(happening) {
	s := &d.state.Serving
	switch {
	case s.Issued != nil && s.Live != nil:
		d.tell(cert.RenewalSucceeded, "serial "+s.Issued.Serial+" replaces "+s.Live.Serial)
		d.tell(cert.InstallationSucceeded, "every edge serves serial "+s.Issued.Serial)
	case s.Issued != nil:
		d.tell(cert.InstallationSucceeded, "every edge serves serial "+s.Issued.Serial)
	case len(s.Lacking) > 0:
		d.tell(cert.InstallationSucceeded, "every edge serves serial "+s.Live.Serial+" now")
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

// goLiveInPart notes a certificate as live where it was seen: it is renewed by its own dates, and the edges that lack it are named.
func (d *domain) goLiveInPart(h happening) {
	s := &d.state.Serving
	if len(h.lacking) == 0 { // seen nowhere
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

// planRenewal begins the wait for a renewal: its looks are counted anew.
func (d *domain) planRenewal(h happening) {
	d.state.Records.Since, d.state.Records.Checks, d.state.Records.NextCheckAt = h.at, 0, h.at
	d.state.Asked.Certificate = ""
}

// planLookAtRenewal is for a look that saw something wrong: no attempt can begin now.
func (d *domain) planLookAtRenewal(h happening) {
	d.state.Attempt.Since = time.Time{}
	d.lookAgain(h.at, d.state.Policy.HoldInterval)
}

// planLookSoon is for a look that could not tell. One such look between two attempts would hide that the CA has kept us waiting for days.
func (d *domain) planLookSoon(h happening) {
	if h.at.Sub(d.state.Records.Since) >= d.state.Policy.EscalateDNSAfter {
		d.state.Attempt.Since = time.Time{}
	}
	d.lookAgain(h.at, d.state.Policy.CheckInterval)
}

// lookAgain plans the next look at a renewal, sooner as the certificate nears its end.
func (d *domain) lookAgain(now time.Time, wait time.Duration) {
	d.state.Records.NextCheckAt = now.Add(d.state.Policy.BeforeExpiry(wait, d.state.Serving.remaining(now)))
}

// hold keeps the renewal back (row B3). Its reason is told once.
func (d *domain) hold(h happening) {
	if !d.state.Serving.Held {
		d.tell(cert.RenewalOnHoldEvent, h.text)
	}
	d.state.Serving.Held = true
}

func (d *domain) endHold(happening) {
	if d.state.Serving.Held {
		d.tell(cert.RenewalResumed, "what held the renewal back is gone")
	}
	d.state.Serving.Held = false
}

func (d *domain) tellNearlyExpired(happening) {
	l := d.state.Serving.Live
	d.state.Serving.Endangered = true
	d.tell(cert.CertificateExpiring, fmt.Sprintf("serial %s ends at %s and is not renewed yet", l.Serial, l.NotAfter.UTC().Format(time.RFC3339)))
}

func (d *domain) tellExpired(happening) {
	d.state.Serving.Expired = true
	d.tell(cert.CertificateExpiredEvent, "serial "+d.state.Serving.Live.Serial)
}

// People.

func (d *domain) beginPause(h happening) {
	d.state.Pause = &PauseState{By: h.by, Since: h.at}
	if d.state.Serving.Live != nil {
		d.tell(cert.RenewalOnHoldEvent, "paused by "+h.text)
	}
}

// endPause moves the beginnings of all waits on by the time of the pause.
func (d *domain) endPause(h happening) {
	for _, since := range []*time.Time{&d.state.Records.Since, &d.state.Records.ClaimSince, &d.state.Attempt.Since, &d.state.Attempt.Excused} {
		switch {
		case since.IsZero():
		case since.After(d.state.Pause.Since): // handed back meanwhile
			*since = h.at
		default:
			*since = since.Add(h.at.Sub(d.state.Pause.Since))
		}
	}
	d.state.Pause = nil
	if d.state.Serving.Live != nil {
		d.tell(cert.RenewalResumed, "resumed by "+h.text)
	}
}

// openCase hands the domain to people, with the evidence. The record that follows writes the case, and a worker starts its workflow. A
// renewal on hold is the tenant's to mend and opens none.
func (d *domain) openCase(h happening) {
	s := &d.state
	if s.Case != nil && !h.caseKind.Stops() || h.caseKind == cert.RenewalLate && s.Serving.Held {
		return
	}
	if s.Case != nil { // attempts went on beside it, and have stopped now
		d.closeCase(happening{at: h.at, text: "another case takes its place: " + h.text})
	}
	s.Cases++
	s.Case = &cert.Case{
		ID: s.caseID(s.Cases), DomainID: s.ID, Hostname: s.Hostname, Tenant: s.Tenant, Kind: h.caseKind, Reason: h.text,
		Failures: s.Attempt.Failures, Problems: s.Problems, OpenedAt: h.at,
	}
	d.tell(cert.EscalationOpened, h.text)
}

func (d *domain) closeCase(h happening) {
	if d.state.Case == nil {
		return
	}
	d.state.Case, d.resolution = nil, h.text
	d.tell(cert.EscalationClosed, h.text)
}

// tellRemoved ends what was wrong as well: nobody has to mend it any more.
func (d *domain) tellRemoved(h happening) {
	d.state.RemovedBy, d.state.Problems = h.text, nil
	d.tell(cert.DomainRemovedEvent, h.text)
}

// beginWaitsAnew lets no deadline be nearer than on the first day, and the next try begin at once.
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
