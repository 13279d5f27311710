package cert

import (
	"fmt"
	"strings"
	"time"
)

// Absence is a CA that no order is placed at for a time, because it cannot issue now (row F12). Orders go to the next CA meanwhile.
type Absence struct {
	Directory string    `json:"directory"` // URL of the CA's ACME directory
	DomainID  string    `json:"domain_id"` // the domain that it is about; empty: all domains
	Until     time.Time `json:"until"`
	Problem   Problem   `json:"problem"` // why
}

// ConfiguredCA is one of the platform's CAs as the workers use it, for people.
type ConfiguredCA struct {
	Position      int       `json:"position"` // from 1: the order in which they are tried
	Name          string    `json:"name"`
	Directory     string    `json:"directory"`
	Profile       string    `json:"profile,omitempty"`
	CAAIdentities []string  `json:"caa_identities,omitempty"` // empty: those that the CA's directory names
	AccountURL    string    `json:"account_url,omitempty"`    // empty until the account is registered
	Blocked       *Problem  `json:"blocked,omitempty"`        // why the CA refuses the account
	AbsentUntil   time.Time `json:"absent_until,omitzero"`    // no order of any domain is placed here until then
	Absence       *Problem  `json:"absence,omitempty"`        // why
	AbsentFor     int       `json:"absent_for,omitempty"`     // number of domains for which alone no order is placed here now
}

// OneCAOnly returns the warning for a domain whose CAA records let some of the platform's CAs issue and not the others: while the first
// ones are down, the domain waits. It is about domains whose order is expected to succeed now.
func OneCAOnly(d Diagnosis) (Problem, bool) {
	var may, mayNot []string
	var record *Record
	for _, ca := range d.CAA {
		switch ca.Verdict {
		case OK:
			may = append(may, ca.CA)
		case Wrong:
			mayNot = append(mayNot, ca.CA)
			if record == nil {
				record = ca.Record
			}
		}
	}
	if d.Verdict != OK || len(may) == 0 || len(mayNot) == 0 {
		return Problem{}, false
	}
	p := Problem{
		Code:     CAAOneCAOnly,
		WhoActs:  TenantActs,
		Severity: Warns,
		Record:   record,
		Message: fmt.Sprintf(
			"The CAA records let %s issue certificates for this domain, but not %s. This domain can't fail over: while %s can't issue, it waits.",
			strings.Join(may, ", "),
			strings.Join(mayNot, ", "),
			strings.Join(may, ", "),
		),
		Remediation: fmt.Sprintf(
			"If the domain shall get certificates from %s as well: at your DNS provider, let its CAA records allow that.",
			strings.Join(mayNot, ", "),
		),
	}
	if record != nil {
		p.Remediation = fmt.Sprintf(
			"If the domain shall get certificates from %s as well: at your DNS provider, add a CAA record %s with the value %s.",
			strings.Join(mayNot, ", "),
			FormName(record.Name),
			record.Value,
		)
	}
	return p, true
}
