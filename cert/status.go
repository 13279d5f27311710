package cert

// DomainStatus says whether the domain's records are in place and still point here.
type DomainStatus string

// The domain axis.
const (
	DomainPendingDNS       DomainStatus = "pending_dns"
	DomainPendingOwnership DomainStatus = "pending_ownership"
	DomainActive           DomainStatus = "active"
	DomainMoved            DomainStatus = "moved"
	DomainBlocked          DomainStatus = "blocked"
	DomainRemoved          DomainStatus = "removed"
)

// CertificateStatus says where the newest certificate stands.
type CertificateStatus string

// The certificate axis.
const (
	CertificateNone                CertificateStatus = "none"
	CertificatePendingIssuance     CertificateStatus = "pending_issuance"
	CertificatePendingInstallation CertificateStatus = "pending_installation"
	CertificateVerifying           CertificateStatus = "verifying"
	CertificateActive              CertificateStatus = "active"
	CertificateFailed              CertificateStatus = "failed"
	CertificateRejected            CertificateStatus = "rejected"
	CertificateExpired             CertificateStatus = "expired"
)

// RenewalStatus says what is planned for the next certificate.
type RenewalStatus string

// The renewal axis.
const (
	RenewalNone      RenewalStatus = "none"
	RenewalScheduled RenewalStatus = "scheduled"
	RenewalDue       RenewalStatus = "due"
	RenewalRenewing  RenewalStatus = "renewing"
	RenewalOnHold    RenewalStatus = "on_hold"
	RenewalEscalated RenewalStatus = "escalated"
)

// Headline is the one line that a tenant reads, derived from the axes.
type Headline string

// The headlines.
const (
	Pending              Headline = "Pending"
	Issuing              Headline = "Issuing"
	Installing           Headline = "Installing"
	InstallationComplete Headline = "Installation complete"
	RequestCertificate   Headline = "Request certificate"
	ContactSupport       Headline = "Contact support"
	InvalidSignature     Headline = "Invalid domain name signature has been detected"
	RenewalHeld          Headline = "Renewal on hold"
	Expired              Headline = "Expired"
	Removed              Headline = "Removed"
)

// Status is where a domain stands on the three axes. HasLive tells whether a certificate is being served,
// which decides how a failure is told: a shop with a working certificate is not "Pending".
type Status struct {
	Domain      DomainStatus      `json:"domain"`
	Certificate CertificateStatus `json:"certificate"`
	Renewal     RenewalStatus     `json:"renewal"`
	HasLive     bool              `json:"has_live"`
	Escalated   bool              `json:"escalated"`
}

// Headline derives the line for people. While a certificate is live, a renewal that runs or waits does not
// change what the tenant reads, except when it is held back or handed to people.
func (s Status) Headline() Headline {
	switch {
	case s.Domain == DomainRemoved:
		return Removed
	case s.Certificate == CertificateExpired:
		return Expired
	case s.Escalated:
		return ContactSupport
	case s.Certificate == CertificateRejected:
		return InvalidSignature
	case s.HasLive && s.Renewal == RenewalOnHold:
		return RenewalHeld
	case s.Certificate == CertificateFailed:
		return RequestCertificate
	case s.HasLive:
		return InstallationComplete
	}
	switch s.Certificate {
	case CertificatePendingIssuance:
		return Issuing
	case CertificatePendingInstallation, CertificateVerifying:
		return Installing
	default:
		return Pending
	}
}

// EventType names a change of state on the timeline and, later, in webhooks. Events are sent when a state changes,
// never once per retry.
type EventType string

// The events.
const (
	DomainConnected         EventType = "domain.connected"
	DomainVerified          EventType = "domain.verified"
	DomainLate              EventType = "domain.late"           // the DNS records are awaited longer than the platform expects (row B7)
	DomainClaimEnding       EventType = "domain.claim_ending"   // never verified, and removed soon unless a record is seen
	DomainClaimEnded        EventType = "domain.claim_ended"    // never verified, and removed for it
	DomainMoveAnnounced     EventType = "domain.move_announced" // another tenant has shown that it owns the names
	DomainMoveCancelled     EventType = "domain.move_cancelled"
	QuarantineLifted        EventType = "quarantine.lifted" // the names of a removed domain are free before their time: by whom and why
	DomainRemovedEvent      EventType = "domain.removed"
	IssuanceSucceeded       EventType = "certificate.issuance.succeeded"
	IssuanceFailed          EventType = "certificate.issuance.failed"
	IssuanceMoved           EventType = "certificate.issuance.moved" // the CA cannot issue now: the order goes to the next one (row F12)
	InstallationSucceeded   EventType = "certificate.installation.succeeded"
	InstallationFailed      EventType = "certificate.installation.failed"
	RenewalSucceeded        EventType = "certificate.renewal.succeeded"
	RenewalFailed           EventType = "certificate.renewal.failed"
	CertificateExpiring     EventType = "certificate.expiring"
	CertificateExpiredEvent EventType = "certificate.expired"
	RenewalOnHoldEvent      EventType = "renewal.on_hold"
	RenewalResumed          EventType = "renewal.resumed"
	EscalationOpened        EventType = "escalation.opened"
	EscalationClosed        EventType = "escalation.closed"
	RequestMade             EventType = "request.made"    // somebody asked for something: what, who and why
	RequestIgnored          EventType = "request.ignored" // somebody asked Temporal to cancel the workflow, which only removal ends
	DomainRepaired          EventType = "domain.repaired" // the caretaker found something wrong and fixed it
)
