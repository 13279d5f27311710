package ca

import (
	"context"
	"strings"

	"github.com/weppos/publicsuffix-go/publicsuffix"

	"github.com/evercert/evercert/cert/budget"
)

// Charges returns what one order for the names may cost of the CA's rate limits: reserve it before NewOrder. A renewal is an order for
// names that had a certificate from the account before.
func (a *Authority) Charges(ctx context.Context, names []string, renewal bool) ([]budget.Charge, error) {
	s, err := a.session(ctx)
	if err != nil {
		return nil, err
	}
	set := nameSet(names)
	return a.cfg.limits().
			Charges(budget.Order{CA: s.name, Account: s.accountURL, Names: set, Domains: registeredDomains(set), Renewal: renewal}),
		nil
}

func (c Config) limits() budget.Limits {
	return budget.Limits{
		OrdersPer3Hours:     c.OrdersPer3Hours,
		OrdersPerDomainWeek: c.OrdersPerDomainWeek,
		OrdersPerSetWeek:    c.OrdersPerSetWeek,
		FailuresPerNameHour: c.FailuresPerNameHour,
	}
}

// registeredDomains returns the domains by which Let's Encrypt counts the names (boulder ratelimits.coveringIdentifiers, with the same
// library and list): the public suffix, from the list's ICANN or private section, and one more label; for a public suffix the name itself.
func registeredDomains(set []string) []string {
	domains := make([]string, len(set))
	for i, name := range set {
		domains[i] = name
		if domain, err := publicsuffix.Domain(strings.TrimPrefix(name, "*.")); err == nil {
			domains[i] = domain
		}
	}
	return nameSet(domains)
}
