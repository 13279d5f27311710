package cert

import (
	"errors"
	"fmt"
	"time"
)

// Code names a problem for machines. Codes are extended, never renamed.
type Code string

// The problem codes that evercert reports today.
const (
	DNSNoRecords           Code = "dns_no_records"
	DNSWrongTarget         Code = "dns_wrong_target"
	DNSConflictingRecords  Code = "dns_conflicting_records"
	DNSLookupFailed        Code = "dns_lookup_failed"
	DNSSECBogus            Code = "dnssec_bogus"
	NameserverLame         Code = "nameserver_lame"        // answers, and not for this zone
	NameserverUnreachable  Code = "nameserver_unreachable" // doesn't answer
	NameserversDiffer      Code = "nameservers_differ"     // the parent zone names others than the zone itself
	AnswersDiffer          Code = "answers_differ"         // the zone's servers don't show the same
	NameserversNotHosted   Code = "nameservers_not_hosted"
	CAAForbids             Code = "caa_forbids"
	CAALookupFailed        Code = "caa_lookup_failed"
	CAAAccountBound        Code = "caa_account_bound"
	CAAOneCAOnly           Code = "caa_one_ca_only" // the domain can't get its certificate elsewhere while that CA is down
	OwnershipMissing       Code = "ownership_missing"
	OwnershipMismatch      Code = "ownership_mismatch"
	DelegationMissing      Code = "delegation_missing"
	DelegationWrongTarget  Code = "delegation_wrong_target"
	DelegationDoubledName  Code = "delegation_doubled_name"
	RivalDelegation        Code = "rival_delegation" // another service gets certificates by the record that we ask for
	SiteWouldBreak         Code = "site_would_break" // a record that we ask for takes the site down, unless another is added first
	ProxiedByCDN           Code = "proxied_by_cdn"
	ReservedAddress        Code = "reserved_address"
	IPv6Unreachable        Code = "ipv6_unreachable"
	HTTPUnreachable        Code = "http_unreachable"
	HTTPBadRedirect        Code = "http_bad_redirect"
	HTTPUnexpectedResponse Code = "http_unexpected_response"
	HTTPSUnreachable       Code = "https_unreachable"
	TLSALPNRefused         Code = "tls_alpn_refused" // port 443 answers, and not to the protocol of tls-alpn-01
	MultiPerspectiveFailed Code = "multi_perspective_failed"
	DomainNotRegistered    Code = "domain_not_registered"
	DomainExpired          Code = "domain_expired"
	DomainNotAllowed       Code = "domain_not_allowed"
	NameReserved           Code = "name_reserved"
	NameTooDeep            Code = "name_too_deep"
	NameInvalid            Code = "name_invalid"
	NameSpecialUse         Code = "name_special_use" // .onion, .arpa and other names that are set aside (RFC 6761)
	CSRRejected            Code = "csr_rejected"
	RateLimited            Code = "rate_limited"
	WaitingForBudget       Code = "waiting_for_budget" // a place in the queue for the CA's limits, with its time
	IdentifierPaused       Code = "identifier_paused"
	CAUnavailable          Code = "ca_unavailable"
	CARejected             Code = "ca_rejected"
	AccountProblem         Code = "account_problem"
	InstallFailed          Code = "install_failed" // an edge can't load the certificate now
	ServedCertificateWrong Code = "served_certificate_mismatch"
	TenantInactive         Code = "tenant_inactive"
	TenantDeleted          Code = "tenant_deleted"
	NameTaken              Code = "name_taken"        // connected by another tenant, or in quarantine after its removal
	DomainUnknown          Code = "domain_unknown"    // nobody connected this name here
	RequestRefused         Code = "request_refused"   // the verb does not fit the state; the message says why
	RequestMalformed       Code = "request_malformed" // the request could not be read
	Unauthorized           Code = "unauthorized"      // no bearer token, or a wrong one
	WorkflowMissing        Code = "workflow_missing"  // no workflow runs for a connected domain, until the caretaker has started it again
	InternalError          Code = "internal_error"
	Unavailable            Code = "unavailable" // PostgreSQL or Temporal can't be reached; nothing was changed
	NoAnswer               Code = "no_answer"   // the request was sent, and its answer was not seen in time
)

