package ca

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
)

// Charge is one token to take from a bucket of the account before an order is placed.
type Charge struct {
	CA       string
	Account  string // URL
	Bucket   string
	Key      string // what the bucket is for: a registered domain, a name, a set of names
	Capacity int
	Refill   time.Duration // for one token
}

// The buckets, after Let's Encrypt's rate limits.
const (
	bucketOrders   = "orders"
	bucketDomain   = "domain"
	bucketSet      = "set"
	bucketFailures = "failures"
)

const week = 7 * 24 * time.Hour

// Charges is what one order for the names may cost of the CA's rate limits: spend it before NewOrder. A renewal is an order for names
// that have had a certificate from the account; it is counted neither per account nor per domain, but per set of names.
// With RFC 9773's replaces the CA would count it nowhere. The set is charged all the same, which ends a loop of ours.
func (a *Authority) Charges(ctx context.Context, names []string, renewal bool) ([]Charge, error) {
	s, err := a.session(ctx)
	if err != nil {
		return nil, err
	}
	var charges []Charge
	charge := func(bucket, key string, capacity int, window time.Duration) {
		if capacity > 0 {
			charges = append(charges, Charge{CA: s.name, Account: s.accountURL, Bucket: bucket, Key: key, Capacity: capacity, Refill: window / time.Duration(capacity)})
		}
	}
	set := nameSet(names)
	if !renewal {
		charge(bucketOrders, "", a.cfg.OrdersPer3Hours, 3*time.Hour)
		for _, domain := range registeredDomains(set) {
			charge(bucketDomain, domain, a.cfg.OrdersPerDomainWeek, week)
		}
	}
	charge(bucketSet, strings.Join(set, ","), a.cfg.OrdersPerSetWeek, week)
	for _, name := range set {
		charge(bucketFailures, name, a.cfg.FailuresPerNameHour, time.Hour)
	}
	return charges, nil
}

// Unspent is what an order turned out not to cost, to be given back when it has come to its end: an issued certificate is no failure,
// and an order that failed has issued none. The order itself is spent in either case.
func Unspent(charges []Charge, issued bool) []Charge {
	return slices.DeleteFunc(slices.Clone(charges), func(c Charge) bool {
		if issued {
			return c.Bucket != bucketFailures
		}
		return c.Bucket != bucketDomain && c.Bucket != bucketSet
	})
}

func registeredDomains(names []string) []string {
	domains := make([]string, len(names))
	for i, name := range names {
		domains[i] = cert.RegisteredDomain(name)
	}
	return nameSet(domains)
}
