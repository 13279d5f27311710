package cert

import "time"

// Answer is the reply to a request about a domain: its headline, what became of the request, and what comes next.
type Answer struct {
	Hostname     string    `json:"hostname"`
	Headline     Headline  `json:"headline"`
	Message      string    `json:"message"`
	NextAction   string    `json:"next_action,omitempty"`
	NextActionAt time.Time `json:"next_action_at,omitzero"`

	MovesAt time.Time `json:"moves_at,omitzero"` // another tenant has proved that it owns the names, and they move then

	// Of a request for a check.
	Checking  bool       `json:"checking,omitempty"`  // the check was asked for and is not finished
	LastCheck time.Time  `json:"last_check,omitzero"` // the newest check before it, by which the new one is recognised
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"` // the result, once the check is finished
	Failures  int        `json:"failures,omitempty"`  // issuances and installations that failed in a row
	Problems  []Problem  `json:"problems,omitempty"`  // why the last of them failed, which no check of DNS shows
	Held      bool       `json:"held,omitempty"`      // nothing is ordered until support hands the domain back
}
