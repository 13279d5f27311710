package workflows

import (
	"hash/fnv"
	"time"

	"github.com/evercert/evercert/cert"
)

// Phase says what comes next for a domain.
type Phase string

// The phases.
const (
	AwaitingDNS      Phase = "awaiting-dns"
	Issuing          Phase = "issuing"
	Installing       Phase = "installing"
	Active           Phase = "active"
	RenewalDue       Phase = "renewal-due"
	AwaitingRetry    Phase = "awaiting-retry"
	AwaitingHandBack Phase = "awaiting-hand-back"
)

// State is all that a domain's workflow remembers: its input, its memory and what it passes to its next run. It names keys and
// certificates by their ids; it holds none.
type State struct {
	cert.Domain
	Phase       Phase       `json:"phase"`
	Policy      cert.Policy `json:"policy"`
	Seq         int64       `json:"seq"` // of the newest snapshot
	ConnectedAt time.Time   `json:"connected_at"`

	// Waiting for DNS.
	WaitingSince time.Time `json:"waiting_since"`       // connected, handed back, or without the records again
	Checks       int       `json:"checks"`              // since connected or handed back
	CheckedAt    time.Time `json:"checked_at,omitzero"` // the newest look, by the clock of the worker that made it
	NextCheckAt  time.Time `json:"next_check_at"`
	Late         bool      `json:"late,omitempty"` // the records were called late (row B7)
	Verified     bool      `json:"verified"`       // the records were all seen once
	Moved        bool      `json:"moved,omitempty"`
	Ownership    bool      `json:"ownership_pending,omitempty"` // only the ownership record is missing

	// Issuing. Failures counts what the CA or the edge refused in a row; waits are not failures.
	Methods       map[string]cert.Method `json:"methods,omitempty"`
	Issuances     int                    `json:"issuances"`          // begun so far
	Issuance      string                 `json:"issuance,omitempty"` // id of the one under way
	Attempting    time.Time              `json:"attempting,omitzero"`
	OrdersGone    int                    `json:"orders_gone,omitempty"` // in a row
	Failures      int                    `json:"failures"`
	Waiting       bool                   `json:"waiting,omitempty"` // the retry ahead is a wait, not the consequence of a failure
	NextAttemptAt time.Time              `json:"next_attempt_at,omitzero"`
	Issued        *Certificate           `json:"issued,omitempty"` // not yet proven to be served
	Live          *Certificate           `json:"live,omitempty"`   // served
	Expired       bool                   `json:"expired,omitempty"`
	Held          bool                   `json:"held,omitempty"` // the renewal is on hold

	Problems      []cert.Problem `json:"problems,omitempty"`
	Escalation    Escalated      `json:"escalation,omitempty"`
	EscalatedAt   time.Time      `json:"escalated_at,omitzero"`
	HTTPSRedirect bool           `json:"https_redirect,omitempty"`

	// What people asked for and was not done yet.
	Requested      string `json:"requested,omitempty"`       // by whom
	CheckRequested string `json:"check_requested,omitempty"` // by whom
	Paused         bool   `json:"paused,omitempty"`
	PausedBy       string `json:"paused_by,omitempty"`
	Removed        bool   `json:"removed,omitempty"`
	RemovedBy      string `json:"removed_by,omitempty"`

	Shown shown `json:"shown"` // the search attributes as they are set
}

// Escalated says why people have the case; empty when they do not.
type Escalated string

// The reasons of an escalation.
const (
	NoRecords       Escalated = "no-records"        // checks go on, slower
	CannotFinish    Escalated = "cannot-finish"     // the CA keeps us waiting; attempts go on
	TooManyFailures Escalated = "too-many-failures" // attempts stop until support hands the domain back (row A5)
	CASaysNo        Escalated = "ca-says-no"        // attempts stop: the account or the name is paused
)

func (e Escalated) stops() bool { return e == TooManyFailures || e == CASaysNo }

// Certificate is what a workflow knows of a certificate.
type Certificate struct {
	Serial    string    `json:"serial"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	RenewAt   time.Time `json:"renew_at"` // picked once, when the certificate was issued
}

// NewState is the input of a domain's first run.
func NewState(d cert.Domain) State {
	return State{Domain: d, Phase: AwaitingDNS, Policy: cert.DefaultPolicy(), Shown: shown{Headline: cert.Pending}}
}

func newCertificate(c cert.Certificate) *Certificate {
	h := fnv.New32a()
	h.Write([]byte(c.Serial))
	return &Certificate{
		Serial: c.Serial, Issuer: c.Issuer, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		RenewAt: cert.RenewAt(c.NotBefore, c.NotAfter, float64(h.Sum32())/(1<<32)),
	}
}

// status derives where the domain stands on the three axes.
func (s *State) status() cert.Status {
	st := cert.Status{
		Domain: cert.DomainPendingDNS, Certificate: cert.CertificateNone, Renewal: cert.RenewalNone,
		HasLive: s.Live != nil, Escalated: s.Escalation != "",
	}
	switch {
	case s.Removed:
		st.Domain = cert.DomainRemoved
	case s.Moved:
		st.Domain = cert.DomainMoved
	case s.Verified:
		st.Domain = cert.DomainActive
	case s.Ownership:
		st.Domain = cert.DomainPendingOwnership
	}
	if s.Live != nil {
		st.Certificate, st.Renewal = cert.CertificateActive, s.renewal()
	}
	if s.Expired {
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

func (s *State) renewal() cert.RenewalStatus {
	switch {
	case s.Escalation != "":
		return cert.RenewalEscalated
	case s.Held, s.Paused:
		return cert.RenewalOnHold
	case s.Phase == RenewalDue:
		return cert.RenewalDue
	case s.Phase == Issuing, s.Phase == Installing, s.Phase == AwaitingRetry:
		return cert.RenewalRenewing
	default:
		return cert.RenewalScheduled
	}
}

// unsuccessful tells a wait for the CA, a name that the CA will not sign (row B6) and any other failure apart.
func (s *State) unsuccessful() cert.CertificateStatus {
	if s.Waiting {
		return cert.CertificatePendingIssuance
	}
	for _, p := range s.Problems {
		if p.Code == cert.CSRRejected || p.Code == cert.DomainNotAllowed {
			return cert.CertificateRejected
		}
	}
	return cert.CertificateFailed
}

// remaining is what the live certificate has left; zero without one.
func (s *State) remaining(now time.Time) time.Duration {
	if s.Live == nil {
		return 0
	}
	return max(0, s.Live.NotAfter.Sub(now))
}
