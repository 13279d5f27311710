// Package fleet simulates a fleet of domains under the rate limits of a CA (row F20): will a certificate expire, and which override is
// needed. Times of renewal come from cert.RenewAt, places in line from package budget: production asks the same code.
//
// The simulation knows limits and nothing else: every check of DNS passes, every order becomes a certificate at once, the CA and the
// workers are always up.
package fleet

import (
	"fmt"
	"slices"
	"time"

	"github.com/evercert/evercert/cert/budget"
	"github.com/evercert/evercert/cert/calendar"
)

// CA is what a simulation knows of a CA.
type CA struct {
	Name     string // as the command line has it
	Title    string
	Limits   budget.Limits
	Override string // where an override of the orders of an account is asked for
	Longest  func(time.Time) time.Duration
}

// LetsEncrypt is Let's Encrypt's production (letsencrypt.org/docs/rate-limits, 2026-08-05).
var LetsEncrypt = CA{
	Name: "letsencrypt", Title: "Let's Encrypt",
	Limits:   budget.Limits{OrdersPer3Hours: 300, OrdersPerDomainWeek: 50, OrdersPerSetWeek: 5, FailuresPerNameHour: 5},
	Override: "https://isrg.formstack.com/forms/rate_limit_adjustment_request",
	Longest:  calendar.LongestAt,
}

// CAs are those whose limits are known.
var CAs = []CA{LetsEncrypt}

// Never is the MoveOn of a fleet that keeps its CA.
const Never = -1

// Plan is a fleet and what becomes of it.
type Plan struct {
	CA       CA
	Start    time.Time
	Days     int
	Lifetime time.Duration // of a certificate; shorter from the day on which the CA gives less
	Seed     uint64        // of what is random: when a domain is connected, when a renewal is due within its hundredth of the lifetime

	Domains         int
	Connected       int // of Domains: have a live certificate when the simulation begins, each of another age
	ConnectedPerDay int // of the others, until all are connected
	Tenants         int // of the same size
	NamesPerDomain  int // on one certificate
	PerRegistered   int // connected domains below one registered domain
	MoveOn          int // the day from which certificates come from another account or CA with the same limits; Never
	OverrideOrders  int // new orders in 3 hours in place of the CA's limit; 0 is the CA's
}

// What a plan may ask for. A domain that waits takes most of a kilobyte of memory; time grows with orders.
const (
	maxDomains = 1_000_000
	maxDays    = 3650
	maxNames   = 100 // on one certificate (letsencrypt.org/docs/profiles, classic)
	maxOrders  = 1_000_000
	shortest   = 24 * time.Hour
)

// Impossible says why there is no such fleet.
type Impossible struct{ Message, Remediation string }

func (i Impossible) Error() string { return i.Message }

// Check returns an Impossible for a plan that can't be.
func (p Plan) Check() error {
	for _, figure := range []struct {
		name             string
		value, low, high int
	}{
		{"domains", p.Domains, 1, maxDomains},
		{"connected", p.Connected, 0, p.Domains},
		{"connected-per-day", p.ConnectedPerDay, 1, maxDomains},
		{"tenants", p.Tenants, 1, maxDomains},
		{"names-per-domain", p.NamesPerDomain, 1, maxNames},
		{"per-registered-domain", p.PerRegistered, 1, maxDomains},
		{"days", p.Days, 1, maxDays},
		{"move-on", p.MoveOn, Never, p.Days - 1},
		{"override-orders", p.OverrideOrders, 0, maxOrders},
	} {
		if figure.value < figure.low || figure.value > figure.high {
			return Impossible{
				fmt.Sprintf("%s is %d", figure.name, figure.value),
				fmt.Sprintf("give --%s a number from %d to %d", figure.name, figure.low, figure.high),
			}
		}
	}
	longest := p.CA.Longest(p.Start)
	days := fmt.Sprintf("from 1d to %dd", longest/shortest)
	switch {
	case p.Lifetime < shortest:
		return Impossible{fmt.Sprintf("a lifetime of %s is under a day", p.Lifetime), "give --lifetime a time " + days}
	case p.Lifetime > longest:
		return Impossible{
			fmt.Sprintf("%s issues no certificate of more than %d days on %s", p.CA.Title, longest/shortest, p.Start.Format(time.DateOnly)),
			"give --lifetime a time " + days,
		}
	}
	return nil
}

// FindCA returns a CA by the name that the command line has for it.
func FindCA(name string) (CA, error) {
	i := slices.IndexFunc(CAs, func(c CA) bool { return c.Name == name })
	if i < 0 {
		return CA{}, Impossible{fmt.Sprintf("the limits of the CA %q are not known", name), "give --ca the name letsencrypt"}
	}
	return CAs[i], nil
}

// OrdersPer3Hours returns how many new orders in 3 hours the plan goes by.
func (p Plan) OrdersPer3Hours() int { return p.limits().OrdersPer3Hours }

// limits are those that the plan goes by.
func (p Plan) limits() budget.Limits {
	l := p.CA.Limits
	if p.OverrideOrders > 0 {
		l.OrdersPer3Hours = p.OverrideOrders
	}
	return l
}
