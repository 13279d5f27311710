package workflows

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// Phase says what comes next for a domain.
type Phase string

// The phases. Every domain is in one of them from connecting to removal.
const (
	AwaitingDNS      Phase = "awaiting-dns"       // check until the records are there
	Issuing          Phase = "issuing"            // key, CSR, order
	Installing       Phase = "installing"         // install the certificate on every edge and verify that it is served
	Active           Phase = "active"             // rest until the renewal
	RenewalDue       Phase = "renewal-due"        // check before the renewal is ordered
	AwaitingRetry    Phase = "awaiting-retry"     // an attempt failed or has to wait
	AwaitingHandBack Phase = "awaiting-hand-back" // attempts have stopped until support hands the domain back
	Removed          Phase = "removed"            // the end
)

// Phases are all phases, in the order in which a domain passes them.
var Phases = []Phase{AwaitingDNS, Issuing, Installing, Active, RenewalDue, AwaitingRetry, AwaitingHandBack, Removed}

// State is everything that a domain's workflow remembers: its input, its memory and what it passes to its next run. It holds ids of keys
// and certificates, never keys. Transitions, checks of DNS and requests change it.
type State struct {
	cert.Domain
	Phase       Phase       `json:"phase"`
	Policy      cert.Policy `json:"policy"`
	Seq         int64       `json:"seq"` // of the newest snapshot
	ConnectedAt time.Time   `json:"connected_at"`

	Records  Records        `json:"records"`
	Attempt  Attempt        `json:"attempt"`
	Serving  Serving        `json:"serving"`
	Problems []cert.Problem `json:"problems,omitempty"` // why the domain waits
	Case     *cert.Case     `json:"case,omitempty"`     // the open case
	Cases    int            `json:"cases,omitempty"`    // opened so far
	Pause    *PauseState    `json:"pause,omitempty"`
	Asked    Asked          `json:"asked"`
	Rival    *Rival         `json:"rival,omitempty"` // another tenant that wants the names

	RemovedBy string `json:"removed_by,omitempty"`
	Repair    string `json:"repair,omitempty"` // why the caretaker started this run; reported with the first record
	Shown     shown  `json:"shown"`            // the search attributes that are set
}

// Records is what checks of DNS found, and the wait for the tenant's records.
type Records struct {
	Verified  bool                   `json:"verified,omitempty"` // all were seen at one check
	Moved     bool                   `json:"moved,omitempty"`    // the name points elsewhere now
	Ownership bool                   `json:"ownership,omitempty"`
	Methods   map[string]cert.Method `json:"methods,omitempty"`   // the validation method of each name
	Directory string                 `json:"directory,omitempty"` // of the CA that the newest check was made for

	Since       time.Time `json:"since,omitzero"` // connected, handed back, or without the records again; zero while they are there
	Checks      int       `json:"checks"`         // since connected, handed back, or due for renewal
	CheckedAt   time.Time `json:"checked_at,omitzero"`
	NextCheckAt time.Time `json:"next_check_at,omitzero"`
	Late        bool      `json:"late,omitempty"` // the records were reported late (row B7)

	ClaimSince  time.Time `json:"claim_since,omitzero"`   // never verified, and no record was seen since then
	ClaimWarned bool      `json:"claim_warned,omitempty"` // its end was announced
}

// Attempt is the way from correct records to a certificate. Failures counts refusals of the CA or an edge in a row; waits do not count.
type Attempt struct {
	Issuances  int       `json:"issuances"`          // begun until now
	Issuance   string    `json:"issuance,omitempty"` // id of the one in progress
	Since      time.Time `json:"since,omitzero"`     // the records are correct since then, and no certificate is installed
	Excused    time.Time `json:"excused,omitzero"`   // the wait counts for no deadline since then
	Tries      int       `json:"tries,omitempty"`    // in a row that had to wait
	OrdersGone int       `json:"orders_gone,omitempty"`
	Failures   int       `json:"failures"`
	MustWait   bool      `json:"must_wait,omitempty"` // the next retry follows a wait, not a failure
	NextAt     time.Time `json:"next_at,omitzero"`
}

// Serving is what the edges serve.
type Serving struct {
	Issued     *Certificate `json:"issued,omitempty"`     // not yet served by any edge
	Live       *Certificate `json:"live,omitempty"`       // served by one edge or more
	Lacking    []string     `json:"lacking,omitempty"`    // edges that do not serve Live
	Before     *Certificate `json:"before,omitempty"`     // what those edges served before it
	Expired    bool         `json:"expired,omitempty"`    // Live has expired
	Endangered bool         `json:"endangered,omitempty"` // it was reported that little of Live is left
	Held       bool         `json:"held,omitempty"`       // the renewal is on hold
	Redirect   bool         `json:"redirect,omitempty"`   // visitors are sent from HTTP to HTTPS
}

// PauseState is a person's request that nothing is done.
type PauseState struct {
	By    string    `json:"by"`
	Since time.Time `json:"since"`
}

// Asked holds requests that are not carried out yet, and who sent them.
type Asked struct {
	Certificate string   `json:"certificate,omitempty"`
	Check       string   `json:"check,omitempty"`
	Reinstall   bool     `json:"reinstall,omitempty"`
	MoveOn      bool     `json:"move_on,omitempty"`
	Removal     string   `json:"removal,omitempty"`  // by whom and why
	Requests    []string `json:"requests,omitempty"` // ids of the newest requests, so that a repeated one acts once
}

