package cert

import (
	"encoding/json"
	"time"
)

// Domain is what a tenant connected: a hostname with its further names, which share one certificate.
type Domain struct {
	ID       string   `json:"id"` // UUID, made when the domain is connected
	Hostname string   `json:"hostname"`
	Names    []string `json:"names"` // every name on the certificate, Hostname first; A-labels, lower case
	Tenant   string   `json:"tenant"`
}

// Snapshot is what the workflow knows about a domain at one moment: the row that lists and pages are read from.
//
// Run and Seq say which of two snapshots is newer: Seq grows by one with each snapshot of a run, and a run that began later (the next
// one, one after a reset, one that the caretaker started) is newer by At. So writing one twice changes nothing and an older one never wins.
type Snapshot struct {
	Domain
	Run      string `json:"run,omitempty"` // run id of the workflow that says it; the activity that writes it fills it in
	Seq      int64  `json:"seq"`
	Status   Status `json:"status"`
	Failures int    `json:"failures"`
	Paused   bool   `json:"paused,omitempty"`

	Problems     []Problem  `json:"problems,omitempty"`
	Diagnosis    *Diagnosis `json:"diagnosis,omitempty"` // nil leaves the stored one alone
	NextAction   string     `json:"next_action,omitempty"`
	NextActionAt time.Time  `json:"next_action_at,omitzero"`
	NextActor    Actor      `json:"next_actor,omitempty"` // whose turn it is
	Deadline     time.Time  `json:"deadline,omitzero"`    // when the present wait is handed to people

	Serial        string    `json:"serial,omitempty"` // of the live certificate, lower-case hexadecimal
	Issuer        string    `json:"issuer,omitempty"`
	NotAfter      time.Time `json:"not_after,omitzero"`
	RenewAt       time.Time `json:"renew_at,omitzero"`
	HTTPSRedirect bool      `json:"https_redirect,omitempty"`

	Case       *Case  `json:"case,omitempty"`       // that people have; nil when they have none, and then every open one is closed
	Resolution string `json:"resolution,omitempty"` // of the cases that this snapshot closes

	Events []Event         `json:"events,omitempty"` // what changed with this snapshot
	At     time.Time       `json:"at"`
	State  json.RawMessage `json:"state,omitempty"` // what a new workflow needs to go on from here (workflows.State)

	Verified bool  `json:"verified,omitempty"` // all records were seen once; else the names are free when the domain is removed
	Heir     *Heir `json:"heir,omitempty"`     // of a domain that is removed because another tenant has shown that it owns the names
}

// Heir is a tenant for which names are kept after the removal of the domain that had them.
type Heir struct {
	Tenant string   `json:"tenant"`
	Names  []string `json:"names"`
}

// Event is one entry of a domain's timeline.
type Event struct {
	Type   EventType `json:"type"`
	Detail string    `json:"detail,omitempty"`
}

// Issuance is one attempt at a certificate: one key, one CSR, one order.
type Issuance struct {
	ID         string   `json:"id"` // "<domain id>/<n>"
	DomainID   string   `json:"domain_id"`
	Names      []string `json:"names"`
	KeyID      string   `json:"key_id"`
	CSR        []byte   `json:"csr"` // PKCS#10, DER (RFC 2986)
	Replaces   string   `json:"replaces,omitempty"`
	CA         string   `json:"ca,omitempty"`
	Directory  string   `json:"directory,omitempty"` // of the CA that the order is placed at
	AccountURL string   `json:"account_url,omitempty"`
	OrderURL   string   `json:"order_url,omitempty"`
	Serial     string   `json:"serial,omitempty"`      // once issued
	OrderTries int      `json:"order_tries,omitempty"` // how many runs may have sent a newOrder

	OrderedAt time.Time `json:"ordered_at,omitzero"` // when the order was placed; while there is none, when the issuance was created
}

// Certificate is an issued certificate, without its key.
type Certificate struct {
	Serial     string    `json:"serial"` // lower-case hexadecimal, no leading zeros dropped from bytes
	IssuanceID string    `json:"issuance_id"`
	DomainID   string    `json:"domain_id"`
	Names      []string  `json:"names"`
	Issuer     string    `json:"issuer"` // common name of the issuing CA, organisation if it has none
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	Directory  string    `json:"directory,omitempty"` // of the CA that it was ordered from
	ChainPEM   []byte    `json:"-"`                   // leaf first, as the CA gave it, stored verbatim
}

// Challenge is what a CA asks to be shown for one name (RFC 8555 §8).
type Challenge struct {
	Name             string // the identifier, without "*."
	Method           Method
	Token            string
	KeyAuthorization string
}

// CaseKind says why people have a case. Codes are extended, never renamed.
type CaseKind string

// The kinds of case.
const (
	NoRecords       CaseKind = "no-records"        // the records are missing for too long; checks go on, slower
	CannotFinish    CaseKind = "cannot-finish"     // the records are there, and no certificate for too long; attempts go on
	RenewalLate     CaseKind = "renewal-late"      // not renewed with a quarter of the live certificate's lifetime left; attempts go on
	CAStopped       CaseKind = "ca-stopped"        // the CA has paused the name; attempts go on, once a day
	TooManyFailures CaseKind = "too-many-failures" // attempts stop until support hands the domain back (row A5)
)

// Stops reports whether attempts wait until support hands the domain back.
func (k CaseKind) Stops() bool { return k == TooManyFailures }

// AccountCasePrefix begins the id of a case about evercert's account at a CA. What follows is the account's URL, or the directory's
// while there is no account. Such a case does not belong to a domain: its DomainID, Hostname and Tenant are empty.
const AccountCasePrefix = "account:"

// Case is an escalation: a domain handed to people, with its evidence.
type Case struct {
	ID         string        `json:"id"` // "<domain id>/<n>", the nth of its domain
	DomainID   string        `json:"domain_id"`
	Hostname   string        `json:"hostname"`
	Tenant     string        `json:"tenant"`
	Kind       CaseKind      `json:"kind"`
	Reason     string        `json:"reason"` // in words
	Failures   int           `json:"failures"`
	Problems   []Problem     `json:"problems"`
	Records    []RecordState `json:"records,omitempty"` // as they were when the case was opened, if it is about them
	OpenedAt   time.Time     `json:"opened_at"`
	Assignee   string        `json:"assignee,omitempty"`
	Notes      []Note        `json:"notes,omitempty"`
	RemindedAt time.Time     `json:"reminded_at,omitzero"`
	ClosedAt   time.Time     `json:"closed_at,omitzero"`
	Resolution string        `json:"resolution,omitempty"`
}

// Note is something that a person wrote on a case.
type Note struct {
	Author string    `json:"author"`
	Text   string    `json:"text"`
	At     time.Time `json:"at"`
}