// Actor is who must do something about a problem.
type Actor string

// Who acts on a problem.
const (
	TenantActs    Actor = "tenant"
	PlatformActs  Actor = "platform"
	CAActs        Actor = "ca"
	RegistrarActs Actor = "registrar"
)

// Severity says whether a problem keeps a certificate from being ordered.
type Severity string

// The severities. A problem that says nothing of its severity blocks.
const (
	Blocks Severity = "blocks"
	Warns  Severity = "warns" // visitors or a later order may suffer
)

// Problem is everything that a person is told about something that is wrong: what, whose turn it is,
// and the step that mends it. It is an error, so that it can travel as one.
type Problem struct {
	Code        Code     `json:"code"`
	Message     string   `json:"message"`
	Remediation string   `json:"remediation,omitempty"`
	WhoActs     Actor    `json:"who_acts"`
	Severity    Severity `json:"severity,omitempty"`
	Record      *Record  `json:"record,omitempty"` // the DNS record expected, if one is
	Found       string   `json:"found,omitempty"`  // what was seen in its place
	Then        Verb     `json:"then,omitempty"`   // the request that goes on once it is fixed; set where it is shown (Code.Verb)
}

// NothingToDo is the remediation of a problem that passes by itself.
const NothingToDo = "There is nothing for you to do: we check again by ourselves."

func (p Problem) Error() string { return fmt.Sprintf("%s: %s", p.Code, p.Message) }

// AsProblem returns the problem that err carries, or an internal_error that tells nothing private.
func AsProblem(err error) Problem {
	if p, ok := errors.AsType[Problem](err); ok {
		return p
	}
	return Problem{
		Code: InternalError, Message: "evercert had a fault of its own", WhoActs: PlatformActs,
		Remediation: "evercert tries again by itself; its log names the cause",
	}
}

// Outcome sorts what went wrong at a CA or an edge by what has to happen next.
type Outcome string

// The outcomes. Only Refused counts as one of the three failures that lead to escalation.
const (
	Refused   Outcome = "refused"    // the CA or a policy said no: counts as a failure, needs a new attempt
	Wait      Outcome = "wait"       // rate limit, outage, no budget: the same step again after RetryAfter
	OrderGone Outcome = "order-gone" // the order expired or the CA forgot it: a new order is needed, nobody's fault
	NextCA    Outcome = "next-ca"    // this CA cannot issue now: a new order is placed at the next one, nobody's fault
	Parked    Outcome = "parked"     // people must act first (identifier paused, account refused)
)

// Failure is an error with its outcome. An error without one is our own or the network's fault and is retried.
type Failure struct {
	Outcome    Outcome
	Problem    Problem
	RetryAfter time.Duration // with Wait: how long; zero means "the usual"
	Err        error         // the cause, for logs
}

func (f *Failure) Error() string {
	if f.Err != nil {
		return fmt.Sprintf("%s: %s (%v)", f.Outcome, f.Problem.Message, f.Err)
	}
	return fmt.Sprintf("%s: %s", f.Outcome, f.Problem.Message)
}

// Unwrap lets errors.As find the problem and the cause.
func (f *Failure) Unwrap() []error {
	if f.Err == nil {
		return []error{f.Problem}
	}
	return []error{f.Problem, f.Err}
}

// Fault is an error that is no verdict: the step is tried again at once, and several times, before people read its problem. An error that
// is neither a Failure nor a Fault is treated likewise, and shown as internal_error.
type Fault struct {
	Problem Problem
	Err     error // the cause, for logs
}

func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap lets errors.As find the cause.
func (f *Fault) Unwrap() error { return f.Err }
