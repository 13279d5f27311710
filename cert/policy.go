package cert

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Policy is the platform's choice of times and counts, read from the environment (docs/config.md). The workflow reads it anew at each turn
// (activity ReadPolicy), so that a changed configuration reaches domains that wait already.
type Policy struct {
	// FirstChecks are the pauses between the DNS checks that follow the first one, while tenants still use their DNS provider's page.
	FirstChecks []time.Duration `json:"first_checks" env:"DNS_FIRST_CHECKS" envDefault:"1m,5m,15m,1h" doc:"pauses between the first DNS checks"`
	// CheckInterval is the pause between later checks. Each check costs three Temporal actions.
	CheckInterval time.Duration `json:"check_interval" env:"DNS_CHECK_INTERVAL" envDefault:"2h" doc:"between the DNS checks after those"`
	// LateAfter: a change of name servers may take two days. Later, the timeline and the status say that the records are late.
	LateAfter time.Duration `json:"late_after" env:"DNS_LATE_AFTER" envDefault:"48h" doc:"how long a domain may lack its records before they are called late"`
	// EscalateDNSAfter limits how long a domain may lack its records, or an order its certificate, before a case is opened.
	EscalateDNSAfter time.Duration `json:"escalate_dns_after" env:"DNS_ESCALATE_AFTER" envDefault:"72h" doc:"how long a domain may lack its records before a case is opened"`
	// EscalatedInterval is the pause between DNS checks of a domain with a case.
	EscalatedInterval time.Duration `json:"escalated_interval" env:"DNS_ESCALATED_INTERVAL" envDefault:"24h" doc:"between DNS checks of an escalated domain"`
	// After DormantAfter without ever having its records, a domain is checked every DormantInterval.
	DormantAfter    time.Duration `json:"dormant_after" env:"DNS_DORMANT_AFTER" envDefault:"720h" doc:"since a domain was connected and never had its records"`
	DormantInterval time.Duration `json:"dormant_interval" env:"DNS_DORMANT_INTERVAL" envDefault:"168h" doc:"between DNS checks of such a domain"`
	// MaxFailures in a row stop automatic attempts and open a case.
	MaxFailures int `json:"max_failures" env:"MAX_FAILURES" envDefault:"3" doc:"failed attempts in a row before a case is opened"`
	// RetryAfterFailures are the waits after the first, second, … failure; the last one repeats. CAs count failures: Let's Encrypt pauses a
	// name that fails for months.
	RetryAfterFailures []time.Duration `json:"retry_after_failures" env:"RETRY_AFTER_FAILURES" envDefault:"2h,8h,24h" doc:"waits after the first, second, … failure"`
	// HoldInterval is the pause between checks of a renewal on hold. Near the certificate's end the pauses are shorter.
	HoldInterval time.Duration `json:"hold_interval" env:"RENEWAL_HOLD_INTERVAL" envDefault:"24h" doc:"between DNS checks of a renewal on hold"`
	// After ClaimLifetime, a domain is removed if it was never verified and none of its records was seen in that time. 0s keeps it for ever:
	// who connects a name first keeps it until another tenant proves to own it. The timeline warns ClaimWarning before.
	ClaimLifetime time.Duration `json:"claim_lifetime,omitempty" env:"CLAIM_LIFETIME" envDefault:"168h" doc:"how long an unverified domain without records is kept; 0s: for ever"`
	ClaimWarning  time.Duration `json:"claim_warning,omitempty" env:"CLAIM_WARNING" envDefault:"48h" doc:"how long before that end the timeline warns of it"`
	// MoveNotice is the time between another tenant's proof for a verified domain and the move to that tenant. A shorter notice leaves less
	// time to notice a hijacked DNS account.
	MoveNotice time.Duration `json:"move_notice,omitempty" env:"MOVE_NOTICE" envDefault:"72h" doc:"from another tenant's proof for a verified domain to its move"`
}

// DefaultPolicy returns the defaults that the tags of Policy name: the schedule of a public platform.
func DefaultPolicy() Policy {
	var p Policy
	fields := reflect.ValueOf(&p).Elem()
	for i := range fields.NumField() {
		text := fields.Type().Field(i).Tag.Get("envDefault")
		switch field := fields.Field(i).Addr().Interface().(type) {
		case *int:
			*field = must(strconv.Atoi(text))
		case *time.Duration:
			*field = must(time.ParseDuration(text))
		case *[]time.Duration:
			for part := range strings.SplitSeq(text, ",") {
				*field = append(*field, must(time.ParseDuration(part)))
			}
		}
	}
	return p
}

// must panics for a default of Policy that can't be read.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Validate returns an error for times with which a domain would be checked without a pause, or never.
func (p Policy) Validate() error {
	var errs []error
	for name, d := range map[string]time.Duration{
		"DNS_CHECK_INTERVAL": p.CheckInterval, "DNS_ESCALATED_INTERVAL": p.EscalatedInterval,
		"DNS_DORMANT_INTERVAL": p.DormantInterval, "RENEWAL_HOLD_INTERVAL": p.HoldInterval,
		"DNS_ESCALATE_AFTER": p.EscalateDNSAfter, "DNS_LATE_AFTER": p.LateAfter,
	} {
		if d < time.Second {
			errs = append(errs, fmt.Errorf("%s is %s; it expects at least 1s", name, d))
		}
	}
	for name, list := range map[string][]time.Duration{"DNS_FIRST_CHECKS": p.FirstChecks, "RETRY_AFTER_FAILURES": p.RetryAfterFailures} {
		for _, d := range list {
			if d < time.Second {
				errs = append(errs, fmt.Errorf("%s has %s; it expects at least 1s each", name, d))
			}
		}
	}
	if p.ClaimLifetime != 0 && p.ClaimLifetime < time.Second {
		errs = append(errs, fmt.Errorf("CLAIM_LIFETIME is %s; it expects 0s, for no end, or at least 1s", p.ClaimLifetime))
	}
	if p.ClaimWarning < 0 || p.MoveNotice < 0 {
		errs = append(errs, fmt.Errorf("CLAIM_WARNING is %s and MOVE_NOTICE is %s; they expect 0s or more", p.ClaimWarning, p.MoveNotice))
	}
	if p.MaxFailures < 1 {
		errs = append(errs, fmt.Errorf("MAX_FAILURES is %d; it expects at least 1", p.MaxFailures))
	}
	return errors.Join(errs...)
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