// requestsKept limits the remembered request ids. A client repeats a request within minutes.
const requestsKept = 32

// Certificate is what a workflow knows about a certificate.
type Certificate struct {
	Serial    string    `json:"serial"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	RenewAt   time.Time `json:"renew_at"`            // chosen once, when the certificate was issued
	Directory string    `json:"directory,omitempty"` // of the CA where it was ordered
}

// NewState returns the input of a domain's first run.
func NewState(d cert.Domain) State {
	return State{Domain: d, Phase: AwaitingDNS, Policy: cert.DefaultPolicy(), Shown: shown{Headline: cert.Pending}}
}

func newCertificate(c activities.Issued) *Certificate {
	h := fnv.New32a()
	h.Write([]byte(c.Serial))
	return &Certificate{
		Serial: c.Serial, Issuer: cert.Line(c.Issuer, cert.MaxIssuer), NotBefore: c.NotBefore, NotAfter: c.NotAfter, Directory: c.Directory,
		RenewAt: cert.RenewIn(c.Window, c.Serial, c.NotBefore, c.NotAfter, float64(h.Sum32())/(1<<32)),
	}
}

// endangeredAt returns when a quarter of the lifetime is left: by then it is reported that it was not renewed.
func (c *Certificate) endangeredAt() time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 4)
}

// complete reports whether every edge serves a certificate: the newest, or the one before on an edge that lacks the newest.
func (s *Serving) complete() bool { return s.Live != nil && (len(s.Lacking) == 0 || s.Before != nil) }

// candidate returns the certificate that must be installed and verified on every edge; nil if there is none.
func (s *Serving) candidate() *Certificate {
	if s.Issued != nil {
		return s.Issued
	}
	if len(s.Lacking) > 0 {
		return s.Live
	}
	return nil
}

// remaining returns how long the served certificate is still valid; zero without one.
func (s *Serving) remaining(now time.Time) time.Duration {
	if s.Live == nil {
		return 0
	}
	return max(0, s.Live.NotAfter.Sub(now))
}

// renewsAtSameCA reports whether the next certificate is ordered from the CA of the live one. Only there the CA counts the order as a
// renewal.
func (s *State) renewsAtSameCA() bool {
	l := s.Serving.Live
	return l != nil && (l.Directory == "" || s.Records.Directory == "" || l.Directory == s.Records.Directory)
}

// did reports whether a request was carried out before.
func (a *Asked) did(id string) bool { return id != "" && slices.Contains(a.Requests, id) }

// remember stores the id of a request that is carried out now.
func (a *Asked) remember(id string) {
	if id == "" {
		return
	}
	a.Requests = append(a.Requests, id)
	if extra := len(a.Requests) - requestsKept; extra > 0 {
		a.Requests = slices.Delete(a.Requests, 0, extra)
	}
}

// caseID returns the id of the domain's nth case.
func (s *State) caseID(n int) string { return fmt.Sprintf("%s/%d", s.ID, n) }

// status derives the domain's status on the three axes.
func (s *State) status() cert.Status {
	st := cert.Status{Domain: s.domainStatus(), Certificate: cert.CertificateNone, Renewal: cert.RenewalNone, Escalated: s.Case != nil}
	if st.Domain == cert.DomainRemoved { // nothing is served and nothing is planned
		st.Escalated = false
		return st
	}
	st.HasLive = s.Serving.complete()
	if st.HasLive {
		st.Certificate, st.Renewal = cert.CertificateActive, s.renewal()
	}
	if s.Serving.Expired {
		st.Certificate = cert.CertificateExpired
		return st
	}
	switch s.Phase {
	case Issuing:
		st.Certificate = cert.CertificatePendingIssuance
	case Installing:
		st.Certificate = cert.CertificatePendingInstallation
	case AwaitingRetry, AwaitingHandBack:
		st.Certificate = s.unsuccessful()
	}
	return st
}

func (s *State) domainStatus() cert.DomainStatus {
	switch {
	case s.Phase == Removed, s.Asked.Removal != "":
		return cert.DomainRemoved
	case s.Records.Moved:
		return cert.DomainMoved
	case s.Records.Verified:
		return cert.DomainActive
	case s.Records.Ownership:
		return cert.DomainPendingOwnership
	default:
		return cert.DomainPendingDNS
	}
}

func (s *State) renewal() cert.RenewalStatus {
	switch {
	case s.Case != nil:
		return cert.RenewalEscalated
	case s.Serving.Held, s.Pause != nil:
		return cert.RenewalOnHold
	case s.Phase == RenewalDue:
		return cert.RenewalDue
	case s.Phase == Issuing, s.Phase == Installing, s.Phase == AwaitingRetry:
		return cert.RenewalRenewing
	default:
		return cert.RenewalScheduled
	}
}

// unsuccessful distinguishes a wait for the CA or an edge, a name that the CA will not sign (row B6) and any other failure.
func (s *State) unsuccessful() cert.CertificateStatus {
	if s.Attempt.MustWait {
		if s.Serving.candidate() != nil {
			return cert.CertificateVerifying
		}
		return cert.CertificatePendingIssuance
	}
	for _, p := range s.Problems {
		if p.Code == cert.CSRRejected || p.Code == cert.DomainNotAllowed {
			return cert.CertificateRejected
		}
	}
	return cert.CertificateFailed
}
