package cert

import "time"

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
