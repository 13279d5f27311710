package cert

import "time"

// Reservation asks for a place in line for what one order costs of a CA's rate limits (row F3).
type Reservation struct {
	IssuanceID string
	Directory  string // URL of the ACME directory of the CA
	Tenant     string
	Names      []string
	Renewal    bool      // the names have had a certificate from this account
	NotAfter   time.Time // end of the live certificate; zero without one
}

// Place is the answer to a Reservation.
type Place struct {
	N    int           // place in line, from 1; 0 when the order may be placed now
	At   time.Time     // when the order may be placed
	Wait time.Duration // until At, by the clock that gave the place; zero when the order may be placed now
}
