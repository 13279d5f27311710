package cert

import (
	"time"
)

// Policy is the platform's choice of times and counts. The workflow reads it anew at each turn (activity ReadPolicy),
// so that a changed configuration reaches domains that wait already.
type Policy struct {
	FirstChecks        []time.Duration `json:"first_checks"`         // delays of the DNS checks after the one at once
	CheckInterval      time.Duration   `json:"check_interval"`       // between the checks after those
	LateAfter          time.Duration   `json:"late_after"`           // without the records: they are called late; 0 is never
	EscalateDNSAfter   time.Duration   `json:"escalate_dns_after"`   // without the records: the case goes to people
	EscalatedInterval  time.Duration   `json:"escalated_interval"`   // between checks once escalated
	DormantAfter       time.Duration   `json:"dormant_after"`        // since connecting, without a certificate
	DormantInterval    time.Duration   `json:"dormant_interval"`     // between checks from then on
	MaxFailures        int             `json:"max_failures"`         // the failure that escalates
	RetryAfterFailures []time.Duration `json:"retry_after_failures"` // wait after the 1st, 2nd … failure; the last repeats
	HoldInterval       time.Duration   `json:"hold_interval"`        // between checks of a renewal that is on hold

	ClaimLifetime time.Duration `json:"claim_lifetime,omitempty"` // without any record seen, of a domain that was never verified; 0 is for ever
	ClaimWarning  time.Duration `json:"claim_warning,omitempty"`  // before that end: the timeline warns of it
	MoveNotice    time.Duration `json:"move_notice,omitempty"`    // from another tenant's proof to the move of a verified domain
}

// DefaultPolicy is the schedule of a public platform.
func DefaultPolicy() Policy {
	return Policy{
		FirstChecks:        []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour},
		CheckInterval:      2 * time.Hour,
		LateAfter:          48 * time.Hour, // a change of nameservers may take as long (row B7)
		EscalateDNSAfter:   72 * time.Hour,
		EscalatedInterval:  24 * time.Hour,
		DormantAfter:       30 * 24 * time.Hour,
		DormantInterval:    7 * 24 * time.Hour,
		MaxFailures:        3,
		RetryAfterFailures: []time.Duration{2 * time.Hour, 8 * time.Hour, 24 * time.Hour},
		HoldInterval:       24 * time.Hour,
		ClaimLifetime:      7 * 24 * time.Hour,
		ClaimWarning:       48 * time.Hour,
		MoveNotice:         72 * time.Hour,
	}
}

// NextCheck is how long to wait for the next DNS check after checks have been made since the domain was connected or
// handed back, waited ago.
func (p Policy) NextCheck(checks int, waited time.Duration, escalated bool) time.Duration {
	switch {
	case waited >= p.DormantAfter:
		return p.DormantInterval
	case escalated:
		return p.EscalatedInterval
	case checks >= 1 && checks <= len(p.FirstChecks):
		return p.FirstChecks[checks-1]
	default:
		return p.CheckInterval
	}
}

// RetryAfter is how long automatic attempts wait after the nth failure in a row, n from 1.
func (p Policy) RetryAfter(failures int) time.Duration {
	if len(p.RetryAfterFailures) == 0 {
		return p.CheckInterval
	}
	return p.RetryAfterFailures[max(0, min(failures, len(p.RetryAfterFailures))-1)]
}

// shortLived is the lifetime below which a certificate is renewed at half of it, not at two thirds
// (Let's Encrypt, integration guide; RFC 9773 §4.2 leaves it to the client).
const shortLived = 10 * 24 * time.Hour

// RenewAt is the instant at which a certificate is renewed when its CA suggests none: at two thirds of its lifetime, at
// half of a short one. Up to a hundredth of the lifetime is taken off, by a fraction in [0,1) that is stable
// for the certificate, so that certificates issued together do not renew together.
func RenewAt(notBefore, notAfter time.Time, fraction float64) time.Time {
	life := notAfter.Sub(notBefore)
	at := life * 2 / 3
	if life < shortLived {
		at = life / 2
	}
	return notBefore.Add(at - time.Duration(fraction*float64(life)/100))
}

// BeforeExpiry shortens a wait of a renewal so that several more tries fit in before the live certificate runs out:
// a quarter of what remains, never under a minute. remaining is what the live certificate has left; without one it is zero.
func (p Policy) BeforeExpiry(wait, remaining time.Duration) time.Duration {
	if remaining <= 0 {
		return wait
	}
	return max(time.Minute, min(wait, remaining/4))
}

// NextBusinessDay is the same time of day on the next day from Monday to Friday, in UTC.
func NextBusinessDay(t time.Time) time.Time {
	t = t.UTC().AddDate(0, 0, 1)
	for t.Weekday() == time.Saturday || t.Weekday() == time.Sunday {
		t = t.AddDate(0, 0, 1)
	}
	return t
}
